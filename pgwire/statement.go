package pgwire

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// statementContext hands out the context under which a session runs the
// messages of one connection. A context that was not cancelled serves the next
// message too: a cancellable context for each would cost four allocations.
type statementContext struct {
	mu      sync.Mutex
	parent  context.Context // the connection's, cancelled when it is terminated
	ctx     context.Context
	cancel  context.CancelCauseFunc
	running bool

	// since is the time at which the statement began, 0 when none is running.
	// Only the watcher reads it.
	since atomic.Int64
}

func (s *statementContext) init(parent context.Context) {
	s.parent = parent
	s.ctx, s.cancel = context.WithCancelCause(parent)
}

// begin starts a statement: from here to end, interrupt reaches it.
func (s *statementContext) begin(now int64) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil && s.parent.Err() == nil {
		s.cancel(nil)
		s.ctx, s.cancel = context.WithCancelCause(s.parent)
	}
	s.running = true
	s.since.Store(now)
	return s.ctx
}

func (s *statementContext) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	s.since.Store(0)
}

// interrupt cancels the statement that is running, if any.
func (s *statementContext) interrupt(cause *sqlstate.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		s.cancel(cause)
	}
}

// cause is what the statement was cancelled for, or nil.
func (s *statementContext) cause() error {
	if s.ctx.Err() == nil {
		return nil
	}
	return context.Cause(s.ctx)
}

func (s *statementContext) close() { s.cancel(nil) }
