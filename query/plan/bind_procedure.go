package plan

import (
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// maxProcedureParams is PostgreSQL's limit on arguments.
const maxProcedureParams = 100

// CreateProcedure is CREATE PROCEDURE.
type CreateProcedure struct {
	Name    Name
	Replace bool
	Params  []catalog.Param
	Body    []string
	Source  string
	Atomic  bool
}

// RoutineName names a procedure by its name and, unless Any, the types of its
// parameters.
type RoutineName struct {
	Name Name
	Args []*types.Type
	Any  bool
}

// DropProcedure is DROP PROCEDURE.
type DropProcedure struct {
	Names    []RoutineName
	IfExists bool
}

// AlterProcedure is ALTER PROCEDURE … RENAME TO or OWNER TO.
type AlterProcedure struct {
	Name       RoutineName
	New, Owner string
}

func (*CreateProcedure) ddl() {}
func (*DropProcedure) ddl()   {}
func (*AlterProcedure) ddl()  {}

func (b *binder) createProcedure(n *ast.CreateFunctionStmt) (*Statement, error) {
	c := &CreateProcedure{Name: objectName(n.FuncName), Replace: n.Replace, Atomic: n.SQLBody != nil}
	language, err := c.options(n.Options)
	if err != nil {
		return nil, err
	}
	if err := b.procedureParams(c, items(n.Parameters)); err != nil {
		return nil, err
	}
	switch {
	case language == "" && !c.Atomic:
		return nil, sqlstate.New(sqlstate.InvalidFunctionDefinition, "no language specified")
	case language == "plpgsql" || language == "c" || language == "internal":
		return nil, unsupported("a procedure in language %s", language)
	case language != "" && language != "sql":
		return nil, sqlstate.New(sqlstate.UndefinedObject, "language \"%s\" does not exist", language)
	}
	if err := c.body(n, b.text); err != nil {
		return nil, err
	}
	return &Statement{Tag: "CREATE PROCEDURE", DDL: c}, nil
}

// options reads what stands between the parameters and the body.
func (c *CreateProcedure) options(list *ast.NodeList) (language string, err error) {
	seen := map[string]bool{}
	for _, it := range items(list) {
		d, ok := it.(*ast.DefElem)
		if !ok {
			continue
		}
		if seen[d.Defname] {
			return "", sqlstate.New(sqlstate.SyntaxError, "conflicting or redundant options")
		}
		seen[d.Defname] = true
		switch d.Defname {
		case "language":
			language = strings.ToLower(defString(d))
		case "as":
			l, _ := d.Arg.(*ast.NodeList)
			if texts := names(l); len(texts) == 1 {
				c.Source = texts[0]
			}
		case "security":
			if defBool(d) {
				return "", unsupported("SECURITY DEFINER")
			}
		case "set":
			return "", unsupported("SET in a procedure definition")
		case "transform":
			return "", unsupported("TRANSFORM in a procedure definition")
		default:
			return "", sqlstate.New(sqlstate.InvalidFunctionDefinition, "invalid attribute in procedure definition")
		}
	}
	if !seen["as"] && !c.Atomic {
		if language == "" {
			return "", nil // which is the first thing to complain about
		}
		return "", sqlstate.New(sqlstate.InvalidFunctionDefinition, "no function body specified")
	}
	if seen["as"] && c.Atomic {
		return "", sqlstate.New(sqlstate.InvalidFunctionDefinition, "duplicate function body specified")
	}
	return language, nil
}

func (b *binder) procedureParams(c *CreateProcedure, list []ast.Node) error {
	if len(list) > maxProcedureParams {
		return sqlstate.New(sqlstate.TooManyArguments, "procedures cannot have more than %d arguments", maxProcedureParams)
	}
	for _, it := range list {
		f, ok := it.(*ast.FunctionParameter)
		if !ok {
			continue
		}
		switch f.Mode {
		case ast.FUNC_PARAM_IN, ast.FUNC_PARAM_DEFAULT:
		case ast.FUNC_PARAM_VARIADIC:
			return unsupported("a VARIADIC parameter")
		default:
			return unsupported("an OUT parameter")
		}
		t, _, err := typeName(f.ArgType)
		if err != nil {
			return err
		}
		if t.Pseudo {
			return unsupported("a parameter of pseudo-type %s", t)
		}
		p := catalog.Param{Name: f.Name, Type: t.OID}
		if p.Name != "" && slices.ContainsFunc(c.Params, func(o catalog.Param) bool { return o.Name == p.Name }) {
			return sqlstate.New(sqlstate.InvalidFunctionDefinition, "parameter name \"%s\" used more than once", p.Name)
		}
		if f.DefExpr != nil {
			if p.Default, err = b.paramDefault(f.DefExpr, t); err != nil {
				return err
			}
		} else if n := len(c.Params); n > 0 && c.Params[n-1].Default != "" {
			return sqlstate.New(sqlstate.InvalidFunctionDefinition, "input parameters after one with a default value must also have defaults")
		}
		c.Params = append(c.Params, p)
	}
	return nil
}

// paramDefault is the text that a descriptor keeps of a default.
func (b *binder) paramDefault(n ast.Node, t *types.Type) (string, error) {
	e, err := b.expr(n, &scope{clause: "DEFAULT expressions"})
	if err != nil {
		return "", err
	}
	if e, err = b.coerce(e, t, types.NoTypmod, expr.Assignment); err != nil {
		return "", err
	}
	if text, ok := deparseExpr(e); ok {
		return text, nil
	}
	return deparse(n), nil
}

// body cuts a procedure's body into statements and refuses those that it may not
// have.
func (c *CreateProcedure) body(n *ast.CreateFunctionStmt, text string) error {
	if c.Atomic {
		if _, ok := n.SQLBody.(*ast.NodeList); !ok {
			return sqlstate.New(sqlstate.InvalidFunctionDefinition, "RETURN is not allowed in a procedure")
		}
		var err error
		if c.Body, err = parser.AtomicBody(text); err != nil {
			return err
		}
	} else {
		sts, err := parser.Parse(c.Source)
		if err != nil {
			return bodyError(err)
		}
		for _, st := range sts {
			c.Body = append(c.Body, st.Text)
		}
	}
	for _, text := range c.Body {
		if _, err := bodyQuery(text); err != nil {
			return err
		}
	}
	return nil
}

// bodyQuery parses a statement of a procedure's body.
func bodyQuery(text string) (*Query, error) {
	sts, err := parser.Parse(text)
	if err != nil {
		return nil, bodyError(err)
	}
	if len(sts) != 1 {
		return nil, sqlstate.New(sqlstate.SyntaxError, "expected one statement, found %d", len(sts))
	}
	if t, ok := sts[0].AST.(*ast.TransactionStmt); ok {
		return nil, sqlstate.New(sqlstate.InvalidTransactionEnd, "%s is not allowed in an SQL function", transactionWord(t))
	}
	cmd, err := Classify(sts[0])
	if err != nil {
		return nil, bodyError(err)
	}
	if q, ok := cmd.(*Query); ok {
		if _, set := q.node.(*ast.ConstraintsSetStmt); !set && !q.Definition() {
			return q, nil
		}
	}
	return nil, unsupported("%s in a procedure", firstWord(text))
}

func transactionWord(t *ast.TransactionStmt) string {
	switch t.Kind {
	case ast.TRANS_STMT_BEGIN:
		return "BEGIN"
	case ast.TRANS_STMT_START:
		return "START TRANSACTION"
	case ast.TRANS_STMT_COMMIT:
		return "COMMIT"
	case ast.TRANS_STMT_SAVEPOINT:
		return "SAVEPOINT"
	case ast.TRANS_STMT_RELEASE:
		return "RELEASE"
	}
	return "ROLLBACK"
}

// firstWord names a statement by the word it begins with.
func firstWord(text string) string {
	if f := strings.Fields(text); len(f) > 0 {
		return strings.ToUpper(f[0])
	}
	return "an empty statement"
}

// routineName reads name(type, …).
func (b *binder) routineName(n ast.Node) (RoutineName, error) {
	o, ok := n.(*ast.ObjectWithArgs)
	if !ok {
		return RoutineName{}, sqlstate.New(sqlstate.SyntaxError, "syntax error in the name of a procedure")
	}
	r := RoutineName{Name: objectName(o.Objname), Any: o.ArgsUnspecified}
	for _, it := range items(o.Objargs) {
		tn, ok := it.(*ast.TypeName)
		if !ok {
			continue
		}
		t, _, err := typeName(tn)
		if err != nil {
			return r, err
		}
		r.Args = append(r.Args, t)
	}
	return r, nil
}

func (b *binder) dropProcedure(n *ast.DropStmt) (*Statement, error) {
	d := &DropProcedure{IfExists: n.MissingOk}
	for _, o := range items(n.Objects) {
		r, err := b.routineName(o)
		if err != nil {
			return nil, err
		}
		d.Names = append(d.Names, r)
	}
	tag := "DROP PROCEDURE"
	if n.RemoveType == ast.OBJECT_ROUTINE {
		tag = "DROP ROUTINE"
	}
	return &Statement{Tag: tag, DDL: d}, nil
}

func (b *binder) alterProcedure(object ast.Node, name, owner string) (*Statement, error) {
	r, err := b.routineName(object)
	return &Statement{Tag: "ALTER PROCEDURE", DDL: &AlterProcedure{r, name, owner}}, err
}
