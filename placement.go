package tidemark

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
)

// placementEvery is how often the leader of the meta log looks whether every
// database has its replicas.
const placementEvery = time.Second

// placementSteps bounds the changes of one round.
const placementSteps = 32

// place keeps the meta database's wishes sensible while this node leads the meta
// log: a learner for every replica that is missing, and a farewell for every one
// that is too many. Leaders of groups carry the wishes out.
func (n *Node) place(ctx context.Context) {
	every(ctx, placementEvery, func() {
		if !n.meta.db.leads() {
			return
		}
		if err := n.placeOnce(ctx); err != nil && ctx.Err() == nil {
			n.cfg.Logger.Warn("replicas could not be placed", "error", err)
		}
	})
}

// placeOnce plans on the newest state and records the plan in the same
// transaction.
func (n *Node) placeOnce(ctx context.Context) error {
	health := n.health()
	if len(plan(n.meta.state.Load(), health)) == 0 {
		return nil
	}
	return transact(ctx, n.meta.db, func(m *metaSession) error {
		state, err := readMeta(ctx, m)
		if err != nil {
			return err
		}
		steps := plan(state, health)
		if len(steps) == 0 {
			return nil
		}
		var sql strings.Builder
		for _, s := range steps {
			sql.WriteString(s.sql())
			n.cfg.Logger.Info("placing a replica", "log", s.replica.Log, "replica", s.replica.Replica, "node", s.replica.Node, "state", s.replica.State)
		}
		_, err = m.run(ctx, sql.String())
		return err
	})
}

// health is what is known of a node and its replicas at the moment.
type health struct {
	live   bool
	full   bool                     // its disk
	fenced map[log.ID]log.ReplicaID // replicas that must be built anew
}

// health looks at all nodes, this one among them.
func (n *Node) health() map[log.NodeID]health {
	out := map[log.NodeID]health{}
	live := n.board.live()
	self := n.status()
	live[n.self()] = &self
	for id, s := range live {
		h := health{live: true, full: s.DiskFull, fenced: map[log.ID]log.ReplicaID{}}
		for _, r := range s.Replicas {
			if r.Fenced {
				h.fenced[r.Log] = r.Replica
			}
		}
		out[id] = h
	}
	return out
}

// step is one change of a replica's row: a new one, or another state.
type step struct {
	replica replicaRow
	add     bool
}

func (s step) sql() string {
	r := s.replica
	if s.add {
		return fmt.Sprintf("INSERT INTO replicas VALUES (%d, %d, %s, %s, false);", r.Log, r.Replica, literal(string(r.Node)), literal(string(r.State)))
	}
	return fmt.Sprintf("UPDATE replicas SET state = %s WHERE log = %d AND replica = %d;", literal(string(r.State)), r.Log, r.Replica)
}

// plan returns the changes that bring the databases closer to having the replicas
// they should have. It changes nothing that is good enough, adds before it takes
// away, and takes nothing away from a group that is not complete otherwise,
// unless the node was removed for good or the replica is fenced.
func plan(state *metaState, nodes map[log.NodeID]health) []step {
	p := newPlanner(state, nodes)
	for _, id := range state.logs() {
		p.database(state.databases[id])
		if len(p.steps) >= placementSteps {
			break
		}
	}
	return p.steps
}

type planner struct {
	state *metaState
	nodes map[log.NodeID]health
	load  map[log.NodeID]int // replicas on each node
	steps []step
}

func newPlanner(state *metaState, nodes map[log.NodeID]health) *planner {
	p := &planner{state: state, nodes: nodes, load: map[log.NodeID]int{}}
	for _, rows := range state.replicas {
		for _, r := range rows {
			if r.State != replicaRemoved {
				p.load[r.Node]++
			}
		}
	}
	return p
}

// add plans a new replica.
func (p *planner) add(r replicaRow) {
	p.steps = append(p.steps, step{replica: r, add: true})
	p.load[r.Node]++
}

// database plans for one database.
func (p *planner) database(db databaseRow) {
	var good, bad, arriving, leaving []replicaRow
	last := log.ReplicaID(0)
	for _, r := range p.state.replicas[db.Log] {
		last = max(last, r.Replica)
		switch {
		case r.State == replicaRemoved:
		case r.State == replicaLeaving:
			leaving = append(leaving, r)
		case !p.fits(r):
			bad = append(bad, r)
		case r.State == replicaLearner:
			arriving = append(arriving, r)
		default:
			good = append(good, r)
		}
	}
	wanted := p.wanted(db)
	for i := len(good) + len(arriving); i < wanted; i++ {
		node, ok := p.spare(db.Log)
		if !ok {
			break
		}
		last++
		r := replicaRow{Log: db.Log, Replica: last, Node: node, State: replicaLearner}
		p.add(r)
		arriving = append(arriving, r)
	}
	p.retire(db, good, bad, arriving, leaving, wanted)
}

// wanted is how many replicas a database is to have. A drained node counts: what
// it has stays there until another node has it.
func (p *planner) wanted(db databaseRow) int {
	usable := 0
	for _, n := range p.state.nodes {
		if n.State != query.NodeRemoved {
			usable++
		}
	}
	if db.Log == metaLog {
		return usable
	}
	return min(db.Replicas, usable)
}

// fits says whether a replica is where it may stay.
func (p *planner) fits(r replicaRow) bool {
	state := p.state.nodes[r.Node].State
	return !p.fenced(r) && (state == query.NodeActive || state == query.NodeDraining && r.Log == metaLog)
}

// fenced says whether a replica must be built anew.
func (p *planner) fenced(r replicaRow) bool { return p.nodes[r.Node].fenced[r.Log] == r.Replica }

// removed says whether a replica is on a node that was removed for good.
func (p *planner) removed(r replicaRow) bool {
	return p.state.nodes[r.Node].State == query.NodeRemoved
}

// spare returns the node that should have the next replica of a log: alive, with
// room, without one, and with the fewest replicas in all.
func (p *planner) spare(id log.ID) (log.NodeID, bool) {
	var free []log.NodeID
	for _, node := range p.state.nodeIDs() {
		if _, has := p.state.replicaOn(id, node); has || p.planned(id, node) || p.state.nodes[node].State != query.NodeActive {
			continue
		}
		if h := p.nodes[node]; h.live && !h.full {
			free = append(free, node)
		}
	}
	if len(free) == 0 {
		return "", false
	}
	return slices.MinFunc(free, func(a, b log.NodeID) int {
		return cmp.Or(cmp.Compare(p.load[a], p.load[b]), cmp.Compare(a, b))
	}), true
}

// planned says whether a step of this plan gives a node a replica of a log.
func (p *planner) planned(id log.ID, node log.NodeID) bool {
	return slices.ContainsFunc(p.steps, func(s step) bool { return s.add && s.replica.Log == id && s.replica.Node == node })
}

// retire sends away what is not needed: one replica of a group at a time, unless
// the one that is leaving may have to wait for one whose node was removed.
func (p *planner) retire(db databaseRow, good, bad, arriving, leaving []replicaRow, wanted int) {
	leave := func(r replicaRow) {
		r.State = replicaLeaving
		p.steps = append(p.steps, step{replica: r})
	}
	if len(leaving) > 0 {
		bad = slices.DeleteFunc(bad, func(r replicaRow) bool { return !p.removed(r) || p.nodes[r.Node].live })
	}
	for _, r := range bad {
		if db.Log == metaLog && (!p.removed(r) || p.load[r.Node] > 1 && p.nodes[r.Node].live) {
			// Without the meta log a node could not give up what else it has, nor
			// find out that it is to build the meta log anew.
			continue
		}
		switch {
		case r.State == replicaLearner, // it never counted
			len(good) >= wanted, // others are complete
			db.Log == metaLog,   // every other node has it
			(p.fenced(r) || p.removed(r)) && len(arriving) == 0: // nobody is there to wait for
			leave(r)
			return
		}
	}
	if db.Log == metaLog || len(good) <= wanted || len(bad)+len(arriving)+len(leaving) > 0 {
		return
	}
	last := good[len(good)-1]
	for _, r := range good {
		if !p.nodes[r.Node].live {
			last = r // nobody misses it
		}
	}
	leave(last)
}
