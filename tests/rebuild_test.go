package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// copyOfTable is what a consumer makes of a stream. Like a subscriber it keeps the
// end of the last transaction that it has applied with what it has applied.
type copyOfTable struct {
	rows    map[string]string
	pending map[string]*string // of the transaction that is on its way; nil for a row that is gone
	emptied bool
	end     pglogrepl.LSN
	commits int
	again   int // transactions that came although they had been applied
}

func (x *copyOfTable) apply(t *testing.T, m pglogrepl.Message) {
	set := func(tuple *pglogrepl.TupleData) {
		v := string(tuple.Columns[1].Data)
		x.pending[string(tuple.Columns[0].Data)] = &v
	}
	switch m := m.(type) {
	case *pglogrepl.BeginMessage:
		x.pending, x.emptied = map[string]*string{}, false
	case *pglogrepl.InsertMessage:
		set(m.Tuple)
	case *pglogrepl.UpdateMessage:
		if m.OldTuple != nil {
			x.pending[string(m.OldTuple.Columns[0].Data)] = nil
		}
		set(m.NewTuple)
	case *pglogrepl.DeleteMessage:
		x.pending[string(m.OldTuple.Columns[0].Data)] = nil
	case *pglogrepl.TruncateMessage:
		x.pending, x.emptied = map[string]*string{}, true
	case *pglogrepl.CommitMessage:
		if m.CommitLSN < x.end {
			x.again++
			return
		}
		require.Greater(t, m.TransactionEndLSN, x.end)
		if x.emptied {
			x.rows = map[string]string{}
		}
		for id, v := range x.pending {
			if v == nil {
				delete(x.rows, id)
			} else {
				x.rows[id] = *v
			}
		}
		x.end = m.TransactionEndLSN
		x.commits++
	}
}

// rebuildWriter writes for a while, in single statements, interactive transactions,
// loads and truncations.
func rebuildWriter(ctx context.Context, conn *pgconn.PgConn, rnd *rand.Rand, rounds int) error {
	for range rounds {
		id := func() int { return rnd.IntN(300) }
		var sql []string
		switch k := rnd.IntN(100); {
		case k < 40:
			sql = []string{fmt.Sprintf("INSERT INTO t VALUES (%d, 'a%d') ON CONFLICT (id) DO UPDATE SET v = t.v || 'b'", id(), rnd.IntN(1000))}
		case k < 60:
			sql = []string{fmt.Sprintf("UPDATE t SET v = '%d' WHERE id %% 17 = %d", rnd.IntN(1000), rnd.IntN(17))}
		case k < 70:
			sql = []string{fmt.Sprintf("DELETE FROM t WHERE id %% 23 = %d", rnd.IntN(23))}
		case k < 90:
			sql = []string{"BEGIN", fmt.Sprintf("INSERT INTO hidden VALUES (%d)", id()), fmt.Sprintf("DELETE FROM t WHERE id = %d", id()),
				fmt.Sprintf("INSERT INTO t VALUES (%d, 'tx') ON CONFLICT DO NOTHING", id()), []string{"COMMIT", "ROLLBACK"}[rnd.IntN(2)]}
		case k < 97:
			from := 1000 * (1 + rnd.IntN(1000))
			sql = []string{fmt.Sprintf("INSERT INTO t SELECT g, repeat('x', %d) FROM generate_series(%d, %d) g ON CONFLICT DO NOTHING", rnd.IntN(50), from, from+rnd.IntN(700))}
		case k < 98:
			sql = []string{"TRUNCATE t"}
		default:
			sql = []string{"DELETE FROM t WHERE id > 1000"}
		}
		for _, s := range sql {
			if _, err := execute(ctx, conn, s); err != nil && !strings.Contains(err.Error(), "40001") && !strings.Contains(err.Error(), "25P02") {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
	}
	return nil
}

// TestReplicationRebuildsATable: consumers that crash and resume through any node
// have the table in the end, and miss no transaction on the way.
func TestReplicationRebuildsATable(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const writers, rounds, consumers = 3, 150, 3
	n, c := published(t, 3)
	for i := range consumers {
		newConsumer(t, n[i].addr, fmt.Sprint("s", i)).create("NOEXPORT_SNAPSHOT")
	}
	var writing sync.WaitGroup
	errs := make(chan error, writers)
	for i := range writers {
		conn := newClient(t, n[i%3].addr).PgConn
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		writing.Go(func() { errs <- rebuildWriter(context.Background(), conn, rnd, rounds) })
	}
	copies := make([]*copyOfTable, consumers)
	rnd := rand.New(rand.NewPCG(seed, 99))
	read := func(i, transactions int) {
		x := copies[i]
		r := newConsumer(t, n[rnd.IntN(3)].addr, fmt.Sprint("s", i))
		for r.tryStart(0) != nil { // the one before it is still being noticed to be gone
			time.Sleep(5 * time.Millisecond)
		}
		for done := 0; done < transactions && (x.end == 0 || x.end < pglogrepl.LSN(n[0].replica.Position().End)); {
			m, _ := r.next()
			x.apply(t, m)
			if _, ok := m.(*pglogrepl.CommitMessage); ok {
				done++
				if rnd.IntN(4) == 0 {
					r.acknowledge(x.end)
				}
			}
			if r.kept > x.end && r.kept >= pglogrepl.LSN(n[0].replica.Position().End) {
				break
			}
		}
		if rnd.IntN(2) == 0 {
			r.finish()
		}
		require.NoError(t, r.Conn().Close())
	}
	for i := range copies {
		copies[i] = &copyOfTable{rows: map[string]string{}}
	}
	for range 6 {
		for i := range consumers {
			read(i, 1+rnd.IntN(30))
		}
	}
	writing.Wait()
	for range writers {
		require.NoError(t, <-errs)
	}
	c.exec("INSERT INTO t VALUES (-1, 'last')")
	want := map[string]string{}
	for _, row := range c.rows("SELECT id, v FROM t") {
		want[row[0]] = row[1]
	}
	for i, x := range copies {
		for x.rows["-1"] == "" {
			read(i, 1<<30)
		}
		require.Equal(t, want, x.rows, "consumer %d", i)
		require.Equal(t, copies[0].commits, x.commits, "consumer %d", i)
	}
	t.Logf("%d transactions, %d %d %d came again", copies[0].commits, copies[0].again, copies[1].again, copies[2].again)
}
