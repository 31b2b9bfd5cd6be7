package tests

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark"
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/tests/cluster"
)

const (
	fenceCheckEvery = 200 * time.Millisecond
	fencePatience   = 120 * time.Second
)

// TestFencedReplicaIsReplaced lets one node execute something else than the others
// for a moment. Its replica is found out, serves nothing any more, and is replaced
// by a new one; what it had is kept.
func TestFencedReplicaIsReplaced(t *testing.T) {
	var wrong atomic.Bool
	var nodes []*tidemark.Node
	var dirs []string
	for i := range faultNodes {
		cfg := tidemark.Config{Dir: t.TempDir(), SQLAddr: "127.0.0.1:0", RaftAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", CheckEvery: fenceCheckEvery}
		if i > 0 {
			cfg.Join = nodes[0].SQLAddr()
		}
		if i == faultNodes-1 {
			cfg.FailPoint = func(e *log.Entry) {
				for j := range e.Statements {
					if wrong.Load() {
						e.Statements[j].Text = strings.ReplaceAll(e.Statements[j].Text, "good", "evil")
					}
				}
			}
		}
		n, err := tidemark.Open(t.Context(), cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, n.Close(context.Background())) })
		nodes, dirs = append(nodes, n), append(dirs, cfg.Dir)
	}
	ask := func(node int, sql string) [][]string {
		conn, err := cluster.Dial(t.Context(), nodes[node].SQLAddr())
		if err != nil {
			return nil
		}
		defer conn.Close(context.Background())
		rows, err := execute(t.Context(), conn, sql)
		if err != nil {
			return [][]string{{err.Error()}}
		}
		return rows
	}
	running := "SELECT count(*), max(replica_id) FROM tidemark.replicas WHERE database = 'postgres' AND role IN ('leader', 'follower') AND state = 'running' AND checksum = 'ok'"
	eventually := func(node int, sql string, want ...string) {
		t.Helper()
		var got [][]string
		require.Eventually(t, func() bool {
			got = ask(node, sql)
			return len(got) == 1 && strings.Join(got[0], " ") == strings.Join(want, " ")
		}, fencePatience, 50*time.Millisecond, "%s: %s", sql, ask(node, "SELECT replica_id, role, state, checksum FROM tidemark.replicas"))
	}
	eventually(0, running, "3", "3")
	require.Empty(t, ask(0, "CREATE TABLE t (id int PRIMARY KEY, v text)"))
	eventually(2, "SELECT count(*) FROM t", "0")

	wrong.Store(true)
	require.Empty(t, ask(0, "INSERT INTO t VALUES (1, 'good')"))
	eventually(2, "SELECT count(*) FROM t", "1")
	wrong.Store(false)
	eventually(0, running, "3", "4")
	for i := range nodes {
		eventually(i, "SELECT v FROM t", "good")
	}
	require.Empty(t, ask(2, "INSERT INTO t VALUES (2, 'good')"))
	kept, err := filepath.Glob(filepath.Join(dirs[2], "databases", "2", "*.fenced-1", "fenced.json"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
}
