package tests

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/sm"
)

// follower starts two nodes with a table of one row, and returns a client of each.
func follower(t *testing.T, options ...string) (a, b *memNode, w, r *client) {
	t.Helper()
	nodes := memNodes(t, 2, nil)
	a, b = nodes[0], nodes[1]
	w = newClient(t, a.addr)
	w.exec("CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
	r = newClient(t, b.addr, options...)
	sql := readN
	if len(options) > 0 {
		sql = "/*+ read_after=" + w.ParameterStatus("tidemark.token") + " */ " + sql
	}
	require.Equal(t, "1", r.one(sql), "linearizable is the default")
	return a, b, w, r
}

// behind holds the node's state machine while it runs f.
func behind(n *memNode, f func()) {
	n.machine.held.Lock()
	defer n.machine.held.Unlock()
	f()
}

const readN = "SELECT n FROM t"

func TestLinearizableReadsWait(t *testing.T) {
	_, b, w, r := follower(t)
	r.exec("SET tidemark.wait_timeout = '200ms'")
	behind(b, func() {
		w.exec("UPDATE t SET n = 2")
		for _, sql := range []string{readN, "COPY t TO STDOUT", "BEGIN; DECLARE c CURSOR FOR SELECT n FROM t", "EXPLAIN SELECT n FROM t", "BEGIN; SAVEPOINT s"} {
			e := r.fails("57014", sql)
			require.Equal(t, "timed out while waiting for this node to be up to date", e.Message, sql)
			require.Contains(t, e.Detail, "This node has applied the log up to 0/", sql)
			require.Contains(t, e.Detail, "It was last known to be up to date", sql)
			r.exec("ROLLBACK")
		}
	})
	require.Equal(t, "2", r.one(readN))

	b.link.hold()
	r.fails("57014", readN)
	r.exec("SET statement_timeout = '50ms'", "SET tidemark.wait_timeout = '1min'")
	require.Contains(t, r.fails("57014", readN).Message, "statement timeout")
	b.link.release()
	require.Equal(t, "2", r.one(readN))
}

func TestLocalReadsDoNotWait(t *testing.T) {
	_, b, w, r := follower(t)
	b.link.hold()
	defer b.link.release()
	r.exec("SET tidemark.read_consistency = local")
	behind(b, func() {
		w.exec("UPDATE t SET n = 2")
		for _, sql := range []string{readN, "BEGIN; SELECT n FROM t", readN, "COMMIT; SELECT n FROM t", "SHOW tidemark.read_consistency; SELECT n FROM t"} {
			rows := r.rows(sql)
			require.Equal(t, "1", rows[len(rows)-1][0], sql)
		}
	})
	// By start-up option and for one transaction.
	s := newClient(t, b.addr, "options", "-c tidemark.read_consistency=local")
	require.Equal(t, "local", s.one("SHOW tidemark.read_consistency"))
	s.one(readN)
	s.exec("SET tidemark.read_consistency = linearizable", "SET tidemark.wait_timeout = '100ms'")
	s.fails("57014", readN)
	s.exec("BEGIN", "SET LOCAL tidemark.read_consistency = 'local'", readN, "COMMIT")
	require.Equal(t, "linearizable", s.one("SHOW tidemark.read_consistency"))
	require.Equal(t, "Available values: linearizable, session, bounded, local.", s.fails("22023", "SET tidemark.read_consistency = eventual").Hint)
	s.fails("22023", "SET tidemark.max_staleness = 'long'")
	s.fails("22023", "SET tidemark.max_staleness = '-1s'")
}

// TestSessionReads: a session sees what it has written itself, here and with a
// token from another node.
func TestSessionReads(t *testing.T) {
	_, b, w, r := follower(t, "options", "-c tidemark.read_consistency=session -c tidemark.wait_timeout=300ms")
	reads := b.link.reads.Load()
	r.exec("UPDATE t SET n = n + 1")
	require.Equal(t, "2", r.one(readN))
	require.Equal(t, reads, b.link.reads.Load(), "nobody has to be asked for one's own writes")
	behind(b, func() {
		w.exec("UPDATE t SET n = 10")
		require.Equal(t, "2", r.one(readN))
		token := w.ParameterStatus("tidemark.token")
		for _, sql := range []string{"/*+ read_after=" + token + " */ " + readN, "SET tidemark.read_after = '" + token + "'; SELECT n FROM t", "WAIT FOR LSN '" + token + "'"} {
			e := r.fails("57014", sql)
			require.Contains(t, e.Message, "timed out while waiting for LSN", sql)
			require.Contains(t, e.Detail, "bytes behind", sql)
		}
		require.Equal(t, "timeout", r.one("WAIT FOR LSN '"+token+"' WITH (TIMEOUT '50ms', NO_THROW)"))
	})
	require.Equal(t, "10", r.one("/*+ read_after="+w.ParameterStatus("tidemark.token")+" */ "+readN))
}

// TestTokensAtWeakLevels: a token that nobody can have been given is an error at
// once, one that this node has not applied yet is waited for, with or without an
// answer how far the log goes.
func TestTokensAtWeakLevels(t *testing.T) {
	_, b, w, r := follower(t)
	for _, level := range []string{"session", "local", "bounded"} {
		r.exec("SET tidemark.wait_timeout = '1min'", "SET tidemark.read_consistency = "+level)
		w.exec("UPDATE t SET n = n + 1")
		token := w.ParameterStatus("tidemark.token")
		prefix, off := parts(t, token)
		future := prefix + (off + 1<<20).String()
		began := time.Now()
		require.Contains(t, r.fails("22023", "/*+ read_after="+future+" */ "+readN).Message, "past the end")
		require.Contains(t, r.fails("22023", "WAIT FOR LSN '"+future+"'").Message, "past the end")
		require.Less(t, time.Since(began), 30*time.Second, "at once, not after a wait_timeout")

		b.link.hold() // the answer never comes, the entry does
		b.machine.held.Lock()
		w.exec("UPDATE t SET n = n + 1")
		want := w.one(readN)
		var waiting sync.WaitGroup
		waiting.Go(func() { // the test is far from over when it lets go
			time.Sleep(50 * time.Millisecond)
			b.machine.held.Unlock()
		})
		require.Equal(t, want, r.one("/*+ read_after="+w.ParameterStatus("tidemark.token")+" */ "+readN), level)
		waiting.Wait()
		r.exec("SET tidemark.wait_timeout = '100ms'")
		r.fails("57014", "/*+ read_after="+future+" */ "+readN)
		b.link.release()
	}
}

// TestBoundedReads: a read is no older than allowed, and many share one question.
func TestBoundedReads(t *testing.T) {
	_, b, w, r := follower(t, "options", "-c tidemark.read_consistency=bounded -c tidemark.max_staleness=1h -c tidemark.wait_timeout=200ms")
	require.Equal(t, "1h", r.one("SHOW tidemark.max_staleness"))
	before := b.link.reads.Load()
	behind(b, func() {
		w.exec("UPDATE t SET n = 2")
		require.Equal(t, "1", r.one(readN), "no older than an hour")
		require.Equal(t, before, b.link.reads.Load())
		time.Sleep(20 * time.Millisecond)
		r.exec("SET tidemark.max_staleness = '10ms'")
		require.Contains(t, r.fails("57014", readN).Detail, "It was last known to be up to date")
	})
	require.Equal(t, "2", r.one(readN))
	r.exec("SET tidemark.max_staleness = 0")
	w.exec("UPDATE t SET n = 3")
	require.Equal(t, "3", r.one(readN), "no staleness at all")
}

// TestBoundedReadsShareAQuestion: many that wait ask once.
func TestBoundedReadsShareAQuestion(t *testing.T) {
	const readers = 8
	nodes := memNodes(t, 2, nil)
	w, b := newClient(t, nodes[0].addr), nodes[1]
	w.exec("CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
	b.link.hold()
	clients := make([]*client, readers)
	for i := range clients {
		clients[i] = newClient(t, b.addr, "options", "-c tidemark.read_consistency=bounded -c tidemark.max_staleness=1h -c tidemark.wait_timeout=1min")
	}
	// Who asks first may go: the question goes on for the others.
	clients[0].exec("SET statement_timeout = '30ms'")
	clients[0].fails("57014", readN)
	var reading sync.WaitGroup
	for _, c := range clients[1:] {
		reading.Go(func() {
			rows, err := execute(t.Context(), c.PgConn, readN)
			if err != nil || len(rows) != 1 || rows[0][0] != "1" {
				t.Errorf("%v %v", rows, err)
			}
		})
	}
	observer := newClient(t, b.addr, "options", "-c tidemark.read_consistency=local")
	require.Eventually(t, func() bool {
		return observer.one("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = '"+readN+"'") == "7"
	}, time.Minute, time.Millisecond)
	require.Equal(t, int64(1), b.link.reads.Load())
	b.link.release()
	reading.Wait()
	require.Equal(t, int64(1), b.link.reads.Load())
}

// TestWritesOfWeakSessions: what is written does not depend on what was read
// where; what a transaction was shown is validated.
func TestWritesOfWeakSessions(t *testing.T) {
	nodes := memNodes(t, 2, nil)
	w := newClient(t, nodes[0].addr)
	w.exec("CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
	r := newClient(t, nodes[1].addr, "options", "-c tidemark.read_consistency=local")
	held := func(sqls ...string) {
		behind(nodes[1], func() { r.exec(sqls...) })
	}
	require.Equal(t, "1", r.one("/*+ read_after="+w.ParameterStatus("tidemark.token")+" */ "+readN))
	nodes[1].machine.held.Lock()
	w.exec("UPDATE t SET n = 2")
	r.exec("BEGIN", readN)
	nodes[1].machine.held.Unlock()
	r.exec("INSERT INTO t VALUES (7)")
	r.fails("40001", "COMMIT")
	require.Equal(t, [][]string{{"2"}}, w.rows(readN))

	held("BEGIN", "SELECT 1 FROM t LIMIT 1", "UPDATE t SET n = n * 10")
	r.exec("COMMIT")
	require.Equal(t, [][]string{{"20"}}, w.rows(readN))

	// A table that this node has not heard of yet.
	nodes[1].machine.held.Lock()
	w.exec("CREATE TABLE fresh (n int)")
	r.exec("SET tidemark.wait_timeout = '1min'")
	r.fails("42P01", "SELECT * FROM fresh")
	go func() {
		time.Sleep(20 * time.Millisecond)
		nodes[1].machine.held.Unlock()
	}()
	r.exec("INSERT INTO fresh VALUES (1)")
	require.Equal(t, "1", w.one("SELECT n FROM fresh"))

	nodes[1].machine.held.Lock()
	w.exec("CREATE TABLE newer (n int)")
	go func() {
		time.Sleep(20 * time.Millisecond)
		nodes[1].machine.held.Unlock()
	}()
	require.Equal(t, "23505", insertTwice(t, r), "whatever comes of it, it is not that there is no table")
	requireSamePlace(t, nodes)
}

// insertTwice inserts rows of which two are the same, by the extended protocol.
func insertTwice(t *testing.T, c *client) string {
	t.Helper()
	res := c.ExecParams(t.Context(), "INSERT INTO newer VALUES ($1::int)", [][]byte{[]byte("1")}, nil, nil, nil).Read()
	require.NoError(t, res.Err)
	c.exec("CREATE UNIQUE INDEX ON newer (n)")
	return codeOf(c.ExecParams(t.Context(), "INSERT INTO newer VALUES ($1::int)", [][]byte{[]byte("1")}, nil, nil, nil).Read().Err)
}

// requireSamePlace waits until all nodes are at the same offset with the same state.
func requireSamePlace(t *testing.T, nodes []*memNode) {
	t.Helper()
	var at []sm.Position
	require.Eventually(t, func() bool {
		at = at[:0]
		for _, n := range nodes {
			at = append(at, n.replica.Position())
		}
		return at[0] == at[len(at)-1]
	}, time.Minute, time.Millisecond, "%v", at)
}

// TestReadsOfAStoppedLog end at once.
func TestReadsOfAStoppedLog(t *testing.T) {
	_, b, _, r := follower(t)
	require.NoError(t, b.link.Log.Close())
	require.Equal(t, "FATAL", r.fails("57P01", readN).Severity)
	require.True(t, r.IsClosed())
	r = newClient(t, b.addr, "options", "-c tidemark.read_consistency=local")
	require.Equal(t, "1", r.one(readN), "what is here is here")
	require.Equal(t, "FATAL", r.fails("57P01", "INSERT INTO t VALUES (2)").Severity)
}
