package tidemark

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemark-db/tidemark/compaction"
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
)

// The databases that every cluster has. The meta database is the cluster's own
// state, a database like any other, whose log every node has a replica of.
const (
	metaDatabase        = "_tidemark"
	metaLog      log.ID = 1

	firstDatabase        = "postgres"
	firstLog      log.ID = 2
	firstOwner           = "postgres"
)

// How many replicas databases have.
const (
	defaultReplicas = 3
	maxReplicas     = 9
	// metaVoters is how many of the meta database's replicas vote; the others
	// follow.
	metaVoters = 5
)

// replicaState says how far a replica has got from being wanted to being gone.
type replicaState string

// The states of a replica in the meta database.
const (
	replicaInitial replicaState = "initial" // among the first members of its group
	replicaLearner replicaState = "learner" // catching up
	replicaVoter   replicaState = "voter"   // caught up, and counted in majorities
	replicaLeaving replicaState = "leaving" // to be taken out of its group
	replicaRemoved replicaState = "removed" // its files may go
)

// votes says whether the replica is or soon will be counted in majorities.
func (s replicaState) votes() bool { return s == replicaInitial || s == replicaVoter }

// metaSchema makes the meta database's tables.
const metaSchema = `
CREATE TABLE IF NOT EXISTS cluster (one bool PRIMARY KEY CHECK (one), id text NOT NULL);
CREATE TABLE IF NOT EXISTS nodes (
	id text PRIMARY KEY, sql_addr text NOT NULL, raft_addr text NOT NULL, http_addr text NOT NULL,
	state text NOT NULL CHECK (state IN ('active', 'draining', 'removed')), joined timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS databases (
	log int8 PRIMARY KEY, name text UNIQUE, owner text NOT NULL, replicas int4 NOT NULL CHECK (replicas BETWEEN 1 AND 9),
	connections bool NOT NULL, created timestamptz NOT NULL DEFAULT now(),
	history_us int8 NOT NULL DEFAULT 0, history_bytes int8 NOT NULL DEFAULT 0, slot_lag_bytes int8 NOT NULL DEFAULT 10737418240);
CREATE TABLE IF NOT EXISTS replicas (
	log int8 NOT NULL REFERENCES databases, replica int8 NOT NULL, node text NOT NULL REFERENCES nodes,
	state text NOT NULL CHECK (state IN ('initial', 'learner', 'voter', 'leaving', 'removed')), first bool NOT NULL,
	PRIMARY KEY (log, replica));
`

// nodeRow, databaseRow and replicaRow are rows of the meta database. A dropped
// database keeps its row, without a name, so that its log's number stays used.
type (
	nodeRow struct {
		ID    log.NodeID
		Addrs addresses
		State query.NodeState
	}
	databaseRow struct {
		Log         log.ID
		Name, Owner string
		Replicas    int
		Connections bool
		Retention   compaction.Policy
	}
	replicaRow struct {
		Log     log.ID
		Replica log.ReplicaID
		Node    log.NodeID
		State   replicaState
		// First: the replica is one of those that the group began with.
		First bool
	}
)

// metaState is what the meta database says at one moment. It is never changed.
type metaState struct {
	cluster   string
	nodes     map[log.NodeID]nodeRow
	databases map[log.ID]databaseRow
	names     map[string]log.ID
	replicas  map[log.ID][]replicaRow // by number
}

// logs returns the logs in order.
func (m *metaState) logs() []log.ID { return slices.Sorted(maps.Keys(m.databases)) }

// nodeIDs returns the nodes in order.
func (m *metaState) nodeIDs() []log.NodeID { return slices.Sorted(maps.Keys(m.nodes)) }

// replicaOn returns the replica of a log that a node has or is to have.
func (m *metaState) replicaOn(id log.ID, node log.NodeID) (replicaRow, bool) {
	for _, r := range m.replicas[id] {
		if r.Node == node && r.State != replicaRemoved {
			return r, true
		}
	}
	return replicaRow{}, false
}

// firstMembers are those that a group began with.
func (m *metaState) firstMembers(id log.ID) map[log.ReplicaID]log.NodeID {
	members := map[log.ReplicaID]log.NodeID{}
	for _, r := range m.replicas[id] {
		if r.First {
			members[r.Replica] = r.Node
		}
	}
	return members
}

// readMeta reads all of the meta database in one snapshot.
func readMeta(ctx context.Context, m *metaSession) (*metaState, error) {
	s := &metaState{
		nodes: map[log.NodeID]nodeRow{}, databases: map[log.ID]databaseRow{},
		names: map[string]log.ID{}, replicas: map[log.ID][]replicaRow{},
	}
	rows, err := m.run(ctx, "SELECT id FROM cluster")
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		s.cluster = r[0]
	}
	if rows, err = m.run(ctx, "SELECT id, sql_addr, raft_addr, http_addr, state FROM nodes"); err != nil {
		return nil, err
	}
	for _, r := range rows {
		id := log.NodeID(r[0])
		s.nodes[id] = nodeRow{ID: id, Addrs: addresses{SQL: r[1], Raft: r[2], HTTP: r[3]}, State: query.NodeState(r[4])}
	}
	if err := s.readDatabases(ctx, m); err != nil {
		return nil, err
	}
	return s, s.readReplicas(ctx, m)
}

func (s *metaState) readDatabases(ctx context.Context, m *metaSession) error {
	rows, err := m.run(ctx, "SELECT log, name, owner, replicas, connections, history_us, history_bytes, slot_lag_bytes FROM databases WHERE name IS NOT NULL")
	if err != nil {
		return err
	}
	for _, r := range rows {
		id, err := number[log.ID](r[0])
		if err != nil {
			return err
		}
		replicas, err := strconv.Atoi(r[3])
		if err != nil {
			return fmt.Errorf("meta database: %w", err)
		}
		retention, err := readPolicy(r[5:])
		if err != nil {
			return err
		}
		s.databases[id] = databaseRow{Log: id, Name: r[1], Owner: r[2], Replicas: replicas, Connections: r[4] == "t", Retention: retention}
		s.names[r[1]] = id
	}
	return nil
}

// readPolicy reads the columns that say how much history a database retains.
func readPolicy(r []string) (p compaction.Policy, err error) {
	var n [3]log.Offset
	for i := range n {
		if n[i], err = number[log.Offset](r[i]); err != nil {
			return p, err
		}
	}
	return compaction.Policy{Age: time.Duration(n[0]) * time.Microsecond, Size: n[1], SlotLag: n[2]}, nil
}

func (s *metaState) readReplicas(ctx context.Context, m *metaSession) error {
	rows, err := m.run(ctx, "SELECT log, replica, node, state, first FROM replicas ORDER BY log, replica")
	if err != nil {
		return err
	}
	for _, r := range rows {
		id, err := number[log.ID](r[0])
		if err != nil {
			return err
		}
		replica, err := number[log.ReplicaID](r[1])
		if err != nil {
			return err
		}
		s.replicas[id] = append(s.replicas[id], replicaRow{Log: id, Replica: replica, Node: log.NodeID(r[2]), State: replicaState(r[3]), First: r[4] == "t"})
	}
	return nil
}

// bootstrapMeta writes the first state of a new cluster of one node, as far as it
// is not there yet.
func bootstrapMeta(ctx context.Context, db *database, cluster string, self nodeRow) error {
	return transact(ctx, db, func(m *metaSession) error {
		var sql strings.Builder
		sql.WriteString(metaSchema)
		fmt.Fprintf(&sql, "INSERT INTO cluster VALUES (true, %s) ON CONFLICT DO NOTHING;", literal(cluster))
		fmt.Fprintf(&sql, "INSERT INTO nodes VALUES (%s) ON CONFLICT DO NOTHING;", nodeValues(self))
		fmt.Fprintf(&sql, "INSERT INTO databases (log, name, owner, replicas, connections) VALUES (%d, %s, %s, %d, false), (%d, %s, %s, %d, true) ON CONFLICT DO NOTHING;",
			metaLog, literal(metaDatabase), literal(firstOwner), metaVoters, firstLog, literal(firstDatabase), literal(firstOwner), defaultReplicas)
		for _, id := range []log.ID{metaLog, firstLog} {
			fmt.Fprintf(&sql, "INSERT INTO replicas VALUES (%d, 1, %s, 'initial', true) ON CONFLICT DO NOTHING;", id, literal(string(self.ID)))
		}
		_, err := m.run(ctx, sql.String())
		return err
	})
}

// nodeValues lists the values of a node's row.
func nodeValues(n nodeRow) string {
	return strings.Join([]string{literal(string(n.ID)), literal(n.Addrs.SQL), literal(n.Addrs.Raft), literal(n.Addrs.HTTP), literal(string(n.State))}, ", ")
}

// meta is the node's view of the meta database, read again after each change.
type meta struct {
	db    *database // set before anything runs
	state atomic.Pointer[metaState]
	// reading lets one at a time read, so that the state never goes back.
	reading sync.Mutex
	// changed has room for one: it wakes whoever acts on the state.
	changed chan struct{}
}

// metaRetryPause is the pause after the meta database could not be read.
const metaRetryPause = 200 * time.Millisecond

func newMeta() *meta {
	m := &meta{changed: make(chan struct{}, 1)}
	m.state.Store(&metaState{})
	return m
}

// refresh reads the state that this node has.
func (m *meta) refresh(ctx context.Context) error {
	m.reading.Lock()
	defer m.reading.Unlock()
	s, err := openMetaSession(ctx, m.db, false)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := s.run(ctx, "BEGIN READ ONLY"); err != nil {
		return err
	}
	state, err := readMeta(ctx, s)
	if err != nil {
		return err
	}
	m.state.Store(state)
	return nil
}

// confirm returns once the state is no older than the call.
func (m *meta) confirm(ctx context.Context) error {
	if err := m.db.shard.ReadIndex(ctx); err != nil {
		return err
	}
	return m.refresh(ctx)
}

// poke wakes whoever acts on the state.
func (m *meta) poke() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// follow keeps the state up to date until ctx ends.
func (m *meta) follow(ctx context.Context) {
	for ctx.Err() == nil {
		end := m.db.replica.Position().End
		err := m.refresh(ctx)
		if err == nil {
			m.poke()
			err = m.db.replica.Wait(ctx, end+1)
		}
		if err != nil && ctx.Err() == nil {
			m.db.logger.Debug("reading the meta database failed", "error", err)
			pause(ctx, metaRetryPause)
		}
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
