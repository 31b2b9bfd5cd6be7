package tests

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/cluster"
)

const (
	// partitionsTried are tried by default.
	partitionsTried = 4
	// partitionBound is far more than it may take until somebody can write again.
	partitionBound = 60 * time.Second
	// attemptTimeout is after how long a client asks another node.
	attemptTimeout = 3 * time.Second
)

// partition is one way to cut nodes off from each other. able are the nodes whose
// clients must be able to write meanwhile; lead is the node that leads before, and a
// and b are the others.
type partition struct {
	name string
	cut  func(n *cluster.Network, lead, a, b int)
	able func(lead, a, b int) []int
	// unable is a node that must not answer a read as if it had asked the others,
	// or 0.
	unable func(lead, a, b int) int
}

func partitions() []partition {
	followers := func(_, a, b int) []int { return []int{a, b} }
	leader := func(lead, _, _ int) int { return lead }
	nobody := func(_, _, _ int) int { return 0 }
	return []partition{
		{"the leader is cut off", func(n *cluster.Network, lead, _, _ int) { n.Split(lead) }, followers, leader},
		{"the leader's packets are dropped", func(n *cluster.Network, lead, _, _ int) { n.StallSplit(lead) }, followers, leader},
		{"a follower is cut off", func(n *cluster.Network, _, a, _ int) { n.Split(a) }, func(lead, _, b int) []int { return []int{lead, b} }, func(_, a, _ int) int { return a }},
		{"the leader is not heard", func(n *cluster.Network, lead, _, _ int) { n.Mute(lead) }, followers, leader},
		{"the leader is deaf", func(n *cluster.Network, lead, _, _ int) { n.Deafen(lead) }, followers, leader},
		{"a follower is deaf", func(n *cluster.Network, _, a, _ int) { n.Deafen(a) }, func(lead, _, b int) []int { return []int{lead, b} }, nobody},
		{"the leader's way to one follower is cut", func(n *cluster.Network, lead, a, _ int) { n.CutLink(lead, a) }, func(lead, _, b int) []int { return []int{lead, b} }, nobody},
		{"a bridge that leads", func(n *cluster.Network, lead, _, _ int) { n.Bridge(lead) }, func(lead, _, _ int) []int { return []int{lead} }, nobody},
		{"a bridge that follows", func(n *cluster.Network, _, a, _ int) { n.Bridge(a) }, func(_, a, _ int) []int { return []int{a} }, nobody},
	}
}

// TestPartitions cuts nodes off in every shape. Where a majority can talk, clients
// write on; a node that cannot know says so; and nothing is lost or doubled.
func TestPartitions(t *testing.T) {
	c := startNodes(t)
	conn, err := cluster.Dial(t.Context(), c.Addrs(1).SQL)
	require.NoError(t, err)
	_, err = execute(t.Context(), conn, "CREATE TABLE parts (n int PRIMARY KEY)")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	next := 0
	for _, p := range someOf(t, partitionsTried, partitions()) {
		lead, err := c.Leader(t.Context(), "postgres")
		require.NoError(t, err)
		a, b := 1+lead%faultNodes, 1+(lead+1)%faultNodes
		p.cut(c.Net, lead, a, b)
		began := time.Now()
		for _, node := range p.able(lead, a, b) {
			next++
			writeThrough(t, c, node, next, p.name)
		}
		t.Logf("%s: written after %s", p.name, time.Since(began).Round(time.Millisecond))
		if node := p.unable(lead, a, b); node != 0 {
			mayNotKnow(t, c, node, next, p.name)
		}
		c.Net.Heal()
		require.NoError(t, c.AwaitWhole(t.Context()), p.name)
		for node := 1; node <= c.Nodes(); node++ {
			n, err := countThrough(t, c, node)
			require.NoError(t, err, p.name)
			require.Equal(t, next, n, p.name)
		}
	}
}

// writeThrough writes a number through a node, again until it is known to be there.
func writeThrough(t *testing.T, c *cluster.Cluster, node, n int, what string) {
	t.Helper()
	var err error
	for until := time.Now().Add(partitionBound); time.Now().Before(until); {
		if err = attempt(t.Context(), c, node, fmt.Sprintf("INSERT INTO parts VALUES (%d) ON CONFLICT DO NOTHING", n)); err == nil {
			return
		}
	}
	require.NoError(t, err, "%s: node %d", what, node)
}

func attempt(ctx context.Context, c *cluster.Cluster, node int, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	conn, err := cluster.Dial(ctx, c.Addrs(node).SQL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = execute(ctx, conn, sql)
	return err
}

// mayNotKnow reads on a node that is cut off: it has to say that it cannot know, or
// it may have found a way to the others after all and knows everything.
func mayNotKnow(t *testing.T, c *cluster.Cluster, node, want int, what string) {
	t.Helper()
	n, err := countThrough(t, c, node)
	if err == nil {
		require.Equal(t, want, n, "%s: node %d reads what is not so any more", what, node)
	}
}

// countThrough reads how many numbers there are, with what a node believes to be
// the newest. It asks a session that stays connected for as long as that takes.
func countThrough(t *testing.T, c *cluster.Cluster, node int) (int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), partitionBound)
	defer cancel()
	conn, err := cluster.Dial(ctx, c.Addrs(node).SQL)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.Background())
	rows, err := execute(ctx, conn, "SELECT count(*) FROM parts")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(rows[0][0])
}
