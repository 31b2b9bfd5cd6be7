package plan

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Node is a relational operator. Plans are read-only once made and are shared
// by everything that runs them.
type Node interface {
	// Cols are the columns of the rows it yields, in their order.
	Cols() []ColID
	// Inputs are the operators it reads.
	Inputs() []Node
}

// Column describes a ColID.
type Column struct {
	Name   string
	Type   *types.Type
	Typmod int32
	Table  catalog.ID
	Num    catalog.ColumnNum
}

// Scan reads a table in the order of an index.
type Scan struct {
	Table *catalog.Table
	Alias string
	// Out and Nums are parallel: which columns are read.
	Out  []ColID
	Nums []catalog.ColumnNum
	// Handle: the four columns after Out are the row's key (bytea), the offsets
	// of its creation and last change (pg_lsn) and its stored form (bytea): what
	// Update and Delete need to name the row.
	Handle []ColID
	// System: two more columns, the offsets (pg_lsn) of the row's last change
	// and of its creation, for a query that names them.
	System  []ColID
	Filter  Expr // what the access path does not guarantee; may be nil
	Access  *Access
	Reverse bool
}

// Access is a way to read a table: an index and the bounds on its columns.
type Access struct {
	Index *catalog.Index // nil: the rows in the order of their key
	// Eq has one expression for each leading column that is bound to a value;
	// a nil entry stands for the set in In.
	Eq []Expr
	// In: the last column of Eq may take any of the elements of this array, or
	// the values of this list.
	InArray Expr
	InList  []Expr
	// Lo and Hi bound the column after Eq.
	Lo, Hi *Bound
	// Unique: at most one row can match.
	Unique bool
}

// Bound is one end of a range.
type Bound struct {
	Expr      Expr
	Inclusive bool
}

// VirtualScan reads a relation that is computed: the system catalogs, the log.
type VirtualScan struct {
	Table  *syscat.Table
	Alias  string
	Out    []ColID
	Filter Expr
	// Lo and Hi bound the relation's pushed-down column, where it has one.
	Lo, Hi *Bound
}

// Values yields literal rows.
type Values struct {
	Rows [][]Expr
	Out  []ColID
}

// FuncScan yields the rows of set-returning (or ordinary) functions, side by side.
type FuncScan struct {
	Calls      []*Call
	Widths     []int // how many columns each call yields
	Out        []ColID
	Ordinality bool // the last column counts the rows
}

// Filter keeps the rows for which Cond is true.
type Filter struct {
	In   Node
	Cond Expr
}

// Project computes Exprs for each row.
type Project struct {
	In    Node
	Exprs []Expr
	Out   []ColID
}

// ProjectSet adds the columns of set-returning calls to its input: each input
// row yields as many rows as the longest set, the shorter ones NULL at the end.
type ProjectSet struct {
	In    Node
	Exprs []Expr
	Out   []ColID
}

// JoinKind is the kind of a join.
type JoinKind uint8

// The kinds of joins. Semi and Anti come from EXISTS and IN.
const (
	InnerJoin JoinKind = iota
	LeftJoin
	RightJoin
	FullJoin
	SemiJoin
	AntiJoin
)

// JoinMethod is how a join is run.
type JoinMethod uint8

// The join methods.
const (
	NestedLoop JoinMethod = iota // the right side is kept in memory and read for each left row
	HashJoin                     // equality on HashLeft/HashRight
	LookupJoin                   // the right side is run anew for each left row, whose columns it refers to
)

// Join joins two inputs.
type Join struct {
	Kind                JoinKind
	Method              JoinMethod
	Left, Right         Node
	On                  Expr // everything that must hold besides the hash keys; may be nil
	HashLeft, HashRight []Expr
	// NullAware: NOT IN's rule that a NULL on the right leaves nothing.
	NullAware bool
}

// Aggregate groups rows.
type Aggregate struct {
	In     Node
	Groups []Expr
	// GroupOut are the columns of Groups, AggOut those of Aggs.
	GroupOut []ColID
	Aggs     []Agg
	AggOut   []ColID
	// Sets are the grouping sets as positions in Groups; nil means one set
	// with all of them.
	Sets [][]int
	// SetOut, when not zero, is a bit mask of the Groups that are not in the
	// current set: GROUPING().
	SetOut ColID
}

// Agg is one aggregate call.
type Agg struct {
	Func     *expr.ResolvedAggregate
	Args     []Expr
	Distinct bool
	Filter   Expr
	Order    []SortKey
}

// SortKey is one key of an ordering.
type SortKey struct {
	Expr       Expr
	Desc       bool
	NullsFirst bool
}

// Sort orders rows; equal rows keep the order they came in.
type Sort struct {
	In   Node
	Keys []SortKey
}

// Limit passes Count rows after skipping Offset.
type Limit struct {
	In            Node
	Count, Offset Expr
	WithTies      []SortKey
}

// Dedup removes duplicates. With On it keeps the first row of each group of
// equal On values, in the input's order.
type Dedup struct {
	In Node
	On []Expr
}

// SetOpKind is UNION, INTERSECT or EXCEPT.
type SetOpKind uint8

// The set operations.
const (
	Union SetOpKind = iota
	Intersect
	Except
)

// SetOp combines two inputs of the same row type.
type SetOp struct {
	Kind        SetOpKind
	All         bool
	Left, Right Node
	LeftCols    []ColID
	RightCols   []ColID
	Out         []ColID
}

// CTE is a WITH query, computed once in a statement and kept.
type CTE struct {
	Name string
	Plan Node
	Out  []ColID // the plan's columns
	// Recursive queries: Plan is the part that is not, Step the one that is;
	// Step reads the last round's rows through a CTEScan of Working.
	Step     Node
	StepOut  []ColID
	Working  *CTE
	UnionAll bool
}

// With makes its WITH queries anew for each time it is run: they may refer to
// the row around it, or to the last round of a recursive query.
type With struct {
	In   Node
	CTEs []*CTE
}

// CTEScan reads a WITH query.
type CTEScan struct {
	CTE *CTE
	Out []ColID
}

// Cols implements Node.
func (n *Scan) Cols() []ColID {
	if n.Handle == nil && n.System == nil {
		return n.Out
	}
	return append(append(append([]ColID{}, n.Out...), n.Handle...), n.System...)
}

// Cols implements Node.
func (n *VirtualScan) Cols() []ColID { return n.Out }

// Cols implements Node.
func (n *Values) Cols() []ColID { return n.Out }

// Cols implements Node.
func (n *FuncScan) Cols() []ColID { return n.Out }

// Cols implements Node.
func (n *Filter) Cols() []ColID { return n.In.Cols() }

// Cols implements Node.
func (n *Project) Cols() []ColID { return n.Out }

// Cols implements Node.
func (n *ProjectSet) Cols() []ColID { return append(append([]ColID{}, n.In.Cols()...), n.Out...) }

// Cols implements Node.
func (n *Join) Cols() []ColID {
	if n.Kind == SemiJoin || n.Kind == AntiJoin {
		return n.Left.Cols()
	}
	return append(append([]ColID{}, n.Left.Cols()...), n.Right.Cols()...)
}

// Cols implements Node.
func (n *Aggregate) Cols() []ColID {
	out := append(append([]ColID{}, n.GroupOut...), n.AggOut...)
	if n.SetOut != 0 {
		out = append(out, n.SetOut)
	}
	return out
}

// Cols implements Node.
func (n *Sort) Cols() []ColID { return n.In.Cols() }

// Cols implements Node.
func (n *Limit) Cols() []ColID { return n.In.Cols() }

// Cols implements Node.
func (n *Dedup) Cols() []ColID { return n.In.Cols() }

// Cols implements Node.
func (n *SetOp) Cols() []ColID { return n.Out }

// Cols implements Node.
func (n *With) Cols() []ColID { return n.In.Cols() }

// Cols implements Node.
func (n *CTEScan) Cols() []ColID { return n.Out }

// Inputs implements Node.
func (n *Scan) Inputs() []Node { return nil }

// Inputs implements Node.
func (n *VirtualScan) Inputs() []Node { return nil }

// Inputs implements Node.
func (n *Values) Inputs() []Node { return nil }

// Inputs implements Node.
func (n *FuncScan) Inputs() []Node { return nil }

// Inputs implements Node.
func (n *Filter) Inputs() []Node { return []Node{n.In} }

// Inputs implements Node.
func (n *Project) Inputs() []Node { return []Node{n.In} }

// Inputs implements Node.
func (n *ProjectSet) Inputs() []Node { return []Node{n.In} }

// Inputs implements Node.
func (n *Join) Inputs() []Node { return []Node{n.Left, n.Right} }

// Inputs implements Node.
func (n *Aggregate) Inputs() []Node { return []Node{n.In} }

// Inputs implements Node.
func (n *Sort) Inputs() []Node { return []Node{n.In} }

// Inputs implements Node.
func (n *Limit) Inputs() []Node { return []Node{n.In} }

// Inputs implements Node.
func (n *Dedup) Inputs() []Node { return []Node{n.In} }

// Inputs implements Node.
func (n *SetOp) Inputs() []Node { return []Node{n.Left, n.Right} }

// Inputs implements Node.
func (n *With) Inputs() []Node { return []Node{n.In} }

// Inputs implements Node.
func (n *CTEScan) Inputs() []Node { return nil }
