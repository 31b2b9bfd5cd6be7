package tests

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/cluster"
)

// resumePatience is for how long a consumer may have to try elsewhere when the node
// that it used is lost, and with it perhaps the leader. It is a bound for slow
// machines.
const resumePatience = 30 * time.Second

// TestReplicationSurvivesNodes: the node that a consumer streams from is killed; the
// consumer goes on through another one, with nothing lost and what it had
// acknowledged not repeated.
func TestReplicationSurvivesNodes(t *testing.T) {
	nodes := cluster.Start(t, 3)
	for node := 1; node <= 3; node++ {
		require.NoError(t, nodes.AwaitVoters(t.Context(), node, "postgres", 3))
	}
	addr := func(node int) string { return nodes.Addrs(node).SQL }
	c := newClient(t, addr(1))
	c.exec("CREATE TABLE t (id int PRIMARY KEY)", "CREATE PUBLICATION p FOR TABLE t")
	newConsumer(t, addr(1), "s").create("NOEXPORT_SNAPSHOT")
	next := 0
	for _, lost := range []int{2, 3} {
		r := newConsumer(t, addr(lost), "s")
		r.start(0)
		c.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", next))
		require.Equal(t, fmt.Sprintf("I%d;", next), r.transactions(1))
		r.acknowledge(r.end)
		c.exec("WAIT FOR SLOT 's'")
		require.NoError(t, nodes.Kill(lost))
		began := time.Now()
		_, err := r.receive()
		for err == nil {
			_, err = r.receive()
		}
		other := 1 + lost%3 // the one that is not node 1 yet, if it runs
		if !nodes.Running(other) {
			other = 1
		}
		for end := began.Add(resumePatience); ; time.Sleep(20 * time.Millisecond) {
			require.True(t, time.Now().Before(end), "the stream cannot be resumed: %v", err)
			r = newConsumer(t, addr(other), "s")
			if err = r.tryStart(0); err == nil {
				break
			}
		}
		t.Logf("resumed through node %d after %v", other, time.Since(began))
		writer := newClient(t, addr(other))
		ctx, cancel := context.WithTimeout(t.Context(), resumePatience)
		_, err = execute(ctx, writer.PgConn, fmt.Sprintf("INSERT INTO t VALUES (%d)", next+1))
		cancel()
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("I%d;", next+1), r.transactions(1))
		r.acknowledge(r.end)
		r.finish()
		next += 2
		require.NoError(t, nodes.Start(t.Context(), lost))
		require.NoError(t, nodes.AwaitVoters(t.Context(), 1, "postgres", 3))
	}
}
