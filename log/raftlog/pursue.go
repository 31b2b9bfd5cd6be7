package raftlog

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"
	sm "github.com/lni/dragonboat/v4/statemachine"

	"github.com/tidemark-db/tidemark/log"
)

// A request that was refused for lack of room or of a leader is tried again, with
// pauses that double from the first to the longest, for so long in all.
const (
	retryPauseFirst   = time.Millisecond
	retryPauseLongest = 50 * time.Millisecond
	retryFor          = 10 * time.Second
)

// patienceFirst is for how long a request that was accepted may go without an
// answer before it is made again, while the leader stays the same; it doubles
// each time. With another leader it is made again at once: what the old one had
// not replicated is gone.
const patienceFirst = time.Second

// bell wakes everybody who listens. The zero value is ready.
type bell struct{ ch atomic.Pointer[chan struct{}] }

// listen returns a channel that is closed by the next ring.
func (b *bell) listen() <-chan struct{} {
	for {
		if ch := b.ch.Load(); ch != nil {
			return *ch
		}
		ch := make(chan struct{})
		b.ch.CompareAndSwap(nil, &ch)
	}
}

func (b *bell) ring() {
	if ch := b.ch.Swap(nil); ch != nil {
		close(*ch)
	}
}

// errUnsettled says that a request was accepted and that its end is not known.
var errUnsettled = errors.New("no answer from the log")

// pursuit is one request and all attempts at it. Nobody knows whether an attempt
// without an answer was lost, so all are listened to, and the state machine
// recognises an entry that comes more than once.
type pursuit struct {
	s        *Shard
	send     func(time.Duration) (*dragonboat.RequestState, error)
	deadline time.Time

	open     []*dragonboat.RequestState // without an answer so far
	attempts int                        // that were accepted and not dropped
	tooLate  bool                       // an attempt was refused by its age: no more of them

	refused         time.Time // since when attempts are refused or dropped
	pause, patience time.Duration
}

// pursue runs a request to its end. What was refused is tried again, and so is
// what was accepted and finds no answer.
func (s *Shard) pursue(ctx context.Context, timeout time.Duration, send func(time.Duration) (*dragonboat.RequestState, error)) (sm.Result, error) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	p := pursuit{s: s, send: send, deadline: time.Now().Add(timeout), pause: retryPauseFirst, patience: patienceFirst}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(p.deadline) {
		p.deadline = deadline
	}
	for {
		if err := ctx.Err(); err != nil {
			return sm.Result{}, p.end(err)
		}
		leader := s.leaders.listen()
		wait, err := p.attempt()
		if err != nil {
			return sm.Result{}, err
		}
		result, done, err := p.await(ctx, wait, leader)
		if done || err != nil {
			return result, err
		}
	}
}

// attempt makes one attempt, unless there may be no more, and returns for how long
// to wait for an answer before the next one; 0 means without a bound.
func (p *pursuit) attempt() (time.Duration, error) {
	now := time.Now()
	left := p.deadline.Sub(now)
	if left <= 0 {
		return 0, p.end(context.DeadlineExceeded)
	}
	if p.tooLate {
		if len(p.open) == 0 {
			return 0, p.end(errTooLate)
		}
		return left, nil
	}
	rs, err := p.s.send(max(left, tickMs*time.Millisecond), p.send)
	if err == nil {
		p.open = append(p.open, rs)
		p.attempts++
		wait := p.patience
		p.patience *= 2
		if p.s.members.alone.Load() {
			return 0, nil // nobody else can be the leader, and nothing is lost
		}
		return min(wait, left), nil
	}
	if !errors.Is(err, dragonboat.ErrSystemBusy) && !errors.Is(err, dragonboat.ErrShardNotReady) && !errors.Is(err, dragonboat.ErrShardNotInitialized) {
		return 0, p.end(refusal(err))
	}
	return p.rest(err)
}

// rest returns the pause before the next attempt when one was refused, or the end
// when nothing else is left and it has been so for long.
func (p *pursuit) rest(err error) (time.Duration, error) {
	if p.refused.IsZero() {
		p.refused = time.Now()
	}
	if p.attempts == 0 && time.Since(p.refused) > retryFor {
		return 0, p.end(err)
	}
	pause := p.pause
	p.pause = min(2*p.pause, retryPauseLongest)
	return pause, nil
}

var errTooLate = errors.New("the entry came too late")

// end says that there will be no answer.
func (p *pursuit) end(err error) error {
	switch {
	case p.attempts > 0:
		return fmt.Errorf("%w: %w", errUnsettled, err)
	case errors.Is(err, dragonboat.ErrSystemBusy), errors.Is(err, dragonboat.ErrShardNotReady), errors.Is(err, dragonboat.ErrShardNotInitialized),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", log.ErrBusy, err)
	}
	return err
}

// await waits for an answer to any of the attempts. It returns without one when
// it is time for another attempt.
func (p *pursuit) await(ctx context.Context, wait time.Duration, leader <-chan struct{}) (result sm.Result, done bool, err error) {
	var timer <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		timer = t.C
	}
	if len(p.open) == 0 {
		leader = nil // refused, and not because of the leader alone
	}
	for {
		i, answer := p.listen(ctx, timer, leader)
		switch {
		case i == heardEnough:
			return result, false, nil
		case i == heardRemoval:
			return result, false, p.end(log.ErrClosed)
		case i == heardCancel:
			return result, false, p.end(ctx.Err())
		}
		if result, done, err := p.answered(i, answer); done || err != nil {
			return result, done, err
		}
		if len(p.open) == 0 {
			pause, err := p.rest(dragonboat.ErrShardNotReady)
			if err != nil {
				return result, false, err
			}
			timer, leader = time.After(pause), nil
		}
	}
}

// What listen heard, if not the answer to an attempt.
const (
	heardEnough  = -1 // the wait is over, or there is another leader
	heardRemoval = -2 // the engine has dropped the replica with all that it was asked
	heardCancel  = -3
)

// listen waits for the answer to one of the attempts, and returns which.
func (p *pursuit) listen(ctx context.Context, timer <-chan time.Time, leader <-chan struct{}) (int, dragonboat.RequestResult) {
	var only chan dragonboat.RequestResult
	switch len(p.open) {
	case 0:
	case 1:
		only = p.open[0].AppliedC()
	default:
		return p.listenAll(ctx, timer, leader)
	}
	select {
	case answer := <-only:
		return 0, answer
	case <-timer:
	case <-leader:
	case <-p.s.removed:
		return heardRemoval, dragonboat.RequestResult{}
	case <-ctx.Done():
		return heardCancel, dragonboat.RequestResult{}
	}
	return heardEnough, dragonboat.RequestResult{}
}

// listenAll is listen for several attempts.
func (p *pursuit) listenAll(ctx context.Context, timer <-chan time.Time, leader <-chan struct{}) (int, dragonboat.RequestResult) {
	cases := make([]reflect.SelectCase, 0, len(p.open)+4)
	receive := func(ch any) {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ch)})
	}
	for _, rs := range p.open {
		receive(rs.AppliedC())
	}
	receive(timer)
	receive(leader)
	receive(p.s.removed)
	receive(ctx.Done())
	i, v, _ := reflect.Select(cases)
	switch i - len(p.open) {
	case 0, 1:
		return heardEnough, dragonboat.RequestResult{}
	case 2:
		return heardRemoval, dragonboat.RequestResult{}
	case 3:
		return heardCancel, dragonboat.RequestResult{}
	}
	return i, v.Interface().(dragonboat.RequestResult)
}

// answered takes the answer to attempt i.
func (p *pursuit) answered(i int, answer dragonboat.RequestResult) (result sm.Result, done bool, err error) {
	rs := p.open[i]
	p.open = slices.Delete(p.open, i, i+1)
	defer rs.Release()
	switch {
	case answer.Completed():
		result := answer.GetResult()
		if p.attempts == 1 || log.IsExecuted(result.Data) {
			return result, true, nil
		}
		if first, ok := p.executed(); ok {
			return first, true, nil
		}
		if p.tooLate = log.IsTooLate(result.Data); p.tooLate {
			return result, false, nil // what became of the others is not known
		}
		return result, true, nil
	case answer.Dropped():
		p.attempts-- // it was not appended
	case answer.Terminated():
		return result, false, p.end(log.ErrClosed)
	}
	return result, false, nil
}

// executed returns the answer of an attempt that was executed, if it is here.
// Answers come in the order of the log, so that of the execution is here before
// any that says that the entry was repeated, unless it never comes.
func (p *pursuit) executed() (result sm.Result, ok bool) {
	p.open = slices.DeleteFunc(p.open, func(rs *dragonboat.RequestState) bool {
		select {
		case answer := <-rs.AppliedC():
			if answer.Completed() && log.IsExecuted(answer.GetResult().Data) {
				result, ok = answer.GetResult(), true
			}
			return true
		default:
			return false
		}
	})
	return result, ok
}

// send enters Dragonboat with a request.
func (s *Shard) send(timeout time.Duration, send func(time.Duration) (*dragonboat.RequestState, error)) (*dragonboat.RequestState, error) {
	s.sending.RLock()
	defer s.sending.RUnlock()
	if s.life.Err() != nil {
		return nil, dragonboat.ErrClosed
	}
	return send(timeout)
}
