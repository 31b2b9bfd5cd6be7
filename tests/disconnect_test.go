package tests

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// TestSessionsOfAStoppingDatabase end between statements, or with the answer to the
// one that they run; what was being committed is acknowledged first.
func TestSessionsOfAStoppingDatabase(t *testing.T) {
	nodes := memNodes(t, 2, nil)
	n := nodes[0]
	idle, inTx, reading, writing, other := newClient(t, n.addr), newClient(t, n.addr), newClient(t, n.addr), newClient(t, n.addr), newClient(t, nodes[1].addr)
	idle.exec("CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
	inTx.exec("BEGIN", "UPDATE t SET n = 2")
	require.Equal(t, 4, n.engine.Sessions())

	n.machine.held.Lock()
	met := n.machine.met.Load()
	answers := make(chan error, 2)
	var running sync.WaitGroup
	for c, sql := range map[*client]string{reading: "SELECT pg_sleep(1000)", writing: "INSERT INTO t VALUES (3)"} {
		running.Go(func() {
			_, err := execute(t.Context(), c.PgConn, sql)
			if c == writing {
				answers <- err
				return
			}
			answers <- errors.Join(err, errors.New("reading"))
		})
	}
	observer := newClient(t, n.addr, "options", "-c tidemark.read_consistency=local")
	require.Eventually(t, func() bool {
		return observer.one("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query <> current_query()") == "2"
	}, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return n.machine.met.Load() > met }, time.Minute, time.Millisecond, "the write is proposed")
	reason := sqlstate.New(sqlstate.AdminShutdown, "the database was dropped")
	n.engine.Stop(reason)
	n.machine.held.Unlock()
	running.Wait()
	for range 2 {
		err := <-answers
		var e *pgconn.PgError
		if errors.As(err, &e) { // the write may be acknowledged before the end is told
			require.Equal(t, []string{"57P01", "FATAL", "the database was dropped"}, []string{e.Code, e.Severity, e.Message})
		}
	}
	require.Equal(t, "2", other.one("SELECT count(*) FROM t"), "what was proposed is committed, what was not is rolled back")
	for _, c := range []*client{idle, inTx, observer} {
		_, err := execute(t.Context(), c.PgConn, "SELECT 1")
		require.Error(t, err)
	}
	require.Eventually(t, func() bool { return n.engine.Sessions() == 0 }, time.Minute, time.Millisecond)
	_, err := pgconn.Connect(t.Context(), "postgres://tester@"+n.addr+"/postgres?sslmode=disable")
	require.Equal(t, "57P01", codeOf(err))
}

// TestDisconnectLetsOthersIn: who connects after Disconnect stays.
func TestDisconnectLetsOthersIn(t *testing.T) {
	nodes := memNodes(t, 1, nil)
	c := newClient(t, nodes[0].addr)
	nodes[0].engine.Disconnect(nil)
	_, err := execute(t.Context(), c.PgConn, "SELECT 1")
	require.Error(t, err)
	require.Equal(t, "1", newClient(t, nodes[0].addr).one("SELECT 1"))
}

// TestColumnsChangedElsewhere: a client is never sent rows of other columns than it
// was told of.
func TestColumnsChangedElsewhere(t *testing.T) {
	nodes := memNodes(t, 2, nil)
	a := newClient(t, nodes[0].addr)
	a.exec("CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
	b := newClient(t, nodes[1].addr)
	require.Equal(t, "1", b.one("SELECT n FROM t"))
	for _, sql := range []string{"SELECT * FROM t", "UPDATE t SET n = n + 1 RETURNING *"} {
		_, err := b.Prepare(t.Context(), "p", sql, nil)
		require.NoError(t, err)
		nodes[1].machine.held.Lock()
		a.exec("ALTER TABLE t ADD COLUMN x int")
		go func() { // Bind sees the old table, Execute the new one
			time.Sleep(50 * time.Millisecond)
			nodes[1].machine.held.Unlock()
		}()
		err = b.ExecPrepared(t.Context(), "p", nil, nil, nil).Read().Err
		require.Equal(t, "0A000", codeOf(err), "%s: %v", sql, err)
		b.exec("DEALLOCATE p", "SELECT * FROM t")
		a.exec("ALTER TABLE t DROP COLUMN x")
		b.exec("/*+ read_after=" + a.ParameterStatus("tidemark.token") + " */ SELECT 1")
	}
}
