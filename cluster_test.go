package tidemark

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/query"
)

// patience is for how long a test waits for what other nodes bring about.
const patience = 60 * time.Second

// startCluster starts so many nodes in this process, the others joined to the
// first.
func startCluster(t *testing.T, count int) []*Node {
	t.Helper()
	dir := t.TempDir()
	var nodes []*Node
	for i := range count {
		cfg := testConfig(filepath.Join(dir, fmt.Sprint(i)))
		if i > 0 {
			cfg.Join = nodes[0].SQLAddr()
		}
		nodes = append(nodes, openNode(t, cfg))
	}
	awaitVoters(t, nodes[0], firstDatabase, min(count, defaultReplicas))
	awaitVoters(t, nodes[0], metaDatabase, min(count, metaVoters))
	return nodes
}

func openNode(t *testing.T, cfg Config) *Node {
	t.Helper()
	n, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close(context.Background())) })
	return n
}

// awaitVoters waits until a database has so many replicas that vote, each with
// nothing missing.
func awaitVoters(t *testing.T, n *Node, database string, count int) {
	t.Helper()
	require.Eventually(t, func() bool {
		have := 0
		for _, r := range n.Replicas() {
			if r.Database == database && (r.Role == query.RoleFollower || r.Role == query.RoleLeader) && r.Known && r.State == "running" {
				have++
			}
		}
		return have == count
	}, patience, 20*time.Millisecond, "%s: %+v", database, n.Replicas())
}

func connect(t *testing.T, n *Node, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), "postgres://postgres@"+n.SQLAddr()+"/"+database+"?sslmode=disable")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the node may be gone
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
}

func value[T any](t *testing.T, conn *pgx.Conn, sql string) T {
	t.Helper()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&v), sql)
	return v
}

// TestThreeNodes writes on each node and reads on each other one, with the leader
// there and gone.
func TestThreeNodes(t *testing.T) {
	nodes := startCluster(t, 3)
	exec(t, connect(t, nodes[1], firstDatabase), "CREATE TABLE t (id int PRIMARY KEY, n text)")
	for i, n := range nodes {
		exec(t, connect(t, n, firstDatabase), fmt.Sprintf("INSERT INTO t VALUES (%d, 'x')", i))
		for _, other := range nodes {
			require.EqualValues(t, i+1, value[int](t, connect(t, other, firstDatabase), "SELECT count(*) FROM t"))
		}
	}
	leader := -1
	for i, n := range nodes {
		if n.databases.get(firstLog).leads() {
			leader = i
		}
	}
	require.GreaterOrEqual(t, leader, 0)
	require.NoError(t, nodes[leader].Close(context.Background()))
	for i, n := range nodes {
		if i == leader {
			continue
		}
		exec(t, connect(t, n, firstDatabase), fmt.Sprintf("INSERT INTO t VALUES (%d, 'x')", 10+i))
	}
	require.EqualValues(t, 5, value[int](t, connect(t, nodes[(leader+1)%3], firstDatabase), "SELECT count(*) FROM t"))
}

// TestManyDatabases creates databases on one node and uses them on the others.
func TestManyDatabases(t *testing.T) {
	nodes := startCluster(t, 3)
	conn := connect(t, nodes[0], firstDatabase)
	const count = 5
	for i := range count {
		exec(t, conn, fmt.Sprintf("CREATE DATABASE d%d", i))
		there := connect(t, nodes[i%3], fmt.Sprintf("d%d", i))
		exec(t, there, "CREATE TABLE t (id int PRIMARY KEY)")
		exec(t, there, fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
	}
	for i := range count {
		require.Equal(t, i, value[int](t, connect(t, nodes[(i+1)%3], fmt.Sprintf("d%d", i)), "SELECT id FROM t"))
	}
	require.Eventually(t, func() bool {
		for _, n := range nodes {
			if len(n.leading(n.meta.state.Load())) > 4 {
				return false
			}
		}
		return true
	}, patience, 50*time.Millisecond, "the leaders are spread")

	err := nodes[0].DropDatabase(t.Context(), "d1", false)
	require.ErrorContains(t, err, "being accessed")
	require.NoError(t, nodes[0].DropDatabase(t.Context(), "d1", true))
	require.Eventually(t, func() bool {
		for _, n := range nodes {
			if len(n.databases.all()) != count+1 {
				return false
			}
		}
		return true
	}, patience, 50*time.Millisecond, "the replicas of a dropped database go")
	_, err = pgx.Connect(t.Context(), "postgres://postgres@"+nodes[1].SQLAddr()+"/d1?sslmode=disable")
	require.ErrorContains(t, err, "does not exist")
}

// TestNodeReturns restarts a node with nothing but its data directory, at other
// addresses, and one whose disk was wiped.
func TestNodeReturns(t *testing.T) {
	nodes := startCluster(t, 3)
	exec(t, connect(t, nodes[0], firstDatabase), "CREATE TABLE t (id int PRIMARY KEY)")
	cfg := nodes[2].cfg
	before := nodes[2].addresses()
	id := nodes[2].self()
	require.NoError(t, nodes[2].Close(context.Background()))
	exec(t, connect(t, nodes[0], firstDatabase), "INSERT INTO t VALUES (1)")

	back := openNode(t, Config{Dir: cfg.Dir})
	require.Equal(t, before, back.addresses())
	require.Equal(t, 1, value[int](t, connect(t, back, firstDatabase), "SELECT count(*) FROM t"))
	require.NoError(t, back.Close(context.Background()))

	back = openNode(t, testConfig(cfg.Dir))
	require.NotEqual(t, before, back.addresses())
	require.Equal(t, 1, value[int](t, connect(t, back, firstDatabase), "SELECT count(*) FROM t"))
	require.Eventually(t, func() bool { return nodes[0].meta.state.Load().nodes[id].Addrs == back.addresses() }, patience, 20*time.Millisecond)
	require.NoError(t, back.Close(context.Background()))

	cfg = testConfig(t.TempDir())
	cfg.Join, cfg.SQLAddr, cfg.RaftAddr, cfg.HTTPAddr = nodes[1].SQLAddr(), back.SQLAddr(), back.addresses().Raft, back.HTTPAddr()
	wiped := openNode(t, cfg)
	require.NotEqual(t, id, wiped.self())
	awaitVoters(t, nodes[0], firstDatabase, 3)
	require.Equal(t, 1, value[int](t, connect(t, wiped, firstDatabase), "SELECT count(*) FROM t"))
	require.Eventually(t, func() bool { return len(nodes[0].Nodes()) == 3 }, patience, 20*time.Millisecond)
}

// TestRemoveNode grows to four nodes and removes the first, then refuses what
// would lose a majority.
func TestRemoveNode(t *testing.T) {
	nodes := startCluster(t, 4)
	exec(t, connect(t, nodes[0], firstDatabase), "CREATE TABLE t (id int PRIMARY KEY)")
	require.NoError(t, nodes[1].RemoveNode(t.Context(), nodes[0].SQLAddr()))
	select {
	case err := <-nodes[0].Failed():
		require.ErrorIs(t, err, errRemovedFromCluster)
	case <-time.After(patience):
		t.Fatal("a removed node goes on")
	}
	awaitVoters(t, nodes[1], firstDatabase, 3)
	for i, n := range nodes[1:] {
		exec(t, connect(t, n, firstDatabase), fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
	}
	require.NoError(t, nodes[0].Close(context.Background()))
	require.NoError(t, nodes[3].Close(context.Background()))
	require.Eventually(t, func() bool { return len(nodes[1].board.live()) == 1 }, patience, 20*time.Millisecond)
	err := nodes[1].RemoveNode(t.Context(), nodes[2].SQLAddr())
	require.ErrorContains(t, err, "would lose the majority")
	require.NoError(t, nodes[1].RemoveNode(t.Context(), nodes[3].SQLAddr()))
	require.Error(t, nodes[1].ReplaceNode(t.Context(), nodes[2].SQLAddr()))
	require.NoError(t, nodes[1].DrainNode(t.Context(), string(nodes[1].self())))
	require.Eventually(t, func() bool { return len(nodes[1].leading(nodes[1].meta.state.Load())) == 0 }, patience, 20*time.Millisecond)
	require.NoError(t, nodes[1].UndrainNode(t.Context(), string(nodes[1].self())))
}

// TestJoinRefused joins what is no cluster.
func TestJoinRefused(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Join = "127.0.0.1:1"
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := Open(ctx, cfg)
	require.Error(t, err)
	require.False(t, errors.Is(err, context.Canceled))
}
