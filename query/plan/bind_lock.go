package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// lockNames are the strengths of row locks.
var lockNames = map[ast.LockClauseStrength]string{
	ast.LCS_FORKEYSHARE: "FOR KEY SHARE", ast.LCS_FORSHARE: "FOR SHARE",
	ast.LCS_FORNOKEYUPDATE: "FOR NO KEY UPDATE", ast.LCS_FORUPDATE: "FOR UPDATE",
}

// lock binds FOR UPDATE and its relatives. There are no locks: what they mean is
// that COMMIT validates what the query has shown, at every isolation level. So
// NOWAIT has nothing to fail for and SKIP LOCKED nothing to pass over.
func (b *binder) lock(l *ast.LockingClause, n *ast.SelectStmt) error {
	name := lockNames[l.Strength]
	with := ""
	switch {
	case n.Op != ast.SETOP_NONE:
		with = "UNION/INTERSECT/EXCEPT"
	case len(items(n.ValuesLists)) > 0:
		return sqlstate.New(sqlstate.FeatureNotSupported, "%s cannot be applied to VALUES", name)
	case n.DistinctClause != nil:
		with = "DISTINCT clause"
	case n.GroupClause != nil:
		with = "GROUP BY clause"
	case n.HavingClause != nil:
		with = "HAVING clause"
	}
	if with != "" {
		return sqlstate.New(sqlstate.FeatureNotSupported, "%s is not allowed with %s", name, with)
	}
	b.locking, b.rowLock = true, name
	return nil
}

// lockedRelations checks the names after OF, once FROM is bound.
func lockedRelations(n *ast.SelectStmt, s *scope) error {
	for _, l := range items(n.LockingClause) {
		l := l.(*ast.LockingClause)
		for _, r := range items(l.LockedRels) {
			rv, ok := r.(*ast.RangeVar)
			if !ok {
				continue
			}
			if rv.SchemaName != "" || rv.CatalogName != "" {
				return sqlstate.New(sqlstate.SyntaxError, "%s must specify unqualified relation names", lockNames[l.Strength])
			}
			if s.relation("", rv.RelName) == nil {
				return sqlstate.New(sqlstate.UndefinedTable, "relation \"%s\" in %s clause not found in FROM clause", rv.RelName, lockNames[l.Strength])
			}
		}
	}
	return nil
}

// lockable refuses a locking clause where the rows of the result are not those of
// a table, once the select list is bound.
func (q *selection) lockable() error {
	if len(items(q.n.LockingClause)) == 0 {
		return nil
	}
	with := ""
	for _, t := range q.targets {
		Walk(t.expr, func(e Expr) bool {
			if c, ok := e.(*Call); ok && c.Func.Set != nil {
				with = "set-returning functions in the target list"
			}
			return with == ""
		})
	}
	if len(q.coll.aggs) > 0 {
		with = "aggregate functions"
	}
	if with == "" {
		return nil
	}
	l := items(q.n.LockingClause)[0].(*ast.LockingClause)
	return sqlstate.New(sqlstate.FeatureNotSupported, "%s is not allowed with %s", lockNames[l.Strength], with)
}
