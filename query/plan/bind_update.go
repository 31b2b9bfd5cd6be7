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
	sc, node, old, err := b.target(n.Relation, n.WithClause, n.FromClause, n.WhereClause, s)
	if err != nil {
		return nil, err
	}
	t := sc.Table
	up := &Update{Table: t, Source: node, Old: sc.Out, Handle: sc.Handle}
	s.clause = "UPDATE"
	if up.Sets, err = b.sets(t, n.TargetList, old, s); err != nil {
		return nil, err
	}
	newRow, ids := b.rowRelation(t, old.name)
	newRow.schema = old.schema
	up.Row = ids
	if up.Checks, err = b.checks(t, up.Row); err != nil {
		return nil, err
	}
	st := &Statement{Update: up, Tag: "UPDATE", Unidentified: updateRule.unidentified(b.env.Catalog, t)}
	if st.Guards, err = b.guards(&rowChange{table: t, updated: true, columns: setColumns(up.Sets)}); err != nil {
		return nil, err
	}
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
	st := &Statement{Delete: del, Tag: "DELETE", Unidentified: deleteRule.unidentified(b.env.Catalog, sc.Table)}
	if st.Guards, err = b.guards(&rowChange{table: sc.Table, deleted: true}); err != nil {
		return nil, err
	}
	s.clause = "RETURNING"
	del.Returning, err = b.returning(st, n.ReturningList, s)
	return st, err
}

// sets binds SET a = 1, (b, c) = (2, 3), d[1] = 4. old is the row before.
func (b *binder) sets(t *catalog.Table, list *ast.NodeList, old *relation, s *scope) ([]Set, error) {
	var out []Set
	seen := map[catalog.ColumnNum]int{}
	for _, it := range items(list) {
		rt := it.(*ast.ResTarget)
		c, err := columnOf(t, rt.Name)
		if err != nil {
			return nil, b.atName(err, rt.Name)
		}
		steps := items(rt.Indirection)
		i, again := seen[c.Num]
		var before Expr
		if again {
			before = out[i].Value
		} else if id, err := pick(old.cols, c.Name); err == nil {
			before = b.ref(id)
		}
		if _, partial := before.(*Assign); again && (len(steps) == 0 || !partial) {
			return nil, sqlstate.New(sqlstate.SyntaxError, "multiple assignments to same column \"%s\"", rt.Name)
		}
		e, err := b.setValue(c, rt.Val, steps, before, s)
		if err != nil {
			return nil, err
		}
		if again {
			out[i].Value = e
			continue
		}
		seen[c.Num] = len(out)
		out = append(out, Set{c.Num, e})
	}
	return out, nil
}

func (b *binder) setValue(c *catalog.Column, n ast.Node, steps []ast.Node, before Expr, s *scope) (Expr, error) {
	typ, _ := types.ByOID(c.Type)
	var e Expr
	if m, ok := n.(*ast.MultiAssignRef); ok {
		switch src := m.Source.(type) {
		case *ast.RowExpr:
			var err error
			if n, e, err = b.rowColumn(src, m, s); err != nil {
				return nil, err
			}
		case *ast.SubLink:
			var err error
			if e, err = b.subColumn(src, m.Colno-1, m.Ncolumns, s); err != nil {
				return nil, err
			}
		default:
			return nil, sqlstate.New(sqlstate.FeatureNotSupported, "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")
		}
	}
	if _, ok := n.(*ast.SetToDefault); ok {
		if len(steps) > 0 {
			return nil, sqlstate.New(sqlstate.FeatureNotSupported, "cannot set an array element to DEFAULT")
		}
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
	if e == nil {
		var err error
		if e, err = b.expr(n, s); err != nil {
			return nil, err
		}
	}
	if len(steps) > 0 {
		return b.assignElement(before, c.Name, typ, c.Typmod, steps, e, s)
	}
	return b.assign(e, c.Name, typ, c.Typmod)
}

// rowColumn is one column of ROW(…) in SET (a, b) = ROW(…): as it was written,
// because it may be DEFAULT, or as an expression where a star was written.
func (b *binder) rowColumn(src *ast.RowExpr, m *ast.MultiAssignRef, s *scope) (ast.Node, Expr, error) {
	list := items(src.Args)
	for _, it := range list {
		ref, ok := it.(*ast.ColumnRef)
		if !ok || !isStar(ref) {
			continue
		}
		row, err := b.rowOf(list, s)
		if err != nil {
			return nil, nil, err
		}
		if fields := row.(*RowExpr).Fields; len(fields) == m.Ncolumns {
			return nil, fields[m.Colno-1], nil
		}
		list = nil
	}
	if len(list) != m.Ncolumns {
		return nil, nil, sqlstate.New(sqlstate.SyntaxError, "number of columns does not match number of values")
	}
	return list[m.Colno-1], nil, nil
}

// subColumn is one column of a subquery that yields one row, for
// SET (a, b) = (SELECT …). Each column runs it once.
func (b *binder) subColumn(n *ast.SubLink, i, want int, s *scope) (Expr, error) {
	sel, ok := n.Subselect.(*ast.SelectStmt)
	if !ok || n.SubLinkType != ast.EXPR_SUBLINK {
		return nil, sqlstate.New(sqlstate.FeatureNotSupported, "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")
	}
	q, err := b.selectStmt(sel, s)
	if err != nil {
		return nil, err
	}
	b.settle(&q)
	if len(q.cols) != want {
		return nil, sqlstate.New(sqlstate.SyntaxError, "number of columns does not match number of values")
	}
	c := b.columns[q.cols[i].id]
	return &Subquery{typed: typed{c.Type, c.Typmod}, Kind: SubScalar, Plan: q.node, Out: []ColID{q.cols[i].id}, Correlated: b.correlated(q.node)}, nil
}
