package raftlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/vfs"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/diskspace"
)

// Sizes of Raft's logs and queues.
const (
	snapshotEntries    = 50_000    // entries between snapshots
	compactionOverhead = 10_000    // entries kept behind a snapshot for lagging replicas
	maxInMemLogBytes   = 256 << 20 // then proposals are refused as busy
	maxQueueBytes      = 256 << 20 // to and from each other node
)

// HostConfig says where a node keeps its logs and how it is reached.
type HostConfig struct {
	// Dir is the node's data directory. The host locks it as a whole and keeps
	// its own files in a folder of it.
	Dir string

	// Cluster is the id, a UUID, of the cluster that a new directory's node belongs
	// to for ever. Empty means whatever the directory says.
	Cluster string

	// Joins says that this cluster is there already. It counts for a new directory
	// only, which remembers it.
	Joins bool

	// RaftAddr is the address to listen on for other nodes, host:port. Port 0
	// picks a free one.
	RaftAddr string

	// Via names addresses to dial instead of others, such as the near end of a
	// tunnel to a node.
	Via map[string]string

	Logger *slog.Logger

	// SnapshotEntries overrides how many entries lie between snapshots.
	SnapshotEntries uint64

	// disk replaces the file system in tests.
	disk vfs.FS
	// space is asked for the disk's free space; nil asks the system.
	space func(dir string) (diskspace.Space, error)
}

// Host is what the logs of one node share: the store, the transport, the threads.
type Host struct {
	cfg      HostConfig
	identity *Identity
	lock     *os.File
	fs       *diskFS
	book     *addressBook
	listen   string // address of the Raft engine
	node     *dragonboat.NodeHost
	space    space

	opening sync.Mutex // one start or stop at a time

	mu     sync.Mutex // never held while calling Dragonboat: its notices take it
	shards map[log.ID]*Shard
	closed bool

	life    context.Context // ends with Close
	end     context.CancelFunc
	running sync.WaitGroup
}

// OpenHost locks the data directory and starts the node's Raft engine. Errors: the
// directory is in use, belongs to another format, or the address is taken.
func OpenHost(cfg HostConfig) (*Host, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.disk == nil {
		cfg.disk = vfs.Default
	}
	if err := checkSettings(); err != nil {
		return nil, err
	}
	if err := makeDir(vfs.Default, cfg.Dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, lock: lock, shards: map[log.ID]*Shard{}, space: space{of: cfg.space}}
	if h.space.of == nil {
		h.space.of = diskspace.Of
	}
	if err := h.start(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return h, nil
}

func (h *Host) start() (err error) {
	listen, err := freeAddress(h.cfg.RaftAddr)
	if err != nil {
		return fmt.Errorf("raft address: %w", err)
	}
	if h.identity, err = loadIdentity(h.cfg.Dir, h.cfg.Cluster, h.cfg.Joins); err != nil {
		return err
	}
	h.listen = listen
	h.book = newAddressBook(h.cfg.Logger, h.cfg.Via)
	useLogger(h.cfg.Logger)
	h.fs = newDiskFS(h.cfg.disk, filepath.Join(h.cfg.Dir, raftDir), h.identity.Hostname)
	h.fs.space.OnWait = func() {
		h.cfg.Logger.Error("the disk is full: a write of the Raft log waits for space", "directory", h.cfg.Dir)
	}
	if err := makeDir(h.fs.FS, h.fs.root); err != nil {
		return err
	}
	if err := h.noteSpace(); err != nil {
		return err
	}
	// The engine starts its parts one by one and panics over some of them.
	starting.Add(1)
	defer func() {
		starting.Add(-1)
		if r := recover(); r != nil {
			err = fmt.Errorf("start raft engine: %v", r)
		}
	}()
	h.node, err = dragonboat.NewNodeHost(config.NodeHostConfig{
		NodeHostDir:         virtualRoot,
		RTTMillisecond:      tickMs,
		RaftAddress:         listen,
		DeploymentID:        h.identity.deployment(),
		NodeHostID:          string(h.identity.NodeID),
		MaxSendQueueSize:    maxQueueBytes,
		MaxReceiveQueueSize: maxQueueBytes,
		SystemEventListener: &events{host: h},
		RaftEventListener:   &events{host: h},
		EnableMetrics:       true,
		Expert: config.ExpertConfig{
			FS:     h.fs.wrapped(),
			LogDB:  logDB(),
			Engine: engine(),

			NodeRegistryFactory: h.book,
			TransportFactory:    transports{logger: h.cfg.Logger},
		},
	})
	if err != nil {
		return fmt.Errorf("start raft engine: %w", err)
	}
	if h.node == nil { // it recovers from some of its panics, and says no more
		return errors.New("start raft engine: it panicked; the log above says why")
	}
	h.fs.started.Store(true)
	h.life, h.end = context.WithCancel(context.Background())
	h.running.Go(h.watch)
	h.running.Go(h.watchDisk)
	return nil
}

// freeAddress replaces port 0 by a free port, and finds out early whether the
// address can be listened on at all.
func freeAddress(addr string) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// The number of stores and of threads that write to them. Both are part of the
// data's layout: they may not change for an existing directory. Groups that
// share a store share its syncs.
const (
	logStores   = 4
	stepWorkers = 8
)

func logDB() config.LogDBConfig {
	c := config.GetSmallMemLogDBConfig()
	c.Shards = logStores
	return c
}

func engine() config.EngineConfig {
	c := config.GetDefaultEngineConfig()
	c.ExecShards = stepWorkers
	c.CommitShards = stepWorkers
	c.ApplyShards = stepWorkers
	return c
}

// Identity returns whose data this is.
func (h *Host) Identity() Identity { return *h.identity }

// RaftAddr returns the address that the node listens on for other nodes.
func (h *Host) RaftAddr() string { return h.listen }

// SetAddress notes where another node listens for this one, at any time: messages
// go there from now on.
func (h *Host) SetAddress(node log.NodeID, addr string) { h.book.set(node, addr) }

// Syncs returns how often the Raft log has been made durable since the start.
func (h *Host) Syncs() uint64 { return h.fs.syncs.Load() }

// WriteMetrics writes the engine's own metrics in Prometheus' text format.
func (h *Host) WriteMetrics(w io.Writer) { dragonboat.WriteHealthMetrics(w) }

// Close stops all shards and releases the data directory. The state machines stay
// open, and are not called any more.
func (h *Host) Close() error {
	h.opening.Lock()
	defer h.opening.Unlock()
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	h.mu.Unlock()
	shards := h.openShards()
	h.end()
	h.fs.space.Stop()
	h.running.Wait()
	for _, s := range shards {
		s.stop()
	}
	h.node.Close()
	return h.lock.Close()
}

func (h *Host) isOpen() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return log.ErrClosed
	}
	return nil
}

// remember adds a shard that is about to start.
func (h *Host) remember(s *Shard) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shards[s.id] != nil {
		return fmt.Errorf("log %d is open already", s.id)
	}
	h.shards[s.id] = s
	return nil
}

// openShards returns the shards that are open, in no order.
func (h *Host) openShards() []*Shard {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.shards))
}

// forget removes a closed shard.
func (h *Host) forget(id log.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.shards, id)
}

// events receives Dragonboat's notices. Its methods run on one goroutine of
// Dragonboat's and must be quick.
type events struct {
	ignoredEvents
	host *Host
}

// shard returns the open replica that a notice is about, or nil.
func (e *events) shard(id, replica uint64) *Shard {
	e.host.mu.Lock()
	defer e.host.mu.Unlock()
	if s := e.host.shards[log.ID(id)]; s != nil && uint64(s.replica) == replica {
		return s
	}
	return nil
}

// MembershipChanged implements raftio.ISystemEventListener.
func (e *events) MembershipChanged(info raftio.NodeInfo) {
	if s := e.shard(info.ShardID, info.ReplicaID); s != nil {
		s.members.doubt()
	}
}

// NodeDeleted implements raftio.ISystemEventListener.
func (e *events) NodeDeleted(info raftio.NodeInfo) {
	if s := e.shard(info.ShardID, info.ReplicaID); s != nil {
		s.noteRemoved()
	}
}

// LeaderUpdated implements raftio.IRaftEventListener.
func (e *events) LeaderUpdated(info raftio.LeaderInfo) {
	if s := e.shard(info.ShardID, info.ReplicaID); s != nil && info.LeaderID != 0 {
		s.leaders.ring()
	}
}

// ignoredEvents are the notices that nobody needs.
type ignoredEvents struct{}

func (ignoredEvents) NodeHostShuttingDown()                       {}
func (ignoredEvents) NodeUnloaded(raftio.NodeInfo)                {}
func (ignoredEvents) NodeReady(raftio.NodeInfo)                   {}
func (ignoredEvents) ConnectionEstablished(raftio.ConnectionInfo) {}
func (ignoredEvents) ConnectionFailed(raftio.ConnectionInfo)      {}
func (ignoredEvents) SendSnapshotStarted(raftio.SnapshotInfo)     {}
func (ignoredEvents) SendSnapshotCompleted(raftio.SnapshotInfo)   {}
func (ignoredEvents) SendSnapshotAborted(raftio.SnapshotInfo)     {}
func (ignoredEvents) SnapshotReceived(raftio.SnapshotInfo)        {}
func (ignoredEvents) SnapshotRecovered(raftio.SnapshotInfo)       {}
func (ignoredEvents) SnapshotCreated(raftio.SnapshotInfo)         {}
func (ignoredEvents) SnapshotCompacted(raftio.SnapshotInfo)       {}
func (ignoredEvents) LogCompacted(raftio.EntryInfo)               {}
func (ignoredEvents) LogDBCompacted(raftio.EntryInfo)             {}
