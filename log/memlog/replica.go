package memlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/log"
)

// answer is what a waiter in Append gets.
type answer struct {
	data []byte
	err  error
}

// Replica is one state machine's place in the order. It implements log.Log:
// Append waits until this replica has applied the entry.
type Replica struct {
	cluster *Cluster

	// applying is held during calls of the state machine, so that Restart and
	// Restore never meet an Apply.
	applying sync.Mutex
	machine  log.StateMachine

	// Guarded by cluster.mu.
	next    int // place of the next entry to apply
	waiting map[int]chan answer
	err     error // why the replica has stopped
	idle    []chan struct{}
}

var _ log.Log = (*Replica)(nil)

// Step applies up to n entries in one call of Apply and returns their answers.
func (r *Replica) Step(n int) ([][]byte, error) {
	r.applying.Lock()
	defer r.applying.Unlock()
	return r.applyNext(n)
}

// StepBatch applies one batch of a random size, as the options say, and returns
// how many entries that were; zero when there is nothing to do.
func (r *Replica) StepBatch() (int, error) {
	r.applying.Lock()
	defer r.applying.Unlock()
	c := r.cluster
	c.mu.Lock()
	n := c.cut(len(c.order) - r.next)
	c.mu.Unlock()
	answers, err := r.applyNext(n)
	return len(answers), err
}

// Behind returns how many entries this replica has not applied yet.
func (r *Replica) Behind() int {
	r.cluster.mu.Lock()
	defer r.cluster.mu.Unlock()
	return len(r.cluster.order) - r.next
}

// Restart puts machine, reopened after a crash or a stop, in the place of the
// replica's state machine. Entries after what it has applied come again.
func (r *Replica) Restart(machine log.StateMachine) {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.cluster.mu.Lock()
	defer r.cluster.mu.Unlock()
	r.machine = machine // with both locks, so that either is enough to read it
	r.next, r.err = r.cluster.position(machine.Applied()), nil
	r.cluster.grown.Broadcast()
}

// Restore replaces the state of r by a snapshot of from, taken now.
func (r *Replica) Restore(from *Replica) error {
	image, err := from.snapshot()
	if err != nil {
		return fmt.Errorf("take snapshot: %w", err)
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	if err := r.machine.Restore(bytes.NewReader(image), nil); err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	r.cluster.mu.Lock()
	defer r.cluster.mu.Unlock()
	r.next, r.err = r.cluster.position(r.machine.Applied()), nil
	r.cluster.grown.Broadcast()
	return nil
}

func (r *Replica) snapshot() ([]byte, error) {
	r.applying.Lock()
	machine := r.machine
	image, err := machine.Prepare()
	r.applying.Unlock()
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := machine.Save(image, &buf, nil); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// applyNext applies n entries; r.applying is held.
func (r *Replica) applyNext(n int) ([][]byte, error) {
	c := r.cluster
	c.mu.Lock()
	if r.err != nil {
		c.mu.Unlock()
		return nil, r.err
	}
	first := r.next
	n = min(n, len(c.order)-first)
	batch := make([]log.Committed, n)
	for i := range batch {
		batch[i] = log.Committed{Index: c.order[first+i].index, Data: c.order[first+i].data}
	}
	c.mu.Unlock()
	if n == 0 {
		return nil, nil
	}

	answers, err := r.machine.Apply(batch)
	if err == nil && len(answers) != n {
		err = fmt.Errorf("%d answers to %d entries", len(answers), n)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	for i, data := range answers[:min(n, len(answers))] {
		if differs := c.compareLocked(first+i, data); differs != nil && err == nil {
			err = differs
		}
		r.next++
		r.answerLocked(first+i, answer{data: data})
	}
	if err != nil {
		r.stopLocked(err)
	}
	r.wakeIdleLocked()
	return answers, err
}

// answerLocked answers who waits for the entry at place.
func (r *Replica) answerLocked(place int, a answer) {
	if ch, ok := r.waiting[place]; ok {
		ch <- a // has room for one
		delete(r.waiting, place)
	}
}

// stopLocked ends the replica: nobody who waits gets an answer any more.
func (r *Replica) stopLocked(err error) {
	if r.err == nil {
		r.err = err
	}
	for place := range r.waiting { // order does not matter: every waiter gets the same
		r.answerLocked(place, answer{err: fmt.Errorf("%w: %w", log.ErrUnknownOutcome, err)})
	}
	r.wakeIdleLocked()
}

func (r *Replica) wakeIdleLocked() {
	for _, ch := range r.idle {
		close(ch)
	}
	r.idle = nil
}

// Append implements log.Log. In a cluster that has not been started it drives
// this replica itself until the entry is applied.
func (r *Replica) Append(ctx context.Context, data []byte) ([]byte, error) {
	if len(data) > log.MaxEntryBytes {
		return nil, log.ErrTooLarge
	}
	if err := r.Halted(); err != nil {
		return nil, err
	}
	c := r.cluster
	c.mu.Lock()
	if r.err != nil {
		defer c.mu.Unlock()
		return nil, r.err
	}
	place := c.appendLocked(bytes.Clone(data))
	ch := make(chan answer, 1)
	r.waiting[place] = ch
	started := c.started
	c.mu.Unlock()

	for !started {
		select {
		case a := <-ch:
			return a.data, a.err
		default:
		}
		if n, err := r.StepBatch(); err != nil || n == 0 {
			break
		}
	}
	select {
	case a := <-ch:
		return a.data, a.err
	case <-ctx.Done():
		c.mu.Lock()
		delete(r.waiting, place)
		c.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", log.ErrUnknownOutcome, ctx.Err())
	}
}

// ReadIndex implements log.Log: it waits for everything appended so far.
func (r *Replica) ReadIndex(ctx context.Context) error {
	c := r.cluster
	c.mu.Lock()
	end, started := len(c.order), c.started
	c.mu.Unlock()
	for {
		c.mu.Lock()
		if r.err != nil || r.next >= end {
			err, alone := r.err, len(c.replicas) == 1
			c.mu.Unlock()
			if err == nil && !alone {
				err = r.Halted() // others may have gone on
			}
			return err
		}
		ch := make(chan struct{})
		r.idle = append(r.idle, ch)
		c.mu.Unlock()
		if !started {
			if _, err := r.StepBatch(); err != nil {
				return err
			}
			continue
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Halted returns why the replica's state machine has stopped applying, or nil.
func (r *Replica) Halted() error {
	r.cluster.mu.Lock()
	machine := r.machine
	r.cluster.mu.Unlock()
	return machine.Halted()
}

// Close implements log.Log: it stops this replica only. The state machine stays
// open.
func (r *Replica) Close() error {
	r.cluster.mu.Lock()
	r.stopLocked(log.ErrClosed)
	r.cluster.grown.Broadcast()
	r.cluster.mu.Unlock()
	r.applying.Lock() // wait for a running Apply
	defer r.applying.Unlock()
	return nil
}

// run starts the replica's goroutine; cluster.mu is held.
func (c *Cluster) run(r *Replica) {
	c.running.Go(func() {
		for {
			c.mu.Lock()
			for !c.closed && (r.err != nil || r.next >= len(c.order)) {
				c.grown.Wait()
			}
			if c.closed {
				c.mu.Unlock()
				return
			}
			delay := time.Duration(0)
			if c.opts.MaxDelay > 0 {
				delay = time.Duration(c.rnd.Int64N(int64(c.opts.MaxDelay)))
			}
			c.mu.Unlock()
			if delay > 0 {
				select {
				case <-time.After(delay):
				case <-c.stop:
				}
			}
			if _, err := r.StepBatch(); errors.Is(err, ErrDiverged) {
				return
			}
		}
	})
}
