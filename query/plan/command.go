package plan

import (
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Classify says what a parsed statement asks for.
func Classify(st parser.Statement) (Command, error) {
	if st.Wait != nil {
		return &Wait{Slot: st.Wait.Slot, Target: st.Wait.Target, Timeout: st.Wait.Timeout, NoThrow: st.Wait.NoThrow}, nil
	}
	if c, err := databaseCommand(st.AST); c != nil || err != nil {
		return c, err
	}
	q := &Query{node: st.AST, text: st.Text, offset: st.Offset, assert: st.Assert, subscribes: namesSubscription(st.Text)}
	switch n := st.AST.(type) {
	case *ast.SelectStmt, *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt,
		*ast.CreateStmt, *ast.CreateTableAsStmt, *ast.IndexStmt, *ast.CreateSchemaStmt, *ast.CreateSeqStmt, *ast.AlterSeqStmt,
		*ast.DropStmt, *ast.TruncateStmt, *ast.RenameStmt, *ast.CommentStmt, *ast.AlterTableStmt, *ast.AlterOwnerStmt,
		*ast.ConstraintsSetStmt, *ast.CallStmt, *ast.CreatePublicationStmt, *ast.AlterPublicationStmt:
		return q, nil
	case *ast.CreateFunctionStmt:
		if !n.IsProcedure {
			return nil, unsupported("CREATE FUNCTION")
		}
		return q, nil
	case *ast.TransactionStmt:
		return transaction(n)
	case *ast.VariableSetStmt:
		return setVariable(n)
	case *ast.VariableShowStmt:
		return &Show{strings.ToLower(n.Name)}, nil
	case *ast.CopyStmt:
		return copyCommand(n, q)
	case *ast.ExplainStmt:
		return explain(n, q)
	}
	return classifyRest(st, q)
}

func classifyRest(st parser.Statement, q *Query) (Command, error) {
	switch n := st.AST.(type) {
	case *ast.PrepareStmt:
		return prepare(n, q)
	case *ast.ExecuteStmt:
		return execute(n, q)
	case *ast.DeallocateStmt:
		if n.IsAll {
			return &Deallocate{}, nil
		}
		return &Deallocate{n.Name}, nil
	case *ast.DeclareCursorStmt:
		return declareCursor(n, q)
	case *ast.FetchStmt:
		return fetch(n), nil
	case *ast.ClosePortalStmt:
		return &CloseCursor{n.PortalName}, nil
	case *ast.DiscardStmt:
		what := map[ast.DiscardMode]string{ast.DISCARD_ALL: "ALL", ast.DISCARD_PLANS: "PLANS",
			ast.DISCARD_SEQUENCES: "SEQUENCES", ast.DISCARD_TEMP: "TEMP"}
		return &Discard{what[n.Target]}, nil
	case *ast.VacuumStmt:
		a := &Accepted{Tag: "ANALYZE"}
		if n.IsVacuumcmd {
			a = &Accepted{Tag: "VACUUM", NoBlock: true}
		}
		for _, r := range items(n.Rels) {
			if vr, ok := r.(*ast.VacuumRelation); ok && vr.Relation != nil {
				a.Tables = append(a.Tables, Name{vr.Relation.SchemaName, vr.Relation.RelName})
			}
		}
		return a, nil
	case *ast.CheckPointStmt:
		return &Accepted{Tag: "CHECKPOINT"}, nil
	case *ast.LockStmt:
		// Nothing is locked: a transaction that read what another changed is
		// refused at COMMIT instead.
		a := &Accepted{Tag: "LOCK TABLE"}
		for _, r := range items(n.Relations) {
			if rv, ok := r.(*ast.RangeVar); ok {
				a.Tables = append(a.Tables, Name{rv.SchemaName, rv.RelName})
			}
		}
		return a, nil
	}
	return nil, sqlstate.New(sqlstate.FeatureNotSupported, "%s is not supported", statementName(st.AST))
}

// statementName names a statement for messages by its first words.
func statementName(n ast.Stmt) string {
	name := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(typeString(n), "*ast."), "ast."), "Stmt")
	var words []string
	start := 0
	for i := 1; i <= len(name); i++ {
		if i == len(name) || (name[i] >= 'A' && name[i] <= 'Z') {
			words = append(words, strings.ToUpper(name[start:i]))
			start = i
		}
	}
	return strings.Join(words, " ")
}

func transaction(n *ast.TransactionStmt) (Command, error) {
	switch n.Kind {
	case ast.TRANS_STMT_BEGIN, ast.TRANS_STMT_START:
		modes, err := transactionModes(n.Options)
		return &Begin{modes, n.Kind == ast.TRANS_STMT_START}, err
	case ast.TRANS_STMT_COMMIT:
		return &Commit{n.Chain}, nil
	case ast.TRANS_STMT_ROLLBACK:
		return &Rollback{n.Chain}, nil
	case ast.TRANS_STMT_SAVEPOINT:
		return &Savepoint{n.SavepointName}, nil
	case ast.TRANS_STMT_RELEASE:
		return &Release{n.SavepointName}, nil
	case ast.TRANS_STMT_ROLLBACK_TO:
		return &RollbackTo{n.SavepointName}, nil
	}
	return nil, unsupported("a prepared transaction")
}

func transactionModes(list *ast.NodeList) (TransactionModes, error) {
	var m TransactionModes
	for _, it := range items(list) {
		d, ok := it.(*ast.DefElem)
		if !ok {
			continue
		}
		v := defString(d)
		switch d.Defname {
		case "transaction_isolation":
			m.Isolation = v
		case "transaction_read_only":
			b := defBool(d)
			m.ReadOnly = &b
		case "transaction_deferrable":
			b := defBool(d)
			m.Deferrable = &b
		}
	}
	return m, nil
}

func setVariable(n *ast.VariableSetStmt) (Command, error) {
	switch n.Kind {
	case ast.VAR_SET_MULTI:
		modes, err := transactionModes(n.Args)
		return &SetTransaction{Modes: modes, Session: strings.HasPrefix(n.Name, "SESSION")}, err
	case ast.VAR_RESET_ALL:
		return &ResetAll{}, nil
	case ast.VAR_RESET, ast.VAR_SET_DEFAULT:
		return &SetVariable{Name: n.Name, Default: true, Local: n.IsLocal, Reset: n.Kind == ast.VAR_RESET}, nil
	case ast.VAR_SET_CURRENT:
		return nil, unsupported("SET ... FROM CURRENT")
	}
	var values []string
	for _, a := range items(n.Args) {
		values = append(values, nodeString(a))
	}
	if n.Name == "transaction_snapshot" && len(values) == 1 {
		return &SetSnapshot{values[0]}, nil
	}
	return &SetVariable{Name: n.Name, Values: values, Local: n.IsLocal}, nil
}

func prepare(n *ast.PrepareStmt, q *Query) (Command, error) {
	p := &Prepare{Name: n.Name}
	for _, t := range items(n.Argtypes) {
		typ, _, err := typeName(t.(*ast.TypeName))
		if err != nil {
			return nil, err
		}
		p.Types = append(p.Types, typ)
	}
	inner, err := innerQuery(n.Query, q)
	if err != nil {
		return nil, err
	}
	p.Query = inner
	return p, nil
}

// innerQuery makes a Query of a statement within another.
func innerQuery(n ast.Node, outer *Query) (*Query, error) {
	st, ok := n.(ast.Stmt)
	if !ok {
		return nil, sqlstate.New(sqlstate.SyntaxError, "syntax error")
	}
	text := st.SqlString()
	return &Query{node: st, text: text, offset: outer.offset, subscribes: namesSubscription(text)}, nil
}

func execute(n *ast.ExecuteStmt, q *Query) (Command, error) {
	e := &Execute{Name: n.Name}
	for _, a := range items(n.Params) {
		sel := &ast.SelectStmt{BaseNode: ast.BaseNode{Tag: ast.T_SelectStmt},
			TargetList: ast.NewNodeList(&ast.ResTarget{Val: a})}
		e.Args = append(e.Args, &Query{node: sel, text: "SELECT " + a.SqlString(), offset: q.offset})
	}
	return e, nil
}

func declareCursor(n *ast.DeclareCursorStmt, q *Query) (Command, error) {
	inner, err := innerQuery(n.Query, q)
	if err != nil {
		return nil, err
	}
	if !inner.Select() {
		return nil, sqlstate.New(sqlstate.InvalidCursorState, "DECLARE CURSOR must not contain data-modifying statements in WITH")
	}
	return &DeclareCursor{
		Name:   n.PortalName,
		Hold:   n.Options&ast.CURSOR_OPT_HOLD != 0,
		Binary: n.Options&ast.CURSOR_OPT_BINARY != 0,
		Scroll: n.Options&ast.CURSOR_OPT_SCROLL != 0,
		Query:  inner,
	}, nil
}

func fetch(n *ast.FetchStmt) *Fetch {
	return &Fetch{
		Name:     n.PortalName,
		Count:    n.HowMany,
		Backward: n.Direction == ast.FETCH_BACKWARD,
		Absolute: n.Direction == ast.FETCH_ABSOLUTE,
		Relative: n.Direction == ast.FETCH_RELATIVE,
		Move:     n.IsMove,
	}
}

func explain(n *ast.ExplainStmt, q *Query) (Command, error) {
	inner, err := innerQuery(n.Query, q)
	if err != nil {
		return nil, err
	}
	e := &Explain{Query: inner, Costs: true}
	for _, it := range items(n.Options) {
		d, ok := it.(*ast.DefElem)
		if !ok {
			continue
		}
		switch strings.ToLower(d.Defname) {
		case "analyze":
			e.Analyze = defBool(d)
		case "costs":
			e.Costs = defBool(d)
		case "verbose":
			e.Verbose = defBool(d)
		case "buffers", "timing", "summary", "settings", "wal":
		case "format":
			switch f := strings.ToLower(defString(d)); f {
			case "text":
			case "json":
				e.JSON = true
			default:
				return nil, unsupported("EXPLAIN (FORMAT %s)", strings.ToUpper(f))
			}
		default:
			return nil, sqlstate.New(sqlstate.SyntaxError, "unrecognized EXPLAIN option \"%s\"", d.Defname)
		}
	}
	return e, nil
}

func copyCommand(n *ast.CopyStmt, q *Query) (Command, error) {
	if n.IsProgram || n.Filename != "" {
		return nil, sqlstate.New(sqlstate.InsufficientPrivilege, "COPY to or from a file or program on the server is not supported").
			WithHint("Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.")
	}
	if n.WhereClause != nil {
		return nil, unsupported("COPY ... WHERE")
	}
	c := &Copy{CopySpec{From: n.IsFrom, Columns: names(n.Attlist), Format: "text"}, q.text}
	if n.Relation != nil {
		c.Spec.Table = Name{n.Relation.SchemaName, n.Relation.RelName}
	}
	if n.Query != nil {
		inner, err := innerQuery(n.Query, q)
		if err != nil {
			return nil, err
		}
		c.Spec.Query = inner
	}
	for _, it := range items(n.Options) {
		d, ok := it.(*ast.DefElem)
		if !ok {
			continue
		}
		if err := copyOption(&c.Spec, d); err != nil {
			return nil, err
		}
	}
	return c, c.Spec.check()
}

func copyOption(c *CopySpec, d *ast.DefElem) error {
	switch strings.ToLower(d.Defname) {
	case "format":
		c.Format = strings.ToLower(defString(d))
		if c.Format != "text" && c.Format != "csv" && c.Format != "binary" {
			return sqlstate.New(sqlstate.InvalidParameterValue, "COPY format \"%s\" not recognized", c.Format)
		}
	case "freeze":
	case "delimiter":
		c.Delimiter = defString(d)
	case "null":
		v := defString(d)
		c.Null = &v
	case "header":
		if strings.EqualFold(defString(d), "match") {
			c.Header, c.HeaderMatch = true, true
			return nil
		}
		c.Header = defBool(d)
	case "quote":
		c.Quote = defString(d)
	case "escape":
		c.Escape = defString(d)
	case "force_quote":
		if _, ok := d.Arg.(*ast.A_Star); ok {
			c.ForceQuoteAll = true
			return nil
		}
		l, _ := d.Arg.(*ast.NodeList)
		c.ForceQuote = names(l)
	case "force_not_null":
		l, _ := d.Arg.(*ast.NodeList)
		c.ForceNotNull = names(l)
	case "force_null":
		l, _ := d.Arg.(*ast.NodeList)
		c.ForceNull = names(l)
	case "encoding":
		if e := strings.ToLower(strings.ReplaceAll(defString(d), "-", "")); e != "utf8" && e != "unicode" {
			return unsupported("COPY with encoding %s", defString(d))
		}
	default:
		return sqlstate.New(sqlstate.SyntaxError, "option \"%s\" not recognized", d.Defname)
	}
	return nil
}

// check applies COPY's rules about options and fills in the defaults.
func (c *CopySpec) check() error {
	csv := c.Format == "csv"
	if c.Format == "binary" && (c.Delimiter != "" || c.Null != nil || c.Header) {
		return sqlstate.New(sqlstate.SyntaxError, "cannot specify DELIMITER, NULL or HEADER in BINARY mode")
	}
	if !csv && (c.Quote != "" || c.Escape != "" || c.ForceQuoteAll || len(c.ForceQuote)+len(c.ForceNotNull)+len(c.ForceNull) > 0) {
		return sqlstate.New(sqlstate.FeatureNotSupported, "COPY quote, escape and force options are available only in CSV mode")
	}
	if c.Delimiter == "" {
		c.Delimiter = "\t"
		if csv {
			c.Delimiter = ","
		}
	}
	if len(c.Delimiter) != 1 {
		return sqlstate.New(sqlstate.FeatureNotSupported, "COPY delimiter must be a single one-byte character")
	}
	if strings.ContainsAny(c.Delimiter, "\r\n") {
		return sqlstate.New(sqlstate.InvalidParameterValue, "COPY delimiter cannot be newline or carriage return")
	}
	if c.Null == nil {
		null := "\\N"
		if csv {
			null = ""
		}
		c.Null = &null
	}
	if c.Quote == "" {
		c.Quote = `"`
	}
	if c.Escape == "" {
		c.Escape = c.Quote
	}
	if len(c.Quote) != 1 || len(c.Escape) != 1 {
		return sqlstate.New(sqlstate.FeatureNotSupported, "COPY quote and escape must be single one-byte characters")
	}
	return nil
}

// defString is an option's value as text.
func defString(d *ast.DefElem) string {
	if d.Arg == nil {
		return ""
	}
	return nodeString(d.Arg)
}

// defBool is an option's value as a boolean; an option without one is on.
func defBool(d *ast.DefElem) bool {
	if d.Arg == nil {
		return true
	}
	if i, ok := d.Arg.(*ast.Integer); ok {
		return i.IVal != 0
	}
	v, ok := types.ParseBool(defString(d))
	return v && ok
}
