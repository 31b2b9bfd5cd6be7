package tidemark

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// TestReplaceNode lets a fourth node take over from one that is lost.
func TestReplaceNode(t *testing.T) {
	nodes := startCluster(t, 4)
	exec(t, connect(t, nodes[0], firstDatabase), "CREATE TABLE t (id int PRIMARY KEY)")
	lost := -1
	for i, n := range nodes {
		if n.databases.get(firstLog) != nil {
			lost = i
		}
	}
	require.ErrorContains(t, nodes[0].ReplaceNode(t.Context(), string(nodes[lost].self())), "is alive")
	require.NoError(t, nodes[lost].Close(context.Background()))
	other := nodes[(lost+1)%4]
	require.Eventually(t, func() bool { return len(other.board.live()) == 2 }, patience, 20*time.Millisecond)
	require.NoError(t, other.ReplaceNode(t.Context(), string(nodes[lost].self())))
	awaitVoters(t, other, firstDatabase, 3)
	require.Len(t, other.Nodes(), 3)
	exec(t, connect(t, other, firstDatabase), "INSERT INTO t VALUES (1)")
}

// TestDatabasesComeAndGo creates and drops databases on all nodes at the same
// time, under the same names, while a node goes and comes back.
func TestDatabasesComeAndGo(t *testing.T) {
	nodes := startCluster(t, 3)
	var running sync.WaitGroup
	failures := make(chan error, 100)
	for i, n := range nodes[:2] {
		for range 2 {
			running.Go(func() {
				for round := range 4 {
					name := fmt.Sprintf("d%d", round%2)
					err := n.CreateDatabase(t.Context(), query.CreateDatabase{Name: name})
					if err = expected(err, sqlstate.DuplicateDatabase); err == nil {
						err = expected(n.DropDatabase(t.Context(), name, true), sqlstate.InvalidCatalogName)
					}
					if err != nil {
						failures <- fmt.Errorf("node %d: %w", i, err)
					}
				}
			})
		}
	}
	cfg := Config{Dir: nodes[2].cfg.Dir}
	require.NoError(t, nodes[2].Close(context.Background()))
	back := openNode(t, cfg)
	running.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	for _, n := range []*Node{nodes[0], nodes[1], back} {
		require.Eventually(t, func() bool { return len(n.databases.all()) == 2 && len(n.local.get().Replicas) == 2 }, patience, 50*time.Millisecond)
	}
	require.NoError(t, back.CreateDatabase(t.Context(), query.CreateDatabase{Name: "d0"}))
	exec(t, connect(t, nodes[0], "d0"), "CREATE TABLE t (id int PRIMARY KEY)")
}

// expected drops an error of one code.
func expected(err error, code sqlstate.Code) error {
	var e *sqlstate.Error
	if errors.As(err, &e) && e.Code == code {
		return nil
	}
	return err
}
