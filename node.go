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

// databaseName and databaseLog are the one database that a node has. Log 1 is
// reserved for the cluster's own state.
const (
	databaseName        = "postgres"
	databaseLog  log.ID = 2
)

// replayNotice is how long replaying the log may take before it is reported.
const replayNotice = time.Second

// Why a node is not ready.
var (
	errStarting = errors.New("the log is being replayed")
	errClosing  = errors.New("the node is shutting down")
)

// Node is a running node.
type Node struct {
	cfg    Config
	cache  *pebble.Cache
	host   *raftlog.Host
	db     *database
	server *pgwire.Server
	http   *endpoints

	sqlAddr, httpAddr net.Addr
	serving           sync.WaitGroup
	failed            chan error // a listener broke
	state             atomic.Pointer[error]
	closing           sync.Once
	closed            error
}

// Open starts a node and returns when it serves SQL clients. Errors: an address
// is taken or not allowed, the data directory is in use or damaged, ctx ended
// before the log was replayed.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, failed: make(chan error, 2)}
	n.state.Store(&errStarting)
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(err, n.Close(context.Background()))
	}
	return n, nil
}

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
	if err := n.open(); err != nil {
		return errors.Join(err, sql.Close(), web.Close())
	}
	n.http = newEndpoints(n)
	n.serve(func() error { return n.http.serve(web) })
	if err := n.replay(ctx); err != nil {
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

// open opens what is on disk and wires it together.
func (n *Node) open() (err error) {
	n.host, err = raftlog.OpenHost(raftlog.HostConfig{Dir: n.cfg.Dir, RaftAddr: n.cfg.RaftAddr, Logger: n.cfg.Logger})
	if err != nil {
		return err
	}
	n.cache = pebble.NewCache(n.cfg.CacheBytes)
	if n.db, err = openDatabase(n); err != nil {
		return fmt.Errorf("database %s: %w", databaseName, err)
	}
	n.server = pgwire.NewServer(pgwire.Config{
		Sessions:       n.db.sessions(),
		Version:        Version,
		MaxConnections: n.cfg.MaxConnections,
		Logger:         n.cfg.Logger,
	})
	return nil
}

// replay waits until the tables hold what the log says.
func (n *Node) replay(ctx context.Context) error {
	began := time.Now()
	notice := time.AfterFunc(replayNotice, func() { n.cfg.Logger.Info("replaying the log") })
	defer notice.Stop()
	if err := n.db.shard.Ready(ctx); err != nil {
		return fmt.Errorf("replay the log: %w", err)
	}
	n.cfg.Logger.Debug("log replayed", "took", time.Since(began), "offset", n.db.replica.Position().Offset.String())
	return nil
}

// serve runs one of the node's servers.
func (n *Node) serve(run func() error) {
	n.serving.Go(func() {
		if err := run(); err != nil {
			n.failed <- err
		}
	})
}

// notReady returns why the node should get no clients now, or nil.
func (n *Node) notReady() error {
	if err := n.state.Load(); err != nil {
		return *err
	}
	return n.db.replica.Halted()
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
	if n.server != nil {
		errs = append(errs, n.server.Shutdown(ctx))
	}
	if n.http != nil {
		errs = append(errs, n.http.close(ctx))
	}
	n.serving.Wait()
	if n.db != nil {
		n.db.quiesce()
	}
	// The log first: from then on nobody calls the state machine.
	if n.host != nil {
		errs = append(errs, n.host.Close())
	}
	if n.db != nil {
		errs = append(errs, n.db.close())
	}
	if n.cache != nil {
		n.cache.Unref()
	}
	return errors.Join(errs...)
}
