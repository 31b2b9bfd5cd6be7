package tests

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/raftlog"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
)

// onceLog is the log of this test, and onceWait the bound of its waits.
const (
	onceLog  log.ID = 2
	onceWait        = 2 * time.Minute
)

// onceNode is a log and its tables without sessions.
type onceNode struct {
	dir   string
	host  *raftlog.Host
	shard *raftlog.Shard
	state *sm.Replica
}

type onceCluster struct {
	t  *testing.T
	mu sync.RWMutex // held to replace a node
	// nodes have the replicas 1, 2 and 3.
	nodes [3]*onceNode
}

func (c *onceCluster) start(i int, members map[log.ReplicaID]log.NodeID) {
	n := c.nodes[i]
	var err error
	n.state, err = sm.Open(sm.Options{Dir: filepath.Join(n.dir, "tables"), Log: onceLog, Executor: query.NewExecutor("db")})
	require.NoError(c.t, err)
	for _, other := range c.nodes {
		if other != n && other.host != nil {
			n.host.SetAddress(other.host.Identity().NodeID, other.host.RaftAddr())
			other.host.SetAddress(n.host.Identity().NodeID, n.host.RaftAddr())
		}
	}
	n.shard, err = n.host.OpenShard(onceLog, n.state, raftlog.ShardOptions{Replica: log.ReplicaID(i + 1), Members: members})
	require.NoError(c.t, err)
}

func (c *onceCluster) listen(i int) {
	var err error
	c.nodes[i].host, err = raftlog.OpenHost(raftlog.HostConfig{Dir: c.nodes[i].dir, RaftAddr: "127.0.0.1:0", SnapshotEntries: 500})
	require.NoError(c.t, err)
}

func (c *onceCluster) stop(i int) {
	require.NoError(c.t, c.nodes[i].host.Close())
	require.NoError(c.t, c.nodes[i].state.Close())
	c.nodes[i].host = nil
}

// append puts a statement into the log through a node, as an engine does.
func (c *onceCluster) append(i int, sql string) (*log.Result, error) {
	c.mu.RLock()
	n := *c.nodes[i]
	c.mu.RUnlock()
	if n.host == nil {
		return nil, log.ErrClosed
	}
	e := &log.Entry{Kind: log.KindCommand, Semantics: log.CurrentSemantics, Role: "postgres", Time: 1, Earliest: n.state.Position().Place + 1,
		Statements: []log.Statement{{Text: sql}}}
	_, _ = rand.Read(e.Seed[:])
	data, err := e.Append(nil)
	if err != nil {
		return nil, err
	}
	answer, err := n.shard.Append(c.t.Context(), data)
	if err != nil {
		return nil, err
	}
	return log.DecodeResult(answer)
}

// TestAppliedOnce inserts through three nodes while leaders die and hand over.
// The table has no key, so an entry that is applied twice leaves two rows.
func TestAppliedOnce(t *testing.T) {
	c := &onceCluster{t: t}
	members := map[log.ReplicaID]log.NodeID{}
	for i := range c.nodes {
		c.nodes[i] = &onceNode{dir: t.TempDir()}
		c.listen(i)
		members[log.ReplicaID(i+1)] = c.nodes[i].host.Identity().NodeID
	}
	for i := range c.nodes {
		c.start(i, members)
	}
	t.Cleanup(func() {
		for i, n := range c.nodes {
			if n.host != nil {
				c.stop(i)
			}
		}
	})
	res, err := c.append(0, "CREATE TABLE public.t (a int, b int)")
	require.NoError(t, err)
	require.Nil(t, res.Err)

	var acknowledged, unknown, repeated atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for k := range 6 {
		clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				res, err := c.append(k%3, fmt.Sprintf("INSERT INTO public.t VALUES (%d, %d)", k, i))
				switch {
				case errors.Is(err, log.ErrUnknownOutcome):
					unknown.Add(1) // its own node was closed
				case errors.Is(err, log.ErrClosed):
					time.Sleep(time.Millisecond)
				case err != nil:
					t.Errorf("client %d: %v", k, err)
					return
				case res.Err != nil:
					t.Errorf("client %d: %v", k, res.Err)
					return
				default:
					acknowledged.Add(1)
					if res.Repeat != log.Executed {
						repeated.Add(1)
					}
				}
			}
		})
	}
	for round := range 6 {
		c.disturb(round)
	}
	close(stop)
	clients.Wait()
	t.Logf("%d acknowledged, %d of them without their own answer, %d unknown", acknowledged.Load(), repeated.Load(), unknown.Load())
	c.compare(acknowledged.Load(), unknown.Load())
}

// disturb lets the leader hand over or close, and comes back when all is well.
func (c *onceCluster) disturb(round int) {
	time.Sleep(300 * time.Millisecond)
	var leader log.ReplicaID
	require.Eventually(c.t, func() bool {
		r, _, ok := c.nodes[0].shard.Leader()
		leader = r
		return ok
	}, onceWait, time.Millisecond)
	i := int(leader - 1)
	if round%2 == 0 {
		require.NoError(c.t, c.nodes[i].shard.TransferLeader(c.t.Context(), log.ReplicaID((i+1)%3+1)))
		return
	}
	c.mu.Lock()
	old := c.nodes[i]
	c.nodes[i] = &onceNode{dir: old.dir}
	c.mu.Unlock()
	require.NoError(c.t, old.host.Close())
	require.NoError(c.t, old.state.Close())
	time.Sleep(1500 * time.Millisecond)
	c.mu.Lock()
	c.listen(i)
	c.start(i, nil)
	c.mu.Unlock()
}

// compare wants every acknowledged row once, on all nodes.
func (c *onceCluster) compare(acknowledged, unknown int64) {
	var first sm.Position
	for i, n := range c.nodes {
		require.NoError(c.t, n.shard.ReadIndex(c.t.Context()))
		v, err := n.state.View()
		require.NoError(c.t, err)
		id := v.Catalog().Relation(catalog.Name{Schema: catalog.PublicID, Name: "t"})
		rows := n.state.RowCount(v.Catalog().Table(id))
		v.Close()
		require.GreaterOrEqual(c.t, rows, acknowledged)
		require.LessOrEqual(c.t, rows, acknowledged+unknown)
		if i == 0 {
			first = n.state.Position()
		}
		require.Equal(c.t, first.Checksum, n.state.Position().Checksum)
		require.Equal(c.t, first.Offset, n.state.Position().Offset)
	}
}
