package raftlog

import (
	"fmt"
	"time"

	"github.com/lni/dragonboat/v4"
)

// The engine answers every request in time, if only by saying that the time is
// over: its threads do that themselves. A request without any answer means that
// the thread of its group is gone, or hangs in a write. A node that nobody can
// stand in for is patient then, since a disk may be slow; the others are not.
const (
	watchEvery         = time.Second
	watchRequest       = time.Second
	watchPatience      = 3500 * time.Millisecond
	watchEveryAlone    = 10 * time.Second
	watchPatienceAlone = 2 * time.Minute
	watchStep          = 500 * time.Millisecond
)

// waitSteps waits for a value for as long as patience says, in steps: while the
// whole process is stopped no time passes, and while writes wait for space nobody
// is to blame. patience is asked at each step, and says whether it matters.
func waitSteps[T any](h *Host, ch <-chan T, patience func() (time.Duration, bool)) (v T, ok bool) {
	ticker := time.NewTicker(watchStep)
	defer ticker.Stop()
	for waited := time.Duration(0); ; waited += watchStep {
		if limit, matters := patience(); matters && waited >= limit {
			return v, false
		}
		select {
		case v := <-ch:
			return v, true
		case <-h.life.Done():
			return v, true
		case <-ticker.C:
		}
		if h.fs.space.Waiting() > 0 {
			waited = 0
		}
	}
}

// hasOthers reports whether this node is in a group where others can take over.
func (h *Host) hasOthers() bool {
	for _, s := range h.openShards() {
		if s.hasOthers() {
			return true
		}
	}
	return false
}

func (s *Shard) hasOthers() bool { return !s.quick.Load() && !s.members.alone.Load() && !s.isRemoved() }

// watch ends the process when a thread of the engine has died or hangs. A node
// that cannot answer must not look alive: others wait for it, and its clients
// run into one timeout after the other.
func (h *Host) watch() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for round := 0; ; round++ {
		select {
		case <-ticker.C:
		case <-h.life.Done():
			return
		}
		alone := round%int(watchEveryAlone/watchEvery) == 0
		for _, s := range h.sample(round) {
			if alone || s.hasOthers() {
				h.running.Go(s.watch)
			}
		}
	}
}

// sample returns one open replica for each of the engine's threads, another one
// each round: they share the thread, and so its fate.
func (h *Host) sample(round int) []*Shard {
	var threads [stepWorkers][]*Shard
	for _, s := range h.openShards() {
		t := uint64(s.id) % stepWorkers
		threads[t] = append(threads[t], s)
	}
	var out []*Shard
	for _, t := range threads {
		if len(t) > 0 {
			out = append(out, t[round%len(t)])
		}
	}
	return out
}

// watch asks the engine for a sign of life, unless somebody is asking already.
func (s *Shard) watch() {
	if !s.watched.TryLock() {
		return
	}
	defer s.watched.Unlock()
	if !s.answers(s.watchPatience) {
		limit, _ := s.watchPatience()
		die(fmt.Sprintf("log %d has not answered for %s", s.id, limit))
	}
}

func (s *Shard) watchPatience() (time.Duration, bool) {
	if s.hasOthers() {
		return watchPatience, true
	}
	return watchPatienceAlone, true
}

// answers says whether the engine answers a request of this shard at all.
func (s *Shard) answers(patience func() (time.Duration, bool)) bool {
	rs, err := s.send(watchRequest, func(timeout time.Duration) (*dragonboat.RequestState, error) {
		return s.host.node.ReadIndex(uint64(s.id), timeout)
	})
	if err != nil {
		return true // refused: full, closing or starting
	}
	answer := rs.AppliedC()
	_, ok := waitSteps(s.host, answer, func() (time.Duration, bool) {
		limit, matters := patience()
		return limit, matters && s.life.Err() == nil && !s.isRemoved()
	})
	return ok
}
