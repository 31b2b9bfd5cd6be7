package tidemark

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/query"
)

// TestStartWithoutMajority starts one node of three: it serves what it has and
// says that it is not ready, until a second one comes. One closes while waiting.
func TestStartWithoutMajority(t *testing.T) {
	nodes := startCluster(t, 3)
	conn := connect(t, nodes[0], firstDatabase)
	exec(t, conn, "CREATE TABLE t (id int PRIMARY KEY)")
	exec(t, conn, "INSERT INTO t VALUES (1)")
	for i := range 4 {
		exec(t, conn, "CREATE DATABASE d"+string(rune('a'+i)))
	}
	for _, n := range nodes {
		require.NoError(t, n.Close(context.Background()))
	}
	back := openNode(t, Config{Dir: nodes[2].cfg.Dir})
	code, body := get(t, back, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "waits for other nodes")
	conn = connect(t, back, firstDatabase)
	exec(t, conn, "SET tidemark.read_consistency = local")
	require.LessOrEqual(t, value[int](t, conn, "SELECT count(*) FROM t"), 1)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.Error(t, back.CreateDatabase(ctx, query.CreateDatabase{Name: "e"}))

	second := openNode(t, Config{Dir: nodes[0].cfg.Dir})
	for _, n := range []*Node{back, second} {
		require.Eventually(t, func() bool {
			code, _ := get(t, n, "/readyz")
			return code == http.StatusOK
		}, patience, 50*time.Millisecond)
	}
	require.Equal(t, 1, value[int](t, connect(t, back, firstDatabase), "SELECT count(*) FROM t"))
	require.NoError(t, second.Close(context.Background()))
	require.NoError(t, back.Close(context.Background()))

	alone := openNode(t, Config{Dir: nodes[1].cfg.Dir})
	require.NoError(t, alone.Close(context.Background()), "while it waits")
}
