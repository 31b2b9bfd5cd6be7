package query

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemark-db/tidemark/log"
)

// freshness says since when this node is known to have had everything. The time
// of a state is when the ReadIndex began that it satisfied: what was acknowledged
// until then is in it.
type freshness struct {
	log   log.Log
	began atomic.Pointer[time.Time] // of the last ReadIndex that succeeded

	mu     sync.Mutex
	asking *question // under way for whoever can use it
}

// question is a ReadIndex that several sessions wait for.
type question struct {
	began time.Time
	done  chan struct{}
	err   error // once done
}

// freshnessStep is how much later a ReadIndex has to begin than the last one to
// be noted: noting each would cost as much as the reads themselves.
const freshnessStep = 5 * time.Millisecond

// age is how long ago a time was, by whichever of the two clocks says longer: the
// monotonic one stands still while a machine sleeps, the other one may be set back.
func age(t time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// confirm returns once everything acknowledged before the call can be read here.
func (f *freshness) confirm(ctx context.Context) error {
	began := time.Now()
	if err := f.log.ReadIndex(ctx); err != nil {
		return err
	}
	if last := f.began.Load(); last == nil || began.Sub(*last) >= freshnessStep {
		f.began.Store(&began)
	}
	return nil
}

// within reports whether everything acknowledged until limit ago is known to be
// readable here.
func (f *freshness) within(limit time.Duration) bool {
	last := f.began.Load()
	return last != nil && limit > 0 && age(*last) <= limit
}

// confirmWithin returns once everything acknowledged until limit ago can be read
// here. Sessions that cannot go on without asking share one ReadIndex.
func (f *freshness) confirmWithin(ctx context.Context, limit time.Duration) error {
	if limit <= 0 {
		return f.confirm(ctx)
	}
	for !f.within(limit) {
		x := f.join(limit)
		select {
		case <-x.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		switch {
		case x.err == nil:
			return nil // it was young enough when this session began to wait for it
		case !errors.Is(x.err, context.DeadlineExceeded):
			return x.err
		}
	}
	return nil
}

// join returns a ReadIndex that began at most limit ago, a new one if need be.
func (f *freshness) join(limit time.Duration) *question {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asking != nil && age(f.asking.began) <= limit {
		return f.asking
	}
	x := &question{began: time.Now(), done: make(chan struct{})}
	f.asking = x
	go func() {
		// Not a session's context: others wait as well when it is cancelled.
		shared, cancel := context.WithTimeout(context.Background(), questionTimeout)
		defer cancel()
		x.err = f.confirm(shared)
		if x.err != nil && shared.Err() != nil {
			x.err = shared.Err()
		}
		f.mu.Lock()
		if f.asking == x {
			f.asking = nil
		}
		f.mu.Unlock()
		close(x.done)
	}()
	return x
}

// questionTimeout is after how long a ReadIndex that sessions share is given up;
// those that have more time ask again.
const questionTimeout = 10 * time.Second
