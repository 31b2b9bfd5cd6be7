package raftlog

import (
	"context"
	"fmt"
	"time"

	"github.com/lni/dragonboat/v4"
)

// The engine answers every request in time, if only by saying that the time is
// over: its threads do that themselves. A request without any answer means that
// the thread of its group is gone.
const (
	watchEvery    = 10 * time.Second
	watchRequest  = 5 * time.Second
	watchPatience = 2 * time.Minute // a disk may be slow
	watchStep     = time.Second
)

// watch ends the process when a thread of the engine has died or hangs. A node
// that cannot answer must not look alive: others wait for it, and its clients
// run into one timeout after the other.
func (h *Host) watch() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-h.life.Done():
			return
		}
		for _, s := range h.openShards() {
			if !s.answers(h.life, watchPatience) {
				die(fmt.Sprintf("log %d has not answered for %s", s.id, watchPatience))
			}
		}
	}
}

// answers says whether the engine answers a request of this shard at all.
func (s *Shard) answers(ctx context.Context, patience time.Duration) bool {
	rs, err := s.send(watchRequest, func(timeout time.Duration) (*dragonboat.RequestState, error) {
		return s.host.node.ReadIndex(uint64(s.id), timeout)
	})
	if err != nil {
		return true // refused: full, closing or starting
	}
	// In steps: while the whole process is stopped, no time passes for the engine
	// either.
	ticker := time.NewTicker(watchStep)
	defer ticker.Stop()
	for waited := time.Duration(0); waited < patience; waited += watchStep {
		select {
		case <-rs.AppliedC():
			rs.Release()
			return true
		case <-s.life.Done():
			return true
		case <-s.removed:
			return true
		case <-ctx.Done():
			return true
		case <-ticker.C:
		}
	}
	return false
}
