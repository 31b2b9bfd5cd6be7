package tidemark

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/raftlog"
	"github.com/tidemark-db/tidemark/pgwire"
)

// Why a node is not ready.
var (
	errStarting = errors.New("the log is being replayed")
	errClosing  = errors.New("the node is shutting down")
	errWaiting  = errors.New("waits for other nodes")
)

// Node is a running node. It implements query.Cluster.
type Node struct {
	cfg       Config
	local     *localState
	cache     *pebble.Cache
	host      *raftlog.Host
	meta      *meta
	databases *databases
	board     *statusBoard
	peers     *peers
	server    *pgwire.Server
	http      *endpoints

	sqlAddr, httpAddr net.Addr
	serving           sync.WaitGroup // the servers
	life              context.Context
	end               context.CancelFunc
	working           sync.WaitGroup // what runs until life ends
	failed            chan error     // a part of the node ended on its own
	state             atomic.Pointer[error]
	closing           sync.Once
	closed            error
}

// Open starts a node and returns when it serves SQL clients. Errors: an address
// is taken or not allowed, the data directory is in use or damaged, the cluster
// to join cannot be reached or refuses, ctx ended before the log was replayed.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	local, err := loadLocalState(cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg = cfg.withAddresses(local.get().Addresses)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, local: local, meta: newMeta(), board: newStatusBoard(), failed: make(chan error, failures)}
	n.databases = newDatabases(n)
	n.life, n.end = context.WithCancel(context.Background())
	n.state.Store(&errStarting)
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(err, n.Close(context.Background()))
	}
	return n, nil
}

// failures is how many parts of a node may fail before anybody asks.
const failures = 8

// start does everything that can fail. What it leaves behind on an error, Close
// removes.
func (n *Node) start(ctx context.Context) error {
	sql, err := pgwire.Listen(ctx, n.cfg.SQLAddr)
	if err != nil {
		return fmt.Errorf("sql address: %w", err)
	}
	n.sqlAddr = sql.Addr()
	var lc net.ListenConfig
	web, err := lc.Listen(ctx, "tcp", n.cfg.HTTPAddr)
	if err != nil {
		return errors.Join(fmt.Errorf("http address: %w", err), sql.Close())
	}
	n.httpAddr = web.Addr()
	if err := n.open(ctx); err != nil {
		return errors.Join(err, sql.Close(), web.Close())
	}
	n.http = newEndpoints(n)
	n.serve(func() error { return n.http.serve(web) })
	n.working.Go(func() { n.peers.exchange(n.life) })
	if err := n.settle(ctx); err != nil {
		return errors.Join(err, sql.Close())
	}
	n.state.Store(nil)
	n.serve(func() error {
		if err := n.server.Serve(sql); !errors.Is(err, pgwire.ErrServerClosed) {
			return fmt.Errorf("sql: %w", err)
		}
		return nil
	})
	return nil
}

// open opens the node's share of the log engine and its replica of the meta
// database, which a new node makes or is given first.
func (n *Node) open(ctx context.Context) (err error) {
	cluster, err := n.chooseCluster(ctx)
	if err != nil {
		return err
	}
	n.host, err = raftlog.OpenHost(raftlog.HostConfig{
		Dir: n.cfg.Dir, Cluster: cluster, Joins: n.cfg.Join != "",
		RaftAddr: n.cfg.RaftAddr, Via: n.cfg.Via, Logger: n.cfg.Logger,
	})
	if err != nil {
		return err
	}
	n.cache = pebble.NewCache(n.cfg.CacheBytes)
	n.peers = newPeers(n)
	if err := n.recordAddresses(); err != nil {
		return err
	}
	r, err := n.metaReplica(ctx)
	if err != nil {
		return err
	}
	if n.meta.db, err = n.databases.start(r, metaDatabase); err != nil {
		return err
	}
	n.server = pgwire.NewServer(pgwire.Config{
		Sessions:       pgwire.SessionFactoryFunc(n.newSession),
		Route:          n.route,
		Version:        Version,
		MaxConnections: n.cfg.MaxConnections,
		Logger:         n.cfg.Logger,
	})
	return nil
}

// recordAddresses notes where the node is to be found. Other nodes believe the
// newest incarnation.
func (n *Node) recordAddresses() error {
	now := n.addresses()
	if n.local.get().Addresses == now {
		return nil
	}
	return n.local.change(func(c *localContents) {
		c.Addresses = now
		c.Incarnation++
	})
}

// self is the node's name.
func (n *Node) self() log.NodeID { return n.host.Identity().NodeID }

// cluster is the name of the cluster that the node belongs to.
func (n *Node) cluster() string { return n.host.Identity().Cluster }

// addresses are where the node is to be found.
func (n *Node) addresses() addresses {
	return addresses{SQL: n.SQLAddr(), Raft: n.host.RaftAddr(), HTTP: n.HTTPAddr()}
}

// peer is the node as others should know it.
func (n *Node) peer() peer {
	return peer{Node: n.self(), Incarnation: n.local.get().Incarnation, addresses: n.addresses()}
}

// status is what other nodes are told.
func (n *Node) status() nodeStatus {
	s := nodeStatus{
		Cluster: n.cluster(), peer: n.peer(), Version: Version,
		Replicas: statusOfReplicas(n.databases.all()), Peers: n.peers.all(),
	}
	s.DiskFull = n.host.DiskFull() != nil
	s.DiskFree = int64(n.host.DiskFree())
	return s
}

// fail says that a part of the node has ended on its own.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default: // there is a reason to close the node already
	}
}

// serve runs one of the node's servers.
func (n *Node) serve(run func() error) {
	n.serving.Go(func() {
		if err := run(); err != nil {
			n.fail(err)
		}
	})
}

// notReady returns why the node should get no clients now, or nil.
func (n *Node) notReady() error {
	if err := n.state.Load(); err != nil {
		return *err
	}
	for _, db := range n.databases.all() {
		if err := db.replica.Halted(); err != nil {
			return fmt.Errorf("database %s: %w", db.name(), err)
		}
		if db.waiting.Load() {
			return fmt.Errorf("database %s: %w", db.name(), errWaiting)
		}
	}
	return nil
}

// Failed yields an error when a part of the node has ended on its own, such as a
// listener that broke; the node ought to be closed then.
func (n *Node) Failed() <-chan error { return n.failed }

// SQLAddr returns the address that SQL clients connect to, host:port.
func (n *Node) SQLAddr() string { return n.sqlAddr.String() }

// HTTPAddr returns the address of the health checks and metrics, host:port.
func (n *Node) HTTPAddr() string { return n.httpAddr.String() }

// LogSyncs returns how often the Raft log has been made durable since the start.
// An acknowledged write has been preceded by one of them.
func (n *Node) LogSyncs() uint64 { return n.host.Syncs() }

// Close ends the node: clients are told, what is applied is made durable. When
// ctx ends first, clients are cut off; the data is closed in order all the same.
func (n *Node) Close(ctx context.Context) error {
	n.closing.Do(func() {
		n.state.Store(&errClosing)
		n.closed = n.close(ctx)
	})
	return n.closed
}

func (n *Node) close(ctx context.Context) error {
	var errs []error
	n.end()
	n.working.Wait()
	if n.server != nil {
		n.retire(ctx)
		errs = append(errs, n.server.Shutdown(ctx))
	}
	if n.http != nil { // its requests ended with the node's life
		errs = append(errs, n.http.close(ctx))
	}
	n.serving.Wait()
	n.databases.quiesce()
	// The logs first: from then on nobody calls the state machines.
	if n.host != nil {
		errs = append(errs, n.host.Close())
	}
	errs = append(errs, n.databases.close())
	if n.peers != nil {
		n.peers.close()
	}
	if n.cache != nil {
		n.cache.Unref()
	}
	return errors.Join(errs...)
}

// retire hands the groups that this node leads to others, so that their clients
// need not wait for an election.
func (n *Node) retire(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, retireTimeout)
	defer cancel()
	state := n.meta.state.Load()
	live, leads := n.board.live(), map[log.NodeID]int{}
	for _, id := range n.leading(state) {
		db := n.databases.get(id)
		to, ok := n.heir(state, live, leads, db)
		if !ok {
			continue
		}
		leads[to.Node]++
		if err := db.shard.TransferLeader(ctx, to.Replica); err != nil {
			n.cfg.Logger.Debug("a group could not be handed over", "database", db.name(), "error", err)
		}
	}
}

// retireTimeout bounds the time for that.
const retireTimeout = 3 * time.Second
