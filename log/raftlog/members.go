package raftlog

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"
)

// members knows whether this replica is the only member of its group. Then
// nobody else can acknowledge anything, every acknowledgement follows the local
// apply, and a linearizable read need not ask.
//
// It must never say so wrongly. It starts in doubt; only a membership that was
// read through the log, after everything older had been applied, ends the doubt.
// Every change brings the doubt back. Only this node can change the membership
// of a group that it is alone in, so whoever proposes a change holds the doubt
// from before the proposal until its end is known; the notice from Dragonboat
// comes too late to rely on.
type members struct {
	alone atomic.Bool

	mu     sync.Mutex
	doubts uint64        // how often there was doubt
	held   int           // changes under way, and those whose end nobody knows
	wake   chan struct{} // room for one
}

func newMembers() *members {
	m := &members{wake: make(chan struct{}, 1)}
	m.doubt()
	return m
}

// doubt says that the membership may have changed.
func (m *members) doubt() {
	m.mu.Lock()
	m.doubts++
	m.alone.Store(false)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// hold says that a change is about to be proposed.
func (m *members) hold() {
	m.mu.Lock()
	m.held++
	m.mu.Unlock()
	m.doubt()
}

// release says that no change is under way any more. When it is not known what
// became of one, it may happen at any time, and the doubt never ends.
func (m *members) release(known bool) {
	if !known {
		return
	}
	m.mu.Lock()
	m.held--
	m.mu.Unlock()
	m.doubt()
}

// believe ends the doubt that was there at the time of the reading.
func (m *members) believe(doubts uint64, alone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doubts == doubts && m.held == 0 {
		m.alone.Store(alone)
	}
}

func (m *members) reading() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.doubts
}

// Waits between attempts to read the membership while there is no leader.
const (
	membershipTimeout = time.Second
	membershipPause   = 5 * time.Millisecond
)

// follow reads the membership whenever there is doubt, until ctx ends. The first
// successful reading closes ready: everything that was in the log at the start
// has been applied. It ends too when this replica is no member any more.
func (m *members) follow(ctx context.Context, node *dragonboat.NodeHost, shard, replica uint64, ready, removed chan struct{}) {
	isReady := false
	for {
		select {
		case <-m.wake:
		case <-ctx.Done():
			return
		}
		for !m.read(ctx, node, shard, replica) {
			select {
			case <-time.After(membershipPause):
			case <-removed:
				return
			case <-ctx.Done():
				return
			}
		}
		if !isReady {
			isReady = true
			close(ready)
		}
	}
}

// read reads the membership once and says whether that succeeded.
func (m *members) read(ctx context.Context, node *dragonboat.NodeHost, shard, replica uint64) bool {
	if _, _, ok, err := node.GetLeaderID(shard); err != nil || !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, membershipTimeout)
	defer cancel()
	doubts := m.reading()
	got, err := node.SyncGetShardMembership(ctx, shard)
	if err != nil {
		return false
	}
	_, member := got.Nodes[replica]
	m.believe(doubts, member && len(got.Nodes) == 1 && len(got.NonVotings) == 0 && len(got.Witnesses) == 0)
	return true
}
