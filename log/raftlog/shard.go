package raftlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/client"

	"github.com/tidemark-db/tidemark/log"
)

// Bounds for calls whose context has no deadline, because Dragonboat needs one.
const (
	proposalTimeout = 30 * time.Second
	readTimeout     = 30 * time.Second
)

// closeTimeout bounds the wait for a running Apply when one shard is closed.
const closeTimeout = time.Minute

// Shard is one replicated log on this node. It implements log.Log.
type Shard struct {
	host    *Host
	id      log.ID
	replica log.ReplicaID
	state   log.StateMachine
	session *client.Session
	members *members
	ready   chan struct{} // everything found at the start is applied
	running sync.WaitGroup

	changing sync.Mutex // one change of the membership at a time

	engine  sync.Mutex  // one start or stop of the replica's engine at a time
	machine *machine    // guarded by engine
	quick   atomic.Bool // it has the timing of a group of one; changes with engine held

	watched sync.Mutex // held while the watchdog waits for an answer

	// gate is held by requests from their beginning to their end, so that the
	// engine can be stopped and started again without any of them noticing.
	gate sync.RWMutex

	leaders bell // rings when the group has got a leader

	removal sync.Once
	removed chan struct{} // closed when the replica learns that it was removed

	// life ends when the shard is closed. sending is held by requests while they
	// enter Dragonboat, which does not expect calls during its own Close.
	life    context.Context
	end     context.CancelFunc
	sending sync.RWMutex
}

var _ log.Log = (*Shard)(nil)

func newShard(h *Host, id log.ID, replica log.ReplicaID, state log.StateMachine) *Shard {
	life, end := context.WithCancel(context.Background())
	return &Shard{
		host:    h,
		id:      id,
		replica: replica,
		session: h.node.GetNoOPSession(uint64(id)),
		state:   state,
		members: newMembers(),
		ready:   make(chan struct{}),
		removed: make(chan struct{}),
		life:    life,
		end:     end,
	}
}

func (s *Shard) start() {
	s.running.Go(func() {
		s.members.follow(s.life, s.host.node, uint64(s.id), uint64(s.replica), s.ready, s.removed)
	})
}

// Ready waits until the group has a leader and everything that was in the log at
// the start has been applied here.
func (s *Shard) Ready(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case <-s.removed:
		return log.ErrClosed
	case <-s.life.Done():
		return log.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Replica returns this replica's number.
func (s *Shard) Replica() log.ReplicaID { return s.replica }

// Leader returns the number of the replica that leads the group in a term, and
// whether there is one, as far as this replica has heard.
func (s *Shard) Leader() (replica log.ReplicaID, term uint64, ok bool) {
	leader, term, ok, err := s.host.node.GetLeaderID(uint64(s.id))
	return log.ReplicaID(leader), term, ok && err == nil
}

// Removed is closed once this replica learns that it was removed from its group.
// It may never learn that: the others stop talking to it at once.
func (s *Shard) Removed() <-chan struct{} { return s.removed }

func (s *Shard) noteRemoved() { s.removal.Do(func() { close(s.removed) }) }

// Append implements log.Log.
func (s *Shard) Append(ctx context.Context, data []byte) ([]byte, error) {
	if len(data) > log.MaxEntryBytes {
		return nil, log.ErrTooLarge
	}
	if err := s.state.Halted(); err != nil {
		return nil, err
	}
	if err := s.host.DiskFull(); err != nil && !(log.IsFreeingSpace(ctx) && s.host.fs.space.Waiting() == 0) {
		return nil, err
	}
	result, err := s.pursue(ctx, proposalTimeout, func(timeout time.Duration) (*dragonboat.RequestState, error) {
		return s.host.node.Propose(s.session, data, timeout)
	})
	switch {
	case errors.Is(err, errUnsettled):
		return nil, fmt.Errorf("%w: %w", log.ErrUnknownOutcome, err)
	case err != nil:
		return nil, err
	}
	return result.Data, nil
}

// ReadIndex implements log.Log.
func (s *Shard) ReadIndex(ctx context.Context) error {
	if s.life.Err() != nil {
		return log.ErrClosed
	}
	if s.members.alone.Load() {
		return nil // also when halted: nobody has gone on without us
	}
	_, err := s.pursue(ctx, readTimeout, func(timeout time.Duration) (*dragonboat.RequestState, error) {
		return s.host.node.ReadIndex(uint64(s.id), timeout)
	})
	if err != nil {
		return err
	}
	return s.state.Halted() // Dragonboat counted on, the state machine did not
}

// refusal translates errors of requests that were never accepted.
func refusal(err error) error {
	switch {
	case errors.Is(err, dragonboat.ErrPayloadTooBig):
		return log.ErrTooLarge
	case errors.Is(err, dragonboat.ErrClosed), errors.Is(err, dragonboat.ErrShardClosed), errors.Is(err, dragonboat.ErrShardNotFound):
		return log.ErrClosed
	}
	return fmt.Errorf("log request: %w", err)
}

// stop lets requests fail and ends the shard's goroutine.
func (s *Shard) stop() bool {
	s.sending.Lock()
	open := s.life.Err() == nil
	s.end()
	s.sending.Unlock()
	s.running.Wait()
	return open
}

// Close implements log.Log. Other logs of the host go on.
func (s *Shard) Close() error {
	if !s.stop() {
		return nil
	}
	defer s.host.forget(s.id)
	s.engine.Lock()
	defer s.engine.Unlock()
	return s.stopEngine()
}
