package tidemark

import (
	"context"
	"fmt"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// leaveTimeout is how long a command waits until a node has given up its replicas.
const leaveTimeout = 2 * time.Minute

// Databases implements query.Cluster.
func (n *Node) Databases() []query.DatabaseInfo {
	state := n.meta.state.Load()
	out := make([]query.DatabaseInfo, 0, len(state.databases))
	for _, id := range state.logs() {
		db := state.databases[id]
		info := query.DatabaseInfo{
			Name: db.Name, Log: id, OID: query.DatabaseOID(id), Owner: db.Owner, Replicas: db.Replicas, NoConnections: !db.Connections,
			Retention: db.Retention,
		}
		if local := n.databases.get(id); local != nil {
			pos := local.replica.Position()
			info.Here, info.Floor, info.End = true, pos.Floor, pos.End
		}
		out = append(out, info)
	}
	return out
}

// Nodes implements query.Cluster.
func (n *Node) Nodes() []query.NodeInfo {
	state := n.meta.state.Load()
	live := n.board.live()
	self := n.status()
	live[n.self()] = &self
	leading := leaders(live)
	var out []query.NodeInfo
	for _, id := range state.nodeIDs() {
		row := state.nodes[id]
		if n.isRemoved(id) {
			continue
		}
		at := n.addressesOf(row)
		info := query.NodeInfo{
			ID: id, Number: nodeNumber(id), SQLAddr: at.SQL, RaftAddr: at.Raft, HTTPAddr: at.HTTP,
			State: row.State, Self: id == n.self(), Leading: leading[id], DiskFree: -1,
		}
		if _, seen := n.board.get(id); !seen.IsZero() {
			info.LastSeen = seen
		}
		if s, ok := live[id]; ok {
			info.Live, info.Version, info.DiskFree = true, s.Version, s.DiskFree
		}
		for _, rows := range state.replicas {
			for _, r := range rows {
				if r.Node == id && r.State != replicaRemoved {
					info.Hosting++
				}
			}
		}
		out = append(out, info)
	}
	return out
}

// addressesOf returns where a node is. A node that has come back with other
// addresses is heard of before they are in its row.
func (n *Node) addressesOf(row nodeRow) addresses {
	if row.ID == n.self() {
		return n.addresses()
	}
	if other, ok := n.peers.get(row.ID); ok {
		return other.addresses
	}
	return row.Addrs
}

// Replicas implements query.Cluster.
func (n *Node) Replicas() []query.ReplicaInfo {
	state := n.meta.state.Load()
	live := n.board.live()
	self := n.status()
	live[n.self()] = &self
	var out []query.ReplicaInfo
	for _, id := range state.logs() {
		newest := newestOf(live, id)
		for _, r := range state.replicas[id] {
			if r.State == replicaRemoved {
				continue
			}
			out = append(out, replicaInfo(state.databases[id].Name, r, live[r.Node], newest))
		}
	}
	return out
}

// newestOf returns the status of the replica of a log that has applied most.
func newestOf(live map[log.NodeID]*nodeStatus, id log.ID) replicaStatus {
	var newest replicaStatus
	for _, s := range live {
		if r, ok := s.replica(id); ok && r.End >= newest.End {
			newest = r
		}
	}
	return newest
}

// replicaInfo is a row of tidemark.replicas; s is nil for a node that is not heard.
func replicaInfo(database string, r replicaRow, s *nodeStatus, newest replicaStatus) query.ReplicaInfo {
	info := query.ReplicaInfo{
		Database: database, Log: r.Log, Node: r.Node, Replica: r.Replica,
		Role: query.RoleFollower, State: "not heard", Checksum: "unknown",
	}
	switch r.State {
	case replicaLearner:
		info.Role = query.RoleLearner
	case replicaLeaving:
		info.Role = query.RoleLeaving
	}
	if s == nil {
		return info
	}
	at, ok := s.replica(r.Log)
	if !ok || at.Replica != r.Replica {
		info.State = "not open"
		return info
	}
	info.Known, info.Applied, info.State, info.Checksum = true, at.Offset, "running", "ok"
	if at.Leader == at.Replica {
		info.Role = query.RoleLeader
	}
	if newest.End > at.End {
		info.LagBytes = uint64(newest.End - at.End)
		info.Lag = time.Duration(newest.LogTime-at.LogTime) * time.Microsecond
	}
	if at.Halted != "" {
		info.State = "halted: " + at.Halted
	}
	if at.Fenced {
		info.Checksum = "fenced: " + at.Halted
	}
	return info
}

// isRemoved says whether a node was removed and nothing of it is left in any
// group.
func (n *Node) isRemoved(id log.NodeID) bool {
	state := n.meta.state.Load()
	if row, ok := state.nodes[id]; !ok || row.State != query.NodeRemoved {
		return false
	}
	for log := range state.replicas {
		if _, has := state.replicaOn(log, id); has {
			return false
		}
	}
	return true
}

// DrainNode implements query.Cluster.
func (n *Node) DrainNode(ctx context.Context, node string) error {
	return n.setNode(ctx, node, query.NodeDraining, func(*metaState, nodeRow) error { return nil })
}

// UndrainNode implements query.Cluster.
func (n *Node) UndrainNode(ctx context.Context, node string) error {
	return n.setNode(ctx, node, query.NodeActive, func(*metaState, nodeRow) error { return nil })
}

// RemoveNode implements query.Cluster.
func (n *Node) RemoveNode(ctx context.Context, node string) error {
	return n.remove(ctx, node, func(*metaState, nodeRow) error { return nil })
}

// ReplaceNode implements query.Cluster.
func (n *Node) ReplaceNode(ctx context.Context, node string) error {
	return n.remove(ctx, node, func(state *metaState, row nodeRow) error {
		live := n.health()
		if live[row.ID].live {
			return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "node %s is alive", row.ID).
				WithHint("Drain it, then remove it.")
		}
		for _, id := range state.logs() {
			if _, has := state.replicaOn(id, row.ID); !has || id == metaLog { // that one every node has
				continue
			}
			if _, ok := newPlanner(state, live).spare(id); !ok {
				return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "no node can take the replica of database \"%s\"", state.databases[id].Name).
					WithHint("Start another node with --join first, or remove the node without a replacement.")
			}
		}
		return nil
	})
}

// remove takes a node out of the cluster and waits until its groups do without it.
func (n *Node) remove(ctx context.Context, node string, check func(*metaState, nodeRow) error) error {
	var removed log.NodeID
	err := n.setNode(ctx, node, query.NodeRemoved, func(state *metaState, row nodeRow) error {
		removed = row.ID
		if err := check(state, row); err != nil {
			return err
		}
		return n.keepsMajorities(state, row.ID)
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	for !n.isRemoved(removed) {
		pause(ctx, waitPoll)
		if ctx.Err() != nil {
			return sqlstate.New(sqlstate.QueryCanceled, "node %s is being removed, but some of its replicas are still in their groups", removed).
				WithHint("Look at tidemark.replicas.")
		}
	}
	return nil
}

// keepsMajorities refuses to remove a node when a group could not work without it.
func (n *Node) keepsMajorities(state *metaState, node log.NodeID) error {
	health := n.health()
	for _, id := range state.logs() {
		voters, alive, member := 0, 0, false
		for _, r := range state.replicas[id] {
			switch {
			case r.Node == node && r.State.votes():
				member = true
			case r.State.votes():
				voters++
				if health[r.Node].live {
					alive++
				}
			}
		}
		if member && 2*alive <= voters {
			return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "removing node %s would lose the majority of database \"%s\"", node, state.databases[id].Name).
				WithDetail("Of the %d other voting replicas %d are alive.", voters, alive).
				WithHint("Drain the node first, or drop the database.")
		}
	}
	return nil
}

// setNode changes the state of a node that is named by its id, the beginning of
// it, or one of its addresses.
func (n *Node) setNode(ctx context.Context, node string, to query.NodeState, check func(*metaState, nodeRow) error) error {
	err := transact(ctx, n.meta.db, func(m *metaSession) error {
		state, err := readMeta(ctx, m)
		if err != nil {
			return err
		}
		row, err := n.findNode(state, node)
		if err != nil {
			return err
		}
		if err := check(state, row); err != nil {
			return err
		}
		_, err = m.run(ctx, fmt.Sprintf("UPDATE nodes SET state = %s WHERE id = %s", literal(string(to)), literal(string(row.ID))))
		return err
	})
	if err != nil {
		return err
	}
	return n.meta.confirm(ctx)
}

// findNode finds a node of the cluster by what an operator calls it, whose addresses
// are those that tidemark.nodes shows.
func (n *Node) findNode(state *metaState, name string) (nodeRow, error) {
	var found []nodeRow
	for _, id := range state.nodeIDs() {
		row := state.nodes[id]
		if row.State == query.NodeRemoved {
			continue
		}
		if at := n.addressesOf(row); string(id) == name || at.SQL == name || at.Raft == name || at.HTTP == name {
			return row, nil
		}
		if len(name) >= nodePrefixMin && len(name) < len(id) && string(id[:len(name)]) == name {
			found = append(found, row)
		}
	}
	if len(found) > 1 {
		return nodeRow{}, sqlstate.New(sqlstate.InvalidParameterValue, "the ids of %d nodes begin with \"%s\"", len(found), name).
			WithHint("tidemark.nodes lists the nodes.")
	}
	if len(found) == 0 {
		return nodeRow{}, sqlstate.New(sqlstate.UndefinedObject, "node \"%s\" does not exist", name).
			WithHint("tidemark.nodes lists the nodes.")
	}
	return found[0], nil
}

// nodePrefixMin is how many letters of a node's id name it at least.
const nodePrefixMin = 4
