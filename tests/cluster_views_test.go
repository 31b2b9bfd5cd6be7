package tests

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/pgwire"
	"github.com/tidemark-db/tidemark/query"
)

// TestClusterFunctions: they reach the cluster once, and only where that is certain.
func TestClusterFunctions(t *testing.T) {
	f, n := clustered(t)
	c := newClient(t, n.addr)
	require.JSONEq(t, `{"nodes": 1}`, c.one(`SELECT tidemark.join_node('{"node": "n1", "sql": "a:1", "raft": "a:2", "http": "a:3"}')`))
	c.exec(`SELECT tidemark.drain_node('n1')`, `SELECT tidemark.undrain_node(id) FROM tidemark.nodes`, `SELECT * FROM tidemark.replace_node('n1')`,
		`PREPARE r AS SELECT tidemark.remove_node($1)`, `EXECUTE r('n1')`, `SELECT tidemark.drain_node(NULL)`)
	res := c.ExecParams(t.Context(), "SELECT tidemark.drain_node($1)", [][]byte{[]byte("n1")}, nil, nil, nil).Read()
	require.NoError(t, res.Err)
	want := []string{"join n1 at a:2", "drain n1", "undrain n1", "replace n1", "remove n1", "drain n1"}
	require.Equal(t, want, f.calls)
	require.Equal(t, [][]string{{"n1", "a:1", "a:2", "active", "t", ""}}, c.rows("SELECT id, sql_addr, raft_addr, state, live, disk_free FROM tidemark.nodes"))

	c.exec("CREATE TABLE t (x text, y text DEFAULT 'd')")
	for _, x := range []struct{ code, sql string }{
		{"25001", "SELECT 1; SELECT tidemark.drain_node('n1')"},
		{"25001", "SELECT tidemark.drain_node('n1'); SELECT 1"},
		{"0A000", `INSERT INTO t SELECT tidemark.join_node('{"node": "n2", "raft": "b:2"}')::text`},
		{"0A000", "INSERT INTO t SELECT node FROM tidemark.check()"},
		{"0A000", "INSERT INTO t SELECT id FROM tidemark.nodes"},
		{"0A000", "INSERT INTO t VALUES ('a'); SELECT tidemark.drain_node('n1')"},
		{"22P02", "SELECT tidemark.join_node('{')"},
		{"22P02", `SELECT tidemark.join_node('{"node": 7}')`},
		{"42883", "SELECT drain_node('n1')"},
	} {
		c.fails(x.code, x.sql)
	}
	for _, sql := range []string{"SELECT tidemark.drain_node('n1')", "SELECT * FROM tidemark.check()", "DECLARE c CURSOR FOR SELECT tidemark.drain_node('n1')"} {
		c.exec("BEGIN")
		require.Contains(t, c.fails("25001", sql).Message, "cannot run inside a transaction block", sql)
		c.exec("ROLLBACK")
	}
	c.exec("EXPLAIN SELECT tidemark.drain_node('n1')", "SET default_transaction_read_only = on")
	c.fails("25006", "SELECT tidemark.drain_node('n1')")
	require.Equal(t, want, f.calls, "none of them came so far")
	c.exec("RESET default_transaction_read_only")
	require.Equal(t, `node "n9" does not exist`, c.fails("42704", "SELECT tidemark.remove_node('n9')").Message)

	f.block = true
	c.exec("SET statement_timeout = '50ms'")
	c.fails("57014", "SELECT tidemark.drain_node('n1')")
}

func TestClusterFunctionsOfANodeOnItsOwn(t *testing.T) {
	nodes := memNodes(t, 1, nil)
	c := newClient(t, nodes[0].addr)
	require.Equal(t, "This database is on its own.", c.fails("0A000", "SELECT tidemark.drain_node('n1')").Detail)
	c.fails("0A000", "CREATE DATABASE shop")
	require.Equal(t, "0", c.one("SELECT (SELECT count(*) FROM tidemark.nodes) + (SELECT count(*) FROM tidemark.replicas) + (SELECT count(*) FROM pg_stat_replication)"))
	require.Equal(t, "postgres", c.one("SELECT database FROM tidemark.databases"))
}

// TestReplicationViews shows where replicas are, and pg_stat_replication on the leader.
func TestReplicationViews(t *testing.T) {
	f := newFakeCluster()
	nodes := memNodes(t, 2, func(_ int, e *query.EngineConfig, _ *pgwire.Config) { e.Cluster = f })
	f.nodes = []query.NodeInfo{{ID: "n1", RaftAddr: "127.0.0.1:7433", Self: true, Live: true}, {ID: "n2", RaftAddr: "127.0.0.1:8433", Live: true}}
	f.replicas = []query.ReplicaInfo{
		{Database: "postgres", Log: memLog, Node: "n1", Replica: 1, Role: query.RoleLeader, Known: true, Applied: 4096, Checksum: "ok"},
		{Database: "postgres", Log: memLog, Node: "n2", Replica: 2, Role: query.RoleFollower, Known: true, Applied: 4000, LagBytes: 96, Lag: time.Second, Checksum: "ok"},
	}
	leader, other := newClient(t, nodes[0].addr), newClient(t, nodes[1].addr)
	leader.exec("CREATE TABLE t (n int)")
	require.Equal(t, [][]string{{"n2", "streaming", "0/FA0", "quorum", "00:00:01", "127.0.0.1"}},
		leader.rows("SELECT application_name, state, replay_lsn, sync_state, replay_lag, client_addr FROM pg_stat_replication"))
	require.Empty(t, other.rows("SELECT * FROM pg_stat_replication"))
	require.Equal(t, [][]string{{"n1", "leader", "0/1000", "0"}, {"n2", "follower", "0/FA0", "96"}},
		other.rows("SELECT node, role, applied_lsn, lag_bytes FROM tidemark.replicas WHERE database = current_database() ORDER BY 1"))
	require.Equal(t, [][]string{{"n1", "1", "0/1000", "00ff", "0", ""}, {"n2", "2", "0/FA0", "00ff", "1", "an index entry without a row"}},
		other.rows("SELECT * FROM tidemark.check()"))
	require.Equal(t, "2", leader.one("SELECT count(*) FROM tidemark.check('postgres') WHERE checksum = '00ff'"))
	require.Equal(t, []string{"check postgres", "check postgres"}, f.calls)

	// A read that has to be given up says what is known of the lag.
	f.mu.Lock()
	f.nodes[0].Self, f.nodes[1].Self = false, true
	f.mu.Unlock()
	nodes[1].link.hold()
	defer nodes[1].link.release()
	other.exec("SET tidemark.wait_timeout = '50ms'")
	require.Contains(t, other.fails("57014", "SELECT * FROM t").Detail, "The leader was seen 96 bytes and 1s ahead.")
}
