package check

import (
	"fmt"
	"strings"
)

// Action is what a Step does.
type Action int

// The actions. Savepoints have names, which may be taken again.
const (
	ActionRun Action = iota
	ActionSavepoint
	ActionRelease
	ActionRollbackTo
)

// String implements fmt.Stringer.
func (a Action) String() string {
	return [...]string{"run", "savepoint", "release", "rollback to"}[a]
}

// Step is a statement of a transaction with what its client was shown, or what
// was done with a savepoint.
type Step[S any] struct {
	Action Action
	// Name is the savepoint's; of a statement it is its text.
	Name  string
	Shown string
	// Do executes the statement on a state of the model and returns what it must
	// show there. What begins with "ERROR" has changed nothing.
	Do func(S) string
}

// savepoint is one that a transaction may go back to.
type savepoint[S any] struct {
	name  string
	state S
}

// Replay explains a transaction by the state at its place in the log, which is
// left as it was. It returns the state after it, and the first thing the client
// was shown that is not so there, or "".
func Replay[S any](at S, clone func(S) S, steps []Step[S]) (after S, differs string) {
	s := clone(at)
	var points []savepoint[S]
	for i := range steps {
		x := &steps[i]
		switch x.Action {
		case ActionSavepoint:
			points = append(points, savepoint[S]{x.Name, clone(s)})
		case ActionRelease, ActionRollbackTo:
			k := len(points) - 1
			for k >= 0 && points[k].name != x.Name {
				k--
			}
			switch {
			case k < 0:
				return s, fmt.Sprintf("%s %s, which is not there", x.Action, x.Name)
			case x.Action == ActionRelease:
				points = points[:k]
			default:
				s, points = clone(points[k].state), points[:k+1]
			}
		default:
			before := clone(s)
			shown := x.Do(s)
			if strings.HasPrefix(shown, "ERROR") {
				s = before
			}
			if shown != x.Shown && differs == "" {
				differs = fmt.Sprintf("%q showed %q, at its place in the log it is %q", x.Name, x.Shown, shown)
			}
		}
	}
	return s, differs
}
