package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	crashRounds  = 12
	crashWriters = 6
	crashRun     = 400 * time.Millisecond // the longest time under load before a kill
)

// TestKillLosesNothing kills the server under load, again and again. What was
// acknowledged must be there, once; what was on its way may be there, once.
func TestKillLosesNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()

	p := startProcess(t, dir)
	setup := p.connect(t)
	_, err := execute(t.Context(), setup, "CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL); CREATE TABLE steps (writer int, n bigint, PRIMARY KEY (writer, n))")
	require.NoError(t, err)
	for w := range crashWriters {
		_, err = execute(t.Context(), setup, fmt.Sprintf("INSERT INTO counters VALUES (%d, 0)", w))
		require.NoError(t, err)
	}

	var acknowledged [crashWriters]int64
	total := int64(0)
	for range crashRounds {
		load(t, p, &acknowledged, time.Duration(rnd.Int64N(int64(crashRun))))
		p = startProcess(t, dir)
		total = checkCounters(t, p, &acknowledged)
	}
	t.Logf("%d writes over %d kills", total, crashRounds)
	require.Greater(t, total, int64(crashRounds*crashWriters), "there was hardly any load")
	p.stop(t)
	p = startProcess(t, dir)
	require.Equal(t, total, checkCounters(t, p, &acknowledged), "a clean stop changes nothing")
}

// load lets writers count until the server is killed, after the given time.
func load(t *testing.T, p *process, acknowledged *[crashWriters]int64, run time.Duration) {
	var wg sync.WaitGroup
	var killed atomic.Bool
	for w := range crashWriters {
		wg.Go(func() {
			conn, err := dial(t.Context(), p.addr)
			if err != nil {
				if !killed.Load() {
					t.Errorf("connect: %v", err)
				}
				return
			}
			defer conn.Close(context.Background())
			for {
				next := acknowledged[w] + 1
				_, err := execute(t.Context(), conn, fmt.Sprintf("UPDATE counters SET n = n + 1 WHERE id = %d; INSERT INTO steps VALUES (%d, %d)", w, w, next))
				if err != nil {
					if !killed.Load() {
						t.Errorf("write: %v", err)
					}
					return
				}
				acknowledged[w] = next
			}
		})
	}
	time.Sleep(run)
	killed.Store(true)
	p.kill()
	wg.Wait()
}

// checkCounters compares the tables with what was acknowledged, takes what was on
// its way into account for the next round, and returns the number of all writes.
func checkCounters(t *testing.T, p *process, acknowledged *[crashWriters]int64) int64 {
	t.Helper()
	conn := p.connect(t)
	rows, err := execute(t.Context(), conn, "SELECT c.id, c.n, (SELECT count(*) FROM steps s WHERE s.writer = c.id) FROM counters c ORDER BY c.id")
	require.NoError(t, err)
	require.Len(t, rows, crashWriters)
	total := int64(0)
	for w, row := range rows {
		n, err := strconv.ParseInt(row[1], 10, 64)
		require.NoError(t, err)
		require.GreaterOrEqual(t, n, acknowledged[w], "writer %d lost an acknowledged write", w)
		require.LessOrEqual(t, n, acknowledged[w]+1, "writer %d has a write twice", w)
		require.Equal(t, row[1], row[2], "half a write of writer %d", w)
		acknowledged[w] = n
		total += n
	}
	return total
}
