package tests

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

const (
	mixedRounds  = 6
	mixedWriters = 6
	mixedRun     = 500 * time.Millisecond
)

// journal is what the clients know of their writes, by a mark that is unique and
// part of each command's text.
type journal struct {
	mu           sync.Mutex
	next         int
	acknowledged map[string]bool
	unknown      map[string]bool // sent, and no answer came
	refused      map[string]bool // answered with an error that says it was not done
	unanswered   int
}

func (j *journal) mark() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next++
	m := fmt.Sprintf("mark-%06d", j.next)
	j.unknown[m] = true
	return m
}

func (j *journal) settle(m string, to map[string]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.unknown, m)
	to[m] = true
}

// TestKillWithTransactions kills the server under writers of all kinds: single
// statements in both protocols, query strings, interactive transactions, COPY.
// Afterwards tables and tidemark.log have what was acknowledged, once, and of
// the rest nothing that was refused.
func TestKillWithTransactions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	j := &journal{acknowledged: map[string]bool{}, unknown: map[string]bool{}, refused: map[string]bool{}}
	p := startProcess(t, dir)
	_, err := execute(t.Context(), p.connect(t), "CREATE TABLE marks (mark text PRIMARY KEY, w int, id serial UNIQUE); CREATE TABLE total (id int PRIMARY KEY, n bigint); INSERT INTO total VALUES (1, 0)")
	require.NoError(t, err)
	for range mixedRounds {
		j.load(t, p, time.Duration(rnd.Int64N(int64(mixedRun))), rnd.Uint64())
		p = startProcess(t, dir)
		j.check(t, p)
	}
	t.Logf("%d acknowledged, %d refused, %d without an answer over %d kills", len(j.acknowledged), len(j.refused), j.unanswered, mixedRounds)
	require.Greater(t, len(j.acknowledged), 10*mixedRounds, "there was hardly any load")
}

func (j *journal) load(t *testing.T, p *process, run time.Duration, seed uint64) {
	var wg sync.WaitGroup
	var killed atomic.Bool
	for w := range mixedWriters {
		wg.Go(func() {
			conn, err := dial(t.Context(), p.addr)
			if err != nil {
				if !killed.Load() {
					t.Errorf("connect: %v", err)
				}
				return
			}
			defer conn.Close(context.Background())
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			for !conn.IsClosed() {
				m := j.mark()
				err := writeMark(t.Context(), conn, rnd.IntN(5), m, w)
				switch code := codeOf(err); {
				case err == nil:
					j.settle(m, j.acknowledged)
				case code == "40001":
					j.settle(m, j.refused)
				case killed.Load() || strings.HasPrefix(code, "?"): // the connection broke
					return
				default:
					t.Errorf("%s: %v", m, err)
					return
				}
			}
		})
	}
	time.Sleep(run)
	killed.Store(true)
	p.kill()
	wg.Wait()
}

// writeMark writes one row and counts it, in one of several ways.
func writeMark(ctx context.Context, conn *pgconn.PgConn, way int, m string, w int) error {
	insert := fmt.Sprintf("INSERT INTO marks (mark, w) VALUES ('%s', %d)", m, w)
	const count = "UPDATE total SET n = n + 1"
	run := func(sqls ...string) error {
		for _, sql := range sqls {
			if _, err := execute(ctx, conn, sql); err != nil {
				if conn.TxStatus() != 'I' && !conn.IsClosed() {
					_, _ = execute(ctx, conn, "ROLLBACK") // the first error is what counts
				}
				return err
			}
		}
		return nil
	}
	switch way {
	case 0:
		return run(insert + "; " + count)
	case 1:
		return run("BEGIN", insert, count, "COMMIT")
	case 2: // it reads what others change: it may be refused
		return run("BEGIN", "SELECT n FROM total", insert, "SAVEPOINT s", "DELETE FROM marks", "ROLLBACK TO s", count, "COMMIT")
	case 3:
		batch := &pgconn.Batch{}
		batch.ExecParams("INSERT INTO marks (mark, w) VALUES ($1, $2)", [][]byte{[]byte(m), []byte(fmt.Sprint(w))}, nil, nil, nil)
		batch.ExecParams(count, nil, nil, nil, nil)
		return conn.ExecBatch(ctx, batch).Close()
	}
	if err := run("BEGIN", count); err != nil {
		return err
	}
	if _, err := conn.CopyFrom(ctx, strings.NewReader(fmt.Sprintf("%s\t%d\n", m, w)), "COPY marks (mark, w) FROM STDIN"); err != nil {
		return err
	}
	return run(fmt.Sprintf("UPDATE marks SET w = w WHERE mark = '%s'", m), "COMMIT")
}

// check compares the tables, the log and the journal. What is there of the marks
// without an answer is settled by it.
func (j *journal) check(t *testing.T, p *process) {
	conn := p.connect(t)
	rows, err := execute(t.Context(), conn, "SELECT mark FROM marks")
	require.NoError(t, err)
	have := map[string]bool{}
	for _, r := range rows {
		have[r[0]] = true
	}
	j.unanswered += len(j.unknown)
	for m := range j.acknowledged {
		require.True(t, have[m], "%s was acknowledged and is lost", m)
	}
	for m := range have {
		require.False(t, j.refused[m], "%s was refused and is there", m)
		if j.unknown[m] {
			j.settle(m, j.acknowledged)
		}
	}
	for m := range maps.Clone(j.unknown) { // too late for it now
		j.settle(m, j.refused)
	}
	total, err := execute(t.Context(), conn, "SELECT n FROM total")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(len(have)), total[0][0], "a part of a transaction, or one twice")

	// The log has a committed entry for each mark, and only one.
	rows, err = execute(t.Context(), conn, "SELECT command, params FROM tidemark.log WHERE sqlstate IS NULL AND rows_changed > 0")
	require.NoError(t, err)
	logged := map[string]int{}
	for _, r := range rows {
		if i := strings.Index(r[0]+r[1], "mark-"); i >= 0 {
			logged[(r[0] + r[1])[i:i+len("mark-000000")]]++
		}
	}
	for m := range have {
		require.Equal(t, 1, logged[m], "%s in the log", m)
	}
	require.Len(t, logged, len(have))
}
