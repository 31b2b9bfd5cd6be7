package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// target binds the table of an UPDATE or DELETE with what it is joined with.
// It returns the source node, the table's relation and the handle columns.
func (b *binder) target(n *ast.RangeVar, with *ast.WithClause, from *ast.NodeList, where ast.Node, s *scope) (*Scan, Node, *relation, error) {
	t, err := b.writable(n)
	if err != nil {
		return nil, nil, nil, err
	}
	if with != nil {
		if err := b.with(with, s); err != nil {
			return nil, nil, nil, err
		}
	}
	sc, r := b.scan(t, n.Alias)
	r.schema = b.schemaName(t.Schema)
	b.withHandle(sc)
	if err := s.addItem(&fromItem{node: sc, rels: []*relation{r}, star: r.cols}); err != nil {
		return nil, nil, nil, err
	}
	var node Node = sc
	for _, f := range items(from) {
		it, err := b.fromItem(f, s)
		if err != nil {
			return nil, nil, nil, err
		}
		if err := s.addItem(it); err != nil {
			return nil, nil, nil, err
		}
		node = &Join{Kind: InnerJoin, Method: b.lateralMethod(it.node, node), Left: node, Right: it.node}
	}
	if where != nil {
		s.clause = "WHERE"
		cond, err := b.boolean(where, s, "argument of WHERE")
		if err != nil {
			return nil, nil, nil, err
		}
		node = &Filter{In: node, Cond: cond}
	}
	return sc, node, r, nil
}

// update binds UPDATE.
func (b *binder) update(n *ast.UpdateStmt) (*Statement, error) {
	s := &scope{}
	sc, node, r, err := b.target(n.Relation, n.WithClause, n.FromClause, n.WhereClause, s)
	if err != nil {
		return nil, err
	}
	t := sc.Table
	up := &Update{Table: t, Source: node, Old: sc.Out, Handle: sc.Handle}
	s.clause = "UPDATE"
	if up.Sets, err = b.sets(t, n.TargetList, s); err != nil {
		return nil, err
	}
	newRow, ids := b.rowRelation(t, r.name)
	newRow.schema = r.schema
	up.Row = ids
	if up.Checks, err = b.checks(t, up.Row); err != nil {
		return nil, err
	}
	st := &Statement{Update: up, Tag: "UPDATE"}
	rs := &scope{ctes: s.ctes, clause: "RETURNING", items: append([]*fromItem{relItem(newRow)}, s.items[1:]...)}
	up.Returning, err = b.returning(st, n.ReturningList, rs)
	return st, err
}

// delete binds DELETE.
func (b *binder) delete(n *ast.DeleteStmt) (*Statement, error) {
	s := &scope{}
	sc, node, _, err := b.target(n.Relation, n.WithClause, n.UsingClause, n.WhereClause, s)
	if err != nil {
		return nil, err
	}
	del := &Delete{Table: sc.Table, Source: node, Old: sc.Out, Handle: sc.Handle}
	st := &Statement{Delete: del, Tag: "DELETE"}
	s.clause = "RETURNING"
	del.Returning, err = b.returning(st, n.ReturningList, s)
	return st, err
}

// sets binds SET a = 1, (b, c) = (2, 3).
func (b *binder) sets(t *catalog.Table, list *ast.NodeList, s *scope) ([]Set, error) {
	var out []Set
	seen := map[catalog.ColumnNum]bool{}
	for _, it := range items(list) {
		rt := it.(*ast.ResTarget)
		c, err := columnOf(t, rt.Name)
		if err != nil {
			return nil, err
		}
		if len(items(rt.Indirection)) > 0 {
			return nil, unsupported("assignment to an array element or field")
		}
		if seen[c.Num] {
			return nil, sqlstate.New(sqlstate.SyntaxError, "multiple assignments to same column \"%s\"", rt.Name)
		}
		seen[c.Num] = true
		e, err := b.setValue(t, c, rt.Val, s)
		if err != nil {
			return nil, err
		}
		out = append(out, Set{c.Num, e})
	}
	return out, nil
}

func (b *binder) setValue(t *catalog.Table, c *catalog.Column, n ast.Node, s *scope) (Expr, error) {
	typ, _ := types.ByOID(c.Type)
	if m, ok := n.(*ast.MultiAssignRef); ok {
		row, ok := m.Source.(*ast.RowExpr)
		if !ok {
			return nil, unsupported("a subquery as the source of a multiple-column UPDATE item")
		}
		if len(items(row.Args)) != m.Ncolumns {
			return nil, sqlstate.New(sqlstate.SyntaxError, "number of columns does not match number of values")
		}
		n = row.Args.Items[m.Colno-1]
	}
	if _, ok := n.(*ast.SetToDefault); ok {
		d, err := b.defaultExpr(c)
		if err != nil || d != nil {
			return d, err
		}
		return &Const{typed{typ, c.Typmod}, types.NullDatum}, nil
	}
	if c.Identity == 'a' {
		return nil, sqlstate.New("428C9", "column \"%s\" can only be updated to DEFAULT", c.Name).
			WithDetail("Column \"%s\" is an identity column defined as GENERATED ALWAYS.", c.Name)
	}
	e, err := b.expr(n, s)
	if err != nil {
		return nil, err
	}
	return b.assign(e, c.Name, typ, c.Typmod)
}
