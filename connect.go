package tidemark

import (
	"context"
	"time"

	"github.com/tidemark-db/tidemark/pgwire"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// newSession makes a session of the database that a client names.
func (n *Node) newSession(ctx context.Context, p query.StartupParams) (pgwire.Session, []query.Setting, error) {
	db, err := n.connectable(ctx, p.Database)
	if err != nil {
		return nil, nil, err
	}
	session, settings, err := db.engine.NewSession(ctx, p)
	if err != nil {
		return nil, nil, err // not a nil *Session in an interface
	}
	return session, settings, nil
}

// connectable returns the database that a client may connect to here.
func (n *Node) connectable(ctx context.Context, name string) (*database, error) {
	fatal := func(code sqlstate.Code, format string, args ...any) error {
		err := sqlstate.New(code, format, args...)
		err.Severity = "FATAL"
		return err
	}
	row, ok := n.named(ctx, name)
	if !ok {
		return nil, fatal(sqlstate.InvalidCatalogName, "database \"%s\" does not exist", name)
	}
	if !row.Connections {
		return nil, fatal(sqlstate.ObjectNotInPrerequisiteState, "database \"%s\" is not currently accepting connections", name)
	}
	db := n.databases.get(row.Log)
	if db == nil {
		return nil, fatal(sqlstate.CannotConnectNow, "database \"%s\" is not available on this node now", name)
	}
	return db, nil
}

// named finds a database by its name. One that is not known here may have been
// created elsewhere a moment ago.
func (n *Node) named(ctx context.Context, name string) (databaseRow, bool) {
	state := n.meta.state.Load()
	id, ok := state.names[name]
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, namePatience)
		defer cancel()
		if n.meta.confirm(ctx) != nil {
			return databaseRow{}, false
		}
		state = n.meta.state.Load()
		if id, ok = state.names[name]; !ok {
			return databaseRow{}, false
		}
	}
	return state.databases[id], true
}

// namePatience bounds how long a client with an unknown database's name waits.
const namePatience = 2 * time.Second

// route names the node that serves a database which this one does not: the one
// that leads it, if that is known.
func (n *Node) route(name string) (addr string, ok bool) {
	row, ok := n.named(n.life, name)
	if db := n.databases.get(row.Log); !ok || db != nil && db.replica.Fenced() == nil {
		return "", false
	}
	for id, s := range n.board.live() {
		r, has := s.replica(row.Log)
		if !has || r.Halted != "" || addr != "" && r.Leader != r.Replica {
			continue
		}
		if other, known := n.peers.get(id); known {
			addr = n.cfg.via(other.SQL)
		}
	}
	return addr, addr != ""
}
