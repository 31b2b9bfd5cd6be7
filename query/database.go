package query

import (
	"context"

	"github.com/tidemark-db/tidemark/compaction"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// alone checks that a command with effects outside of the log is not part of a
// transaction; of says that it is part of a string of several statements.
func (s *Session) alone(c plan.Command, several bool) error {
	tag, ok := plan.Alone(c)
	if ok && (s.tx != nil || several) {
		return sqlstate.New(sqlstate.ActiveSQLTransaction, "%s cannot run inside a transaction block", tag)
	}
	return nil
}

// databaseCommand runs a command about a whole database. They are not in this
// database's log: another log has them.
func (s *Session) databaseCommand(ctx context.Context, c plan.Command, w ResultWriter) error {
	if err := s.alone(c, false); err != nil {
		return err
	}
	tag, _ := plan.Alone(c)
	if readOnly, _ := s.settings.get("default_transaction_read_only"); readOnly == "on" {
		return sqlstate.New(sqlstate.ReadOnlySQLTransaction, "cannot execute %s in a read-only transaction", tag)
	}
	cluster := s.e.cfg.Cluster
	if cluster == nil {
		return sqlstate.New(sqlstate.FeatureNotSupported, "%s is not supported", tag).WithDetail("This database is on its own.")
	}
	var err error
	switch c := c.(type) {
	case *plan.CreateDatabase:
		err = s.createDatabase(ctx, cluster, c)
	case *plan.DropDatabase:
		err = s.dropDatabase(ctx, cluster, c, w)
	case *plan.RenameDatabase:
		if c.Name == s.start.Database {
			return sqlstate.New(sqlstate.FeatureNotSupported, "current database cannot be renamed")
		}
		err = cluster.RenameDatabase(ctx, c.Name, c.To)
	case *plan.SetReplicas:
		err = cluster.SetReplicas(ctx, c.Name, c.Replicas)
	case *plan.SetRetention:
		err = cluster.SetRetention(ctx, c.Name, func(p *compaction.Policy) { setRetention(p, c) })
	}
	if err != nil {
		return clusterError(ctx, err)
	}
	return w.CommandComplete(tag)
}

// clusterError is what a client is told of a cluster's error.
func clusterError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return exec.Canceled(ctx)
	}
	return appendError(err)
}

func (s *Session) createDatabase(ctx context.Context, cluster Cluster, c *plan.CreateDatabase) error {
	if c.Template != "" {
		for _, d := range cluster.Databases() {
			if d.Name == c.Template {
				return sqlstate.New(sqlstate.FeatureNotSupported, "CREATE DATABASE ... TEMPLATE \"%s\" is not supported", c.Template).
					WithDetail("Databases cannot be copied; template0 and template1 stand for an empty one.")
			}
		}
		return sqlstate.New(sqlstate.InvalidCatalogName, "template database \"%s\" does not exist", c.Template)
	}
	o := CreateDatabase{Name: c.Name, Owner: c.Owner, Replicas: c.Replicas, NoConnections: c.NoConnections}
	if o.Owner == "" {
		o.Owner = s.start.User
	}
	return cluster.CreateDatabase(ctx, o)
}

func (s *Session) dropDatabase(ctx context.Context, cluster Cluster, c *plan.DropDatabase, w ResultWriter) error {
	if c.Name == s.start.Database {
		return sqlstate.New(sqlstate.ObjectInUse, "cannot drop the currently open database")
	}
	err := cluster.DropDatabase(ctx, c.Name, c.Force)
	if c.IfExists && sqlstate.CodeOf(err) == sqlstate.InvalidCatalogName {
		return w.Notice(sqlstate.New(sqlstate.SuccessfulCompletion, "database \"%s\" does not exist, skipping", c.Name))
	}
	return err
}

// databases are those there are, as far as the node knows. A node on its own has
// one.
func (e *Engine) databases() []DatabaseInfo {
	if e.cfg.Cluster != nil {
		return e.cfg.Cluster.Databases()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	pos := e.cfg.Replica.Position()
	return []DatabaseInfo{{Name: e.name, Log: e.cfg.LogID, OID: postgresOID, Replicas: 1, Retention: compaction.DefaultPolicy(),
		Here: true, Floor: pos.Floor, End: pos.End}}
}

// info is the engine's own database among databases.
func (e *Engine) info() (DatabaseInfo, bool) {
	for _, d := range e.databases() {
		if d.Log == e.cfg.LogID {
			return d, true
		}
	}
	return DatabaseInfo{}, false
}
