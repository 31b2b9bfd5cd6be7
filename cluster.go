package tidemark

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tidemark-db/tidemark/compaction"
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

var _ query.Cluster = (*Node)(nil)

// waitPoll is how often something is looked at again that others bring about.
const waitPoll = 20 * time.Millisecond

// createTimeout is how long CREATE DATABASE waits until the database works.
const createTimeout = 30 * time.Second

// reservedNames are databases that exist in PostgreSQL, or here, without being
// for users.
var reservedNames = map[string]bool{metaDatabase: true, "template0": true, "template1": true}

// CreateDatabase implements query.Cluster.
func (n *Node) CreateDatabase(ctx context.Context, o query.CreateDatabase) error {
	var id log.ID
	health := n.health()
	err := transact(ctx, n.meta.db, func(m *metaSession) error {
		state, err := readMeta(ctx, m)
		if err != nil {
			return err
		}
		if _, ok := state.names[o.Name]; ok || reservedNames[o.Name] {
			return sqlstate.New(sqlstate.DuplicateDatabase, "database \"%s\" already exists", o.Name)
		}
		rows, err := m.run(ctx, "SELECT max(log) + 1 FROM databases")
		if err != nil {
			return err
		}
		if id, err = number[log.ID](rows[0][0]); err != nil {
			return err
		}
		return n.insertDatabase(ctx, m, state, health, id, o)
	})
	if err != nil {
		return err
	}
	return n.awaitDatabase(ctx, id, o.Name)
}

// insertDatabase writes a new database's rows. Its first members are nodes that
// live, those with the fewest replicas.
func (n *Node) insertDatabase(ctx context.Context, m *metaSession, state *metaState, health map[log.NodeID]health, id log.ID, o query.CreateDatabase) error {
	db := databaseRow{Log: id, Name: o.Name, Owner: o.Owner, Replicas: o.Replicas, Connections: !o.NoConnections}
	if db.Replicas == 0 {
		db.Replicas = defaultReplicas
	}
	if err := checkReplicas(db.Replicas); err != nil {
		return err
	}
	members := firstMembers(state, health, db)
	if len(members) == 0 {
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "no node can take a replica of database \"%s\"", o.Name)
	}
	var sql strings.Builder
	fmt.Fprintf(&sql, "INSERT INTO databases (log, name, owner, replicas, connections) VALUES (%d, %s, %s, %d, %t);",
		id, literal(db.Name), literal(db.Owner), db.Replicas, db.Connections)
	for i, node := range members {
		fmt.Fprintf(&sql, "INSERT INTO replicas VALUES (%d, %d, %s, 'initial', true);", id, i+1, literal(string(node)))
	}
	_, err := m.run(ctx, sql.String())
	return err
}

// firstMembers chooses the nodes for a new database.
func firstMembers(state *metaState, health map[log.NodeID]health, db databaseRow) []log.NodeID {
	p := newPlanner(state, health)
	var out []log.NodeID
	for len(out) < p.wanted(db) {
		node, ok := p.spare(db.Log)
		if !ok {
			break
		}
		p.add(replicaRow{Log: db.Log, Node: node})
		out = append(out, node)
	}
	return out
}

func checkReplicas(count int) error {
	if count < 1 || count > maxReplicas {
		return sqlstate.New(sqlstate.InvalidParameterValue, "%d is outside the valid range for parameter \"tidemark.replicas\" (1 .. %d)", count, maxReplicas)
	}
	return nil
}

// awaitDatabase waits until a new database works on this node, or on the nodes
// that have it, or until somebody has dropped it again.
func (n *Node) awaitDatabase(ctx context.Context, id log.ID, name string) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	if err := n.meta.refresh(ctx); err != nil { // from here on it is there unless it was dropped
		return fmt.Errorf("meta database: %w", err)
	}
	for !n.works(ctx, id) {
		if _, ok := n.meta.state.Load().databases[id]; !ok {
			return nil
		}
		pause(ctx, waitPoll)
		if ctx.Err() != nil {
			return sqlstate.New(sqlstate.QueryCanceled, "database \"%s\" was created but does not work yet", name).
				WithHint("Look at tidemark.replicas.")
		}
	}
	return nil
}

// works says whether a database can be used.
func (n *Node) works(ctx context.Context, id log.ID) bool {
	row, here := n.meta.state.Load().replicaOn(id, n.self())
	if db := n.databases.get(id); here && row.First {
		if db == nil {
			return false
		}
		look, cancel := context.WithTimeout(ctx, worksPatience)
		defer cancel()
		return db.shard.Ready(look) == nil
	}
	for _, s := range n.board.live() {
		if r, ok := s.replica(id); ok && r.Leader != 0 {
			return true
		}
	}
	return false
}

// worksPatience is how long a new database is waited for before anything else is
// looked at.
const worksPatience = time.Second

// DropDatabase implements query.Cluster.
func (n *Node) DropDatabase(ctx context.Context, name string, force bool) error {
	var id log.ID
	err := transact(ctx, n.meta.db, func(m *metaSession) error {
		db, err := n.changeable(ctx, m, name)
		if err != nil {
			return err
		}
		if id = db.Log; id == firstLog {
			return errNeeded(name, "dropping")
		}
		if used := n.sessionsOf(id); used > 0 && !force {
			return inUse(name, used)
		}
		_, err = m.run(ctx, fmt.Sprintf("UPDATE databases SET name = NULL WHERE log = %d; UPDATE replicas SET state = 'removed' WHERE log = %d", id, id))
		return err
	})
	if err != nil {
		return err
	}
	// Other nodes follow when they hear of it; here nobody sees it any more.
	return n.meta.confirm(ctx)
}

// RenameDatabase implements query.Cluster.
func (n *Node) RenameDatabase(ctx context.Context, name, to string) error {
	err := transact(ctx, n.meta.db, func(m *metaSession) error {
		db, err := n.changeable(ctx, m, name)
		if err != nil {
			return err
		}
		if db.Log == firstLog {
			return errNeeded(name, "renaming")
		}
		rows, err := m.run(ctx, "SELECT FROM databases WHERE name = "+literal(to))
		if err != nil {
			return err
		}
		if len(rows) > 0 || reservedNames[to] {
			return sqlstate.New(sqlstate.DuplicateDatabase, "database \"%s\" already exists", to)
		}
		if used := n.sessionsOf(db.Log); used > 0 {
			return inUse(name, used)
		}
		_, err = m.run(ctx, fmt.Sprintf("UPDATE databases SET name = %s WHERE log = %d", literal(to), db.Log))
		return err
	})
	if err != nil {
		return err
	}
	return n.meta.confirm(ctx)
}

// SetReplicas implements query.Cluster.
func (n *Node) SetReplicas(ctx context.Context, database string, count int) error {
	if err := checkReplicas(count); err != nil {
		return err
	}
	return transact(ctx, n.meta.db, func(m *metaSession) error {
		db, err := n.changeable(ctx, m, database)
		if err != nil {
			return err
		}
		_, err = m.run(ctx, fmt.Sprintf("UPDATE databases SET replicas = %d WHERE log = %d", count, db.Log))
		return err
	})
}

// SetRetention implements query.Cluster.
func (n *Node) SetRetention(ctx context.Context, database string, change func(*compaction.Policy)) error {
	err := transact(ctx, n.meta.db, func(m *metaSession) error {
		db, err := n.changeable(ctx, m, database)
		if err != nil {
			return err
		}
		p := db.Retention
		change(&p)
		_, err = m.run(ctx, fmt.Sprintf("UPDATE databases SET history_us = %d, history_bytes = %d, slot_lag_bytes = %d WHERE log = %d",
			p.Age.Microseconds(), p.Size, p.SlotLag, db.Log))
		return err
	})
	if err != nil {
		return err
	}
	return n.meta.confirm(ctx)
}

// changeable returns the row of a database that users may change.
func (n *Node) changeable(ctx context.Context, m *metaSession, name string) (databaseRow, error) {
	state, err := readMeta(ctx, m)
	if err != nil {
		return databaseRow{}, err
	}
	id, ok := state.names[name]
	if !ok {
		return databaseRow{}, sqlstate.New(sqlstate.InvalidCatalogName, "database \"%s\" does not exist", name)
	}
	if id == metaLog {
		return databaseRow{}, sqlstate.New(sqlstate.InsufficientPrivilege, "database \"%s\" is the cluster's own", name)
	}
	return state.databases[id], nil
}

// sessionsOf counts the sessions of a database on all nodes that are heard.
func (n *Node) sessionsOf(id log.ID) int {
	count := 0
	if db := n.databases.get(id); db != nil {
		count = db.engine.Sessions()
	}
	for _, s := range n.board.live() {
		if r, ok := s.replica(id); ok {
			count += r.Sessions
		}
	}
	return count
}

// errNeeded says that a database has to stay as it is.
func errNeeded(name, doing string) error {
	return sqlstate.New(sqlstate.FeatureNotSupported, "%s database \"%s\" is not supported", doing, name).
		WithDetail("Nodes that join connect to it.")
}

func inUse(name string, sessions int) error {
	detail := "There is 1 other session using the database."
	if sessions > 1 {
		detail = fmt.Sprintf("There are %d other sessions using the database.", sessions)
	}
	return sqlstate.New(sqlstate.ObjectInUse, "database \"%s\" is being accessed by other users", name).WithDetail("%s", detail)
}
