package tidemark

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
)

// cluster builds a metaState.
func testState(nodes int, wanted int) (*metaState, map[log.NodeID]health) {
	s := &metaState{
		cluster: "test", nodes: map[log.NodeID]nodeRow{}, databases: map[log.ID]databaseRow{},
		names: map[string]log.ID{}, replicas: map[log.ID][]replicaRow{},
	}
	live := map[log.NodeID]health{}
	for i := range nodes {
		id := testNode(i)
		s.nodes[id] = nodeRow{ID: id, State: query.NodeActive}
		live[id] = health{live: true}
	}
	for id, name := range map[log.ID]string{metaLog: metaDatabase, firstLog: firstDatabase} {
		s.databases[id] = databaseRow{Log: id, Name: name, Replicas: wanted}
		s.names[name] = id
		s.replicas[id] = []replicaRow{{Log: id, Replica: 1, Node: testNode(0), State: replicaInitial, First: true}}
	}
	return s, live
}

func testNode(i int) log.NodeID { return log.NodeID(fmt.Sprintf("node-%d", i)) }

// carryOut does what plan asks, as the leaders of the groups would.
func carryOut(s *metaState, steps []step) {
	for _, st := range steps {
		rows := s.replicas[st.replica.Log]
		if st.add {
			s.replicas[st.replica.Log] = append(rows, st.replica)
			continue
		}
		for i := range rows {
			if rows[i].Replica == st.replica.Replica {
				rows[i].State = st.replica.State
			}
		}
	}
	for _, rows := range s.replicas {
		for i := range rows {
			switch rows[i].State {
			case replicaLearner:
				rows[i].State = replicaVoter
			case replicaLeaving:
				rows[i].State = replicaRemoved
			}
		}
	}
}

// converge plans and carries out until nothing is left to do.
func converge(t *testing.T, s *metaState, live map[log.NodeID]health) {
	t.Helper()
	for range 50 {
		steps := plan(s, live)
		if len(steps) == 0 {
			return
		}
		carryOut(s, steps)
	}
	t.Fatal("placement does not come to rest")
}

// having returns the nodes that have a replica of a log.
func having(s *metaState, id log.ID) map[log.NodeID]bool {
	out := map[log.NodeID]bool{}
	for _, r := range s.replicas[id] {
		if r.State != replicaRemoved {
			out[r.Node] = true
		}
	}
	return out
}

func TestPlanGrowsToTheFactor(t *testing.T) {
	s, live := testState(5, 3)
	converge(t, s, live)
	require.Len(t, having(s, firstLog), 3)
	require.Len(t, having(s, metaLog), 5, "every node has the meta log")
	require.Empty(t, plan(s, live))
}

func TestPlanReplacesARemovedNode(t *testing.T) {
	s, live := testState(4, 3)
	converge(t, s, live)
	gone := testNode(0)
	row := s.nodes[gone]
	row.State = query.NodeRemoved
	s.nodes[gone] = row
	delete(live, gone)
	converge(t, s, live)
	require.Len(t, having(s, firstLog), 3)
	require.False(t, having(s, firstLog)[gone])
	require.False(t, having(s, metaLog)[gone])
}

// TestPlanDrains moves replicas to a spare node, and keeps them where there is none.
func TestPlanDrains(t *testing.T) {
	for _, nodes := range []int{3, 4} {
		s, live := testState(nodes, 3)
		converge(t, s, live)
		row := s.nodes[testNode(0)]
		row.State = query.NodeDraining
		s.nodes[row.ID] = row
		converge(t, s, live)
		require.Len(t, having(s, firstLog), 3)
		require.Equal(t, nodes == 3, having(s, firstLog)[row.ID])
		require.True(t, having(s, metaLog)[row.ID])
	}
}

// TestPlanLeavesDeadNodesAlone: a node that is silent may come back.
func TestPlanLeavesDeadNodesAlone(t *testing.T) {
	s, live := testState(4, 3)
	converge(t, s, live)
	before := having(s, firstLog)
	for id := range before {
		delete(live, id)
		require.Empty(t, plan(s, live))
		live[id] = health{live: true}
	}
}

// TestPlanRebuildsFenced takes a fenced replica out of its group and gives the
// node, or another one, a new one.
func TestPlanRebuildsFenced(t *testing.T) {
	for _, nodes := range []int{3, 4} {
		s, live := testState(nodes, 3)
		converge(t, s, live)
		bad := s.replicas[firstLog][1]
		live[bad.Node] = health{live: true, fenced: map[log.ID]log.ReplicaID{firstLog: bad.Replica}}
		for range 10 {
			carryOut(s, plan(s, live))
			if _, has := s.replicaOn(firstLog, bad.Node); !has {
				live[bad.Node] = health{live: true} // its files are gone
			}
		}
		converge(t, s, live)
		require.Len(t, having(s, firstLog), 3)
		for _, r := range s.replicas[firstLog] {
			if r.Replica == bad.Replica {
				require.Equal(t, replicaRemoved, r.State)
			}
		}
	}
}

// TestPlanNeverGoesBelow lets nodes come, go and be drained at random: a group
// never gets smaller than its factor or the number of its nodes that may stay.
func TestPlanNeverGoesBelow(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	s, live := testState(6, 3)
	converge(t, s, live)
	for range 300 {
		id := testNode(r.IntN(6))
		row := s.nodes[id]
		switch r.IntN(3) {
		case 0:
			row.State = query.NodeDraining
		case 1:
			row.State = query.NodeActive
		case 2:
			live[id] = health{live: r.IntN(4) > 0, full: r.IntN(4) == 0}
		}
		s.nodes[id] = row
		carryOut(s, plan(s, live))
		require.GreaterOrEqual(t, len(having(s, firstLog)), 3)
	}
	for i := range 6 {
		s.nodes[testNode(i)] = nodeRow{ID: testNode(i), State: query.NodeActive}
		live[testNode(i)] = health{live: true}
	}
	converge(t, s, live)
	require.Len(t, having(s, firstLog), 3)
}

// TestPlanRebuildsFencedOnce: while the files of a fenced replica are still there,
// the one that follows it is not taken for fenced.
func TestPlanRebuildsFencedOnce(t *testing.T) {
	s, live := testState(3, 3)
	converge(t, s, live)
	bad := s.replicas[firstLog][1]
	live[bad.Node] = health{live: true, fenced: map[log.ID]log.ReplicaID{firstLog: bad.Replica}}
	converge(t, s, live)
	require.Len(t, s.replicas[firstLog], 4)
	require.Len(t, having(s, firstLog), 3)
}

// TestPlanShrinks takes away the replica of a node that is silent before those
// that work, and one of a removed node even while another is leaving.
func TestPlanShrinks(t *testing.T) {
	s, live := testState(3, 3)
	converge(t, s, live)
	silent := s.replicas[firstLog][1]
	delete(live, silent.Node)
	db := s.databases[firstLog]
	db.Replicas = 2
	s.databases[firstLog] = db
	steps := plan(s, live)
	require.Len(t, steps, 1)
	require.Equal(t, silent.Replica, steps[0].replica.Replica)

	s.replicas[firstLog][2].State = replicaLeaving // it cannot: two of three are needed
	s.nodes[silent.Node] = nodeRow{ID: silent.Node, State: query.NodeRemoved}
	require.Contains(t, plan(s, live), step{replica: replicaRow{Log: firstLog, Replica: silent.Replica, Node: silent.Node, State: replicaLeaving}})
}

// TestPlanRemovesAVoterOfMany: the meta log has more replicas than voters, and
// those that do not vote wait for nothing but a voter's place.
func TestPlanRemovesAVoterOfMany(t *testing.T) {
	s, live := testState(7, 3)
	converge(t, s, live)
	for i := range s.replicas[metaLog] {
		if i >= metaVoters {
			s.replicas[metaLog][i].State = replicaLearner
		}
	}
	gone := s.replicas[metaLog][2]
	s.replicas[firstLog][0].Node = gone.Node // one that nobody can release any more
	s.nodes[gone.Node] = nodeRow{ID: gone.Node, State: query.NodeRemoved}
	delete(live, gone.Node)
	require.Contains(t, plan(s, live), step{replica: replicaRow{Log: metaLog, Replica: gone.Replica, Node: gone.Node, State: replicaLeaving}})
}

// TestPlanKeepsAFencedMetaLog: a node cannot do without its replica of the meta
// log, so a fenced one stays until the node is removed or replaced.
func TestPlanKeepsAFencedMetaLog(t *testing.T) {
	s, live := testState(4, 3)
	converge(t, s, live)
	bad := s.replicas[metaLog][3]
	s.replicas[firstLog] = s.replicas[firstLog][:1] // the node has nothing else
	s.nodes[testNode(1)], s.nodes[testNode(2)] = nodeRow{ID: testNode(1), State: query.NodeDraining}, nodeRow{ID: testNode(2), State: query.NodeDraining}
	live[bad.Node] = health{live: true, full: true, fenced: map[log.ID]log.ReplicaID{metaLog: bad.Replica}}
	require.Empty(t, plan(s, live))
	s.nodes[bad.Node] = nodeRow{ID: bad.Node, State: query.NodeRemoved}
	require.Len(t, plan(s, live), 1)
}
