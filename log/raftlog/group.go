package raftlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lni/dragonboat/v4"

	"github.com/tidemark-db/tidemark/log"
)

// Waits of changes to a group.
const (
	changeTimeout   = 5 * time.Second // for one attempt
	changePause     = 10 * time.Millisecond
	transferAgain   = 500 * time.Millisecond
	transferPoll    = 5 * time.Millisecond
	handOverTimeout = 2 * time.Second // for another leader before the leader is removed
)

// Membership is who belongs to a group.
type Membership struct {
	Voters   map[log.ReplicaID]log.NodeID
	Learners map[log.ReplicaID]log.NodeID
	Removed  []log.ReplicaID // in order
}

// Members returns who belongs to the group, at least as new as at the call.
func (s *Shard) Members(ctx context.Context) (Membership, error) {
	m, err := s.membership(ctx)
	if err != nil {
		return Membership{}, err
	}
	out := Membership{Voters: named(m.Nodes), Learners: named(m.NonVotings)}
	for _, replica := range slices.Sorted(maps.Keys(m.Removed)) {
		out.Removed = append(out.Removed, log.ReplicaID(replica))
	}
	return out, nil
}

func named(members map[uint64]string) map[log.ReplicaID]log.NodeID {
	out := make(map[log.ReplicaID]log.NodeID, len(members))
	for replica, node := range members {
		out[log.ReplicaID(replica)] = log.NodeID(node)
	}
	return out
}

// membership reads the members through the log, again and again until ctx ends.
func (s *Shard) membership(ctx context.Context) (*dragonboat.Membership, error) {
	for {
		m, err := s.membershipOnce(ctx)
		if err == nil {
			return m, nil
		}
		if pauseErr := s.pause(ctx, changePause); pauseErr != nil {
			return nil, fmt.Errorf("members of log %d: %w: %w", s.id, pauseErr, err)
		}
	}
}

func (s *Shard) membershipOnce(ctx context.Context) (*dragonboat.Membership, error) {
	ctx, cancel := context.WithTimeout(ctx, membershipTimeout)
	defer cancel()
	s.gate.RLock()
	defer s.gate.RUnlock()
	s.sending.RLock()
	open := s.life.Err() == nil
	s.sending.RUnlock()
	if !open {
		return nil, log.ErrClosed
	}
	return s.host.node.SyncGetShardMembership(ctx, uint64(s.id))
}

// pause waits, unless the shard is closed or ctx ends.
func (s *Shard) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-s.removed:
		return log.ErrClosed
	case <-s.life.Done():
		return log.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// AddLearner adds a replica that receives the log and has no vote. Nothing happens
// when it is a member already.
func (s *Shard) AddLearner(ctx context.Context, replica log.ReplicaID, node log.NodeID) error {
	if !isUUID(string(node)) {
		return fmt.Errorf("%q is no node's id", node)
	}
	if err := s.slow(); err != nil {
		return err
	}
	return s.change(ctx, func(m *dragonboat.Membership) (proposal, error) {
		r := uint64(replica)
		if have, ok := m.Nodes[r]; ok && have == string(node) {
			return nil, nil
		}
		if have, ok := m.NonVotings[r]; ok && have == string(node) {
			return nil, nil
		}
		if err := s.mayAdd(m, r, string(node)); err != nil {
			return nil, err
		}
		return func(timeout time.Duration) (*dragonboat.RequestState, error) {
			return s.host.node.RequestAddNonVoting(uint64(s.id), r, string(node), m.ConfigChangeID, timeout)
		}, nil
	})
}

// mayAdd says why a replica cannot be added: every number and every node is in a
// group at most once.
func (s *Shard) mayAdd(m *dragonboat.Membership, replica uint64, node string) error {
	if _, ok := m.Removed[replica]; ok {
		return fmt.Errorf("replica %d was removed from log %d and cannot return", replica, s.id)
	}
	for _, members := range []map[uint64]string{m.Nodes, m.NonVotings} {
		if have, ok := members[replica]; ok {
			return fmt.Errorf("replica %d of log %d is on node %s", replica, s.id, have)
		}
		for other, have := range members {
			if have == node {
				return fmt.Errorf("node %s has replica %d of log %d already", node, other, s.id)
			}
		}
	}
	return nil
}

// Promote lets a learner vote. Nothing happens when it votes already.
func (s *Shard) Promote(ctx context.Context, replica log.ReplicaID) error {
	return s.change(ctx, func(m *dragonboat.Membership) (proposal, error) {
		if _, ok := m.Nodes[uint64(replica)]; ok {
			return nil, nil
		}
		node, ok := m.NonVotings[uint64(replica)]
		if !ok {
			return nil, fmt.Errorf("replica %d is no member of log %d", replica, s.id)
		}
		return func(timeout time.Duration) (*dragonboat.RequestState, error) {
			return s.host.node.RequestAddReplica(uint64(s.id), uint64(replica), node, m.ConfigChangeID, timeout)
		}, nil
	})
}

// RemoveReplica takes a replica out of the group; its number never returns. One
// that leads hands over first, so that nobody waits for an election. Nothing
// happens when it is no member. A replica that removes itself may not learn that
// it has: better ask another member.
func (s *Shard) RemoveReplica(ctx context.Context, replica log.ReplicaID) error {
	err := s.change(ctx, func(m *dragonboat.Membership) (proposal, error) {
		_, votes := m.Nodes[uint64(replica)]
		if _, learns := m.NonVotings[uint64(replica)]; !votes && !learns {
			return nil, nil
		}
		if votes && len(m.Nodes) == 1 {
			return nil, fmt.Errorf("replica %d is the only one of log %d that votes", replica, s.id)
		}
		if leader, _, ok := s.Leader(); ok && leader == replica {
			s.handOver(ctx, m, replica)
		}
		return func(timeout time.Duration) (*dragonboat.RequestState, error) {
			return s.host.node.RequestDeleteReplica(uint64(s.id), uint64(replica), m.ConfigChangeID, timeout)
		}, nil
	})
	if err != nil && replica == s.replica && s.isRemoved() {
		return nil
	}
	return err
}

func (s *Shard) isRemoved() bool {
	select {
	case <-s.removed:
		return true
	default:
		return false
	}
}

// handOver tries to make somebody else the leader.
func (s *Shard) handOver(ctx context.Context, m *dragonboat.Membership, from log.ReplicaID) {
	ctx, cancel := context.WithTimeout(ctx, handOverTimeout)
	defer cancel()
	others := slices.Sorted(maps.Keys(m.Nodes))
	for _, to := range others {
		if to := log.ReplicaID(to); to != from {
			attempt, cancel := context.WithTimeout(ctx, handOverTimeout/time.Duration(len(others)))
			err := s.TransferLeader(attempt, to)
			cancel()
			if err == nil {
				return
			}
		}
	}
}

// TransferLeader makes a voter the leader. It waits until this node sees it lead,
// or until ctx ends.
func (s *Shard) TransferLeader(ctx context.Context, to log.ReplicaID) error {
	var asked time.Time
	for {
		leader, _, ok := s.Leader()
		if ok && leader == to {
			return nil
		}
		if ok && time.Since(asked) > transferAgain {
			asked = time.Now()
			err := s.transfer(to)
			if err != nil && !errors.Is(err, dragonboat.ErrSystemBusy) && !errors.Is(err, dragonboat.ErrShardNotReady) {
				return refusal(err)
			}
		}
		if err := s.pause(ctx, transferPoll); err != nil {
			return fmt.Errorf("make replica %d the leader of log %d: %w", to, s.id, err)
		}
	}
}

func (s *Shard) transfer(to log.ReplicaID) error {
	s.sending.RLock()
	defer s.sending.RUnlock()
	if s.life.Err() != nil {
		return dragonboat.ErrClosed
	}
	return s.host.node.RequestLeaderTransfer(uint64(s.id), uint64(to))
}

// proposal asks the engine for a change of the membership.
type proposal = func(timeout time.Duration) (*dragonboat.RequestState, error)

// change proposes what plan makes of the membership until plan says that nothing
// is left to do, by no proposal. Other changes at the same time make the engine
// reject this one, which is then planned anew.
func (s *Shard) change(ctx context.Context, plan func(*dragonboat.Membership) (proposal, error)) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.members.hold()
	known := true // what became of the last proposal
	defer func() { s.members.release(known) }()
	for {
		m, err := s.membership(ctx)
		if err != nil {
			return err
		}
		send, err := plan(m)
		if err != nil {
			return err
		}
		if send == nil {
			known = true
			return nil
		}
		if known, err = s.changeOnce(ctx, send); err != nil {
			return err
		}
		if err := s.pause(ctx, changePause); err != nil {
			return fmt.Errorf("change the members of log %d: %w", s.id, err)
		}
	}
}

// changeOnce makes one attempt and says whether its end is known.
func (s *Shard) changeOnce(ctx context.Context, send proposal) (known bool, err error) {
	rs, err := s.send(changeTimeout, send)
	if errors.Is(err, dragonboat.ErrSystemBusy) || errors.Is(err, dragonboat.ErrShardNotReady) {
		return true, nil
	}
	if err != nil {
		return true, refusal(err)
	}
	defer rs.Release()
	select {
	case result := <-rs.AppliedC():
		return result.Completed() || result.Rejected() || result.Dropped(), nil
	case <-s.removed:
		return true, nil // this was the end of it
	case <-s.life.Done():
		return false, log.ErrClosed
	case <-ctx.Done():
		return false, fmt.Errorf("change the members of log %d: %w", s.id, ctx.Err())
	}
}

// slow gives a group of one, which runs with quick elections, the timing of a
// group of several before there is a second member. The replica's engine has to
// be started again for that; requests wait meanwhile.
func (s *Shard) slow() error {
	s.host.opening.Lock()
	defer s.host.opening.Unlock()
	s.gate.Lock() // nobody's request is under way
	defer s.gate.Unlock()
	s.engine.Lock()
	defer s.engine.Unlock()
	if !s.quick.Load() {
		return nil
	}
	if s.life.Err() != nil {
		return log.ErrClosed
	}
	if err := s.host.writeRecord(s.id, s.replica, record{}); err != nil {
		return fmt.Errorf("log %d: %w", s.id, err)
	}
	if err := s.stopEngine(); err != nil {
		return err
	}
	s.quick.Store(false)
	return s.startEngine(nil, false, record{})
}
