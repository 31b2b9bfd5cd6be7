package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tidemark-db/tidemark/log"
)

// lists is the model's state: all lists.
type lists map[Key][]Value

func (l lists) clone() lists { return maps.Clone(l) }

// steps are a transaction's operations on the model.
func (t *Txn) steps() []Step[lists] {
	out := make([]Step[lists], len(t.Ops))
	for i, o := range t.Ops {
		s := &out[i]
		s.Name = o.Name
		switch o.Kind {
		case Savepoint:
			s.Action = ActionSavepoint
		case Release:
			s.Action = ActionRelease
		case RollbackTo:
			s.Action = ActionRollbackTo
		case Append:
			s.Name = fmt.Sprintf("append to %d", o.Key)
			s.Do = func(l lists) string { l[o.Key] = append(slices.Clip(l[o.Key]), o.Value); return "" }
		case Read:
			s.Name, s.Shown = fmt.Sprintf("read of %d", o.Key), fmt.Sprint(o.List)
			s.Do = func(l lists) string { return fmt.Sprint(l[o.Key]) }
		}
	}
	return out
}

// version is a state of one list: its length from an offset on.
type version struct {
	from   log.Offset
	length int
}

// Witness judges a history by the log's order of commits, which the transactions'
// offsets give. Transactions without an offset, those that wrote nothing or came
// to nothing, must have read from one state of all lists; where that state is in
// the log is bounded by real time for those that were acknowledged. Transactions
// of unknown outcome count when the log has given them an offset.
func Witness(h History) []Anomaly {
	w := &witness{h: h, state: lists{}, versions: map[Key][]version{}}
	w.sort()
	w.moments()
	w.realTime()
	for _, t := range w.writers {
		w.replay(t)
	}
	for _, t := range h {
		if t.Offset == 0 {
			w.snapshot(t)
		}
	}
	return w.found
}

type witness struct {
	report
	h        History
	writers  []*Txn // by offset
	state    lists
	versions map[Key][]version
	ends     []moment
	starts   []moment
}

// sort finds the transactions that the log has, and those it must have.
func (w *witness) sort() {
	for _, t := range w.h {
		switch {
		case t.Offset != 0 && t.Outcome == Aborted:
			w.add("aborted but in the log", "%s", t)
		case t.Offset != 0:
			w.writers = append(w.writers, t)
		case t.Outcome == Committed && t.writes() && len(t.digest(&report{}).appends) > 0:
			w.add("not in the log", "acknowledged without an offset: %s", t)
		}
	}
	slices.SortStableFunc(w.writers, func(a, b *Txn) int { return cmp.Compare(a.Offset, b.Offset) })
	for i := 1; i < len(w.writers); i++ {
		if w.writers[i].Offset == w.writers[i-1].Offset {
			w.add("one offset for two", "%s and %s", w.writers[i-1], w.writers[i])
		}
	}
}

// realTime: what ended before another began has the smaller offset.
func (w *witness) realTime() {
	var first *Txn // of those behind, the one that ended first
	for _, t := range slices.Backward(w.writers) {
		if first != nil && first.ended() < t.Start {
			w.add("real time", "%s ended before %s began, which has a smaller offset", first, t)
		}
		if first == nil || t.ended() < first.ended() {
			first = t
		}
	}
}

// ended is when the transaction was acknowledged.
func (t *Txn) ended() Instant {
	if t.Outcome == Committed {
		return t.End
	}
	return Never
}

// replay explains a transaction by the state at its place, and takes its appends
// into the state.
func (w *witness) replay(t *Txn) {
	local := lists{} // of the lists it touches: there may be many others
	for _, o := range t.Ops {
		if o.Kind == Read || o.Kind == Append {
			local[o.Key] = w.state[o.Key]
		}
	}
	after, differs := Replay(local, lists.clone, t.steps())
	if differs != "" {
		w.add("not explained", "%s: %s", differs, t)
	}
	for k, l := range after {
		if len(l) != len(w.state[k]) {
			w.versions[k] = append(w.versions[k], version{t.Offset, len(l)})
			w.state[k] = l
		}
	}
}

// snapshot looks for a state that explains all that a transaction read of others.
func (w *witness) snapshot(t *Txn) {
	after, before := w.bounds(t)
	from, until := after, before
	for k, base := range t.digest(&w.report).base {
		final, versions := w.state[k], w.versions[k]
		if len(base) > len(final) || !slices.Equal(base, final[:len(base)]) {
			w.add("not explained", "list %d never was so: %s", k, t)
			return
		}
		i, ok := len(base) == 0, 0
		if !i {
			at, found := slices.BinarySearchFunc(versions, len(base), func(v version, n int) int { return v.length - n })
			if !found {
				w.add("not explained", "list %d never was so between two transactions: %s", k, t)
				return
			}
			from, ok = max(from, versions[at].from), at+1
		}
		if ok < len(versions) {
			until = min(until, versions[ok].from)
		}
	}
	if from >= until {
		w.add("not explained", "no offset from %s and below %s has all that was read: %s", after, before, t)
	}
}

// bounds are the least offset that a transaction must have seen, and the least
// that it cannot have seen, by real time.
func (w *witness) bounds(t *Txn) (after, before log.Offset) {
	before = 1<<64 - 1
	if n, _ := slices.BinarySearchFunc(w.ends, t.Start, moment.compare); n > 0 {
		after = w.ends[n-1].offset
	}
	if n, _ := slices.BinarySearchFunc(w.starts, t.End+1, moment.compare); t.End < Never && n < len(w.starts) {
		before = w.starts[n].offset
	}
	return after, before
}

// moment is when something began or ended, and an offset.
type moment struct {
	at     Instant
	offset log.Offset
}

func (m moment) compare(at Instant) int { return cmp.Compare(m.at, at) }

// moments prepares bounds: ends has the greatest offset of what ended until then,
// starts the smallest of what began then or later.
func (w *witness) moments() {
	for _, t := range w.writers {
		if t.ended() < Never {
			w.ends = append(w.ends, moment{t.ended(), t.Offset})
		}
		w.starts = append(w.starts, moment{t.Start, t.Offset})
	}
	byTime := func(a, b moment) int { return cmp.Compare(a.at, b.at) }
	slices.SortFunc(w.ends, byTime)
	slices.SortFunc(w.starts, byTime)
	for i := 1; i < len(w.ends); i++ {
		w.ends[i].offset = max(w.ends[i].offset, w.ends[i-1].offset)
	}
	for i := len(w.starts) - 2; i >= 0; i-- {
		w.starts[i].offset = min(w.starts[i].offset, w.starts[i+1].offset)
	}
}
