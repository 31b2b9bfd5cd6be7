package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/memlog"
	"github.com/tidemark-db/tidemark/pgwire"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm"
)

const memLog log.ID = 2

// memNode is an engine behind a server, over a replica of a log in memory.
type memNode struct {
	addr    string
	engine  *query.Engine
	replica *sm.Replica
	machine *heldMachine
	link    *heldLog
	server  *pgwire.Server
	leads   atomic.Bool
}

// heldMachine is a state machine that can be made to wait before it applies.
type heldMachine struct {
	*sm.Replica
	held sync.Mutex
	met  atomic.Int64 // calls of Apply that have come this far
}

// Apply implements log.StateMachine.
func (m *heldMachine) Apply(entries []log.Committed) ([][]byte, error) {
	m.met.Add(1)
	m.held.Lock()
	defer m.held.Unlock()
	return m.Replica.Apply(entries)
}

// heldLog is a log whose ReadIndex can be made to wait, or to have no answer.
type heldLog struct {
	log.Log
	mu    sync.Mutex
	gate  chan struct{} // nil: open
	reads atomic.Int64
}

// ReadIndex implements log.Log.
func (l *heldLog) ReadIndex(ctx context.Context) error {
	l.reads.Add(1)
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return l.Log.ReadIndex(ctx)
}

func (l *heldLog) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate = make(chan struct{})
}

func (l *heldLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.gate)
	l.gate = nil
}

// memNodes starts n nodes with replicas of one log; the first leads. set may
// change how a node is made.
func memNodes(t *testing.T, n int, set func(i int, e *query.EngineConfig, p *pgwire.Config)) []*memNode {
	t.Helper()
	cluster := memlog.New(memlog.Options{Seed: 1})
	t.Cleanup(func() { require.NoError(t, cluster.Close()) })
	nodes := make([]*memNode, n)
	for i := range nodes {
		nodes[i] = newMemNode(t, i, cluster, set)
	}
	cluster.Start()
	return nodes
}

func newMemNode(t *testing.T, i int, cluster *memlog.Cluster, set func(i int, e *query.EngineConfig, p *pgwire.Config)) *memNode {
	t.Helper()
	n := &memNode{}
	n.leads.Store(i == 0)
	executor := query.NewExecutor("postgres")
	replica, err := sm.Open(sm.Options{Dir: "data", FS: vfs.NewMem(), Log: memLog, Executor: executor})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Close()) })
	n.replica, n.machine = replica, &heldMachine{Replica: replica}
	n.link = &heldLog{Log: cluster.Add(n.machine)}
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	e := query.EngineConfig{Database: "postgres", Node: uint64(i) + 1, LogID: memLog, Replica: replica, Log: n.link,
		Executor: executor, Logger: logger, Leads: n.leads.Load}
	p := pgwire.Config{Logger: logger}
	if set != nil {
		set(i, &e, &p)
	}
	n.engine = query.NewEngine(e)
	p.Sessions = pgwire.SessionFactoryFunc(func(ctx context.Context, sp query.StartupParams) (pgwire.Session, []query.Setting, error) {
		s, settings, err := n.engine.NewSession(ctx, sp)
		if err != nil {
			return nil, nil, err
		}
		return s, settings, nil
	})
	n.serve(t, p)
	return n
}

// serve starts the node's server.
func (n *memNode) serve(t *testing.T, p pgwire.Config) {
	t.Helper()
	n.server = pgwire.NewServer(p)
	n.addr = serveAt(t, n.server)
}

// serveAt starts a server and returns its address.
func serveAt(t *testing.T, server *pgwire.Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(ln); !errors.Is(err, pgwire.ErrServerClosed) {
			panic(fmt.Sprintf("serve: %v", err))
		}
	})
	t.Cleanup(func() {
		require.NoError(t, server.Shutdown(context.Background()))
		serving.Wait()
	})
	return ln.Addr().String()
}
