package plan

import (
	"strings"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// MaySubscribe reports whether the statement may call tidemark.subscribe(). It is
// cheap and never wrong when it says no.
func (q *Query) MaySubscribe() bool { return q.subscribes }

// namesSubscription looks for the function's name in a statement's text.
func namesSubscription(text string) bool {
	return strings.Contains(strings.ToLower(text), strings.TrimPrefix(expr.SubscribeName, expr.OwnSchema+"."))
}

// checkSubscription refuses what does not go with tidemark.subscribe(): it shows what
// is committed while the statement runs, and everything else would be as it was when
// the statement began.
func (s *Statement) checkSubscription(calls int) error {
	switch {
	case calls > 1:
		return sqlstate.New(sqlstate.FeatureNotSupported, "%s() can be called once in a statement", expr.SubscribeName)
	case s.Root == nil || s.Writer != "" || s.Locking:
		return sqlstate.New(sqlstate.FeatureNotSupported, "%s() cannot be used in a statement that writes", expr.SubscribeName)
	case len(s.Reads) > 0 || s.AllTables:
		return sqlstate.New(sqlstate.FeatureNotSupported, "%s() cannot be used together with tables", expr.SubscribeName).
			WithDetail("They would be shown as they were when the statement began, and not as they are at each change.")
	}
	return nil
}

// Streams reports whether a query passes each row on as it comes: nothing in it has
// to see all rows first.
func (s *Statement) Streams() bool {
	n := s.Root
	for {
		switch t := n.(type) {
		case *FuncScan:
			return true
		case *Filter:
			n = t.In
		case *Project:
			n = t.In
		case *Limit:
			n = t.In
		default:
			return false
		}
	}
}
