package plan

import (
	"fmt"
	"strings"

	"github.com/tidemark-db/tidemark/sm/catalog"
)

// PlanNode is a plan as EXPLAIN shows it.
type PlanNode struct {
	Type       string
	Properties []Property
	Children   []*PlanNode
	// Node is the operator it describes; nil for what is no operator.
	Node Node
}

// Property is a line below a plan node.
type Property struct{ Name, Value string }

// Describe returns a statement's plan as EXPLAIN shows it.
func Describe(st *Statement) *PlanNode {
	x := &explainer{st: st}
	switch {
	case st.Insert != nil:
		n := &PlanNode{Type: "Insert on " + st.Insert.Table.Name, Children: []*PlanNode{x.node(st.Insert.Source)}}
		if c := st.Insert.Conflict; c != nil {
			what := "NOTHING"
			if c.Update != nil {
				what = "UPDATE"
			}
			n.add("Conflict Resolution", what)
			var names []string
			for _, ix := range c.Indexes {
				names = append(names, ix.Name)
			}
			n.add("Conflict Arbiter Indexes", strings.Join(names, ", "))
		}
		return n
	case st.Update != nil:
		return &PlanNode{Type: "Update on " + st.Update.Table.Name, Children: []*PlanNode{x.node(st.Update.Source)}}
	case st.Delete != nil:
		return &PlanNode{Type: "Delete on " + st.Delete.Table.Name, Children: []*PlanNode{x.node(st.Delete.Source)}}
	case st.Root != nil:
		return x.node(st.Root)
	}
	return &PlanNode{Type: "Utility Statement"}
}

func (n *PlanNode) add(name, value string) {
	if value != "" {
		n.Properties = append(n.Properties, Property{name, value})
	}
}

type explainer struct {
	st *Statement
}

func (x *explainer) node(n Node) *PlanNode {
	switch n := n.(type) {
	case *Project:
		return x.node(n.In) // EXPLAIN shows no projections
	case *With:
		return x.node(n.In)
	case *Filter:
		out := x.node(n.In)
		if out.has("Filter") {
			out = &PlanNode{Type: "Result", Children: []*PlanNode{out}, Node: n}
		}
		out.add("Filter", x.expr(n.Cond))
		return out
	}
	out := &PlanNode{Node: n}
	for _, in := range n.Inputs() {
		out.Children = append(out.Children, x.node(in))
	}
	x.describe(n, out)
	eachExpr(n, func(e Expr) { x.subplans(e, out) })
	return out
}

func (n *PlanNode) has(name string) bool {
	for _, p := range n.Properties {
		if p.Name == name {
			return true
		}
	}
	return false
}

// subplans lists the subqueries of an expression as children.
func (x *explainer) subplans(e Expr, out *PlanNode) {
	Walk(e, func(c Expr) bool {
		if s, ok := c.(*Subquery); ok {
			child := x.node(s.Plan)
			name := "InitPlan"
			if s.Correlated {
				name = "SubPlan"
			}
			out.Children = append(out.Children, &PlanNode{Type: name, Children: []*PlanNode{child}})
		}
		return true
	})
}

func (x *explainer) describe(n Node, out *PlanNode) {
	switch n := n.(type) {
	case *Scan:
		x.scan(n, out)
	case *VirtualScan:
		out.Type = "Virtual Scan on " + n.Table.Name + alias(n.Table.Name, n.Alias)
		out.add("Range", x.bounds(pushedName(n), n.Lo, n.Hi))
		out.add("Filter", x.expr(n.Filter))
	case *Values:
		out.Type = "Values Scan on \"*VALUES*\""
		if len(n.Rows) == 1 {
			out.Type = "Result"
		}
	case *FuncScan:
		out.Type = "Function Scan"
		for _, c := range n.Calls {
			out.Type += " on " + c.Func.Name
		}
	case *ProjectSet:
		out.Type = "ProjectSet"
	case *Join:
		x.join(n, out)
	case *Aggregate:
		out.Type = "Aggregate"
		if len(n.Groups) > 0 {
			out.Type = "HashAggregate"
			out.add("Group Key", x.list(n.Groups))
		}
	case *Sort:
		out.Type = "Sort"
		out.add("Sort Key", x.keys(n.Keys))
	case *Limit:
		out.Type = "Limit"
	case *Dedup:
		out.Type = "Unique"
	case *SetOp:
		name := [...]string{"Append", "HashSetOp Intersect", "HashSetOp Except"}[n.Kind]
		if n.All && n.Kind != Union {
			name += " All"
		}
		if !n.All && n.Kind == Union {
			out.Type = "HashAggregate"
			out.Children = []*PlanNode{{Type: name, Children: out.Children}}
			return
		}
		out.Type = name
	case *CTEScan:
		out.Type = "CTE Scan on " + n.CTE.Name
		if n.CTE.Plan != nil {
			child := x.node(n.CTE.Plan)
			out.Children = append(out.Children, &PlanNode{Type: "CTE " + n.CTE.Name, Children: []*PlanNode{child}})
		}
	}
}

func alias(name, as string) string {
	if as == "" || as == name {
		return ""
	}
	return " " + as
}

func (x *explainer) scan(n *Scan, out *PlanNode) {
	name := n.Table.Name + alias(n.Table.Name, n.Alias)
	dir := ""
	if n.Reverse {
		dir = " Backward"
	}
	switch {
	case n.Access == nil:
		out.Type = "Seq Scan" + dir + " on " + name
	default:
		out.Type = "Index Scan" + dir + " using " + n.Access.Index.Name + " on " + name
		out.add("Index Cond", x.access(n.Table, n.Access))
	}
	out.add("Filter", x.expr(n.Filter))
}

// access prints the condition an index takes care of.
func (x *explainer) access(t *catalog.Table, a *Access) string {
	var parts []string
	col := func(i int) string { return t.Columns[a.Index.Columns[i].Column-1].Name }
	for i, e := range a.Eq {
		switch {
		case e != nil:
			parts = append(parts, fmt.Sprintf("(%s = %s)", col(i), x.expr(e)))
		case a.InArray != nil:
			parts = append(parts, fmt.Sprintf("(%s = ANY (%s))", col(i), x.expr(a.InArray)))
		default:
			parts = append(parts, fmt.Sprintf("(%s = ANY ('{%s}'))", col(i), x.list(a.InList)))
		}
	}
	if len(a.Eq) < len(a.Index.Columns) {
		if r := x.bounds(col(len(a.Eq)), a.Lo, a.Hi); r != "" {
			parts = append(parts, r)
		}
	}
	if len(parts) > 1 {
		return "(" + strings.Join(parts, " AND ") + ")"
	}
	return strings.Join(parts, "")
}

func (x *explainer) bounds(col string, lo, hi *Bound) string {
	var parts []string
	for _, b := range []struct {
		b  *Bound
		op string
	}{{lo, ">"}, {hi, "<"}} {
		if b.b == nil {
			continue
		}
		op := b.op
		if b.b.Inclusive {
			op += "="
		}
		parts = append(parts, fmt.Sprintf("(%s %s %s)", col, op, x.expr(b.b.Expr)))
	}
	return strings.Join(parts, " AND ")
}

func (x *explainer) join(n *Join, out *PlanNode) {
	kind := [...]string{"", " Left", " Right", " Full", " Semi", " Anti"}[n.Kind]
	switch n.Method {
	case HashJoin:
		out.Type = "Hash" + kind + " Join"
		var conds []string
		for i := range n.HashLeft {
			conds = append(conds, "("+x.expr(n.HashLeft[i])+" = "+x.expr(n.HashRight[i])+")")
		}
		out.add("Hash Cond", strings.Join(conds, " AND "))
		if len(out.Children) == 2 {
			out.Children[1] = &PlanNode{Type: "Hash", Children: []*PlanNode{out.Children[1]}}
		}
	case LookupJoin:
		out.Type = "Nested Loop" + kind
		if kind != "" {
			out.Type += " Join"
		}
	default:
		out.Type = "Nested Loop" + kind
		if kind != "" {
			out.Type += " Join"
		}
		if len(out.Children) == 2 {
			out.Children[1] = &PlanNode{Type: "Materialize", Children: []*PlanNode{out.Children[1]}}
		}
	}
	out.add("Join Filter", x.expr(n.On))
}

func (x *explainer) keys(ks []SortKey) string {
	var out []string
	for _, k := range ks {
		s := x.expr(k.Expr)
		if k.Desc {
			s += " DESC"
		}
		if k.NullsFirst != k.Desc {
			s += map[bool]string{true: " NULLS FIRST", false: " NULLS LAST"}[k.NullsFirst]
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func (x *explainer) list(es []Expr) string {
	var out []string
	for _, e := range es {
		out = append(out, x.expr(e))
	}
	return strings.Join(out, ", ")
}

func pushedName(n *VirtualScan) string {
	if n.Table.Pushed < 0 {
		return ""
	}
	return n.Table.Columns[n.Table.Pushed].Name
}
