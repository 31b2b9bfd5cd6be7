package tidemark

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/raftlog"
)

// How the leader of a group changes its members.
const (
	keeperEvery   = time.Second
	keeperTimeout = 10 * time.Second // for one change
	// caughtUp is how many entries a learner may lack when it becomes a voter.
	caughtUp log.Index = 1000
)

// keeper brings the members of the groups that this node leads to what the meta
// database says, until ctx ends. One change at a time, each refused when the
// group could not work afterwards.
func (n *Node) keeper(ctx context.Context) {
	every(ctx, keeperEvery, func() {
		state := n.meta.state.Load()
		for _, id := range state.logs() {
			db := n.databases.get(id)
			if db == nil || ctx.Err() != nil || !db.leads() || settled(state.replicas[id]) {
				continue
			}
			if err := n.keep(ctx, db); err != nil && ctx.Err() == nil {
				n.cfg.Logger.Warn("the members of a group could not be changed", "database", db.name(), "error", err)
			}
		}
		n.balance(ctx, state)
	})
}

// every calls f at intervals until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}

// settled says that there is nothing to change about a group.
func settled(rows []replicaRow) bool {
	for _, r := range rows {
		if r.State == replicaLearner || r.State == replicaLeaving {
			return false
		}
	}
	return true
}

// keep takes the next steps of one group that this node leads. They follow from
// the newest rows: whoever led before may have gone further than what was read.
func (n *Node) keep(ctx context.Context, db *database) error {
	ctx, cancel := context.WithTimeout(ctx, keeperTimeout)
	defer cancel()
	if err := n.meta.confirm(ctx); err != nil {
		return fmt.Errorf("meta database: %w", err)
	}
	rows := n.meta.state.Load().replicas[db.log]
	var errs []error
	for _, r := range rows {
		if r.State != replicaLearner && r.State != replicaLeaving {
			continue
		}
		members, err := db.shard.Members(ctx) // again after each change
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if r.State == replicaLearner {
			err = n.admit(ctx, db, members, r)
		} else {
			err = n.release(ctx, db, members, r)
		}
		if err != nil { // the others need not wait for this one
			errs = append(errs, fmt.Errorf("replica %d: %w", r.Replica, err))
		}
	}
	return errors.Join(errs...)
}

// admit makes a learner of a replica, and a voter of a learner that has caught up.
func (n *Node) admit(ctx context.Context, db *database, members raftlog.Membership, r replicaRow) error {
	if _, ok := members.Voters[r.Replica]; ok {
		return n.setReplica(ctx, r, replicaVoter)
	}
	if _, ok := members.Learners[r.Replica]; !ok {
		return db.shard.AddLearner(ctx, r.Replica, r.Node)
	}
	if r.Log == metaLog && len(members.Voters) >= metaVoters {
		return nil // it stays a learner
	}
	s, ok := n.board.live()[r.Node]
	if !ok {
		return nil
	}
	at, ok := s.replica(r.Log)
	if !ok || at.Replica != r.Replica || at.Halted != "" || at.Index+caughtUp < db.replica.Applied() {
		return nil
	}
	if err := db.shard.Promote(ctx, r.Replica); err != nil {
		return err
	}
	n.cfg.Logger.Info("a replica votes now", "database", db.name(), "replica", r.Replica, "node", r.Node)
	return n.setReplica(ctx, r, replicaVoter)
}

// release takes a replica out of its group.
func (n *Node) release(ctx context.Context, db *database, members raftlog.Membership, r replicaRow) error {
	_, votes := members.Voters[r.Replica]
	_, learns := members.Learners[r.Replica]
	if !votes && !learns {
		return n.setReplica(ctx, r, replicaRemoved)
	}
	if votes {
		if left := n.liveVoters(r.Log, members, r.Replica); 2*left <= len(members.Voters)-1 {
			return fmt.Errorf("only %d of the %d voters that would be left are alive", left, len(members.Voters)-1)
		}
	}
	if r.Replica == db.shard.Replica() {
		return n.handOver(ctx, db, members)
	}
	if err := db.shard.RemoveReplica(ctx, r.Replica); err != nil {
		return err
	}
	n.cfg.Logger.Info("a replica left its group", "database", db.name(), "replica", r.Replica, "node", r.Node)
	return n.setReplica(ctx, r, replicaRemoved)
}

// liveVoters counts the voters that are alive, without one.
func (n *Node) liveVoters(id log.ID, members raftlog.Membership, without log.ReplicaID) int {
	live := n.board.live()
	count := 0
	for replica, node := range members.Voters {
		if replica == without {
			continue
		}
		if node == n.self() {
			count++
		} else if s, ok := live[node]; ok {
			if at, ok := s.replica(id); ok && at.Replica == replica && at.Halted == "" {
				count++
			}
		}
	}
	return count
}

// handOver lets another voter lead the group: the one that is least behind.
func (n *Node) handOver(ctx context.Context, db *database, members raftlog.Membership) error {
	live := n.board.live()
	var best log.ReplicaID
	var bestIndex log.Index
	for replica, node := range members.Voters {
		s, ok := live[node]
		if !ok || node == n.self() {
			continue
		}
		if at, ok := s.replica(db.log); ok && at.Halted == "" && (best == 0 || at.Index > bestIndex) {
			best, bestIndex = replica, at.Index
		}
	}
	if best == 0 {
		return fmt.Errorf("no other voter of database %s is alive", db.name())
	}
	return db.shard.TransferLeader(ctx, best)
}

// setReplica records a replica's new state.
func (n *Node) setReplica(ctx context.Context, r replicaRow, to replicaState) error {
	return transact(ctx, n.meta.db, func(m *metaSession) error {
		_, err := m.run(ctx, fmt.Sprintf("UPDATE replicas SET state = %s WHERE log = %d AND replica = %d AND state = %s",
			literal(string(to)), r.Log, r.Replica, literal(string(r.State))))
		return err
	})
}
