package tidemark

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOddOrders drains, undrains and removes nodes from two nodes at the same
// time: whatever comes first, the databases keep a majority and all replicas that
// there are nodes for.
func TestOddOrders(t *testing.T) {
	nodes := startCluster(t, 4)
	exec(t, connect(t, nodes[0], firstDatabase), "CREATE TABLE t (id int PRIMARY KEY)")
	third, fourth := string(nodes[2].self()), string(nodes[3].self())
	ctx := t.Context()
	var running sync.WaitGroup
	for _, n := range nodes[:2] {
		running.Go(func() {
			for range 3 {
				_ = n.DrainNode(ctx, third) // it may be gone already: what counts comes below
				_ = n.DrainNode(ctx, fourth)
				_ = n.UndrainNode(ctx, third)
				_ = n.UndrainNode(ctx, fourth)
			}
		})
	}
	running.Wait()
	require.NoError(t, nodes[0].UndrainNode(ctx, third))
	running.Go(func() { _ = nodes[0].RemoveNode(ctx, third) })
	running.Go(func() { _ = nodes[1].RemoveNode(ctx, third) })
	running.Wait()
	require.ErrorContains(t, nodes[0].UndrainNode(ctx, third), "does not exist")
	require.NoError(t, nodes[2].Close(context.Background()))
	awaitVoters(t, nodes[0], firstDatabase, 3)
	require.NoError(t, nodes[1].SetReplicas(ctx, firstDatabase, 1))
	awaitVoters(t, nodes[0], firstDatabase, 1)
	require.NoError(t, nodes[3].SetReplicas(ctx, firstDatabase, 5))
	awaitVoters(t, nodes[0], firstDatabase, 3)
	for _, n := range []*Node{nodes[0], nodes[1], nodes[3]} {
		ctx, cancel := context.WithTimeout(ctx, patience)
		_, err := connect(t, n, firstDatabase).Exec(ctx, "INSERT INTO t SELECT count(*) FROM t")
		cancel()
		require.NoError(t, err)
		require.Eventually(t, func() bool { return len(n.databases.all()) == 2 }, patience, 20*time.Millisecond)
	}
}
