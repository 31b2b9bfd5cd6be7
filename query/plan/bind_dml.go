package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// writable resolves the target of INSERT, UPDATE, DELETE and COPY FROM.
func (b *binder) writable(n *ast.RangeVar) (*catalog.Table, error) {
	t, v, err := b.lookup(Name{n.SchemaName, n.RelName})
	if err != nil {
		return nil, b.atName(err, rangeParts(n)...)
	}
	if v != nil {
		return nil, sqlstate.New(sqlstate.InsufficientPrivilege, "permission denied: \"%s\" is a system catalog", v.Name)
	}
	return t, nil
}

// rangeParts are the parts of a relation's name as it is written.
func rangeParts(n *ast.RangeVar) []string {
	if n.SchemaName != "" {
		return []string{n.SchemaName, n.RelName}
	}
	return []string{n.RelName}
}

// live lists the columns of a table that are not dropped.
func live(t *catalog.Table) []*catalog.Column {
	var out []*catalog.Column
	for i := range t.Columns {
		if !t.Columns[i].Dropped {
			out = append(out, &t.Columns[i])
		}
	}
	return out
}

// rowRelation makes a relation with fresh columns for a row of t.
func (b *binder) rowRelation(t *catalog.Table, name string) (*relation, []ColID) {
	r := &relation{name: name, schema: b.schemaName(t.Schema), table: t.ID}
	var ids []ColID
	for _, c := range live(t) {
		typ, _ := types.ByOID(c.Type)
		id := b.newColumn(Column{Name: c.Name, Type: typ, Typmod: c.Typmod, Table: t.ID, Num: c.Num})
		r.cols, ids = append(r.cols, relCol{c.Name, id}), append(ids, id)
	}
	return r, ids
}

func relItem(r *relation) *fromItem { return &fromItem{rels: []*relation{r}, star: r.cols} }

func targetName(n *ast.RangeVar) string {
	if n.Alias != nil {
		return n.Alias.AliasName
	}
	return n.RelName
}

// insert binds INSERT.
func (b *binder) insert(n *ast.InsertStmt) (*Statement, error) {
	t, err := b.writable(n.Relation)
	if err != nil {
		return nil, err
	}
	s := &scope{}
	if n.WithClause != nil {
		if err := b.with(n.WithClause, s); err != nil {
			return nil, err
		}
	}
	ins := &Insert{Table: t}
	cols, err := b.insertTargets(t, n.Cols)
	if err != nil {
		return nil, err
	}
	if err := b.insertSource(ins, n, cols, s); err != nil {
		return nil, err
	}
	ins.Draws = b.writer != ""
	if err := b.insertDefaults(ins); err != nil {
		return nil, err
	}
	var r *relation
	r, ins.Row = b.rowRelation(t, targetName(n.Relation))
	if ins.Checks, err = b.checks(t, ins.Row); err != nil {
		return nil, err
	}
	if n.OnConflictClause != nil && n.OnConflictClause.Action != ast.ONCONFLICT_NONE {
		if ins.Conflict, err = b.onConflict(n.OnConflictClause, t, targetName(n.Relation)); err != nil {
			return nil, err
		}
	}
	b.read(t.ID)
	st := &Statement{Insert: ins, Tag: "INSERT"}
	if ins.Conflict != nil && ins.Conflict.Update != nil {
		st.Unidentified = updateRule.unidentified(b.env.Catalog, t)
	}
	if st.Guards, err = b.insertGuards(ins); err != nil {
		return nil, err
	}
	rs := &scope{items: []*fromItem{relItem(r)}, ctes: s.ctes, clause: "RETURNING"}
	ins.Returning, err = b.returning(st, n.ReturningList, rs)
	return st, err
}

// insertTargets are the columns that values are given for.
func (b *binder) insertTargets(t *catalog.Table, list *ast.NodeList) ([]*catalog.Column, error) {
	if len(items(list)) == 0 {
		return live(t), nil
	}
	var out []*catalog.Column
	seen := map[catalog.ColumnNum]bool{}
	for _, it := range items(list) {
		rt, ok := it.(*ast.ResTarget)
		if !ok {
			return nil, sqlstate.New(sqlstate.SyntaxError, "syntax error in the column list")
		}
		if len(items(rt.Indirection)) > 0 {
			return nil, unsupported("assignment to an array element or field")
		}
		c, err := columnOf(t, rt.Name)
		if err != nil {
			return nil, b.atName(err, rt.Name)
		}
		if seen[c.Num] {
			return nil, sqlstate.New(sqlstate.DuplicateColumn, "column \"%s\" specified more than once", rt.Name)
		}
		seen[c.Num] = true
		out = append(out, c)
	}
	return out, nil
}

func columnOf(t *catalog.Table, name string) (*catalog.Column, error) {
	if c := t.ColumnByName(name); c != nil {
		return c, nil
	}
	return nil, sqlstate.New(sqlstate.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", name, t.Name)
}

// insertSource binds VALUES or a query into ins.Source.
func (b *binder) insertSource(ins *Insert, n *ast.InsertStmt, cols []*catalog.Column, s *scope) error {
	sel, ok := n.SelectStmt.(*ast.SelectStmt)
	if !ok || sel == nil {
		ins.Source = &Values{Rows: [][]Expr{{}}} // DEFAULT VALUES
		return nil
	}
	explicit := len(items(n.Cols)) > 0
	if len(items(sel.ValuesLists)) > 0 && sel.WithClause == nil && sel.SortClause == nil && sel.LimitCount == nil && sel.LimitOffset == nil {
		return b.insertValues(ins, sel, cols, n.Override, explicit, s)
	}
	q, err := b.selectStmt(sel, s)
	if err != nil {
		return err
	}
	if err := checkWidth(len(q.cols), len(cols), explicit); err != nil {
		return err
	}
	p := &Project{In: q.node}
	for i, rc := range q.cols {
		c := cols[i]
		if c.Identity == 'a' && n.Override != ast.OVERRIDING_SYSTEM_VALUE && n.Override != ast.OVERRIDING_USER_VALUE {
			return identityAlways(c)
		}
		if c.Identity != 0 && n.Override == ast.OVERRIDING_USER_VALUE {
			continue
		}
		typ, _ := types.ByOID(c.Type)
		e := b.outputExpr(&q, i)
		if e.Type() == types.UnknownType {
			if err := b.retype(&q, i, typ); err != nil {
				return err
			}
			p.In = q.node
			rc = q.cols[i]
		}
		v, err := b.assign(b.ref(rc.id), c.Name, typ, c.Typmod)
		if err != nil {
			return err
		}
		ins.Targets = append(ins.Targets, c.Num)
		b.project(p, v, c.Name)
	}
	ins.Source, ins.From = p, p.Out
	return nil
}

func checkWidth(have, want int, explicit bool) error {
	if have > want {
		return sqlstate.New(sqlstate.SyntaxError, "INSERT has more expressions than target columns")
	}
	if have < want && explicit {
		return sqlstate.New(sqlstate.SyntaxError, "INSERT has more target columns than expressions")
	}
	return nil
}

func identityAlways(c *catalog.Column) error {
	return sqlstate.New("428C9", "cannot insert a non-DEFAULT value into column \"%s\"", c.Name).
		WithDetail("Column \"%s\" is an identity column defined as GENERATED ALWAYS.", c.Name).
		WithHint("Use OVERRIDING SYSTEM VALUE to override.")
}

// insertValues binds VALUES lists cell by cell to their columns' types.
func (b *binder) insertValues(ins *Insert, sel *ast.SelectStmt, cols []*catalog.Column, over ast.OverridingKind, explicit bool, s *scope) error {
	v := &Values{}
	s.clause = "VALUES"
	width := -1
	for _, l := range items(sel.ValuesLists) {
		cells := items(l.(*ast.NodeList))
		if width >= 0 && len(cells) != width {
			return sqlstate.New(sqlstate.SyntaxError, "VALUES lists must all be the same length")
		}
		width = len(cells)
		if err := checkWidth(width, len(cols), explicit); err != nil {
			return err
		}
		row := make([]Expr, 0, width)
		for i, cell := range cells {
			e, err := b.insertCell(ins.Table, cols[i], cell, over, s)
			if err != nil {
				return err
			}
			row = append(row, e)
		}
		v.Rows = append(v.Rows, row)
	}
	for i := 0; i < width; i++ {
		typ, _ := types.ByOID(cols[i].Type)
		ins.Targets = append(ins.Targets, cols[i].Num)
		v.Out = append(v.Out, b.newColumn(Column{Name: cols[i].Name, Type: typ, Typmod: cols[i].Typmod}))
	}
	ins.Source, ins.From = v, v.Out
	return nil
}

func (b *binder) insertCell(t *catalog.Table, c *catalog.Column, cell ast.Node, over ast.OverridingKind, s *scope) (Expr, error) {
	typ, _ := types.ByOID(c.Type)
	_, isDefault := cell.(*ast.SetToDefault)
	if c.Identity == 'a' && !isDefault && over == ast.OVERRIDING_NOT_SET {
		return nil, identityAlways(c)
	}
	if isDefault || (c.Identity != 0 && over == ast.OVERRIDING_USER_VALUE) {
		d, err := b.defaultExpr(c)
		if err != nil || d != nil {
			return d, err
		}
		return &Const{typed{typ, c.Typmod}, types.NullDatum}, nil
	}
	e, err := b.expr(cell, s)
	if err != nil {
		return nil, err
	}
	return b.assign(e, c.Name, typ, c.Typmod)
}

// insertDefaults fills in the columns that are not targets.
func (b *binder) insertDefaults(ins *Insert) error {
	ins.Defaults = make([]Expr, len(ins.Table.Columns))
	given := map[catalog.ColumnNum]bool{}
	for _, num := range ins.Targets {
		given[num] = true
	}
	for _, c := range live(ins.Table) {
		if given[c.Num] {
			continue
		}
		d, err := b.defaultExpr(c)
		if err != nil {
			return err
		}
		ins.Defaults[c.Num-1] = d
	}
	return nil
}

// defaultExpr binds a column's default; nil when it has none. A column that
// owns a sequence draws from it by OID, whatever its name is by now.
func (b *binder) defaultExpr(c *catalog.Column) (Expr, error) {
	typ, _ := types.ByOID(c.Type)
	if c.Sequence != 0 && (c.Identity != 0 || c.Default == SequenceDefault) {
		seq := &Const{ofType(types.RegclassType), types.Int(int64(c.Sequence))}
		e, err := b.funcCall("nextval", []Expr{seq})
		if err != nil {
			return nil, err
		}
		return b.assign(e, c.Name, typ, c.Typmod)
	}
	if c.Default == "" {
		return nil, nil
	}
	e, err := b.storedExpr(c.Default, &scope{clause: "DEFAULT expressions"})
	if err != nil {
		return nil, err
	}
	return b.assign(e, c.Name, typ, c.Typmod)
}

// SequenceDefault is the stored default of a serial column: the next value of
// catalog.Column.Sequence.
const SequenceDefault = "nextval()"

// checks binds the CHECK constraints of a table to the columns of a new row.
func (b *binder) checks(t *catalog.Table, row []ColID) ([]TableCheck, error) {
	var out []TableCheck
	for _, c := range sortedChecks(t) {
		e, err := b.storedExpr(c.Expr, checkScope(t, row))
		if err != nil {
			return nil, err
		}
		cond, err := b.toBoolean(e, "argument of CHECK")
		if err != nil {
			return nil, err
		}
		out = append(out, TableCheck{c.Name, cond})
	}
	return out, nil
}

// returning binds RETURNING into the statement's result columns.
func (b *binder) returning(st *Statement, list *ast.NodeList, s *scope) (*Returning, error) {
	if len(items(list)) == 0 {
		return nil, nil
	}
	q := &selection{b: b, s: s, n: &ast.SelectStmt{TargetList: list}}
	if err := q.selectList(); err != nil {
		return nil, err
	}
	ret := &Returning{}
	for _, t := range q.targets {
		e := b.resolveUnknown(t.expr)
		ret.Exprs = append(ret.Exprs, e)
		rc := ResultColumn{Name: t.name, Type: e.Type(), Typmod: e.Typmod()}
		if ref, ok := e.(*ColRef); ok {
			rc.Table, rc.Num = b.columns[ref.ID].Table, b.columns[ref.ID].Num
		}
		st.Cols = append(st.Cols, rc)
	}
	return ret, nil
}

// onConflict binds ON CONFLICT.
func (b *binder) onConflict(n *ast.OnConflictClause, t *catalog.Table, name string) (*Conflict, error) {
	c := &Conflict{}
	var err error
	if c.Indexes, err = arbiters(n.Infer, t); err != nil {
		return nil, err
	}
	if n.Action == ast.ONCONFLICT_NOTHING {
		return c, nil
	}
	if n.Infer == nil {
		return nil, sqlstate.New(sqlstate.SyntaxError, "ON CONFLICT DO UPDATE requires inference specification or constraint name").
			WithHint("For example, ON CONFLICT (column_name).")
	}
	u := &ConflictUpdate{}
	existing, ids := b.rowRelation(t, name)
	u.Existing = ids
	excluded, ids := b.rowRelation(t, "excluded")
	u.Excluded = ids
	s := &scope{items: []*fromItem{relItem(existing), {rels: []*relation{excluded}}}, clause: "UPDATE"}
	if u.Sets, err = b.sets(t, n.TargetList, existing, s); err != nil {
		return nil, err
	}
	if n.WhereClause != nil {
		s.clause = "WHERE"
		if u.Where, err = b.boolean(n.WhereClause, s, "argument of WHERE"); err != nil {
			return nil, err
		}
	}
	c.Update = u
	return c, nil
}

// arbiters finds the unique indexes that ON CONFLICT means.
func arbiters(n *ast.InferClause, t *catalog.Table) ([]*catalog.Index, error) {
	var out []*catalog.Index
	for i := range t.Indexes {
		ix := &t.Indexes[i]
		if !ix.Unique {
			continue
		}
		switch {
		case n == nil:
			out = append(out, ix)
		case n.Conname != "":
			if ix.Name == n.Conname && ix.Constraint != 0 {
				return []*catalog.Index{ix}, nil
			}
		default:
			ok, err := inferred(n, t, ix)
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, ix)
			}
		}
	}
	if n == nil || len(out) > 0 {
		return out, nil
	}
	if n.Conname != "" {
		return nil, sqlstate.New(sqlstate.UndefinedObject, "constraint \"%s\" for table \"%s\" does not exist", n.Conname, t.Name)
	}
	return nil, sqlstate.New(sqlstate.InvalidColumnReference, "there is no unique or exclusion constraint matching the ON CONFLICT specification")
}

func inferred(n *ast.InferClause, t *catalog.Table, ix *catalog.Index) (bool, error) {
	want := map[catalog.ColumnNum]bool{}
	for _, it := range items(n.IndexElems) {
		el, ok := it.(*ast.IndexElem)
		if !ok || el.Expr != nil {
			return false, unsupported("an expression in ON CONFLICT")
		}
		c, err := columnOf(t, el.Name)
		if err != nil {
			return false, err
		}
		want[c.Num] = true
	}
	if len(want) != len(ix.Columns) || ix.Predicate != "" {
		return false, nil
	}
	for _, c := range ix.Columns {
		if !want[c.Column] {
			return false, nil
		}
	}
	return true, nil
}
