package raftlog

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
)

// patience bounds every wait of these tests; it is long for slow machines.
const patience = 60 * time.Second

// peer is one node of a test's cluster with its replica of the log.
type peer struct {
	dir     string
	host    *Host
	shard   *Shard
	state   *toy
	replica log.ReplicaID
}

// peers are nodes that know each other's addresses.
type peers struct {
	t     testing.TB
	cfg   HostConfig
	nodes []*peer
}

func newPeers(t testing.TB, n int, cfg HostConfig) *peers {
	p := &peers{t: t, cfg: cfg}
	for range n {
		p.nodes = append(p.nodes, &peer{dir: t.TempDir(), state: &toy{}})
		p.start(len(p.nodes) - 1)
	}
	return p
}

// start opens the host of node i at a new address and tells everybody.
func (p *peers) start(i int) {
	cfg := p.cfg
	cfg.Dir = p.nodes[i].dir
	p.nodes[i].host = openHost(p.t, cfg)
	for _, one := range p.nodes {
		for _, other := range p.nodes {
			if one != other && one.host != nil && other.host != nil {
				one.host.SetAddress(other.host.Identity().NodeID, other.host.RaftAddr())
			}
		}
	}
}

// open opens the replica of node i.
func (p *peers) open(i int, opts ShardOptions) *Shard {
	n := p.nodes[i]
	s, err := n.host.OpenShard(testLog, n.state, opts)
	require.NoError(p.t, err)
	n.shard, n.replica = s, s.Replica()
	return s
}

// crash ends node i, and what it had not synced.
func (p *peers) crash(i int) {
	n := p.nodes[i]
	require.NoError(p.t, n.host.Close())
	n.host, n.shard, n.state = nil, nil, n.state.reopened()
}

// found makes a group of all nodes.
func (p *peers) found() {
	members := map[log.ReplicaID]log.NodeID{}
	for i, n := range p.nodes {
		members[log.ReplicaID(i+1)] = n.host.Identity().NodeID
	}
	for i := range p.nodes {
		p.open(i, ShardOptions{Replica: log.ReplicaID(i + 1), Members: members})
	}
	for _, n := range p.nodes {
		require.NoError(p.t, n.shard.Ready(p.ctx()))
	}
}

func (p *peers) ctx() context.Context {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	p.t.Cleanup(cancel)
	return ctx
}

func (p *peers) id(i int) log.NodeID { return p.nodes[i].host.Identity().NodeID }

// write appends through node i, again when it is not known whether it was.
func (p *peers) write(i int, data string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
		defer cancel()
		_, err := p.nodes[i].shard.Append(ctx, []byte(data))
		return err == nil
	}, patience, time.Millisecond)
}

// leader waits for a leader that all open nodes agree on, and returns its node.
func (p *peers) leader() int {
	found := -1
	require.Eventually(p.t, func() bool {
		var agreed log.ReplicaID
		for _, n := range p.nodes {
			if n.shard == nil {
				continue
			}
			leader, _, ok := n.shard.Leader()
			if !ok || agreed != 0 && agreed != leader {
				return false
			}
			agreed = leader
		}
		for i, n := range p.nodes {
			if n.shard != nil && n.replica == agreed {
				found = i
				return true
			}
		}
		return false
	}, patience, time.Millisecond)
	return found
}

// sees waits until node i has applied what was written before.
func (p *peers) sees(i, entries int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
		defer cancel()
		return p.nodes[i].shard.ReadIndex(ctx) == nil
	}, patience, time.Millisecond)
	require.GreaterOrEqual(p.t, p.nodes[i].state.count(), entries)
}

// TestThreeReplicas reads on a follower what another node acknowledged.
func TestThreeReplicas(t *testing.T) {
	p := newPeers(t, 3, HostConfig{})
	p.found()
	for i := range 30 {
		p.write(i%3, fmt.Sprint(i))
		p.sees((i+1)%3, i+1)
	}
	for _, n := range p.nodes {
		require.False(t, n.shard.members.alone.Load())
	}
}

// TestLeaderDies closes the leader again and again: the others go on, and it
// catches up under another address, with no options.
func TestLeaderDies(t *testing.T) {
	p := newPeers(t, 3, HostConfig{SnapshotEntries: 50})
	p.found()
	written := 0
	for range 3 {
		dead := p.leader()
		p.crash(dead)
		for i := range 60 {
			other := (dead + 1 + i%2) % 3
			p.write(other, "x")
			written++
		}
		p.start(dead)
		p.open(dead, ShardOptions{Replica: log.ReplicaID(dead + 1)})
		require.NoError(t, p.nodes[dead].shard.Ready(p.ctx()))
		p.sees(dead, written)
	}
}

// TestGroupGrowsAndShrinks starts with a group of one, adds two nodes that catch
// up by snapshot, lets them vote, and takes the first node out.
func TestGroupGrowsAndShrinks(t *testing.T) {
	p := newPeers(t, 3, HostConfig{SnapshotEntries: 20})
	first := p.open(0, ShardOptions{})
	require.NoError(t, first.Ready(p.ctx()))
	require.True(t, first.quick.Load())
	require.Eventually(t, first.members.alone.Load, patience, time.Millisecond)
	for i := range 100 {
		p.write(0, fmt.Sprint(i))
	}
	for i := 1; i < 3; i++ {
		replica := log.ReplicaID(i + 1)
		require.NoError(t, first.AddLearner(p.ctx(), replica, p.id(i)))
		require.NoError(t, first.AddLearner(p.ctx(), replica, p.id(i)), "as it is already")
		require.False(t, first.members.alone.Load())
		p.open(i, ShardOptions{Replica: replica, Join: true})
		require.NoError(t, p.nodes[i].shard.Ready(p.ctx()))
		p.sees(i, 100)
		m, err := p.nodes[i].shard.Members(p.ctx())
		require.NoError(t, err)
		require.Equal(t, map[log.ReplicaID]log.NodeID{replica: p.id(i)}, m.Learners)
		require.NoError(t, p.nodes[i].shard.Promote(p.ctx(), replica), "asked on the learner itself")
		require.NoError(t, first.Promote(p.ctx(), replica))
	}
	require.False(t, first.quick.Load())
	m, err := first.Members(p.ctx())
	require.NoError(t, err)
	require.Equal(t, Membership{
		Voters:   map[log.ReplicaID]log.NodeID{1: p.id(0), 2: p.id(1), 3: p.id(2)},
		Learners: map[log.ReplicaID]log.NodeID{},
	}, m)
	require.ErrorContains(t, first.AddLearner(p.ctx(), 4, p.id(1)), "already")
	require.Error(t, first.Promote(p.ctx(), 9))

	// A promoted replica starts again as one that votes: with the first gone, it is needed.
	p.crash(1)
	p.start(1)
	p.open(1, ShardOptions{Replica: 2})
	require.NoError(t, p.nodes[1].shard.Ready(p.ctx()))
	require.NoError(t, first.TransferLeader(p.ctx(), 1))
	require.NoError(t, first.RemoveReplica(p.ctx(), 1))
	other := p.nodes[1].shard
	require.NoError(t, other.RemoveReplica(p.ctx(), 1), "as it is already")
	require.ErrorContains(t, other.AddLearner(p.ctx(), 1, p.id(0)), "cannot return")
	p.write(2, "without the first")
	p.sees(1, 101)
	m, err = other.Members(p.ctx())
	require.NoError(t, err)
	require.Equal(t, []log.ReplicaID{1}, m.Removed)
	require.NoError(t, other.RemoveReplica(p.ctx(), 3))
	require.ErrorContains(t, other.RemoveReplica(p.ctx(), 2), "only one")
	p.write(1, "alone")
	require.Eventually(t, other.members.alone.Load, patience, time.Millisecond)
}

// TestRemovedReplicaReturnsUnderAnotherNumber removes a replica and its data, and
// adds the node again.
func TestRemovedReplicaReturnsUnderAnotherNumber(t *testing.T) {
	p := newPeers(t, 3, HostConfig{SnapshotEntries: 20})
	p.found()
	for range 60 {
		p.write(0, "x")
	}
	gone := (p.leader() + 1) % 3
	rest := p.nodes[(gone+1)%3].shard
	require.NoError(t, rest.RemoveReplica(p.ctx(), p.nodes[gone].replica))
	host := p.nodes[gone].host
	require.Error(t, host.RemoveData(p.ctx(), testLog, p.nodes[gone].replica), "it is open")
	require.NoError(t, p.nodes[gone].shard.Close())
	require.NoError(t, host.RemoveData(p.ctx(), testLog, p.nodes[gone].replica))
	require.NoFileExists(t, host.recordPath(testLog, p.nodes[gone].replica))
	_, err := host.OpenShard(testLog, &toy{}, ShardOptions{Replica: p.nodes[gone].replica, Join: true})
	require.Error(t, err, "its number is gone for ever")

	require.NoError(t, rest.AddLearner(p.ctx(), 4, p.id(gone)))
	p.nodes[gone].state = &toy{}
	p.open(gone, ShardOptions{Replica: 4, Join: true})
	require.NoError(t, p.nodes[gone].shard.Ready(p.ctx()))
	require.NoError(t, rest.Promote(p.ctx(), 4))
	p.write(gone, "back")
	p.sees(gone, 61)
	require.NoError(t, rest.TransferLeader(p.ctx(), 4))
	p.write((gone+1)%3, "through it")

	// The same after a restart: the engine must know nothing of the removed one.
	p.crash(gone)
	p.start(gone)
	p.open(gone, ShardOptions{Replica: 4})
	require.NoError(t, p.nodes[gone].shard.Ready(p.ctx()))
	p.sees(gone, 62)
}

// TestJoinBeforeBeingAdded opens a replica that nobody knows of yet, and starts it
// again while it learns.
func TestJoinBeforeBeingAdded(t *testing.T) {
	p := newPeers(t, 2, HostConfig{SnapshotEntries: 20, Cluster: NewUUID()})
	first := p.open(0, ShardOptions{})
	for range 50 {
		p.write(0, "x")
	}
	p.open(1, ShardOptions{Replica: 2, Join: true})
	require.NoError(t, first.AddLearner(p.ctx(), 2, p.id(1)))
	p.sees(1, 50)
	require.False(t, p.nodes[1].shard.members.alone.Load())
	for range 2 {
		p.crash(1)
		p.write(0, "y")
		p.start(1)
		p.open(1, ShardOptions{Replica: 2, Join: true})
		p.sees(1, 51)
	}
	require.NoError(t, first.Promote(p.ctx(), 2))
	require.NoError(t, p.nodes[1].shard.TransferLeader(p.ctx(), 2))
	p.write(0, "z")

	// The first one, which began alone, starts again as one of two.
	p.crash(0)
	p.start(0)
	p.open(0, ShardOptions{})
	p.write(0, "again")
	require.False(t, p.nodes[0].shard.members.alone.Load())
	require.False(t, p.nodes[0].shard.quick.Load())
}

// TestClustersDoNotMix gives a node the address of a node of another cluster that
// has a replica of the same number.
func TestClustersDoNotMix(t *testing.T) {
	cluster := NewUUID()
	ours, theirs := newPeers(t, 1, HostConfig{Cluster: cluster}), newPeers(t, 1, HostConfig{Cluster: NewUUID()})
	theirs.open(0, ShardOptions{Replica: 2, Join: true})
	first := ours.open(0, ShardOptions{})
	require.NoError(t, first.Ready(ours.ctx()))
	absent := log.NodeID(NewUUID())
	ours.nodes[0].host.SetAddress(absent, theirs.nodes[0].host.RaftAddr())
	require.NoError(t, first.AddLearner(ours.ctx(), 2, absent))
	ours.write(0, "x")
	time.Sleep(time.Second) // a heartbeat comes ten times a second
	_, _, ok := theirs.nodes[0].shard.Leader()
	require.False(t, ok, "it follows a stranger")
	require.Zero(t, theirs.nodes[0].state.count())

	require.NoError(t, ours.nodes[0].host.Close())
	_, err := OpenHost(HostConfig{Dir: ours.nodes[0].dir, RaftAddr: "127.0.0.1:0", Cluster: NewUUID()})
	require.ErrorContains(t, err, "belongs to cluster")
	require.Equal(t, cluster, openHost(t, HostConfig{Dir: ours.nodes[0].dir}).Identity().Cluster)
}

// TestLeaderIsRemoved removes the leader: it hands over first, and learns of it.
func TestLeaderIsRemoved(t *testing.T) {
	p := newPeers(t, 3, HostConfig{})
	p.found()
	p.write(0, "x")
	leader := p.leader()
	shard := p.nodes[leader].shard
	require.NoError(t, shard.RemoveReplica(p.ctx(), shard.Replica()))
	p.write((leader+1)%3, "y")
	p.sees((leader+2)%3, 2)
}

// TestLeadershipMoves transfers the leadership round while others write.
func TestLeadershipMoves(t *testing.T) {
	p := newPeers(t, 3, HostConfig{})
	p.found()
	for i := range 9 {
		to := log.ReplicaID(i%3 + 1)
		require.NoError(t, p.nodes[(i+1)%3].shard.TransferLeader(p.ctx(), to))
		leader, term, ok := p.nodes[(i+1)%3].shard.Leader()
		require.True(t, ok)
		require.NotZero(t, term)
		require.Equal(t, to, leader)
		p.write((i+2)%3, "x")
	}
}

// TestAddressBook resolves members to addresses as they are now.
func TestAddressBook(t *testing.T) {
	a, b := log.NodeID(NewUUID()), log.NodeID(NewUUID())
	book := newAddressBook(slog.New(slog.DiscardHandler), map[string]string{"far:1": "near:1"})
	_, err := book.Create("", 4, nil)
	require.NoError(t, err)
	_, _, err = book.Resolve(2, 1)
	require.ErrorContains(t, err, "nobody knows the node")
	book.Add(2, 1, string(a))
	_, _, err = book.Resolve(2, 1)
	require.ErrorContains(t, err, "nobody knows the address")
	book.set(a, "first:1")
	addr, connection, err := book.Resolve(2, 1)
	require.NoError(t, err)
	require.Equal(t, "first:1", addr)
	book.Add(2, 1, string(b)) // whoever says so: the engine's own would end the process
	book.set(b, "other:1")
	book.set(a, "second:1")
	addr, again, err := book.Resolve(2, 1)
	require.NoError(t, err)
	require.Equal(t, "second:1", addr)
	require.NotEqual(t, connection, again)
	book.set(a, "far:1")
	addr, _, err = book.Resolve(2, 1)
	require.NoError(t, err)
	require.Equal(t, "near:1", addr)
	book.Remove(2, 1)
	book.Add(3, 1, string(a))
	book.RemoveShard(3)
	for shard := uint64(2); shard <= 3; shard++ {
		_, _, err = book.Resolve(shard, 1)
		require.Error(t, err)
	}
}
