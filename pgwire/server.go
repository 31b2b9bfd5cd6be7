package pgwire

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("pgwire: server closed")

// Config says how a Server behaves. Only Sessions must be set.
type Config struct {
	Sessions SessionFactory

	// Route says which other node's SQL address a connection to a database is to be
	// handed to; ok is false when this node serves it itself, or refuses it. It is
	// asked after the start-up packet and must not wait. nil serves everything here.
	Route func(database string) (addr string, ok bool)

	// TLS is used for clients that ask for encryption; nil declines.
	TLS *tls.Config

	// Version is Tidemark's own version, which server_version names beside PostgreSQL's.
	Version string

	MaxConnections int           // sessions at a time; DefaultMaxConnections if 0
	MaxPending     int           // connections not yet authenticated; DefaultMaxPending if 0
	AuthTimeout    time.Duration // from accept to the end of authentication; DefaultAuthTimeout if 0
	WriteTimeout   time.Duration // for a client that does not read; DefaultWriteTimeout if 0
	IdleTimeout    time.Duration // for a client that sends nothing; none if 0
	MessageMemory  int64         // bytes of all large messages being received; DefaultMessageMemory if 0

	Logger *slog.Logger // slog.Default() if nil
}

// Server accepts clients and serves them. Create it with NewServer.
type Server struct {
	cfg    Config
	log    *slog.Logger
	budget memoryBudget
	clock  coarseClock
	wg     sync.WaitGroup // connections and the watcher

	mu        sync.Mutex
	closed    bool
	done      chan struct{} // closed with closed
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{} // all
	active    map[int32]*conn    // those with a session, by process id
	pending   list.List          // of *conn: those without, the oldest first
	waiting   map[*conn]*list.Element
	relays    int                  // connections that other nodes serve
	relayed   map[cancelKey]string // their addresses, of those that can be cancelled
	lastID    int32
	watching  bool
}

// NewServer makes a server that is not yet listening.
func NewServer(cfg Config) *Server {
	setDefault(&cfg.MaxConnections, DefaultMaxConnections)
	setDefault(&cfg.MaxPending, DefaultMaxPending)
	setDefault(&cfg.AuthTimeout, DefaultAuthTimeout)
	setDefault(&cfg.WriteTimeout, DefaultWriteTimeout)
	setDefault(&cfg.MessageMemory, int64(DefaultMessageMemory))
	setDefault(&cfg.Version, "devel")
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Server{
		cfg:       cfg,
		log:       cfg.Logger,
		done:      make(chan struct{}),
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[*conn]struct{}),
		active:    make(map[int32]*conn),
		waiting:   make(map[*conn]*list.Element),
		relayed:   make(map[cancelKey]string),
	}
	s.budget.limit = cfg.MessageMemory
	s.clock.start()
	return s
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Listen opens a TCP listener with the keep-alive settings that find clients
// which vanished without a word.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable:   true,
		Idle:     keepAliveIdle,
		Interval: keepAliveInterval,
		Count:    keepAliveCount,
	}}
	return lc.Listen(ctx, "tcp", address)
}

// Serve accepts connections until Shutdown, when it returns ErrServerClosed, or
// until the listener breaks. It closes the listener. It may be called for
// several listeners.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	if !s.addListener(ln) {
		return ErrServerClosed
	}
	defer s.removeListener(ln)
	var pause time.Duration
	for {
		nc, err := ln.Accept()
		if err == nil {
			pause = 0
			s.ServeConn(nc)
			continue
		}
		if s.isClosed() {
			return ErrServerClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept: %w", err)
		}
		// Out of descriptors or the like: it passes when connections close.
		pause = min(max(2*pause, 5*time.Millisecond), acceptBackoffMax)
		s.log.Warn("cannot accept a connection", "err", err, "retry", pause)
		select {
		case <-s.done:
			return ErrServerClosed
		case <-time.After(pause):
		}
	}
}

// ServeConn serves one connection that was accepted elsewhere, in a goroutine
// of its own. It closes the connection, at once if the server is shut down.
func (s *Server) ServeConn(nc net.Conn) {
	c := newConn(s, nc)
	if !s.add(c) {
		_ = nc.Close() // it was never served: nothing can be lost
		return
	}
	go c.serve()
}

// Shutdown stops accepting, ends every connection with 57P01 and waits for
// them. When ctx ends first, what is left is cut off and ctx's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	for ln := range s.listeners {
		_ = ln.Close() // Serve sees closed, whatever this returns
	}
	for c := range s.conns {
		c.terminate(adminShutdown())
	}
	s.mu.Unlock()

	finished := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.raw.Close() // wakes the connection if it waits for the client
	}
	return fmt.Errorf("shutdown: %d connections did not end in time: %w", len(s.conns), context.Cause(ctx))
}

// Connections is the number of clients with a session.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.active)
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) removeListener(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// add registers a connection as waiting for its client to introduce itself. If
// too many wait, the oldest is shown the door: an honest client needs
// milliseconds, and thousands that say nothing must not lock it out.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if !s.watching {
		s.watching = true
		s.wg.Go(s.watch)
	}
	if s.pending.Len() >= s.cfg.MaxPending {
		oldest := s.pending.Front()
		evicted := s.pending.Remove(oldest).(*conn)
		delete(s.waiting, evicted)
		evicted.terminate(sqlstate.New(sqlstate.TooManyConnections, "too many connections are waiting to be authenticated"))
	}
	s.conns[c] = struct{}{}
	s.waiting[c] = s.pending.PushBack(c)
	s.wg.Add(1)
	return true
}

// admit gives an authenticated connection its process id and its key, if there
// is room for one more session.
func (s *Server) admit(c *conn) error {
	secret := newSecret()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.room(c); err != nil {
		return err
	}
	for {
		s.lastID++
		if s.lastID <= 0 {
			s.lastID = 1
		}
		if _, taken := s.active[s.lastID]; !taken {
			break
		}
	}
	c.processID, c.secret = s.lastID, secret
	s.active[c.processID] = c
	return nil
}

// room takes an authenticated connection in if there is room for one more.
func (s *Server) room(c *conn) error {
	if len(s.active)+s.relays >= s.cfg.MaxConnections {
		return fatal(sqlstate.TooManyConnections, "sorry, too many clients already")
	}
	s.leavePending(c)
	return nil
}

// remove forgets a connection that has ended.
func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leavePending(c)
	delete(s.conns, c)
	if c.processID != 0 {
		delete(s.active, c.processID)
	}
	s.wg.Done()
}

func (s *Server) leavePending(c *conn) {
	if e, ok := s.waiting[c]; ok {
		s.pending.Remove(e)
		delete(s.waiting, c)
	}
}
