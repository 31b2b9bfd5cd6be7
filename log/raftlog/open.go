package raftlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/lni/dragonboat/v4"
	sm "github.com/lni/dragonboat/v4/statemachine"

	"github.com/tidemark-db/tidemark/log"
)

// ShardOptions say who belongs to a log's group. The zero value starts a group of
// this node alone. A group that is on disk already continues as it was: then only
// Replica counts.
type ShardOptions struct {
	// Replica is this node's number in the group; zero means 1.
	Replica log.ReplicaID

	// Members are the first members of a new group, the same on each of them.
	// Empty means this node alone.
	Members map[log.ReplicaID]log.NodeID

	// Join says that this replica was or will be added to a running group.
	Join bool
}

// OpenShard opens one log over a state machine that is open already, and starts
// to deliver what the state machine has not applied yet. It returns before all of
// that has been applied: see Shard.Ready. An error says that the state machine's
// files do not fit the log's.
func (h *Host) OpenShard(id log.ID, state log.StateMachine, opts ShardOptions) (*Shard, error) {
	h.opening.Lock()
	defer h.opening.Unlock()
	opts.Replica = max(opts.Replica, 1)
	if err := h.isOpen(); err != nil {
		return nil, err
	}
	if opts.Join && len(opts.Members) > 0 {
		return nil, fmt.Errorf("log %d: a replica that joins a group does not choose its members", id)
	}
	known := h.node.HasNodeInfo(uint64(id), uint64(opts.Replica))
	rec, err := h.recordFor(id, opts, known)
	if err != nil {
		return nil, fmt.Errorf("log %d: %w", id, err)
	}
	if err := h.checkState(id, opts.Replica, state, known); err != nil {
		return nil, err
	}
	var members map[uint64]string
	if !known && !rec.Joined {
		members = h.firstMembers(opts)
	}
	s := newShard(h, id, opts.Replica, state)
	s.quick.Store(rec.Alone)
	if err := h.remember(s); err != nil {
		return nil, err
	}
	if err := s.startEngine(members, rec.Joined && !known, rec); err != nil {
		h.forget(id)
		return nil, err
	}
	s.start()
	return s, nil
}

// recordFor returns the replica's record, which it writes for a new one.
func (h *Host) recordFor(id log.ID, opts ShardOptions, known bool) (record, error) {
	if !known {
		rec := record{Joined: opts.Join, Alone: !opts.Join && len(opts.Members) <= 1}
		return rec, h.writeRecord(id, opts.Replica, rec)
	}
	rec, err := h.readRecord(id, opts.Replica)
	if errors.Is(err, fs.ErrNotExist) {
		return rec, fmt.Errorf("%s is missing, yet there is a log of that replica", h.recordPath(id, opts.Replica))
	}
	return rec, err
}

// firstMembers are the members of a new group as the engine wants them.
func (h *Host) firstMembers(opts ShardOptions) map[uint64]string {
	if len(opts.Members) == 0 {
		return map[uint64]string{uint64(opts.Replica): string(h.identity.NodeID)}
	}
	members := map[uint64]string{}
	for replica, node := range opts.Members {
		members[uint64(replica)] = string(node)
	}
	return members
}

// checkState compares the state machine's files with the log's before Dragonboat
// does, which would end the process.
func (h *Host) checkState(id log.ID, replica log.ReplicaID, state log.StateMachine, known bool) error {
	applied := state.Applied()
	if !known && applied > 0 {
		return fmt.Errorf("log %d: the tables are at index %d, but there is no log of replica %d in %s: one of the two was removed or comes from elsewhere", id, applied, replica, h.fs.root)
	}
	need, err := storedSnapshot(h.fs.FS, h.fs.root, id, replica)
	if err != nil {
		return fmt.Errorf("log %d: %w", id, err)
	}
	if applied < need {
		return fmt.Errorf("log %d: the tables are at index %d, but the log begins after index %d: the tables were removed or replaced by older ones", id, applied, need)
	}
	return nil
}

// A replica that was stopped stays loaded in the engine for a moment.
const (
	loadedTimeout = 10 * time.Second
	loadedPause   = time.Millisecond
)

// startEngine starts the replica in the engine; members are those of a new group.
func (s *Shard) startEngine(members map[uint64]string, join bool, rec record) error {
	m := &machine{state: s.state, closed: make(chan struct{}), logger: s.host.cfg.Logger.With("log", s.id)}
	create := func(uint64, uint64) sm.IOnDiskStateMachine { return m }
	config := s.host.shardConfig(s, rec.Joined, s.quick.Load())
	err := s.host.node.StartOnDiskReplica(members, join, create, config)
	for began := time.Now(); errors.Is(err, dragonboat.ErrShardAlreadyExist) && time.Since(began) < loadedTimeout; {
		time.Sleep(loadedPause)
		err = s.host.node.StartOnDiskReplica(members, join, create, config)
	}
	if err != nil {
		return fmt.Errorf("start log %d: %w", s.id, err)
	}
	s.machine = m
	return nil
}

// stopEngine takes the replica out of the engine and waits until it has let go of
// the state machine.
func (s *Shard) stopEngine() error {
	err := s.host.node.StopShard(uint64(s.id))
	if s.isRemoved() && errors.Is(err, dragonboat.ErrShardNotFound) {
		err = nil // the engine has stopped it already
	}
	if err != nil && !errors.Is(err, dragonboat.ErrClosed) {
		return fmt.Errorf("close log %d: %w", s.id, err)
	}
	select {
	case <-s.machine.closed:
		return nil
	case <-time.After(closeTimeout):
		return fmt.Errorf("close log %d: still applying after %s", s.id, closeTimeout)
	}
}

// RemoveData removes the Raft log and the snapshots of a replica that was removed
// from its group and is closed here. Its number cannot be used again on this node.
func (h *Host) RemoveData(ctx context.Context, id log.ID, replica log.ReplicaID) error {
	h.opening.Lock()
	defer h.opening.Unlock()
	if err := h.isOpen(); err != nil {
		return err
	}
	for _, s := range h.openShards() {
		if s.id == id && s.replica == replica {
			return fmt.Errorf("remove the data of log %d: it is open", id)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if err := h.node.SyncRemoveData(ctx, uint64(id), uint64(replica)); err != nil {
		return fmt.Errorf("remove the data of log %d: %w", id, err)
	}
	return h.removeRecord(id, replica)
}
