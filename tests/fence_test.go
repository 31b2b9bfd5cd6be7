package tests

import (
	"context"
	"fmt"
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
// by a new one; what it had is kept. It may be the one that leads the group.
func TestFencedReplicaIsReplaced(t *testing.T) {
	for _, bad := range someOf(t, 1, []int{0, 2}) {
		t.Run(fmt.Sprint("node ", bad), func(t *testing.T) { fencedIsReplaced(t, bad) })
	}
}

func fencedIsReplaced(t *testing.T, bad int) {
	var wrong atomic.Bool
	var nodes []*tidemark.Node
	var dirs []string
	for i := range faultNodes {
		cfg := tidemark.Config{Dir: t.TempDir(), SQLAddr: "127.0.0.1:0", RaftAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", CheckEvery: fenceCheckEvery}
		if i > 0 {
			cfg.Join = nodes[0].SQLAddr()
		}
		if i == bad {
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
	running := "SELECT count(*), max(replica) FROM tidemark.replicas WHERE database = 'postgres' AND role IN ('leader', 'follower') AND state = 'running' AND checksum = 'ok'"
	eventually := func(node int, sql string, want ...string) {
		t.Helper()
		var got [][]string
		require.Eventually(t, func() bool {
			got = ask(node, sql)
			return len(got) == 1 && strings.Join(got[0], " ") == strings.Join(want, " ")
		}, fencePatience, 50*time.Millisecond, "%s: %s", sql, ask(node, "SELECT replica, role, state, checksum FROM tidemark.replicas"))
	}
	eventually(0, running, "3", "3")
	require.Empty(t, ask(0, "CREATE TABLE t (id int PRIMARY KEY, v text)"))
	eventually(bad, "SELECT count(*) FROM t", "0")

	wrong.Store(true)
	good := (bad + 1) % faultNodes
	require.Empty(t, ask(good, "INSERT INTO t VALUES (1, 'good')"))
	eventually(bad, "SELECT count(*) FROM t", "1")
	wrong.Store(false)
	eventually(good, running, "3", "4")
	for i := range nodes {
		eventually(i, "SELECT v FROM t", "good")
	}
	require.Empty(t, ask(bad, "INSERT INTO t VALUES (2, 'good')"))
	kept, err := filepath.Glob(filepath.Join(dirs[bad], "databases", "2", "*.fenced-1", "fenced.json"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
}
