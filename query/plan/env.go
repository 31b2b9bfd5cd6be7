package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Env is everything a plan may depend on besides the statement.
type Env struct {
	Catalog *catalog.Catalog
	// Database is the name of the database the statement runs in.
	Database string
	// SearchPath are the schemas looked through for unqualified names, in
	// order; pg_catalog is looked at first when it is not among them.
	SearchPath []string
	// Params are the declared parameter types; nil entries are inferred.
	Params []*types.Type
	// Ctx evaluates constant expressions and reads literals: its Format says
	// what dates and zones mean.
	Ctx *expr.Ctx
	// Write: the statement will run inside apply, so functions whose answer
	// may differ between replicas are refused.
	Write bool
	// Routine is the procedure whose body the statement is part of, or nil.
	Routine *Routine

	// bodies collects the procedures that statements of bodies call; it is nil
	// outside of a body.
	bodies *bodySet
}

// Limits of the binder.
const (
	// maxDepth bounds the recursion over a syntax tree. Chains of operators
	// nest without any bracket, so the parser's limit does not cover them.
	maxDepth = 2000
	// maxColumns is PostgreSQL's limit on columns of a table and of a result.
	maxColumns      = 1600
	maxResultColumn = 1664
	// maxParams is what the wire protocol can number.
	maxParams = 65535
)

// Query is a parsed statement that runs on tables and is bound when the
// catalog it will run against is known.
type Query struct {
	node   ast.Stmt
	text   string
	offset int
	assert bool // it is an ASSERT
	// subscribes: it has the name of tidemark.subscribe() in it.
	subscribes bool
}

// Text is the statement's own text.
func (q *Query) Text() string { return q.text }

// Offset is where Text begins in the query string it came from, in characters.
func (q *Query) Offset() int { return q.offset }

// Alone returns the query as if it were all of its query string. An entry of the
// log carries no more than its text, so errors in apply must not know where else
// it stood: that differs between the node that proposed it and the others.
func (q *Query) Alone() *Query {
	alone := *q
	alone.offset = 0
	return &alone
}

// Select reports whether the statement is a SELECT, VALUES or TABLE, which
// changes nothing unless it calls a function that does.
func (q *Query) Select() bool { _, ok := q.node.(*ast.SelectStmt); return ok && !intoTable(q.node) }

// Call reports whether the statement is CALL.
func (q *Query) Call() bool { _, ok := q.node.(*ast.CallStmt); return ok }

// Definition reports whether the statement is DDL.
func (q *Query) Definition() bool {
	switch q.node.(type) {
	case *ast.SelectStmt, *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt, *ast.ConstraintsSetStmt, *ast.CallStmt:
		return intoTable(q.node)
	}
	return true
}

func intoTable(n ast.Stmt) bool {
	s, ok := n.(*ast.SelectStmt)
	return ok && s.IntoClause != nil
}

// ParseQuery parses text that holds exactly one statement on tables, as entries
// of the log do.
func ParseQuery(text string) (*Query, error) {
	sts, err := parser.Parse(text)
	if err != nil {
		return nil, err
	}
	if len(sts) != 1 {
		return nil, sqlstate.New(sqlstate.SyntaxError, "expected one statement, found %d", len(sts))
	}
	cmd, err := Classify(sts[0])
	if err != nil {
		return nil, err
	}
	q, ok := cmd.(*Query)
	if !ok {
		return nil, sqlstate.New(sqlstate.SyntaxError, "statement does not run on tables")
	}
	return q, nil
}

// binder binds one statement.
type binder struct {
	env     Env
	columns []Column
	params  []*types.Type
	depth   int
	text    string // the statement's, for the positions of errors

	keepLists bool // IN stays a list, however short: the expression will be printed

	subLinks int // how many subqueries in expressions are around
	working  map[*CTE]*selfReferences

	reads       map[catalog.ID]bool
	readOrder   []catalog.ID
	allTables   bool
	local       bool
	volatile    bool
	writer      string
	uncacheable bool
	unportable  string
	locking     bool
	rowLock     string

	subscriptions int // how many calls of tidemark.subscribe() there are
}

// Bind resolves the statement against env and optimizes it. Errors are
// *sqlstate.Error.
func (q *Query) Bind(env Env) (st *Statement, err error) {
	b := &binder{env: env, text: q.text, columns: make([]Column, 1), reads: map[catalog.ID]bool{}}
	b.params = append(b.params, env.Params...)
	defer func() {
		if err != nil {
			e := sqlstate.As(err)
			if e.Position > 0 && q.offset > 0 {
				shifted := *e
				shifted.Position += q.offset
				err = &shifted
			}
		}
	}()
	st, err = b.statement(q.node)
	if err != nil {
		return nil, err
	}
	for i, t := range b.params {
		if t == nil || t == types.UnknownType {
			b.params[i] = types.TextType
		}
	}
	st.Params = b.params
	st.Columns = b.columns
	st.Volatile, st.Writer, st.Uncacheable = b.volatile, b.writer, b.uncacheable
	st.Unportable, st.Locking, st.RowLock = b.unportable, b.locking, b.rowLock
	st.Reads, st.AllTables, st.Local = b.readOrder, b.allTables, b.local
	if st.Subscribes = b.subscriptions > 0; st.Subscribes {
		if err := st.checkSubscription(b.subscriptions); err != nil {
			return nil, err
		}
	}
	b.optimize(st)
	if q.assert {
		st.Tag, st.Cols, st.Silent = "ASSERT", nil, true
	}
	return st, nil
}

func (b *binder) statement(n ast.Stmt) (*Statement, error) {
	switch n := n.(type) {
	case *ast.SelectStmt:
		if n.IntoClause != nil {
			return b.createTableAs(n, n.IntoClause, false)
		}
		return b.query(n)
	case *ast.InsertStmt:
		return b.insert(n)
	case *ast.UpdateStmt:
		return b.update(n)
	case *ast.DeleteStmt:
		return b.delete(n)
	case *ast.ConstraintsSetStmt:
		return setConstraints(n), nil
	case *ast.CallStmt:
		return b.callStmt(n)
	}
	return b.definition(n)
}

// query binds a SELECT at the top level.
func (b *binder) query(n *ast.SelectStmt) (*Statement, error) {
	rel, err := b.selectStmt(n, nil)
	if err != nil {
		return nil, err
	}
	b.settle(&rel)
	st := &Statement{Root: rel.node, Out: rel.ids(), Tag: "SELECT", Ordered: rel.ordered}
	for _, c := range rel.cols {
		st.Cols = append(st.Cols, b.resultColumn(c))
	}
	return st, nil
}

func (b *binder) resultColumn(c relCol) ResultColumn {
	m := b.columns[c.id]
	return ResultColumn{Name: c.name, Type: m.Type, Typmod: m.Typmod, Table: m.Table, Num: m.Num}
}

// newColumn makes a column of a node.
func (b *binder) newColumn(c Column) ColID {
	b.columns = append(b.columns, c)
	return ColID(len(b.columns) - 1)
}

// ref returns an expression for a column.
func (b *binder) ref(id ColID) *ColRef {
	c := b.columns[id]
	return &ColRef{typed: typed{c.Type, c.Typmod}, ID: id, Name: c.Name}
}

func (b *binder) read(id catalog.ID) {
	if !b.reads[id] {
		b.reads[id] = true
		b.readOrder = append(b.readOrder, id)
	}
}

// enter guards a recursive step; the caller defers leave.
func (b *binder) enter() error {
	b.depth++
	if b.depth > maxDepth {
		return sqlstate.New(sqlstate.StatementTooComplex, "stack depth limit exceeded").
			WithHint("Expressions may nest at most %d levels deep.", maxDepth)
	}
	return nil
}

func (b *binder) leave() { b.depth-- }

// unsupported is the answer for what the grammar knows and this engine does not.
func unsupported(format string, args ...any) *sqlstate.Error {
	return sqlstate.New(sqlstate.FeatureNotSupported, format+" is not supported", args...)
}

// at gives an error without a position the one that find finds in the
// statement's text.
func (b *binder) at(err error, find func(sql string) int) error {
	if err == nil {
		return nil
	}
	e := sqlstate.As(err)
	if e.Position != 0 {
		return err
	}
	c := *e
	c.Position = find(b.text)
	return &c
}

// atName points to a dotted name, atCall to a function's.
func (b *binder) atName(err error, parts ...string) error {
	return b.at(err, func(sql string) int { return parser.FindName(sql, parts, false) })
}

func (b *binder) atCall(err error, parts ...string) error {
	return b.at(err, func(sql string) int { return parser.FindName(sql, parts, true) })
}
