package exec

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// RowFilter is a compiled row filter of a publication. It depends on nothing but
// the row. It is for one goroutine at a time.
type RowFilter struct {
	cond evalFunc
	f    frame
}

// CompileRowFilter compiles a row filter that the catalog keeps for a table.
func CompileRowFilter(c *catalog.Catalog, t *catalog.Table, text string) (*RowFilter, error) {
	m, err := NewMeaning(nil, "")
	if err != nil {
		return nil, err
	}
	rt := &Runtime{Expr: &expr.Ctx{Format: m.Format}}
	cond, row, err := plan.BindRowFilter(plan.Env{Catalog: c, Ctx: rt.Expr}, t, text)
	if err != nil {
		return nil, err
	}
	comp := &compiler{ctes: map[*plan.CTE]*compiledCTE{}}
	x := &RowFilter{cond: comp.expr(cond, tableLayout(t, row, 0, &layout{}))}
	x.f = frame{rt: rt, outer: &frame{rt: rt}}
	return x, nil
}

// Matches reports whether the condition is true for a row, which has a datum for
// each column of the table, dropped ones included.
func (x *RowFilter) Matches(row []types.Datum) (bool, error) {
	x.f.row = row
	return isTrue(x.cond, &x.f)
}
