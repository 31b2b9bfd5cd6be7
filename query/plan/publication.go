package plan

import (
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// CreatePublication is CREATE PUBLICATION.
type CreatePublication struct {
	Name      string
	AllTables bool
	Objects   PublicationObjects
	Options   PublicationOptions
}

// PublicationAction is what ALTER PUBLICATION does with objects.
type PublicationAction uint8

// The actions.
const (
	AddObjects PublicationAction = iota
	SetObjects
	DropObjects
)

// AlterPublication is ALTER PUBLICATION … ADD, SET or DROP of objects.
type AlterPublication struct {
	Name    string
	Action  PublicationAction
	Objects PublicationObjects
}

// SetPublication is ALTER PUBLICATION … SET ( … ), RENAME TO or OWNER TO. Own says
// that it is the last, with Owner "" for the current user.
type SetPublication struct {
	Name    string
	Options PublicationOptions
	New     string
	Own     bool
	Owner   string
}

// DropPublication is DROP PUBLICATION.
type DropPublication struct {
	Names    []string
	IfExists bool
}

func (*CreatePublication) ddl() {}
func (*AlterPublication) ddl()  {}
func (*SetPublication) ddl()    {}
func (*DropPublication) ddl()   {}

// PublicationObjects are what a publication is said to have.
type PublicationObjects struct {
	Tables []PublicationTableSpec
	// Schemas are by name; "" is the current schema.
	Schemas []string
}

// PublicationTableSpec is a table of a publication as it is written. Its filter
// is bound when the statement runs.
type PublicationTableSpec struct {
	Table   Name
	Columns []string // nil: none were listed
	filter  ast.Node
	text    string // of the statement, for the positions of errors
}

// Filtered reports whether there is a WHERE clause.
func (s *PublicationTableSpec) Filtered() bool { return s.filter != nil }

// PublicationOptions are the parameters of a publication; nil means not given.
type PublicationOptions struct {
	Publish *PublishedActions
	ViaRoot *bool
}

// PublishedActions are the operations that a publication publishes.
type PublishedActions struct{ Insert, Update, Delete, Truncate bool }

func (b *binder) createPublication(n *ast.CreatePublicationStmt) (*Statement, error) {
	c := &CreatePublication{Name: n.PubName, AllTables: n.ForAllTables}
	var err error
	if c.Objects, err = b.publicationObjects(n.PubObjects); err != nil {
		return nil, err
	}
	if c.Options, err = publicationOptions(n.Options); err != nil {
		return nil, err
	}
	return &Statement{Tag: "CREATE PUBLICATION", DDL: c}, nil
}

func (b *binder) alterPublication(n *ast.AlterPublicationStmt) (*Statement, error) {
	st := &Statement{Tag: "ALTER PUBLICATION"}
	if n.Action == ast.AP_SetOptions {
		o, err := publicationOptions(n.Options)
		st.DDL = &SetPublication{Name: n.PubName, Options: o}
		return st, err
	}
	objects, err := b.publicationObjects(n.PubObjects)
	actions := map[ast.AlterPublicationType]PublicationAction{
		ast.AP_AddObjects: AddObjects, ast.AP_SetObjects: SetObjects, ast.AP_DropObjects: DropObjects}
	st.DDL = &AlterPublication{n.PubName, actions[n.Action], objects}
	return st, err
}

func dropPublication(n *ast.DropStmt) *Statement {
	d := &DropPublication{IfExists: n.MissingOk}
	for _, o := range items(n.Objects) {
		d.Names = append(d.Names, objectName(o).Name)
	}
	return &Statement{Tag: "DROP PUBLICATION", DDL: d}
}

// publicationObjects reads a list of tables and schemas. The grammar gives names
// that stand alone the kind of what comes before them; what does not fit is left
// to be refused here.
func (b *binder) publicationObjects(list *ast.NodeList) (PublicationObjects, error) {
	var out PublicationObjects
	for _, it := range items(list) {
		o, ok := it.(*ast.PublicationObjSpec)
		if !ok {
			continue
		}
		switch o.PubObjType {
		case ast.PUBLICATIONOBJ_TABLE:
			if o.PubTable == nil {
				return out, sqlstate.New(sqlstate.SyntaxError, "invalid table name")
			}
			t := PublicationTableSpec{Table: rangeName(o.PubTable.Relation), filter: o.PubTable.WhereClause, text: b.text}
			if o.PubTable.Columns != nil {
				t.Columns = names(o.PubTable.Columns)
			}
			out.Tables = append(out.Tables, t)
		case ast.PUBLICATIONOBJ_TABLES_IN_SCHEMA, ast.PUBLICATIONOBJ_TABLES_IN_CUR_SCHEMA:
			if t := o.PubTable; t != nil {
				return out, notForSchema(t)
			}
			out.Schemas = append(out.Schemas, o.Name)
		default:
			return out, sqlstate.New(sqlstate.SyntaxError, "invalid publication object list").
				WithDetail("One of TABLE or TABLES IN SCHEMA must be specified before a standalone table or schema name.")
		}
	}
	return out, nil
}

// notForSchema is the error of something that is written like a table where a
// schema is expected.
func notForSchema(t *ast.PublicationTable) error {
	switch {
	case t.WhereClause != nil:
		return sqlstate.New(sqlstate.SyntaxError, "WHERE clause not allowed for schema")
	case t.Columns != nil:
		return sqlstate.New(sqlstate.SyntaxError, "column specification not allowed for schema")
	}
	return sqlstate.New(sqlstate.SyntaxError, "invalid schema name")
}

func publicationOptions(list *ast.NodeList) (PublicationOptions, error) {
	var out PublicationOptions
	for _, it := range items(list) {
		d, ok := it.(*ast.DefElem)
		if !ok {
			continue
		}
		switch d.Defname {
		case "publish":
			if out.Publish != nil {
				return out, sqlstate.New(sqlstate.SyntaxError, "conflicting or redundant options")
			}
			var err error
			if out.Publish, err = publishedActions(d); err != nil {
				return out, err
			}
		case "publish_via_partition_root":
			if out.ViaRoot != nil {
				return out, sqlstate.New(sqlstate.SyntaxError, "conflicting or redundant options")
			}
			if !isBool(d) {
				return out, sqlstate.New(sqlstate.SyntaxError, "%s requires a Boolean value", d.Defname)
			}
			v := defBool(d)
			out.ViaRoot = &v
		default:
			return out, sqlstate.New(sqlstate.SyntaxError, "unrecognized publication parameter: \"%s\"", d.Defname)
		}
	}
	return out, nil
}

// isBool reports whether an option's value is one that PostgreSQL takes for a
// boolean: none at all, 0, 1, or one of the words in full.
func isBool(d *ast.DefElem) bool {
	if d.Arg == nil {
		return true
	}
	return slices.Contains([]string{"0", "1", "true", "false", "on", "off"}, strings.ToLower(defString(d)))
}

// publishedActions reads the list of the option publish.
func publishedActions(d *ast.DefElem) (*PublishedActions, error) {
	if d.Arg == nil {
		return nil, sqlstate.New(sqlstate.SyntaxError, "%s requires a parameter", d.Defname)
	}
	out := &PublishedActions{}
	text := strings.TrimSpace(defString(d))
	if text == "" {
		return out, nil
	}
	for _, word := range strings.Split(text, ",") {
		word = strings.TrimSpace(word)
		if quoted := strings.Trim(word, `"`); len(quoted) == len(word)-2 {
			word = quoted
		} else {
			word = strings.ToLower(word)
		}
		switch word {
		case "insert":
			out.Insert = true
		case "update":
			out.Update = true
		case "delete":
			out.Delete = true
		case "truncate":
			out.Truncate = true
		default:
			if word == "" || strings.ContainsAny(word, " \t\n\"") {
				return nil, sqlstate.New(sqlstate.SyntaxError, "invalid list syntax in parameter \"%s\"", d.Defname)
			}
			return nil, sqlstate.New(sqlstate.SyntaxError, "unrecognized value for publication option \"%s\": \"%s\"", d.Defname, word)
		}
	}
	return out, nil
}

// postgresSystemColumns are the system columns that a row has in PostgreSQL. They
// are not there to be read, but a row filter that names one is refused as such.
var postgresSystemColumns = []string{"ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"}

// IsSystemColumn reports whether every row has a column of that name beside those
// of its table, here or in PostgreSQL.
func IsSystemColumn(name string) bool {
	return slices.Contains(postgresSystemColumns, name) || slices.Contains(systemColumns, name)
}

// BindFilter binds the row filter of a publication and returns the text that a
// descriptor keeps, with the columns that it refers to.
func BindFilter(env Env, spec *PublicationTableSpec, t *catalog.Table) (string, []catalog.ColumnNum, error) {
	b := &binder{env: env, text: spec.text, keepLists: true, columns: make([]Column, 1), reads: map[catalog.ID]bool{}}
	_, row := b.rowRelation(t, t.Name)
	s := checkScope(t, row)
	s.clause = "WHERE"
	if name, detail := spec.forbidden(t); detail != "" {
		return "", nil, b.atName(invalidFilter(detail), name)
	}
	cond, err := b.boolean(spec.filter, s, "argument of PUBLICATION WHERE")
	if err != nil {
		return "", nil, err
	}
	if len(b.params) > 0 {
		return "", nil, sqlstate.New(sqlstate.UndefinedParameter, "there is no parameter $1")
	}
	if err := simpleFilter(cond); err != nil {
		return "", nil, err
	}
	var columns []catalog.ColumnNum
	Walk(cond, func(e Expr) bool {
		if ref, ok := e.(*ColRef); ok && !slices.Contains(columns, b.columns[ref.ID].Num) {
			columns = append(columns, b.columns[ref.ID].Num)
		}
		return true
	})
	return b.canonical(cond, spec.filter, t, row), columns, nil
}

// forbidden finds a reference that a row filter may not have: to a column that
// every row has in PostgreSQL and t has not, or to the row as a whole.
func (s *PublicationTableSpec) forbidden(t *catalog.Table) (name, detail string) {
	ast.Rewrite(s.filter, func(c *ast.Cursor) bool {
		ref, ok := c.Node().(*ast.ColumnRef)
		if !ok {
			return true
		}
		parts := names(ref.Fields)
		last := ""
		if len(parts) > 0 {
			last = parts[len(parts)-1]
		}
		switch {
		case t.ColumnByName(last) != nil:
		case slices.Contains(postgresSystemColumns, last):
			name, detail = last, "System columns are not allowed."
		case last == t.Name:
			name, detail = last, "User-defined types are not allowed."
		}
		return true
	}, nil)
	return name, detail
}

func invalidFilter(detail string) *sqlstate.Error {
	return sqlstate.New(sqlstate.FeatureNotSupported, "invalid publication WHERE expression").WithDetail("%s", detail)
}

// simpleFilter refuses what a row filter may not have: it is evaluated by
// consumers at any time, so that it may depend on nothing but the row.
func simpleFilter(cond Expr) error {
	var err error
	mutable := func(v expr.Volatility) {
		if v != expr.Immutable {
			err = invalidFilter("User-defined or built-in mutable functions are not allowed.")
		}
	}
	Walk(cond, func(e Expr) bool {
		switch e := e.(type) {
		case *Call:
			mutable(e.Func.Volatility)
		case *Cast:
			mutable(e.Cast.Volatility)
		case *Subquery, *Subscript:
			err = invalidFilter("Only columns, constants, built-in operators, built-in data types, built-in collations, and immutable built-in functions are allowed.")
		}
		return err == nil
	})
	return err
}

// BindRowFilter binds a row filter that a descriptor keeps; it refers to the live
// columns of t by row.
func BindRowFilter(env Env, t *catalog.Table, text string) (cond Expr, row []ColID, err error) {
	b := &binder{env: env, columns: make([]Column, 1), reads: map[catalog.ID]bool{}}
	_, row = b.rowRelation(t, t.Name)
	e, err := b.storedExpr(text, checkScope(t, row))
	if err != nil {
		return nil, nil, err
	}
	cond, err = b.toBoolean(e, "argument of PUBLICATION WHERE")
	return cond, row, err
}
