package tests

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/cluster"
)

const (
	// leaderKills are done by default, leaderKillTime is what one takes about.
	leaderKills    = 3
	leaderKillTime = 8 * time.Second
	// failoverWriters write on each node that stays.
	failoverWriters = 2
	// failoverBound is far more than a failover may take on a machine that is not
	// overloaded.
	failoverBound = 45 * time.Second
)

// TestFailover kills the leader again and again, and measures how long it takes
// until another node has acknowledged a write that began after the kill.
func TestFailover(t *testing.T) {
	c := startNodes(t)
	conn, err := cluster.Dial(t.Context(), c.Addrs(1).SQL)
	require.NoError(t, err)
	_, err = execute(t.Context(), conn, "CREATE TABLE beats (id bigserial PRIMARY KEY, node int)")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	var took []time.Duration
	acknowledged := 0
	for range faultTimes(t, leaderKills, leaderKillTime) {
		leader, err := c.Leader(t.Context(), "postgres")
		require.NoError(t, err)
		d, n := killWhileWriting(t, c, leader)
		took, acknowledged = append(took, d), acknowledged+n
		require.NoError(t, c.Start(t.Context(), leader))
		require.NoError(t, c.AwaitWhole(t.Context()))
	}
	slices.Sort(took)
	t.Logf("%d failovers: p50 %s, p99 %s, longest %s", len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	conn, err = cluster.Dial(t.Context(), c.Addrs(2).SQL)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	rows, err := execute(t.Context(), conn, "SELECT count(*) FROM beats")
	require.NoError(t, err)
	n, err := strconv.Atoi(rows[0][0])
	require.NoError(t, err)
	require.Equal(t, acknowledged, n, "each acknowledged write is there once, and all were acknowledged: the nodes that stay know what became of theirs")
}

// killWhileWriting kills the leader while clients write through the other nodes.
// It returns how long nobody could, and how many writes were acknowledged.
func killWhileWriting(t *testing.T, c *cluster.Cluster, leader int) (took time.Duration, acknowledged int) {
	var mu sync.Mutex
	var killed time.Time
	var first time.Duration
	var stop atomic.Bool
	var writers sync.WaitGroup
	for node := 1; node <= c.Nodes(); node++ {
		if node == leader {
			continue
		}
		for range failoverWriters {
			conn, err := cluster.Dial(t.Context(), c.Addrs(node).SQL)
			require.NoError(t, err)
			writers.Go(func() {
				defer conn.Close(context.Background())
				for !stop.Load() {
					began := time.Now()
					_, err := execute(t.Context(), conn, fmt.Sprintf("INSERT INTO beats (node) VALUES (%d)", node))
					if err != nil {
						t.Errorf("a client of a node that stays sees more than a pause: %v", err)
						return
					}
					mu.Lock()
					acknowledged++
					if !killed.IsZero() && began.After(killed) && first == 0 {
						first = time.Since(killed)
					}
					mu.Unlock()
				}
			})
		}
	}
	time.Sleep(500 * time.Millisecond)
	mu.Lock()
	before := acknowledged
	mu.Unlock()
	require.NoError(t, c.Kill(leader))
	mu.Lock()
	killed = time.Now()
	mu.Unlock()
	require.Positive(t, before, "nobody could write before")
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return first != 0 || t.Failed()
	}, failoverBound, time.Millisecond)
	stop.Store(true)
	writers.Wait()
	return first, acknowledged
}

const (
	leaderPauses    = 2
	leaderPauseTime = 6 * time.Second
	pausedReaders   = 8
)

// TestPausedLeader stops the leader where it stands, lets others take over and
// write, and wakes it up: it must not answer a read that was sent after the write
// with what it believes to be the newest.
func TestPausedLeader(t *testing.T) {
	c := startNodes(t)
	setup, err := cluster.Dial(t.Context(), c.Addrs(1).SQL)
	require.NoError(t, err)
	_, err = execute(t.Context(), setup, "CREATE TABLE latest (id int PRIMARY KEY, n int NOT NULL); INSERT INTO latest VALUES (1, 0)")
	require.NoError(t, err)
	require.NoError(t, setup.Close(t.Context()))
	value, answered := 0, 0
	for range faultTimes(t, leaderPauses, leaderPauseTime) {
		leader, err := c.Leader(t.Context(), "postgres")
		require.NoError(t, err)
		var readers []*pgconn.PgConn
		for range pausedReaders {
			conn, err := cluster.Dial(t.Context(), c.Addrs(leader).SQL)
			require.NoError(t, err)
			_, err = execute(t.Context(), conn, "SELECT n FROM latest") // everything is warm
			require.NoError(t, err)
			readers = append(readers, conn)
		}
		require.NoError(t, c.Pause(leader))
		other := 1 + leader%c.Nodes()
		conn, err := cluster.Dial(t.Context(), c.Addrs(other).SQL)
		require.NoError(t, err)
		for range 20 {
			value++
			_, err := execute(t.Context(), conn, fmt.Sprintf("UPDATE latest SET n = %d", value))
			require.NoError(t, err)
		}
		require.NoError(t, conn.Close(t.Context()))
		answered += wakeAndRead(t, c, leader, value, readers)
		require.NoError(t, c.AwaitWhole(t.Context()))
	}
	t.Logf("%d reads were answered after waking up", answered)
	require.Positive(t, answered)
}

// wakeAndRead sends reads to a paused node, wakes it up, and looks at the answers.
func wakeAndRead(t *testing.T, c *cluster.Cluster, node, value int, readers []*pgconn.PgConn) (answered int) {
	var reading sync.WaitGroup
	var count atomic.Int64
	for i, conn := range readers {
		reading.Go(func() {
			defer conn.Close(context.Background())
			ctx, cancel := context.WithTimeout(t.Context(), failoverBound)
			defer cancel()
			for range 10 {
				sql := "SELECT n FROM latest WHERE id = 1"
				if i%2 == 1 { // as a transaction
					sql = "BEGIN READ ONLY; SELECT n FROM latest; COMMIT"
				}
				results, err := conn.Exec(ctx, sql).ReadAll()
				if err != nil {
					if conn.IsClosed() {
						return
					}
					continue // it may not know yet who leads
				}
				n, err := strconv.Atoi(string(results[i%2].Rows[0][0]))
				if err != nil || n < value {
					t.Errorf("a node that woke up reads %d (%v), %d was acknowledged before the read was sent", n, err, value)
				}
				count.Add(1)
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // the first reads are in the paused node's buffers
	if err := c.Resume(node); err != nil {
		t.Error(err)
	}
	reading.Wait()
	return int(count.Load())
}
