package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/cluster"
	"github.com/tidemark-db/tidemark/tests/workload"
)

const (
	faultNodes = 3
	// faultClients are those of each workload.
	faultClients = 2
	// faultRun is for how long the workloads run while faults happen, unless
	// TIDEMARK_FAULTS says otherwise.
	faultRun = 20 * time.Second
	// faultPause is the longest time between two faults, and faultLength the longest
	// one takes.
	faultPause  = 1500 * time.Millisecond
	faultLength = 3 * time.Second
)

// faultDuration is for how long the workloads run.
func faultDuration(t *testing.T) time.Duration {
	text := os.Getenv("TIDEMARK_FAULTS")
	if text == "" {
		return faultRun
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "TIDEMARK_FAULTS")
	return d
}

// someOf returns all of list when TIDEMARK_FAULTS is set, and else so many of them
// at random.
func someOf[T any](t *testing.T, n int, list []T) []T {
	if os.Getenv("TIDEMARK_FAULTS") != "" {
		return list
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:n]
}

// faultTimes is how often something is repeated that takes about so long each
// time: by default so many times, and for as long as TIDEMARK_FAULTS says.
func faultTimes(t *testing.T, least int, each time.Duration) int {
	if os.Getenv("TIDEMARK_FAULTS") == "" {
		return least
	}
	return max(least, int(faultDuration(t)/each))
}

// startNodes starts a cluster whose databases have a replica on each node.
func startNodes(t *testing.T) *cluster.Cluster {
	t.Helper()
	c := cluster.Start(t, faultNodes)
	require.NoError(t, c.AwaitWhole(t.Context()))
	return c
}

// fault is one thing that goes wrong, and is over when it returns.
type fault struct {
	name string
	do   func(f *faults, ctx context.Context) error
}

// faults lets things go wrong in a cluster, one after the other.
type faults struct {
	t     *testing.T
	c     *cluster.Cluster
	rnd   *rand.Rand
	kinds []fault
	count map[string]int
}

func newFaults(t *testing.T, c *cluster.Cluster, seed uint64, kinds []fault) *faults {
	return &faults{t: t, c: c, rnd: rand.New(rand.NewPCG(seed, 77)), kinds: kinds, count: map[string]int{}}
}

// disturb lets the next thing go wrong: all kinds in turn, in a random order.
func (f *faults) disturb(ctx context.Context) error {
	n := 0
	for _, times := range f.count {
		n += times
	}
	if n%len(f.kinds) == 0 {
		f.rnd.Shuffle(len(f.kinds), func(i, j int) { f.kinds[i], f.kinds[j] = f.kinds[j], f.kinds[i] })
	}
	kind := f.kinds[n%len(f.kinds)]
	f.count[kind.name]++
	if err := kind.do(f, ctx); err != nil {
		return fmt.Errorf("%s: %w", kind.name, err)
	}
	return nil
}

// last is for how long a fault lasts.
func (f *faults) last() { time.Sleep(time.Duration(f.rnd.Int64N(int64(faultLength)))) }

func (f *faults) anyNode() int { return 1 + f.rnd.IntN(f.c.Nodes()) }

// whole waits until the cluster is as it was before.
func (f *faults) whole(ctx context.Context) error { return f.c.AwaitWhole(ctx) }

// killed kills a node, and starts it again after a while.
func (f *faults) killed(ctx context.Context, node int) error {
	if err := f.c.Kill(node); err != nil {
		return err
	}
	f.last()
	if err := f.c.Start(ctx, node); err != nil {
		return err
	}
	return f.whole(ctx)
}

// cut runs do, which cuts the network somewhere, and heals it after a while.
func (f *faults) cut(ctx context.Context, do func()) error {
	do()
	f.last()
	f.c.Net.Heal()
	return f.whole(ctx)
}

func killLeader(f *faults, ctx context.Context) error {
	leader, err := f.c.Leader(ctx, "postgres")
	if err != nil {
		return err
	}
	return f.killed(ctx, leader)
}

func killAny(f *faults, ctx context.Context) error { return f.killed(ctx, f.anyNode()) }

// killAll is a loss of power without a loss of what the systems have in memory.
func killAll(f *faults, ctx context.Context) error {
	for node := 1; node <= f.c.Nodes(); node++ {
		if err := f.c.Kill(node); err != nil {
			return err
		}
	}
	for _, i := range f.rnd.Perm(f.c.Nodes()) {
		if err := f.c.Launch(i + 1); err != nil {
			return err
		}
	}
	return f.whole(ctx)
}

func pauseLeader(f *faults, ctx context.Context) error {
	leader, err := f.c.Leader(ctx, "postgres")
	if err != nil {
		return err
	}
	if err := f.c.Pause(leader); err != nil {
		return err
	}
	f.last()
	if err := f.c.Resume(leader); err != nil {
		return err
	}
	return f.whole(ctx)
}

// cutLeaderOff leaves the leader in the minority, with clients of its own.
func cutLeaderOff(f *faults, ctx context.Context) error {
	leader, err := f.c.Leader(ctx, "postgres")
	if err != nil {
		return err
	}
	return f.cut(ctx, func() { f.c.Net.Split(leader) })
}

func cutFollowerOff(f *faults, ctx context.Context) error {
	leader, err := f.c.Leader(ctx, "postgres")
	if err != nil {
		return err
	}
	follower := 1 + leader%f.c.Nodes()
	return f.cut(ctx, func() { f.c.Net.StallSplit(follower) })
}

func mute(f *faults, ctx context.Context) error {
	return f.cut(ctx, func() { f.c.Net.Mute(f.anyNode()) })
}

func deafen(f *faults, ctx context.Context) error {
	return f.cut(ctx, func() { f.c.Net.Deafen(f.anyNode()) })
}

func bridge(f *faults, ctx context.Context) error {
	return f.cut(ctx, func() { f.c.Net.Bridge(f.anyNode()) })
}

// oneWay cuts one direction between two nodes, one of which leads.
func oneWay(f *faults, ctx context.Context) error {
	leader, err := f.c.Leader(ctx, "postgres")
	if err != nil {
		return err
	}
	other := 1 + leader%f.c.Nodes()
	return f.cut(ctx, func() {
		if f.rnd.IntN(2) == 0 {
			leader, other = other, leader
		}
		f.c.Net.CutLink(leader, other)
	})
}

// restarted stops a node in order and starts it again.
func restarted(f *faults, ctx context.Context) error {
	node := f.anyNode()
	if err := f.c.Stop(node); err != nil {
		return err
	}
	if err := f.c.Start(ctx, node); err != nil {
		return err
	}
	return f.whole(ctx)
}

// wiped takes a node's disk away.
func wiped(f *faults, ctx context.Context) error {
	node := f.anyNode()
	if err := f.c.Kill(node); err != nil {
		return err
	}
	if err := f.c.Wipe(node); err != nil {
		return err
	}
	if err := f.c.Start(ctx, node); err != nil {
		return err
	}
	return f.whole(ctx)
}

// allFaults are the kinds of faults that clients have to bear.
func allFaults() []fault {
	return []fault{
		{"kill the leader", killLeader}, {"kill a node", killAny}, {"kill all nodes", killAll}, {"pause the leader", pauseLeader},
		{"cut the leader off", cutLeaderOff}, {"cut a follower off", cutFollowerOff}, {"mute a node", mute}, {"deafen a node", deafen},
		{"bridge", bridge}, {"one way", oneWay}, {"restart a node", restarted}, {"wipe a node", wiped},
	}
}

// TestWorkloadsUnderFaults runs all workloads at once over all nodes, while nodes
// die, hang, lose their disks and each other.
func TestWorkloadsUnderFaults(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := startNodes(t)
	f := newFaults(t, c, seed, allFaults())
	o := workload.Options{Clients: faultClients, Duration: faultDuration(t), Pause: faultPause, Seed: seed}
	all := append(workloads(), &workload.Tokens{})
	err := workload.Run(t.Context(), &workload.Servers{Addrs: c.SQLAddrs, Disturb: f.disturb}, o, all...)
	for _, w := range all {
		t.Log(w)
	}
	t.Logf("faults: %v", f.count)
	require.NoError(t, err)
	require.NotEmpty(t, f.count)
	sameEverywhere(t, c)
}

// sameEverywhere compares what the nodes have of the workloads' tables, each read
// on the node itself.
func sameEverywhere(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	var first [][]string
	for node := 1; node <= c.Nodes(); node++ {
		conn, err := cluster.Dial(t.Context(), c.Addrs(node).SQL)
		require.NoError(t, err)
		var got [][]string
		tables, err := execute(t.Context(), conn, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1")
		require.NoError(t, err)
		for _, table := range tables {
			rows, err := execute(t.Context(), conn, "SELECT x::text FROM "+table[0]+" x")
			require.NoError(t, err)
			slices.SortFunc(rows, slices.Compare)
			got = append(append(got, table), rows...)
		}
		require.NoError(t, conn.Close(context.Background()))
		if node == 1 {
			first = got
		}
		require.Equal(t, first, got, "nodes 1 and %d", node)
	}
	require.NotEmpty(t, first)
}
