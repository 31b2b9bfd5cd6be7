package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// from binds a FROM list and brings its columns into scope. An empty list
// yields one row without columns.
func (b *binder) from(list []ast.Node, s *scope) (Node, error) {
	s.clause = "FROM"
	var node Node
	for _, n := range list {
		it, err := b.fromItem(n, s)
		if err != nil {
			return nil, err
		}
		if err := s.addItem(it); err != nil {
			return nil, err
		}
		if node == nil {
			node = it.node
			continue
		}
		node = &Join{Kind: InnerJoin, Method: b.lateralMethod(it.node, node), Left: node, Right: it.node}
	}
	if node == nil {
		return &Values{Rows: [][]Expr{{}}}, nil
	}
	return node, nil
}

// lateralMethod is LookupJoin when right refers to left's columns.
func (b *binder) lateralMethod(right, left Node) JoinMethod {
	if refersTo(right, left.Cols()) {
		return LookupJoin
	}
	return NestedLoop
}

// fromItem binds one item of FROM; s has the items to its left, which LATERAL
// ones may refer to.
func (b *binder) fromItem(n ast.Node, s *scope) (*fromItem, error) {
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer b.leave()
	switch n := n.(type) {
	case *ast.RangeVar:
		it, err := b.rangeVar(n, s)
		return it, b.atName(err, rangeParts(n)...)
	case *ast.RangeSubselect:
		return b.rangeSubselect(n, s)
	case *ast.RangeFunction:
		return b.rangeFunction(n, s)
	case *ast.JoinExpr:
		return b.joinExpr(n, s)
	case *ast.ParenExpr:
		return b.fromItem(n.Expr, s)
	}
	return nil, unsupported("this item in FROM (%T)", n)
}

// rangeVar binds a table, a virtual table or a WITH query.
func (b *binder) rangeVar(n *ast.RangeVar, s *scope) (*fromItem, error) {
	if n.SchemaName == "" {
		if c := s.cte(n.RelName); c != nil {
			return b.cteItem(c, n)
		}
	}
	if n.CatalogName != "" && n.CatalogName != b.env.Database {
		return nil, sqlstate.New(sqlstate.FeatureNotSupported, "cross-database references are not implemented: \"%s.%s.%s\"",
			n.CatalogName, n.SchemaName, n.RelName)
	}
	t, v, err := b.lookup(Name{n.SchemaName, n.RelName})
	if err != nil {
		return nil, err
	}
	if v != nil {
		return b.virtualItem(v, n)
	}
	sc, r := b.scan(t, n.Alias)
	r.schema = b.schemaName(t.Schema)
	if err := rename(r, n.Alias); err != nil {
		return nil, err
	}
	return &fromItem{node: sc, rels: []*relation{r}, star: r.cols}, nil
}

// scan makes a Scan of all live columns of a table.
func (b *binder) scan(t *catalog.Table, alias *ast.Alias) (*Scan, *relation) {
	b.read(t.ID)
	sc := &Scan{Table: t, Alias: t.Name}
	r := &relation{name: t.Name, table: t.ID, oid: t.ID, scan: sc}
	if alias != nil {
		sc.Alias, r.name = alias.AliasName, alias.AliasName
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Dropped {
			continue
		}
		typ, _ := types.ByOID(c.Type)
		id := b.newColumn(Column{Name: c.Name, Type: typ, Typmod: c.Typmod, Table: t.ID, Num: c.Num})
		sc.Out, sc.Nums = append(sc.Out, id), append(sc.Nums, c.Num)
		r.cols = append(r.cols, relCol{c.Name, id})
	}
	return sc, r
}

// withHandle makes a scan yield the handle of each row as well.
func (b *binder) withHandle(sc *Scan) {
	for _, c := range []Column{{Name: "key", Type: types.ByteaType}, {Name: "created", Type: types.LSNType}, {Name: "changed", Type: types.LSNType}, {Name: "stored", Type: types.ByteaType}} {
		c.Typmod = types.NoTypmod
		sc.Handle = append(sc.Handle, b.newColumn(c))
	}
}

func (b *binder) schemaName(id catalog.ID) string {
	if d, ok := b.env.Catalog.ByID(id); ok {
		if s, ok := d.(*catalog.Schema); ok {
			return s.Name
		}
	}
	return ""
}

func (b *binder) virtualItem(v *syscat.Table, n *ast.RangeVar) (*fromItem, error) {
	b.allTables = true
	b.local = b.local || v.Local
	vs := &VirtualScan{Table: v, Alias: v.Name}
	r := &relation{schema: v.Schema, name: v.Name, oid: v.ID}
	if n.Alias != nil {
		vs.Alias, r.name = n.Alias.AliasName, n.Alias.AliasName
	}
	for i, c := range v.Columns {
		id := b.newColumn(Column{Name: c.Name, Type: c.Type, Typmod: types.NoTypmod, Table: v.ID, Num: catalog.ColumnNum(i + 1)})
		vs.Out = append(vs.Out, id)
		r.cols = append(r.cols, relCol{c.Name, id})
	}
	if err := rename(r, n.Alias); err != nil {
		return nil, err
	}
	return &fromItem{node: vs, rels: []*relation{r}, star: r.cols}, nil
}

// lookup finds a relation by name along the search path.
func (b *binder) lookup(n Name) (*catalog.Table, *syscat.Table, error) {
	for _, schema := range b.schemasFor(n.Schema) {
		if v := syscat.Lookup(schema, n.Name); v != nil {
			return nil, v, nil
		}
		sc := b.env.Catalog.SchemaByName(schema)
		if sc == nil {
			continue
		}
		id := b.env.Catalog.Relation(catalog.Name{Schema: sc.ID, Name: n.Name})
		if id == 0 {
			continue
		}
		if t := b.env.Catalog.Table(id); t != nil {
			return t, nil, nil
		}
		if q := b.env.Catalog.Sequence(id); q != nil {
			return nil, syscat.SequenceTable(q), nil
		}
		return nil, nil, sqlstate.New(sqlstate.WrongObjectType, "cannot open relation \"%s\"", n.Name).
			WithDetail("This operation is not supported for indexes.")
	}
	return nil, nil, undefinedTable(n)
}

func undefinedTable(n Name) *sqlstate.Error {
	if n.Schema != "" {
		return sqlstate.New(sqlstate.UndefinedTable, "relation \"%s.%s\" does not exist", n.Schema, n.Name)
	}
	return sqlstate.New(sqlstate.UndefinedTable, "relation \"%s\" does not exist", n.Name)
}

// schemasFor lists the schemas to look through for a name.
func (b *binder) schemasFor(schema string) []string {
	if schema != "" {
		return []string{schema}
	}
	for _, s := range b.env.SearchPath {
		if s == "pg_catalog" {
			return b.env.SearchPath
		}
	}
	return append([]string{"pg_catalog"}, b.env.SearchPath...)
}

// rename applies an alias's column names.
func rename(r *relation, a *ast.Alias) error {
	if a == nil {
		return nil
	}
	ns := names(a.ColNames)
	if len(ns) > len(r.cols) {
		return sqlstate.New(sqlstate.InvalidColumnReference, "table \"%s\" has %d columns available but %d columns specified",
			a.AliasName, len(r.cols), len(ns))
	}
	r.cols = append([]relCol{}, r.cols...)
	for i, n := range ns {
		r.cols[i].name = n
	}
	return nil
}

func (b *binder) rangeSubselect(n *ast.RangeSubselect, s *scope) (*fromItem, error) {
	outer := &scope{parent: s.parent, ctes: s.ctes}
	if n.Lateral {
		outer = s
	}
	sel, ok := n.Subquery.(*ast.SelectStmt)
	if !ok {
		return nil, unsupported("this subquery in FROM")
	}
	q, err := b.selectStmt(sel, outer)
	if err != nil {
		return nil, err
	}
	b.settle(&q)
	r := &relation{cols: q.cols}
	if n.Alias != nil {
		r.name = n.Alias.AliasName
		if err := rename(r, n.Alias); err != nil {
			return nil, err
		}
	}
	return &fromItem{node: b.narrow(q), rels: []*relation{r}, star: r.cols}, nil
}

// narrow drops the columns of a query's node that are not its output.
func (b *binder) narrow(q rel) Node {
	if len(q.node.Cols()) == len(q.cols) {
		return q.node
	}
	p := &Project{In: q.node}
	for _, c := range q.cols {
		p.Exprs, p.Out = append(p.Exprs, b.ref(c.id)), append(p.Out, c.id)
	}
	return p
}

// rangeFunction binds functions in FROM, which may refer to items on their left.
func (b *binder) rangeFunction(n *ast.RangeFunction, s *scope) (*fromItem, error) {
	if n.ColDefList != nil && len(n.ColDefList.Items) > 0 {
		return nil, unsupported("a column definition list in FROM")
	}
	fs := &FuncScan{Ordinality: n.Ordinality}
	r := &relation{}
	inner := &scope{parent: s, clause: "functions in FROM", srf: true}
	for _, fn := range functionsOf(n) {
		e, err := b.expr(fn, inner)
		if err != nil {
			return nil, err
		}
		if err := b.addFunction(fs, r, e, outputName(fn), n.Alias); err != nil {
			return nil, err
		}
	}
	if n.Ordinality {
		id := b.newColumn(Column{Name: "ordinality", Type: types.Int8Type, Typmod: types.NoTypmod})
		fs.Out = append(fs.Out, id)
		r.cols = append(r.cols, relCol{"ordinality", id})
	}
	if n.Alias != nil {
		r.name = n.Alias.AliasName
		if err := rename(r, n.Alias); err != nil {
			return nil, err
		}
	}
	return &fromItem{node: fs, rels: []*relation{r}, star: r.cols}, nil
}

// functionsOf lists the calls of a FROM item: unnest(a, b) is ROWS FROM
// (unnest(a), unnest(b)).
func functionsOf(n *ast.RangeFunction) []ast.Node {
	var out []ast.Node
	for _, f := range items(n.Functions) {
		if l, ok := f.(*ast.NodeList); ok && len(l.Items) > 0 {
			f = l.Items[0]
		}
		call, ok := f.(*ast.FuncCall)
		if name, _ := lastName(callName(call, ok)); name != "unnest" || len(items(call.Args)) < 2 {
			out = append(out, f)
			continue
		}
		for _, a := range call.Args.Items {
			one := *call
			one.Args = ast.NewNodeList(a)
			out = append(out, &one)
		}
	}
	return out
}

func callName(c *ast.FuncCall, ok bool) *ast.NodeList {
	if !ok {
		return nil
	}
	return c.Funcname
}

// addFunction adds the columns of one function. A function that yields one
// column gives it the alias's name, or its own.
func (b *binder) addFunction(fs *FuncScan, r *relation, e Expr, name string, a *ast.Alias) error {
	c, ok := e.(*Call)
	if !ok {
		// A cast, a constant: one row with its value.
		c = &Call{typed: typed{e.Type(), e.Typmod()}, Func: identity, Args: []Expr{b.resolveUnknown(e)}}
	}
	if r.name == "" {
		r.name = name
	}
	outs := c.Func.OutTypes
	if len(outs) == 0 {
		colName := name
		if a != nil && len(fs.Calls) == 0 {
			colName = a.AliasName
		}
		id := b.newColumn(Column{Name: colName, Type: c.Type(), Typmod: c.Typmod()})
		fs.Out, r.cols = append(fs.Out, id), append(r.cols, relCol{colName, id})
		fs.Calls, fs.Widths = append(fs.Calls, c), append(fs.Widths, 1)
		return nil
	}
	for i, t := range outs {
		colName := c.Func.OutNames[i]
		id := b.newColumn(Column{Name: colName, Type: t, Typmod: types.NoTypmod})
		fs.Out, r.cols = append(fs.Out, id), append(r.cols, relCol{colName, id})
	}
	fs.Calls, fs.Widths = append(fs.Calls, c), append(fs.Widths, len(outs))
	return nil
}

// RelationExists reports whether a name means a table, sequence, index or
// virtual table, looked for along path.
func RelationExists(c *catalog.Catalog, path []string, n Name) bool {
	if n.Schema != "" {
		path = []string{n.Schema}
	}
	for _, schema := range path {
		if syscat.Lookup(schema, n.Name) != nil {
			return true
		}
		if s := c.SchemaByName(schema); s != nil && c.Relation(catalog.Name{Schema: s.ID, Name: n.Name}) != 0 {
			return true
		}
	}
	return false
}
