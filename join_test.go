package tidemark

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log/raftlog"
	"github.com/tidemark-db/tidemark/query"
)

// TestJoinCutShort starts a node that crashed after it had learnt which cluster
// it belongs to, and before it was taken in: it must not begin that cluster.
func TestJoinCutShort(t *testing.T) {
	first := openNode(t, testConfig(t.TempDir()))
	cfg := testConfig(t.TempDir())
	host, err := raftlog.OpenHost(raftlog.HostConfig{Dir: cfg.Dir, Cluster: first.cluster(), Joins: true, RaftAddr: cfg.RaftAddr})
	require.NoError(t, err)
	require.NoError(t, host.Close())

	_, err = Open(t.Context(), cfg)
	require.ErrorContains(t, err, "has not joined its cluster yet")
	cfg.Join = first.SQLAddr()
	second := openNode(t, cfg)
	awaitVoters(t, first, metaDatabase, 2)
	require.Len(t, second.Nodes(), 2)
}

// TestJoinAnotherCluster points nodes of one cluster, and one that has hardly
// begun its own, at another cluster: both stay as they are.
func TestJoinAnotherCluster(t *testing.T) {
	first, other := openNode(t, testConfig(t.TempDir())), testConfig(t.TempDir())
	n, err := Open(t.Context(), other)
	require.NoError(t, err)
	require.NoError(t, n.Close(context.Background()))

	other.Join = first.SQLAddr()
	_, err = Open(t.Context(), other)
	require.ErrorContains(t, err, "belongs to another cluster")
	require.NoError(t, os.Remove(filepath.Join(other.Dir, localStateFile)))
	_, err = Open(t.Context(), other)
	require.ErrorContains(t, err, "belongs to another cluster")
	require.NoError(t, first.meta.confirm(t.Context()))
	require.Len(t, first.meta.state.Load().nodes, 1)
	require.Len(t, first.meta.state.Load().replicas[metaLog], 1)
}

// TestJoinItself is refused at once.
func TestJoinItself(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.SQLAddr = "127.0.0.1:27101"
	cfg.Join = cfg.SQLAddr
	_, err := Open(t.Context(), cfg)
	require.ErrorContains(t, err, "cannot join itself")
}

// TestAddressOfALiveNode: a node takes the place of one that is lost, not of one
// that lives.
func TestAddressOfALiveNode(t *testing.T) {
	nodes := startCluster(t, 2)
	j := query.JoinNode{Node: "00000000-0000-4000-8000-000000000000", SQLAddr: "127.0.0.1:1", HTTPAddr: "127.0.0.1:2", Version: Version}
	for _, n := range nodes {
		j.RaftAddr = n.addresses().Raft
		for _, asked := range nodes {
			require.Eventually(t, func() bool { return len(asked.board.live()) == 1 }, patience, 20*time.Millisecond)
			_, err := asked.JoinNode(t.Context(), j)
			require.ErrorContains(t, err, "which is alive")
		}
	}
	require.Len(t, nodes[0].Nodes(), 2)
}

// TestNodesAreFoundWhereTheyAre: what an operator reads in tidemark.nodes names a
// node, also while its row still has the addresses of an earlier start.
func TestNodesAreFoundWhereTheyAre(t *testing.T) {
	nodes := startCluster(t, 2)
	state := *nodes[0].meta.state.Load()
	state.nodes = maps.Clone(state.nodes)
	for id, row := range state.nodes {
		row.Addrs = addresses{SQL: "127.0.0.1:1", Raft: "127.0.0.1:2", HTTP: "127.0.0.1:3"}
		state.nodes[id] = row
	}
	for _, n := range nodes {
		for _, name := range []string{n.SQLAddr(), n.HTTPAddr(), n.addresses().Raft, string(n.self())} {
			row, err := nodes[0].findNode(&state, name)
			require.NoError(t, err, name)
			require.Equal(t, n.self(), row.ID)
		}
	}
	_, err := nodes[0].findNode(&state, "127.0.0.1:1")
	require.ErrorContains(t, err, "does not exist")
}

// TestAllAddressesChange starts all nodes at other addresses than before: none
// finds the others, but for the one that each is shown.
func TestAllAddressesChange(t *testing.T) {
	nodes := startCluster(t, 3)
	exec(t, connect(t, nodes[0], firstDatabase), "CREATE TABLE t (id int PRIMARY KEY)")
	for _, n := range nodes {
		require.NoError(t, n.Close(context.Background()))
	}
	join := ""
	for i, n := range nodes {
		cfg := testConfig(n.cfg.Dir)
		cfg.Join = join
		nodes[i] = openNode(t, cfg)
		join = nodes[i].SQLAddr()
	}
	for i, n := range nodes {
		conn := connect(t, n, firstDatabase)
		require.Eventually(t, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := conn.Exec(ctx, "INSERT INTO t VALUES ($1)", i)
			return err == nil
		}, patience, 50*time.Millisecond)
	}
	require.Equal(t, 3, value[int](t, connect(t, nodes[0], firstDatabase), "SELECT count(*) FROM t"))
}
