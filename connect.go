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
	row, ok, err := n.named(ctx, name)
	if err != nil {
		n.cfg.Logger.Debug("the meta database cannot be asked for a name", "database", name, "error", err)
		return nil, fatal(sqlstate.CannotConnectNow, "database \"%s\" is not known to this node, which cannot ask the others now", name)
	}
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
// created elsewhere a moment ago. The error says that this could not be found out.
func (n *Node) named(ctx context.Context, name string) (databaseRow, bool, error) {
	state := n.meta.state.Load()
	id, ok := state.names[name]
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, namePatience)
		defer cancel()
		if err := n.meta.confirm(ctx); err != nil {
			return databaseRow{}, false, err
		}
		state = n.meta.state.Load()
		if id, ok = state.names[name]; !ok {
			return databaseRow{}, false, nil
		}
	}
	return state.databases[id], true, nil
}

// namePatience bounds how long a client with an unknown database's name waits.
const namePatience = 2 * time.Second

// route names the node that serves a database which this one does not: the one
// that leads it, if that is known.
func (n *Node) route(name string) (addr string, ok bool) {
	row, ok, err := n.named(n.life, name)
	if db := n.databases.get(row.Log); err != nil || !ok || db != nil && db.replica.Fenced() == nil {
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
