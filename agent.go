package tidemark

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
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
	if err := n.discard(ctx); err != nil && ctx.Err() == nil {
		n.cfg.Logger.Warn("replicas that are not wanted any more stay for now", "error", err)
	}
	state = n.meta.state.Load()
	var gone []log.NodeID
	for id, row := range state.nodes {
		if row.State == query.NodeRemoved {
			gone = append(gone, id)
			n.board.drop(id)
			continue
		}
		n.peers.learn(peer{Node: id, addresses: row.Addrs})
	}
	n.peers.forget(gone)
	for _, id := range state.logs() {
		if ctx.Err() != nil {
			return
		}
		if row, ok := state.replicaOn(id, n.self()); ok {
			if err := n.have(state, row); err != nil && ctx.Err() == nil {
				n.cfg.Logger.Error("a replica could not be opened", "log", id, "error", err)
			}
		}
	}
}

// have makes sure that this node has a replica, of that number and open.
func (n *Node) have(state *metaState, row replicaRow) error {
	r, ok := n.local.replica(row.Log)
	if ok && (r.Replica != row.Replica || r.Removing) {
		return nil // once the old one is gone
	}
	if !ok {
		r = localReplica{Log: row.Log, Replica: row.Replica, Join: !row.First}
		if row.First {
			r.Members = state.firstMembers(row.Log)
		}
		if err := n.local.put(r); err != nil {
			return err
		}
	}
	name := state.databases[row.Log].Name
	db, err := n.databases.start(r, name)
	if err != nil {
		return err
	}
	if db.name() != name {
		db.rename(name)
	}
	return nil
}

// unwanted returns the replicas that this node has and is not to have.
func (n *Node) unwanted(state *metaState) []localReplica {
	var out []localReplica
	for _, r := range n.local.get().Replicas {
		if row, ok := state.replicaOn(r.Log, n.self()); ok && row.Replica == r.Replica && !r.Removing {
			continue
		}
		if r.Log == metaLog && !r.Removing {
			continue // it goes with the node: see errRemovedFromCluster
		}
		out = append(out, r)
	}
	return out
}

// discard removes the replicas that this node is not to have any more. What it
// has read of the meta database may be older than what it did before a restart,
// so it asks the group before it destroys anything.
func (n *Node) discard(ctx context.Context) error {
	if len(n.unwanted(n.meta.state.Load())) == 0 {
		return nil
	}
	if err := n.meta.confirm(ctx); err != nil {
		return fmt.Errorf("meta database: %w", err)
	}
	var errs []error
	for _, r := range n.unwanted(n.meta.state.Load()) {
		if err := n.databases.remove(ctx, r); err != nil {
			errs = append(errs, fmt.Errorf("remove replica %d of log %d: %w", r.Replica, r.Log, err))
		}
	}
	return errors.Join(errs...)
}
