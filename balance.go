package tidemark

import (
	"context"
	"slices"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
)

// balance hands the leadership of one group to another node when this node leads
// more groups than it should: all of them while it is drained, else when another
// lives that leads at least two fewer. Each node does so for itself, one group at
// a time, so that they end level.
func (n *Node) balance(ctx context.Context, state *metaState) {
	live := n.board.live()
	leading := leaders(live)
	mine := n.leading(state)
	draining := state.nodes[n.self()].State == query.NodeDraining
	for _, id := range slices.Backward(mine) { // the meta log last
		db := n.databases.get(id)
		if db == nil {
			continue
		}
		to, ok := n.heir(state, live, leading, db)
		if !ok || !draining && leading[to.Node]+2 > len(mine) {
			continue
		}
		attempt, cancel := context.WithTimeout(ctx, keeperTimeout)
		err := db.shard.TransferLeader(attempt, to.Replica)
		cancel()
		if err != nil && ctx.Err() == nil {
			n.cfg.Logger.Debug("a group could not be handed over", "database", db.name(), "to", to.Node, "error", err)
		}
		return
	}
}

// leading returns the logs whose groups this node leads, in order.
func (n *Node) leading(state *metaState) []log.ID {
	var out []log.ID
	for _, id := range state.logs() {
		if db := n.databases.get(id); db != nil && db.leads() {
			out = append(out, id)
		}
	}
	return out
}

// leaders counts the groups that each node says it leads.
func leaders(live map[log.NodeID]*nodeStatus) map[log.NodeID]int {
	out := map[log.NodeID]int{}
	for id, s := range live {
		for _, r := range s.Replicas {
			if r.Leader == r.Replica {
				out[id]++
			}
		}
	}
	return out
}

// heir returns the voter that ought to lead next: of those that live, are not
// drained and have nearly everything, the one whose node leads least.
func (n *Node) heir(state *metaState, live map[log.NodeID]*nodeStatus, leading map[log.NodeID]int, db *database) (replicaRow, bool) {
	var best replicaRow
	found := false
	for _, r := range state.replicas[db.log] {
		s, ok := live[r.Node]
		if !ok || !r.State.votes() || r.Node == n.self() || state.nodes[r.Node].State != query.NodeActive || s.DiskFull {
			continue
		}
		at, ok := s.replica(db.log)
		if !ok || at.Halted != "" || at.Index+caughtUp < db.replica.Applied() {
			continue
		}
		if !found || leading[r.Node] < leading[best.Node] {
			best, found = r, true
		}
	}
	return best, found
}
