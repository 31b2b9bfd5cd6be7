package raftlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/lni/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/tests/crashfs"
)

const (
	powerNodes   = 3
	powerWriters = 6
	powerRounds  = 5
	// powerRun is the longest time under load before the power goes.
	powerRun = 800 * time.Millisecond
	// powerSnapshots are so few entries between snapshots that the Raft log is cut
	// again and again.
	powerSnapshots = 60
)

// power is what all nodes hang on. Every file operation that changes something
// passes it, so that there is one moment at which it goes for all of them.
type power struct{ mu sync.RWMutex }

func (p *power) pass() {
	p.mu.RLock()
	defer p.mu.RUnlock() // only to wait while it is being cut
}

// raftPower and tablePower let a file system's operations pass.
type raftPower struct{ p *power }

func (x raftPower) MaybeError(op vfs.Op) error {
	if op != vfs.OpRead {
		x.p.pass()
	}
	return nil
}

type tablePower struct{ p *power }

func (x tablePower) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		x.p.pass()
	}
	return nil
}

func (x tablePower) String() string { return "power" }

// roomy is a file system in memory with room for all that these tests write.
type roomy struct{ *vfs.MemFS }

func (roomy) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 40}, nil
}

// powered is a node whose Raft log and tables lie on disks that lose what was not
// synced.
type powered struct {
	dir, addr string
	raft      *vfs.MemFS
	tables    *crashfs.FS

	host    *Host
	replica *sm.Replica
	shard   *Shard
	members map[log.ReplicaID]log.NodeID
}

func (n *powered) openHost(t *testing.T, p *power) {
	h, err := OpenHost(HostConfig{
		Dir: n.dir, RaftAddr: n.addr, SnapshotEntries: powerSnapshots, disk: vfs.Wrap(roomy{n.raft}, raftPower{p}),
	})
	require.NoError(t, err)
	n.host, n.addr = h, h.RaftAddr()
}

func (n *powered) openShard(t *testing.T, p *power, id log.ReplicaID) {
	r, err := sm.Open(sm.Options{
		Dir: "/tables", FS: errorfs.Wrap(n.tables, tablePower{p}), Log: testLog, Replica: id,
		Executor: query.NewExecutor("postgres"), MemTableBytes: 256 << 10,
	})
	require.NoError(t, err)
	n.replica = r
	n.shard, err = n.host.OpenShard(testLog, r, ShardOptions{Replica: id, Members: n.members})
	require.NoError(t, err)
}

// close ends what runs on a node; nothing of it is durable any more.
func (n *powered) close(t *testing.T) {
	require.NoError(t, n.host.Close())
	require.NoError(t, n.replica.Close())
}

// cluster is all nodes with what was acknowledged to the writers.
type powerCluster struct {
	t     *testing.T
	rnd   *rand.Rand
	power *power
	nodes []*powered

	off   atomic.Bool // no answer counts any more
	wrote [powerWriters]struct {
		sync.Mutex
		last  int          // the last number that was tried
		acked map[int]bool // those acknowledged in time
	}
}

// TestPowerLoss takes the power from all nodes at once, again and again, while
// clients write. What was acknowledged before is there afterwards, on all nodes,
// and they agree.
func TestPowerLoss(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &powerCluster{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), power: &power{}}
	for i := range c.wrote {
		c.wrote[i].acked = map[int]bool{}
	}
	for range powerNodes {
		n := &powered{dir: t.TempDir(), addr: "127.0.0.1:0", raft: vfs.NewStrictMem(), tables: crashfs.New()}
		// The host's own few files are on the real disk and synced by it.
		require.NoError(t, os.MkdirAll(filepath.Join(n.dir, raftDir), 0o700))
		c.nodes = append(c.nodes, n)
	}
	c.start()
	_, err := c.run(t.Context(), 0, "CREATE TABLE public.w (writer int, n int, PRIMARY KEY (writer, n))", log.Seed{1})
	require.NoError(t, err)
	total := 0
	for range powerRounds {
		c.load()
		c.start()
		total = c.check()
	}
	t.Logf("%d acknowledged writes over %d losses of power", total, powerRounds)
	require.Greater(t, total, powerRounds*powerWriters, "there was hardly any load")
	for _, n := range c.nodes {
		n.close(t)
	}
}

// start starts all nodes on what their disks have.
func (c *powerCluster) start() {
	members := map[log.ReplicaID]log.NodeID{}
	for i, n := range c.nodes {
		n.openHost(c.t, c.power)
		members[log.ReplicaID(i+1)] = n.host.Identity().NodeID
	}
	for i, n := range c.nodes {
		n.members = members
		for _, other := range c.nodes {
			n.host.SetAddress(other.host.Identity().NodeID, other.addr)
		}
		n.openShard(c.t, c.power, log.ReplicaID(i+1))
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for _, n := range c.nodes {
		require.NoError(c.t, n.shard.Ready(ctx))
	}
}

// run appends a statement through a node.
func (c *powerCluster) run(ctx context.Context, node int, sql string, seed log.Seed) (*log.Result, error) {
	e := log.Entry{Kind: log.KindCommand, Semantics: log.CurrentSemantics, Seed: seed, Statements: []log.Statement{{Text: sql}}}
	data, err := e.Append(nil)
	if err != nil {
		return nil, err
	}
	out, err := c.nodes[node].shard.Append(ctx, data)
	if err != nil {
		return nil, err
	}
	res, err := log.DecodeResult(out)
	if err == nil && res.Err != nil {
		err = sm.ErrorOf(res.Err)
	}
	return res, err
}

// load lets clients write until the power goes, and ends the nodes.
func (c *powerCluster) load() {
	ctx, stop := context.WithCancel(c.t.Context())
	defer stop()
	var writers sync.WaitGroup
	c.off.Store(false)
	for w := range powerWriters {
		node, high := c.rnd.IntN(powerNodes), c.rnd.Uint64()
		writers.Go(func() { c.write(ctx, w, node, high) })
	}
	writers.Go(func() {
		for ctx.Err() == nil {
			for _, n := range c.nodes {
				_ = n.replica.Flush() // it may be closing
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	time.Sleep(powerRun/8 + time.Duration(c.rnd.Int64N(int64(powerRun))))
	c.cut()
	stop()
	for _, n := range c.nodes {
		n.close(c.t)
	}
	writers.Wait()
	for _, n := range c.nodes {
		n.raft.ResetToSyncedState()
		n.raft.SetIgnoreSyncs(false)
	}
}

// write counts up in one writer's rows until something goes wrong.
func (c *powerCluster) write(ctx context.Context, writer, node int, high uint64) {
	w := &c.wrote[writer]
	for i := 0; ctx.Err() == nil; i++ {
		w.Lock()
		w.last++
		n := w.last
		w.Unlock()
		var seed log.Seed
		copy(seed[:], fmt.Sprintf("%016x", high+uint64(i)))
		_, err := c.run(ctx, node, fmt.Sprintf("INSERT INTO public.w VALUES (%d, %d)", writer, n), seed)
		if err != nil {
			return // closing
		}
		w.Lock()
		if !c.off.Load() {
			w.acked[n] = true
		}
		w.Unlock()
	}
}

// cut takes the power from all nodes at one moment: the answers that came before
// count, and of the files there stays what was synced, and of the tables perhaps
// some of the rest.
func (c *powerCluster) cut() {
	c.power.mu.Lock()
	defer c.power.mu.Unlock()
	for i := range c.wrote { // an answer that is being noted came before
		c.wrote[i].Lock()
		defer c.wrote[i].Unlock()
	}
	c.off.Store(true)
	for _, n := range c.nodes {
		n.raft.SetIgnoreSyncs(true)
		n.tables = n.tables.CrashClone(pebblevfs.CrashCloneCfg{UnsyncedDataPercent: 50 * c.rnd.IntN(3), RNG: c.rnd})
	}
}

// check reads all rows on every node.
func (c *powerCluster) check() (total int) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	var first sm.Position
	for i, n := range c.nodes {
		require.NoError(c.t, n.shard.ReadIndex(ctx))
		if i == 0 {
			first = n.replica.Position()
		}
		require.Equal(c.t, first, n.replica.Position(), "node %d", i)
		rows := c.rows(n.replica)
		total = 0
		for w := range c.wrote {
			for k := range c.wrote[w].acked {
				require.True(c.t, rows[[2]int64{int64(w), int64(k)}], "node %d lost write %d of writer %d, which was acknowledged", i, k, w)
				total++
			}
		}
		report, err := n.replica.Check(ctx)
		require.NoError(c.t, err)
		require.Empty(c.t, report.Problems)
	}
	return total
}

// rows are those of the table on one replica.
func (c *powerCluster) rows(r *sm.Replica) map[[2]int64]bool {
	v, err := r.View()
	require.NoError(c.t, err)
	defer v.Close()
	out := map[[2]int64]bool{}
	txn := v.Begin()
	defer txn.Close()
	tbl := v.Catalog().Table(v.Catalog().Relation(catalog.Name{Schema: catalog.PublicID, Name: "w"}))
	it := txn.Scan(sm.ScanOptions{Table: tbl, Index: tbl.PrimaryKey()})
	defer it.Close()
	for it.Next() {
		row := it.Row().Values
		out[[2]int64{row[0].Int(), row[1].Int()}] = true
	}
	require.NoError(c.t, it.Err())
	return out
}
