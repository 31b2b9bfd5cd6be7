package tidemark

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
)

// TestOldNewsHarmNothing shows a node what the meta database said earlier, as
// after a crash: it neither begins a replica again that is gone, nor removes one
// that it has.
func TestOldNewsHarmNothing(t *testing.T) {
	n := openNode(t, testConfig(t.TempDir()))
	ctx := t.Context()
	before := n.meta.state.Load()
	require.NoError(t, n.CreateDatabase(ctx, query.CreateDatabase{Name: "d"}))
	require.NoError(t, n.meta.confirm(ctx))
	with := n.meta.state.Load()
	id := with.names["d"]
	n.end() // what follows is done by hand
	n.working.Wait()

	n.meta.state.Store(before)
	n.reconcile(ctx)
	require.NotNil(t, n.databases.get(id), "a replica that is not known to be removed stays")
	_, ok := n.local.replica(id)
	require.True(t, ok)

	require.NoError(t, n.DropDatabase(ctx, "d", true))
	n.reconcile(ctx)
	require.Nil(t, n.databases.get(id))
	_, ok = n.local.replica(id)
	require.False(t, ok)

	n.meta.state.Store(with)
	n.reconcile(ctx)
	require.Nil(t, n.databases.get(id), "a replica that is gone does not begin again")
	_, ok = n.local.replica(id)
	require.False(t, ok)
	n.meta.state.Store(with)
	require.NoError(t, n.meta.confirm(ctx))
	require.NotContains(t, n.meta.state.Load().names, "d")
}

// TestDiscardAfterACrash removes a replica that was put on record before a crash
// and never opened, and one of which the crash left a part.
func TestDiscardAfterACrash(t *testing.T) {
	n := openNode(t, testConfig(t.TempDir()))
	n.end()
	n.working.Wait()
	for _, id := range []log.ID{98, 99} {
		require.NoError(t, n.local.put(localReplica{Log: id, Replica: 7, Join: true, Removing: true}))
	}
	_, err := n.databases.start(localReplica{Log: 99, Replica: 7, Join: true}, "left")
	require.NoError(t, err)
	n.reconcile(context.Background())
	for _, id := range []log.ID{98, 99} {
		_, ok := n.local.replica(id)
		require.False(t, ok)
		require.Nil(t, n.databases.get(id))
	}
}
