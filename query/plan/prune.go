package plan

import "github.com/tidemark-db/tidemark/sm/catalog"

// eachStatementExpr calls f for the expressions of a statement that belong to
// no node.
func eachStatementExpr(st *Statement, f func(Expr)) {
	ret := func(r *Returning) {
		if r != nil {
			for _, e := range r.Exprs {
				f(e)
			}
		}
	}
	sets := func(ss []Set) {
		for _, s := range ss {
			f(s.Value)
		}
	}
	checks := func(cs []TableCheck) {
		for _, c := range cs {
			f(c.Cond)
		}
	}
	switch {
	case st.Insert != nil:
		for _, e := range st.Insert.Defaults {
			if e != nil {
				f(e)
			}
		}
		checks(st.Insert.Checks)
		if c := st.Insert.Conflict; c != nil && c.Update != nil {
			sets(c.Update.Sets)
			if c.Update.Where != nil {
				f(c.Update.Where)
			}
		}
		ret(st.Insert.Returning)
	case st.Update != nil:
		sets(st.Update.Sets)
		checks(st.Update.Checks)
		ret(st.Update.Returning)
	case st.Delete != nil:
		ret(st.Delete.Returning)
	}
}

// EachNode calls f for every node of a statement once, in subqueries and WITH
// queries too.
func (st *Statement) EachNode(f func(Node)) {
	seen := map[Node]bool{}
	var visit func(Node)
	inExpr := func(e Expr) {
		Walk(e, func(x Expr) bool {
			if s, ok := x.(*Subquery); ok {
				visit(s.Plan)
			}
			return true
		})
	}
	visit = func(n Node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		f(n)
		eachExpr(n, inExpr)
		if c, ok := n.(*CTEScan); ok && c.CTE.Plan != nil {
			visit(c.CTE.Plan)
			if c.CTE.Step != nil {
				visit(c.CTE.Step)
			}
		}
		for _, in := range n.Inputs() {
			visit(in)
		}
	}
	for _, n := range st.roots() {
		visit(n)
	}
	eachStatementExpr(st, inExpr)
}

func (st *Statement) roots() []Node {
	switch {
	case st.Root != nil:
		return []Node{st.Root}
	case st.Insert != nil:
		return []Node{st.Insert.Source}
	case st.Update != nil:
		return []Node{st.Update.Source}
	case st.Delete != nil:
		return []Node{st.Delete.Source}
	}
	return nil
}

// prune leaves out of every scan the columns that nothing refers to, so that
// they are not decoded.
func prune(st *Statement) {
	used := colSet{}
	mark := func(ids []ColID) {
		for _, id := range ids {
			used[id] = true
		}
	}
	refs := func(e Expr) {
		exprRefs(e, func(id ColID) { used[id] = true })
	}
	mark(st.Out)
	switch {
	case st.Insert != nil:
		mark(st.Insert.From)
	case st.Update != nil:
		mark(st.Update.Old)
	case st.Delete != nil:
		mark(st.Delete.Old)
	}
	eachStatementExpr(st, refs)
	st.EachNode(func(n Node) {
		eachExpr(n, refs)
		switch n := n.(type) {
		case *SetOp:
			mark(n.LeftCols)
			mark(n.RightCols)
		case *Dedup:
			if n.On == nil {
				mark(n.In.Cols())
			}
		case *CTEScan:
			mark(n.CTE.Out)
			mark(n.CTE.StepOut)
		}
		eachExpr(n, func(e Expr) {
			Walk(e, func(x Expr) bool {
				if s, ok := x.(*Subquery); ok {
					mark(s.Out)
				}
				return true
			})
		})
	})
	st.EachNode(func(n Node) {
		sc, ok := n.(*Scan)
		if !ok || sc.Handle != nil {
			return
		}
		var out []ColID
		var nums []catalog.ColumnNum
		for i, id := range sc.Out {
			if used[id] {
				out, nums = append(out, id), append(nums, sc.Nums[i])
			}
		}
		sc.Out, sc.Nums = out, nums
	})
}
