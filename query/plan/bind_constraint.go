package plan

import (
	"cmp"
	"slices"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// CheckSpec is a CHECK constraint as it is written. It is bound when the
// statement runs, because the table may have been changed by then.
type CheckSpec struct {
	Name      string
	NoInherit bool
	NotValid  bool
	expr      ast.Node
	text      string // of the statement, for the positions of errors
}

// ForeignKeySpec is a FOREIGN KEY constraint as it is written.
type ForeignKeySpec struct {
	Name              string
	Columns           []string
	Target            Name
	TargetColumns     []string // none: the primary key
	OnDelete          byte
	OnUpdate          byte
	Match             byte
	DeleteSet         []string
	Deferrable        bool
	InitiallyDeferred bool
	NotValid          bool
}

// constraintSpec is one constraint of a table; one of its fields is set.
type constraintSpec struct {
	index   *IndexSpec
	check   *CheckSpec
	foreign *ForeignKeySpec
}

// constraint reads a constraint written on a table, or on the column of that
// name.
func (b *binder) constraint(n *ast.Constraint, column string) (constraintSpec, error) {
	switch n.Contype {
	case ast.CONSTR_CHECK:
		if n.Deferrable || n.Initdeferred {
			return constraintSpec{}, sqlstate.New(sqlstate.FeatureNotSupported, "CHECK constraints cannot be marked DEFERRABLE")
		}
		return constraintSpec{check: &CheckSpec{Name: n.Conname, NoInherit: n.IsNoInherit, NotValid: n.SkipValidation,
			expr: n.RawExpr, text: b.text}}, nil
	case ast.CONSTR_FOREIGN:
		k, err := foreignKeySpec(n)
		if k != nil && column != "" {
			k.Columns = []string{column}
		}
		return constraintSpec{foreign: k}, err
	}
	ix, err := indexConstraint(n)
	if ix != nil && column != "" {
		ix.Columns = []IndexColumnSpec{{Column: column}}
	}
	return constraintSpec{index: ix}, err
}

func foreignKeySpec(n *ast.Constraint) (*ForeignKeySpec, error) {
	k := &ForeignKeySpec{Name: n.Conname, Columns: names(n.FkAttrs), Target: rangeName(n.Pktable), TargetColumns: names(n.PkAttrs),
		OnDelete: orElse(n.FkDelAction, catalog.NoAction), OnUpdate: orElse(n.FkUpdAction, catalog.NoAction),
		Match: orElse(n.FkMatchtype, catalog.MatchSimple), DeleteSet: names(n.FkDelSetCols),
		Deferrable: n.Deferrable || n.Initdeferred, InitiallyDeferred: n.Initdeferred, NotValid: n.SkipValidation}
	if k.Match == ast.FKCONSTR_MATCH_PARTIAL {
		return nil, sqlstate.New(sqlstate.FeatureNotSupported, "MATCH PARTIAL not yet implemented")
	}
	return k, nil
}

func orElse(b, other byte) byte {
	if b == 0 {
		return other
	}
	return b
}

// attribute applies DEFERRABLE and its like, which stand as elements of their own
// behind the constraint of a column that they are about.
func (c *constraintSpec) attribute(kind ast.ConstrType) error {
	clause := map[ast.ConstrType]string{ast.CONSTR_ATTR_DEFERRABLE: "DEFERRABLE", ast.CONSTR_ATTR_NOT_DEFERRABLE: "NOT DEFERRABLE",
		ast.CONSTR_ATTR_DEFERRED: "INITIALLY DEFERRED", ast.CONSTR_ATTR_IMMEDIATE: "INITIALLY IMMEDIATE"}[kind]
	deferring := kind == ast.CONSTR_ATTR_DEFERRABLE || kind == ast.CONSTR_ATTR_DEFERRED
	if c == nil || c.foreign == nil {
		switch {
		case c == nil || c.check != nil:
			return sqlstate.New(sqlstate.SyntaxError, "misplaced %s clause", clause)
		case deferring:
			return unsupported("a DEFERRABLE unique constraint")
		}
		return nil
	}
	k := c.foreign
	switch kind {
	case ast.CONSTR_ATTR_DEFERRABLE:
		k.Deferrable = true
	case ast.CONSTR_ATTR_DEFERRED:
		k.Deferrable, k.InitiallyDeferred = true, true
	case ast.CONSTR_ATTR_NOT_DEFERRABLE:
		if k.InitiallyDeferred {
			return sqlstate.New(sqlstate.SyntaxError, "constraint declared INITIALLY DEFERRED must be DEFERRABLE")
		}
	}
	return nil
}

// setConstraints reads SET CONSTRAINTS.
func setConstraints(n *ast.ConstraintsSetStmt) *Statement {
	c := &SetConstraints{Deferred: n.Deferred}
	for _, it := range items(n.Constraints) {
		if rv, ok := it.(*ast.RangeVar); ok {
			c.Names = append(c.Names, rangeName(rv))
		}
	}
	return &Statement{Tag: "SET CONSTRAINTS", SetConstraints: c}
}

const checkClause = "check constraints"

// checkScope makes the columns of a row of t what a CHECK constraint may refer to.
func checkScope(t *catalog.Table, row []ColID) *scope {
	r := &relation{name: t.Name, table: t.ID}
	for i, col := range live(t) {
		r.cols = append(r.cols, relCol{col.Name, row[i]})
	}
	return &scope{items: []*fromItem{relItem(r)}, clause: checkClause}
}

// BindCheck makes a constraint of t of what was written; its name and ID are
// left to the caller, who makes a name with the help of Columns.
func BindCheck(env Env, spec *CheckSpec, t *catalog.Table) (catalog.Check, error) {
	b := &binder{env: env, text: spec.text, keepLists: true, columns: make([]Column, 1), reads: map[catalog.ID]bool{}}
	_, row := b.rowRelation(t, t.Name)
	cond, err := b.boolean(spec.expr, checkScope(t, row), "argument of CHECK")
	if err != nil {
		return catalog.Check{}, err
	}
	if len(b.params) > 0 {
		return catalog.Check{}, sqlstate.New(sqlstate.UndefinedParameter, "there is no parameter $1")
	}
	out := catalog.Check{Name: spec.Name, NoInherit: spec.NoInherit, NotValid: spec.NotValid, Expr: b.canonical(cond, spec.expr, t, row)}
	Walk(cond, func(e Expr) bool {
		if ref, ok := e.(*ColRef); ok && !slices.Contains(out.Columns, b.columns[ref.ID].Num) {
			out.Columns = append(out.Columns, b.columns[ref.ID].Num)
		}
		return true
	})
	return out, nil
}

// canonical is the text that a descriptor keeps of a bound condition: one that
// means the same under all settings, and that is printed the same again once it
// has been read. Where no such text can be made, it is the one that was written.
func (b *binder) canonical(cond Expr, written ast.Node, t *catalog.Table, row []ColID) string {
	text, ok := deparseExpr(cond)
	if ok {
		again, err := b.storedExpr(text, checkScope(t, row))
		if err == nil {
			if second, ok := deparseExpr(again); ok && second == text {
				return text
			}
		}
	}
	return deparse(written)
}

// RenameInCheck is the text of a CHECK constraint after columns have been
// renamed: before is the table with the old names, after with the new.
func RenameInCheck(env Env, text string, before, after *catalog.Table) (string, error) {
	b := &binder{env: env, columns: make([]Column, 1), reads: map[catalog.ID]bool{}}
	_, row := b.rowRelation(before, before.Name)
	cond, err := b.storedExpr(text, checkScope(before, row))
	if err != nil {
		return "", err
	}
	_, fresh := b.rowRelation(after, after.Name)
	cond = mapExpr(cond, func(e Expr) Expr {
		if ref, ok := e.(*ColRef); ok {
			return b.ref(fresh[slices.Index(row, ref.ID)])
		}
		return e
	})
	out, ok := deparseExpr(cond)
	if !ok {
		return "", unsupported("renaming a column that the constraint %s refers to", text)
	}
	return out, nil
}

// sortedChecks are the CHECK constraints of t in the order in which PostgreSQL
// looks at them: by name.
func sortedChecks(t *catalog.Table) []catalog.Check {
	out := slices.Clone(t.Checks)
	slices.SortStableFunc(out, func(a, b catalog.Check) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// BindRow plans what a row of t must satisfy by itself, for the validation of
// rows that are there already. Only the named CHECK constraint is bound; none
// for "".
func BindRow(env Env, t *catalog.Table, check string) (*Guard, error) {
	b := &binder{env: env, columns: make([]Column, 1), reads: map[catalog.ID]bool{}}
	only := *t
	only.Checks = slices.DeleteFunc(slices.Clone(t.Checks), func(c catalog.Check) bool { return c.Name != check })
	g := &Guard{Table: t}
	var err error
	_, g.Row = b.rowRelation(t, t.Name)
	g.Checks, err = b.checks(&only, g.Row)
	return g, err
}
