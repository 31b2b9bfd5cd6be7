package plan

import (
	"fmt"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// definition binds DDL. Names are resolved when it runs, against the catalog of
// that moment; types and expressions are checked here.
func (b *binder) definition(n ast.Stmt) (*Statement, error) {
	switch n := n.(type) {
	case *ast.CreateStmt:
		return b.createTable(n)
	case *ast.CreateTableAsStmt:
		sel, ok := n.Query.(*ast.SelectStmt)
		if !ok || n.ObjType != ast.OBJECT_TABLE {
			return nil, unsupported("this form of CREATE TABLE AS")
		}
		return b.createTableAs(sel, n.Into, n.IfNotExists)
	case *ast.IndexStmt:
		return b.createIndex(n)
	case *ast.CreateSchemaStmt:
		return b.createSchema(n)
	case *ast.CreateSeqStmt:
		if err := permanent(n.Sequence); err != nil {
			return nil, err
		}
		spec, err := sequenceSpec(n.Options)
		return &Statement{Tag: "CREATE SEQUENCE", DDL: &CreateSequence{rangeName(n.Sequence), n.IfNotExists, spec}}, err
	case *ast.AlterSeqStmt:
		spec, err := sequenceSpec(n.Options)
		return &Statement{Tag: "ALTER SEQUENCE", DDL: &AlterSequence{rangeName(n.Sequence), n.MissingOk, spec}}, err
	case *ast.CreateFunctionStmt:
		return b.createProcedure(n)
	case *ast.DropStmt:
		if n.RemoveType == ast.OBJECT_PROCEDURE || n.RemoveType == ast.OBJECT_ROUTINE {
			return b.dropProcedure(n)
		}
		if n.RemoveType == ast.OBJECT_PUBLICATION {
			return dropPublication(n), nil
		}
		return drop(n)
	case *ast.TruncateStmt:
		t := &Truncate{RestartIdentity: n.RestartSeqs, Cascade: n.Behavior == ast.DropCascade}
		for _, it := range items(n.Relations) {
			t.Tables = append(t.Tables, rangeName(it.(*ast.RangeVar)))
		}
		return &Statement{Tag: "TRUNCATE TABLE", DDL: t}, nil
	case *ast.RenameStmt:
		if n.RenameType == ast.OBJECT_PROCEDURE || n.RenameType == ast.OBJECT_ROUTINE {
			return b.alterProcedure(n.Object, n.Newname, "")
		}
		if n.RenameType == ast.OBJECT_PUBLICATION {
			return &Statement{Tag: "ALTER PUBLICATION", DDL: &SetPublication{Name: objectName(n.Object).Name, New: n.Newname}}, nil
		}
		return renameStmt(n)
	case *ast.CommentStmt:
		return comment(n)
	case *ast.AlterTableStmt:
		return b.alterTable(n)
	case *ast.CreatePublicationStmt:
		return b.createPublication(n)
	case *ast.AlterPublicationStmt:
		return b.alterPublication(n)
	case *ast.AlterOwnerStmt:
		if n.ObjectType == ast.OBJECT_PROCEDURE || n.ObjectType == ast.OBJECT_ROUTINE {
			return b.alterProcedure(n.Object, "", n.Newowner.Rolename)
		}
		if n.ObjectType == ast.OBJECT_PUBLICATION {
			return &Statement{Tag: "ALTER PUBLICATION", DDL: &SetPublication{Name: objectName(n.Object).Name, Own: true, Owner: n.Newowner.Rolename}}, nil
		}
		return nil, unsupported("ALTER ... OWNER TO")
	}
	return nil, sqlstate.New(sqlstate.FeatureNotSupported, "%s is not supported", statementName(n))
}

func rangeName(n *ast.RangeVar) Name { return Name{n.SchemaName, n.RelName} }

// permanent refuses temporary and unlogged relations: every row is in the log.
func permanent(n *ast.RangeVar) error {
	switch n.RelPersistence {
	case 't':
		return unsupported("a temporary table")
	case 'u':
		return unsupported("an unlogged table")
	}
	return nil
}

func (b *binder) createTable(n *ast.CreateStmt) (*Statement, error) {
	if err := permanent(n.Relation); err != nil {
		return nil, err
	}
	switch {
	case len(items(n.InhRelations)) > 0:
		return nil, unsupported("INHERITS")
	case n.PartSpec != nil || n.PartBound != nil:
		return nil, unsupported("PARTITION BY")
	case n.OfTypename != nil:
		return nil, unsupported("CREATE TABLE OF")
	}
	ct := &CreateTable{Name: rangeName(n.Relation), IfNotExists: n.IfNotExists, Options: relOptions(n.Options)}
	var constraints []*ast.Constraint
	for _, it := range items(n.TableElts) {
		switch el := it.(type) {
		case *ast.ColumnDef:
			col, cons, err := b.columnSpec(el)
			if err != nil {
				return nil, err
			}
			ct.Columns = append(ct.Columns, col)
			for i := range cons {
				ct.add(&cons[i])
			}
		case *ast.Constraint:
			constraints = append(constraints, el)
		default:
			return nil, unsupported("LIKE in CREATE TABLE")
		}
	}
	if len(ct.Columns) > maxColumns {
		return nil, sqlstate.New(sqlstate.TooManyColumns, "tables can have at most %d columns", maxColumns)
	}
	for _, c := range append(constraints, n.Constraints...) {
		k, err := b.constraint(c, "")
		if err != nil {
			return nil, err
		}
		ct.add(&k)
	}
	return &Statement{Tag: "CREATE TABLE", DDL: ct}, nil
}

func (ct *CreateTable) add(c *constraintSpec) {
	switch {
	case c.index != nil:
		ct.Indexes = append(ct.Indexes, *c.index)
	case c.check != nil:
		ct.Checks = append(ct.Checks, *c.check)
	case c.foreign != nil:
		ct.ForeignKeys = append(ct.ForeignKeys, *c.foreign)
	}
}

func relOptions(l *ast.NodeList) []string {
	var out []string
	for _, it := range items(l) {
		if d, ok := it.(*ast.DefElem); ok {
			out = append(out, strings.ToLower(d.Defname)+"="+defString(d))
		}
	}
	return out
}

// indexConstraint reads a table constraint that an index implements.
func indexConstraint(c *ast.Constraint) (*IndexSpec, error) {
	switch c.Contype {
	case ast.CONSTR_PRIMARY, ast.CONSTR_UNIQUE:
	case ast.CONSTR_EXCLUSION:
		return nil, unsupported("an EXCLUDE constraint")
	default:
		return nil, unsupported("this constraint")
	}
	if c.Deferrable || c.Initdeferred {
		return nil, unsupported("a DEFERRABLE unique constraint")
	}
	ix := &IndexSpec{Name: c.Conname, Using: c.Indexname, Primary: c.Contype == ast.CONSTR_PRIMARY, Unique: true, Constraint: true,
		NullsNotDistinct: c.NullsNotDistinct, Include: names(c.Including)}
	for _, k := range names(c.Keys) {
		ix.Columns = append(ix.Columns, IndexColumnSpec{Column: k})
	}
	return ix, nil
}

var serialTypes = map[string]*types.Type{
	"serial": types.Int4Type, "serial4": types.Int4Type, "bigserial": types.Int8Type,
	"serial8": types.Int8Type, "smallserial": types.Int2Type, "serial2": types.Int2Type,
}

// columnSpec reads a column definition with the constraints written on it.
func (b *binder) columnSpec(d *ast.ColumnDef) (ColumnSpec, []constraintSpec, error) {
	c := ColumnSpec{Name: d.Colname, Typmod: types.NoTypmod, NotNull: d.IsNotNull}
	parts := names(d.TypeName.Names)
	if t, ok := serialTypes[strings.ToLower(parts[len(parts)-1])]; ok && len(items(d.TypeName.ArrayBounds)) == 0 {
		c.Type, c.Serial, c.NotNull = t, true, true
	} else {
		t, mod, err := typeName(d.TypeName)
		if err != nil {
			return c, nil, b.atName(err, names(d.TypeName.Names)...)
		}
		if t.Pseudo || t == types.UnknownType {
			return c, nil, sqlstate.New(sqlstate.InvalidTableDefinition, "column \"%s\" has pseudo-type %s", c.Name, t)
		}
		c.Type, c.Typmod = t, mod
	}
	if d.Collclause != nil {
		if _, err := b.collate(&ast.CollateClause{Arg: ast.NewA_ConstNull(0), Collname: d.Collclause.Collname}, nil); err != nil {
			return c, nil, err
		}
	}
	constraints, err := b.columnConstraints(&c, d)
	return c, constraints, err
}

func (b *binder) columnConstraints(c *ColumnSpec, d *ast.ColumnDef) ([]constraintSpec, error) {
	var out []constraintSpec
	var last *constraintSpec // the one that DEFERRABLE would be about
	for _, it := range items(d.Constraints) {
		k, ok := it.(*ast.Constraint)
		if !ok {
			continue
		}
		switch k.Contype {
		case ast.CONSTR_ATTR_DEFERRABLE, ast.CONSTR_ATTR_NOT_DEFERRABLE, ast.CONSTR_ATTR_DEFERRED, ast.CONSTR_ATTR_IMMEDIATE:
			if err := last.attribute(k.Contype); err != nil {
				return nil, err
			}
			continue
		}
		spec, err := b.columnConstraint(c, k)
		if err != nil {
			return nil, err
		}
		if last = nil; spec != nil {
			out = append(out, *spec)
			last = &out[len(out)-1]
		}
	}
	return out, nil
}

// columnConstraint applies what is part of the column, and returns what is a
// constraint of the table.
func (b *binder) columnConstraint(c *ColumnSpec, k *ast.Constraint) (*constraintSpec, error) {
	switch k.Contype {
	case ast.CONSTR_NULL:
	case ast.CONSTR_NOTNULL:
		c.NotNull = true
	case ast.CONSTR_DEFAULT:
		if c.Serial || c.Default != "" {
			return nil, sqlstate.New(sqlstate.SyntaxError, "multiple default values specified for column \"%s\"", c.Name)
		}
		text, err := b.defaultText(k.RawExpr, c.Name, c.Type, c.Typmod)
		if err != nil {
			return nil, err
		}
		c.Default = text
	case ast.CONSTR_IDENTITY:
		if c.Type != types.Int2Type && c.Type != types.Int4Type && c.Type != types.Int8Type {
			return nil, sqlstate.New(sqlstate.InvalidParameterValue, "identity column type must be smallint, integer, or bigint")
		}
		spec, err := sequenceSpec(k.Options)
		if err != nil {
			return nil, err
		}
		c.Identity, c.NotNull, c.Options = k.GeneratedWhen, true, &spec
	case ast.CONSTR_GENERATED:
		return nil, unsupported("a generated column")
	default:
		spec, err := b.constraint(k, c.Name)
		return &spec, err
	}
	return nil, nil
}

// defaultText checks a default expression and returns the text to keep.
func (b *binder) defaultText(n ast.Node, column string, t *types.Type, mod int32) (string, error) {
	if n == nil {
		return "", nil
	}
	if k, ok := n.(*ast.A_Const); ok && k.Isnull {
		return "", nil
	}
	e, err := b.expr(n, &scope{clause: "DEFAULT expressions"})
	if err != nil {
		if sqlstate.CodeOf(err) == sqlstate.UndefinedColumn {
			return "", sqlstate.New(sqlstate.FeatureNotSupported, "cannot use column reference in DEFAULT expression")
		}
		return "", err
	}
	if _, err := b.assign(e, column, t, mod); err != nil {
		return "", err
	}
	text := deparse(n)
	if k, ok := n.(*ast.A_Const); ok {
		if _, ok := k.Val.(*ast.String); ok {
			// PostgreSQL shows the type that the literal was given.
			text += "::" + types.FormatType(t, types.NoTypmod)
		}
	}
	return text, nil
}

func (b *binder) createTableAs(n *ast.SelectStmt, into *ast.IntoClause, ifNotExists bool) (*Statement, error) {
	if err := permanent(into.Rel); err != nil {
		return nil, err
	}
	q := *n
	q.IntoClause = nil
	st, err := b.query(&q)
	if err != nil {
		return nil, err
	}
	st.Columns = b.columns
	b.optimize(st)
	ct := &CreateTable{Name: rangeName(into.Rel), IfNotExists: ifNotExists, Options: relOptions(into.Options), Query: st, NoData: into.SkipData}
	cols := names(into.ColNames)
	if len(cols) > len(st.Cols) {
		return nil, sqlstate.New(sqlstate.SyntaxError, "too many column names were specified")
	}
	for i, c := range st.Cols {
		name := c.Name
		if i < len(cols) {
			name = cols[i]
		}
		if c.Type.Pseudo {
			return nil, sqlstate.New(sqlstate.InvalidTableDefinition, "column \"%s\" has pseudo-type %s", name, c.Type)
		}
		ct.Columns = append(ct.Columns, ColumnSpec{Name: name, Type: c.Type, Typmod: c.Typmod})
	}
	return &Statement{Tag: "SELECT", DDL: ct}, nil
}

func (b *binder) createIndex(n *ast.IndexStmt) (*Statement, error) {
	if m := strings.ToLower(n.AccessMethod); m != "" && m != "btree" {
		if m == "hash" || m == "gin" || m == "gist" || m == "brin" || m == "spgist" {
			return nil, unsupported("an index using %s", m)
		}
		return nil, sqlstate.New(sqlstate.UndefinedObject, "access method \"%s\" does not exist", m)
	}
	if n.WhereClause != nil {
		return nil, unsupported("a partial index")
	}
	ix := IndexSpec{Name: n.Idxname, Unique: n.Unique, NullsNotDistinct: n.NullsNotDistinct, IfNotExists: n.IfNotExists}
	for _, it := range items(n.IndexParams) {
		el := it.(*ast.IndexElem)
		if el.Expr != nil {
			return nil, unsupported("an index on an expression")
		}
		c := IndexColumnSpec{Column: el.Name, Desc: el.Ordering == ast.SORTBY_DESC}
		c.NullsFirst = c.Desc
		switch el.NullsOrdering {
		case ast.SORTBY_NULLS_FIRST:
			c.NullsFirst = true
		case ast.SORTBY_NULLS_LAST:
			c.NullsFirst = false
		}
		ix.Columns = append(ix.Columns, c)
	}
	for _, it := range items(n.IndexIncludingParams) {
		if el, ok := it.(*ast.IndexElem); ok {
			ix.Include = append(ix.Include, el.Name)
		}
	}
	return &Statement{Tag: "CREATE INDEX", DDL: &CreateIndex{rangeName(n.Relation), ix}}, nil
}

func (b *binder) createSchema(n *ast.CreateSchemaStmt) (*Statement, error) {
	if len(items(n.SchemaElts)) > 0 {
		return nil, unsupported("CREATE SCHEMA with schema elements")
	}
	name := n.Schemaname
	if name == "" && n.Authrole != nil {
		name = n.Authrole.Rolename
	}
	if strings.HasPrefix(name, "pg_") {
		return nil, sqlstate.New(sqlstate.ReservedName, "unacceptable schema name \"%s\"", name).
			WithDetail("The prefix \"pg_\" is reserved for system schemas.")
	}
	return &Statement{Tag: "CREATE SCHEMA", DDL: &CreateSchema{name, n.IfNotExists}}, nil
}

// sequenceSpec reads the options of a sequence.
func sequenceSpec(list *ast.NodeList) (SequenceSpec, error) {
	var s SequenceSpec
	for _, it := range items(list) {
		d, ok := it.(*ast.DefElem)
		if !ok {
			continue
		}
		if err := sequenceOption(&s, d); err != nil {
			return s, err
		}
	}
	return s, nil
}

func sequenceOption(s *SequenceSpec, d *ast.DefElem) error {
	number := func(into **int64) error {
		var v int64
		if _, err := fmt.Sscan(nodeString(d.Arg), &v); err != nil {
			return sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for sequence option \"%s\"", d.Defname)
		}
		*into = &v
		return nil
	}
	switch d.Defname {
	case "as":
		t, _, err := typeName(d.Arg.(*ast.TypeName))
		if err == nil && t != types.Int2Type && t != types.Int4Type && t != types.Int8Type {
			err = sqlstate.New(sqlstate.InvalidParameterValue, "sequence type must be smallint, integer, or bigint")
		}
		s.Type = t
		return err
	case "start":
		return number(&s.Start)
	case "increment":
		return number(&s.Increment)
	case "minvalue", "maxvalue":
		into, no := &s.Min, &s.NoMin
		if d.Defname == "maxvalue" {
			into, no = &s.Max, &s.NoMax
		}
		if d.Arg == nil {
			*no = true
			return nil
		}
		return number(into)
	case "cache":
		return number(&s.Cache)
	case "restart":
		s.Restart = true
		if d.Arg == nil {
			return nil
		}
		return number(&s.RestartWith)
	case "cycle":
		v := defBool(d)
		s.Cycle = &v
		return nil
	case "owned_by":
		return ownedBy(s, d)
	}
	return unsupported("the sequence option %s", d.Defname)
}

func ownedBy(s *SequenceSpec, d *ast.DefElem) error {
	l, _ := d.Arg.(*ast.NodeList)
	switch parts := names(l); {
	case len(parts) == 1 && strings.EqualFold(parts[0], "none"):
		s.OwnedBy = &OwnedBy{}
	case len(parts) == 2:
		s.OwnedBy = &OwnedBy{Name{"", parts[0]}, parts[1]}
	case len(parts) == 3:
		s.OwnedBy = &OwnedBy{Name{parts[0], parts[1]}, parts[2]}
	default:
		return sqlstate.New(sqlstate.SyntaxError, "invalid OWNED BY option").WithHint("Specify OWNED BY table.column or OWNED BY NONE.")
	}
	return nil
}

// identity stands for an expression in FROM that is not a function call.
var identity = &expr.Func{Name: "value", Eval: func(_ *expr.Ctx, args []types.Datum) (types.Datum, error) { return args[0], nil }}
