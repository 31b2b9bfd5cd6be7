package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/log"
)

// Key names a list, Value is what is appended to it. A value is appended once at
// most in a whole history.
type (
	Key   int
	Value int
)

// Instant is a moment of one monotonic clock that all clients share.
type Instant int64

// Never is the end of a transaction whose client has not heard of it again.
const Never Instant = 1<<63 - 1

// Outcome is what a client knows of its transaction.
type Outcome int

// The outcomes.
const (
	Committed Outcome = iota // it was acknowledged
	Aborted                  // it was refused or rolled back
	Unknown                  // the connection was lost while it committed
)

// Kind is what an Op does.
type Kind int

// The kinds of operations.
const (
	Read Kind = iota
	Append
	Savepoint  // Name
	Release    // Name
	RollbackTo // Name
)

// Op is one operation of a transaction, in the order the client did them.
type Op struct {
	Kind  Kind
	Key   Key
	Value Value   // appended
	List  []Value // what a read showed; a list that is not there is empty
	Name  string  // of a savepoint
}

// Txn is a transaction as its client knows it.
type Txn struct {
	ID      int
	Client  int
	How     string // in which way it was run, for messages
	Ops     []Op
	Outcome Outcome
	// Start is before the first thing was sent, End after the last answer.
	Start, End Instant
	// Offset is the commit's, as the acknowledgement gave it or the log did; 0
	// for a transaction that wrote nothing or of which nobody has heard.
	Offset log.Offset
}

// History is what was done by all clients. Its transactions are numbered by
// their IDs.
type History []*Txn

// writes reports whether the transaction appends anything, for good or not.
func (t *Txn) writes() bool {
	return slices.ContainsFunc(t.Ops, func(o Op) bool { return o.Kind == Append })
}

// String tells a transaction in one line.
func (t *Txn) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "T%d (client %d, %s, %s, %d to %d, offset %s):", t.ID, t.Client, t.How,
		[...]string{"committed", "aborted", "unknown"}[t.Outcome], t.Start, t.End, t.Offset)
	for _, o := range t.Ops {
		switch o.Kind {
		case Read:
			fmt.Fprintf(&b, " r%d=%s", o.Key, tail(o.List))
		case Append:
			fmt.Fprintf(&b, " a%d+%d", o.Key, o.Value)
		default:
			fmt.Fprintf(&b, " %s(%s)", [...]string{"", "", "savepoint", "release", "rollback"}[o.Kind], o.Name)
		}
	}
	return b.String()
}

// shownValues is how many values of a list a message shows.
const shownValues = 6

func tail(l []Value) string {
	if len(l) <= shownValues {
		return fmt.Sprint(l)
	}
	return fmt.Sprintf("[%d before, %s", len(l)-shownValues, strings.TrimPrefix(fmt.Sprint(l[len(l)-shownValues:]), "["))
}

// Anomaly is something that must not be.
type Anomaly struct {
	Name string // as the literature calls it, as far as it has a name
	Text string
}

// String implements fmt.Stringer.
func (a Anomaly) String() string { return a.Name + ": " + a.Text }

// maxAnomalies bounds what one judge reports: one bug has many faces.
const maxAnomalies = 50

// report collects anomalies.
type report struct{ found []Anomaly }

func (r *report) add(name, format string, args ...any) {
	if len(r.found) < maxAnomalies {
		r.found = append(r.found, Anomaly{name, fmt.Sprintf(format, args...)})
	}
}

// effect is what a transaction comes to: what it read of others and what it
// leaves to them.
type effect struct {
	base    map[Key][]Value // what others had left when it read
	appends map[Key][]Value // for good, in order
	undone  []Value         // rolled back to a savepoint
}

// mark is what a savepoint remembers: how many appends there were.
type mark struct {
	name string
	own  map[Key][]Value
}

// digest works out a transaction's effect, and reports reads that contradict the
// transaction itself: they forget its own appends, or a list was another one
// before.
func (t *Txn) digest(r *report) effect {
	e := effect{base: map[Key][]Value{}, appends: map[Key][]Value{}}
	var marks []mark
	for _, o := range t.Ops {
		switch o.Kind {
		case Append:
			e.appends[o.Key] = append(slices.Clip(e.appends[o.Key]), o.Value)
		case Read:
			own := e.appends[o.Key]
			n := len(o.List) - len(own)
			if n < 0 || !slices.Equal(o.List[n:], own) {
				r.add("internal", "a read of %d forgets the transaction's own appends %v: %s", o.Key, own, t)
				continue
			}
			before, again := e.base[o.Key]
			if again && !slices.Equal(before, o.List[:n]) {
				r.add("internal", "two reads of %d differ: %s", o.Key, t)
				continue
			}
			e.base[o.Key] = o.List[:n]
		case Savepoint:
			own := make(map[Key][]Value, len(e.appends))
			for k, v := range e.appends {
				own[k] = v
			}
			marks = append(marks, mark{o.Name, own})
		case Release, RollbackTo:
			k := len(marks) - 1
			for k >= 0 && marks[k].name != o.Name {
				k--
			}
			if k < 0 {
				r.add("internal", "savepoint %s is not there: %s", o.Name, t)
				continue
			}
			if o.Kind == Release {
				marks = marks[:k]
				continue
			}
			marks = marks[:k+1]
			for key, values := range e.appends {
				e.undone = append(e.undone, values[len(marks[k].own[key]):]...)
			}
			e.appends = map[Key][]Value{}
			for key, values := range marks[k].own {
				e.appends[key] = values
			}
		}
	}
	for k, v := range e.appends {
		if len(v) == 0 {
			delete(e.appends, k)
		}
	}
	return e
}
