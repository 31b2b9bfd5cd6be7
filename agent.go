package tidemark

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tidemark-db/tidemark/log"
)

// agentEvery is how often a node looks whether it has the replicas it is to
// have, besides when the meta database changes.
const agentEvery = 5 * time.Second

// agent opens, closes and removes this node's replicas as the meta database says,
// until ctx ends.
func (n *Node) agent(ctx context.Context) {
	ticker := time.NewTicker(agentEvery)
	defer ticker.Stop()
	for {
		n.reconcile(ctx)
		select {
		case <-n.meta.changed:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// reconcile does once what the meta database asks of this node.
func (n *Node) reconcile(ctx context.Context) {
	state := n.meta.state.Load()
	if state.cluster == "" {
		return // not read yet
	}
	n.reopen(ctx)
	if err := n.discard(ctx, state); err != nil && ctx.Err() == nil {
		n.cfg.Logger.Warn("replicas that are not wanted any more stay for now", "error", err)
	}
	if err := n.acquire(ctx); err != nil && ctx.Err() == nil {
		n.cfg.Logger.Warn("new replicas have to wait", "error", err)
	}
}

// reopen takes in what other nodes there are, and opens the replicas that are on
// record here. It needs nobody else, and what it has read may be old: then these
// replicas are members of their groups, or will be told that they are not.
func (n *Node) reopen(ctx context.Context) {
	state := n.meta.state.Load()
	n.meet(state)
	for _, id := range state.logs() {
		row, wanted := state.replicaOn(id, n.self())
		r, ok := n.local.replica(id)
		if !wanted || !ok || r.Replica != row.Replica || r.Removing {
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if err := n.have(state, r); err != nil && ctx.Err() == nil {
			n.cfg.Logger.Error("a replica could not be opened", "log", id, "error", err)
		}
	}
}

// meet takes in the nodes of the cluster.
func (n *Node) meet(state *metaState) {
	var gone []log.NodeID
	for id, row := range state.nodes {
		if n.isRemoved(id) { // until then it is heard: it has replicas to give up
			gone = append(gone, id)
			n.board.drop(id)
			continue
		}
		n.peers.learn(peer{Node: id, addresses: row.Addrs})
	}
	n.peers.forget(gone)
}

// have makes sure that a replica on record is open, under the database's name.
func (n *Node) have(state *metaState, r localReplica) error {
	name := state.databases[r.Log].Name
	db, err := n.databases.start(r, name)
	if err != nil {
		return err
	}
	if db.name() != name {
		db.rename(name)
	}
	return nil
}

// missing returns the replicas that this node is to have and has nothing of.
func (n *Node) missing(state *metaState) []replicaRow {
	var out []replicaRow
	for _, id := range state.logs() {
		row, wanted := state.replicaOn(id, n.self())
		if _, ok := n.local.replica(id); wanted && !ok {
			out = append(out, row)
		}
	}
	return out
}

// acquireTimeout bounds the time for learning whether what was read is the newest.
const acquireTimeout = 5 * time.Second

// acquire makes the replicas that this node is to have and has nothing of. What
// it has read may be older than what it did before a crash, and then such a
// replica may have been here, and have voted, and be gone for good: it must not
// begin again with nothing. So the node asks the group of the meta log first.
func (n *Node) acquire(ctx context.Context) error {
	if len(n.missing(n.meta.state.Load())) == 0 {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	if err := n.meta.confirm(asking); err != nil {
		return fmt.Errorf("meta database: %w", err)
	}
	state := n.meta.state.Load()
	var errs []error
	for _, row := range n.missing(state) {
		r := localReplica{Log: row.Log, Replica: row.Replica, Join: !row.First}
		if row.First {
			r.Members = state.firstMembers(row.Log)
		}
		err := n.local.put(r)
		if err == nil {
			err = n.have(state, r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("replica %d of log %d: %w", row.Replica, row.Log, err))
		}
	}
	return errors.Join(errs...)
}

// unwanted returns the replicas that this node has and that are recorded as
// removed. That is final. A replica of which nothing is recorded stays: the
// group may count on it.
func (n *Node) unwanted(state *metaState) []localReplica {
	var out []localReplica
	for _, r := range n.local.get().Replicas {
		gone := slices.ContainsFunc(state.replicas[r.Log], func(row replicaRow) bool {
			return row.Replica == r.Replica && row.Node == n.self() && row.State == replicaRemoved
		})
		// That of the meta log goes with the node: see errRemovedFromCluster.
		if r.Removing || gone && r.Log != metaLog {
			out = append(out, r)
		}
	}
	return out
}

// discard removes the replicas that this node is not to have any more.
func (n *Node) discard(ctx context.Context, state *metaState) error {
	var errs []error
	for _, r := range n.unwanted(state) {
		if err := n.databases.remove(ctx, r); err != nil {
			errs = append(errs, fmt.Errorf("remove replica %d of log %d: %w", r.Replica, r.Log, err))
		}
	}
	return errors.Join(errs...)
}
