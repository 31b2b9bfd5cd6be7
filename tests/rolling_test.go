package tests

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/cluster"
)

const (
	rollingClients = 4
	rollingRounds  = 1
	rollingTime    = 15 * time.Second // of one round, about
	// rollingPatience is for how long a client tries to connect.
	rollingPatience = 60 * time.Second
)

// TestRollingRestart stops and starts one node after the other while clients
// write. A client that does nothing but try again after 40001, 57P01 and a lost
// connection never fails.
func TestRollingRestart(t *testing.T) {
	c := startNodes(t)
	setup, err := cluster.Dial(t.Context(), c.Addrs(1).SQL)
	require.NoError(t, err)
	_, err = execute(t.Context(), setup, "CREATE TABLE rolled (client int, n int, PRIMARY KEY (client, n)); CREATE TABLE total (id int PRIMARY KEY, n int NOT NULL); INSERT INTO total VALUES (1, 0)")
	require.NoError(t, err)
	require.NoError(t, setup.Close(t.Context()))
	var stop atomic.Bool
	var clients sync.WaitGroup
	var wrote [rollingClients]int
	for i := range rollingClients {
		clients.Go(func() {
			r := &retrying{c: c, next: i}
			defer r.close()
			for !stop.Load() {
				if err := r.write(t.Context(), i, wrote[i]+1); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				wrote[i]++
			}
		})
	}
	for range faultTimes(t, rollingRounds, rollingTime) {
		for node := 1; node <= c.Nodes(); node++ {
			require.NoError(t, c.Stop(node))
			require.NoError(t, c.Start(t.Context(), node))
			require.NoError(t, c.AwaitWhole(t.Context()))
		}
	}
	stop.Store(true)
	clients.Wait()
	conn, err := cluster.Dial(t.Context(), c.Addrs(1).SQL)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	rows, err := execute(t.Context(), conn, "SELECT count(*), (SELECT n FROM total) FROM rolled")
	require.NoError(t, err)
	sum := 0
	for _, n := range wrote {
		sum += n
		require.Positive(t, n)
	}
	require.Equal(t, []string{strconv.Itoa(sum), strconv.Itoa(sum)}, rows[0], "each write once")
	t.Logf("%d writes", sum)
}

// retrying is a client that knows three errors.
type retrying struct {
	c    *cluster.Cluster
	next int // the node to connect to, counted on
	conn *pgconn.PgConn
}

func (r *retrying) close() {
	if r.conn != nil {
		_ = r.conn.Close(context.Background()) // it may be lost
	}
}

// write writes one number in an interactive transaction that may come twice: the
// key says whether it did.
func (r *retrying) write(ctx context.Context, client, n int) error {
	for {
		err := r.attempt(ctx, client, n)
		var pg *pgconn.PgError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &pg) && pg.Code == "40001":
			if _, err := execute(ctx, r.conn, "ROLLBACK"); err != nil {
				r.close()
			}
		case errors.As(err, &pg) && pg.Code != "57P01" && !strings.HasPrefix(pg.Code, "08"):
			return err
		default: // lost
			r.close()
		}
	}
}

func (r *retrying) attempt(ctx context.Context, client, n int) error {
	if err := r.connect(ctx); err != nil {
		return err
	}
	for _, sql := range []string{
		fmt.Sprintf("BEGIN; SET LOCAL tidemark.idempotency_key = '%d/%d'", client, n),
		fmt.Sprintf("INSERT INTO rolled VALUES (%d, %d)", client, n),
		"UPDATE total SET n = n + 1",
		"COMMIT",
	} {
		if _, err := execute(ctx, r.conn, sql); err != nil {
			return err
		}
	}
	return nil
}

// connect tries one node after the other, as a list of hosts would.
func (r *retrying) connect(ctx context.Context) error {
	if r.conn != nil && !r.conn.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, rollingPatience)
	defer cancel()
	for {
		r.next++
		conn, err := cluster.Dial(ctx, r.c.Addrs(1+r.next%r.c.Nodes()).SQL)
		if err == nil {
			r.conn = conn
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no node answers: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestMovedNode: a node that comes back with other addresses is found by the
// others, and counts as before.
func TestMovedNode(t *testing.T) {
	c := startNodes(t)
	run := func(node int, sql string) [][]string {
		t.Helper()
		conn, err := cluster.Dial(t.Context(), c.Addrs(node).SQL)
		require.NoError(t, err)
		defer conn.Close(context.Background())
		rows, err := execute(t.Context(), conn, sql)
		require.NoError(t, err)
		return rows
	}
	run(1, "CREATE TABLE kept (n int)")
	leader, err := c.Leader(t.Context(), "postgres")
	require.NoError(t, err)
	for i, node := range someOf(t, 1, []int{leader, 1 + leader%c.Nodes()}) {
		require.NoError(t, c.Stop(node))
		run(1+node%c.Nodes(), "INSERT INTO kept VALUES (1)")
		require.NoError(t, c.Move(node))
		require.NoError(t, c.Start(t.Context(), node))
		require.NoError(t, c.AwaitWhole(t.Context()))
		other := 1 + node%c.Nodes()
		require.NoError(t, c.Kill(other))
		run(node, "INSERT INTO kept VALUES (2)")
		require.Equal(t, strconv.Itoa(2*i+2), run(node, "SELECT count(*) FROM kept")[0][0])
		require.NoError(t, c.Start(t.Context(), other))
		require.NoError(t, c.AwaitWhole(t.Context()))
	}
}

// TestWipedNode: a node that has lost its disk becomes a new replica, which
// counts: with it, the cluster bears the loss of another one.
func TestWipedNode(t *testing.T) {
	c := startNodes(t)
	conn, err := cluster.Dial(t.Context(), c.Addrs(1).SQL)
	require.NoError(t, err)
	_, err = execute(t.Context(), conn, "CREATE TABLE kept (n int PRIMARY KEY); INSERT INTO kept SELECT generate_series(1, 1000)")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	leader, err := c.Leader(t.Context(), "postgres")
	require.NoError(t, err)
	for i, node := range someOf(t, 1, []int{1 + leader%c.Nodes(), leader}) {
		require.NoError(t, c.Kill(node))
		require.NoError(t, c.Wipe(node))
		require.NoError(t, c.Start(t.Context(), node))
		require.NoError(t, c.AwaitWhole(t.Context()))
		other := 1 + node%c.Nodes()
		require.NoError(t, c.Kill(other))
		conn, err := cluster.Dial(t.Context(), c.Addrs(node).SQL)
		require.NoError(t, err)
		_, err = execute(t.Context(), conn, fmt.Sprintf("INSERT INTO kept VALUES (%d)", 2000+i))
		require.NoError(t, err)
		rows, err := execute(t.Context(), conn, "SELECT count(*) FROM kept")
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(1001+i), rows[0][0])
		require.NoError(t, conn.Close(t.Context()))
		require.NoError(t, c.Start(t.Context(), other))
		require.NoError(t, c.AwaitWhole(t.Context()))
	}
}
