package check

import (
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/tidemark-db/tidemark/log"
)

// Write numbers what writers do: each change that is sent has a number of its own,
// which is stored with it where there is something to store.
type Write int64

// RowChange is what a change does, as its writer means it and as the log tells it.
type RowChange struct {
	Op    byte   // I, U, D, T, or M for a message
	Table string // of a message it is the prefix
	Key   int64  // of the row after the change, or before a delete
	Old   int64  // the key before an update that changes it
	Write Write  // 0 for what takes no number: deletes, truncates
}

// Told is a transaction as the log tells it.
type Told struct {
	Commit  log.Offset
	Changes []RowChange
}

// Attempt is a transaction as its writer knows it.
type Attempt struct {
	Changes    []RowChange
	Outcome    Outcome
	Offset     log.Offset // of the commit, where the acknowledgement said it
	Start, End Instant

	first Write
	told  log.Offset // where the log has it; 0 for nowhere
}

// Ledger is what all writers did. Its methods may be called by several at a time.
type Ledger struct {
	mu       sync.Mutex
	next     Write
	attempts []*Attempt // in the order of their first number
}

// Begin notes that a transaction with so many numbers is about to be sent, and
// returns the first of them.
func (l *Ledger) Begin(numbers int, now Instant) (*Attempt, Write) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &Attempt{Outcome: Unknown, Start: now, End: Never, first: l.next + 1}
	l.next += Write(max(numbers, 1))
	l.attempts = append(l.attempts, a)
	return a, a.first
}

// Changes counts those of acknowledged transactions.
func (l *Ledger) Changes() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.attempts {
		if a.Outcome == Committed {
			n += len(a.Changes)
		}
	}
	return n
}

// Outcomes counts the attempts by their outcome.
func (l *Ledger) Outcomes() map[Outcome]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[Outcome]int{}
	for _, a := range l.attempts {
		out[a.Outcome]++
	}
	return out
}

// of returns the attempt that a number was given to.
func (l *Ledger) of(w Write) *Attempt {
	i := sort.Search(len(l.attempts), func(i int) bool { return l.attempts[i].first > w })
	if i == 0 || w > l.next {
		return nil
	}
	return l.attempts[i-1]
}

// Judge compares what writers did with what the log tells of it, in its order:
// everything that was acknowledged is there once, at the place that the
// acknowledgement named, exactly as it was sent; nothing is there that was refused
// or that nobody has sent; and what was acknowledged before something else began
// comes before it. It is called once, in the end.
func (l *Ledger) Judge(told []Told) []Anomaly {
	var r report
	latest := Instant(0) // the last beginning of what is in the log so far
	for i := range told {
		t := &told[i]
		a := l.whose(t)
		switch {
		case a == nil:
			r.add("invented", "%s is nobody's: %v", t.Commit, short(t.Changes))
			continue
		case a.told != 0:
			r.add("twice", "%s is what %s was already", t.Commit, a.told)
		case a.Outcome == Aborted:
			r.add("invented", "%s was refused or rolled back: %v", t.Commit, short(t.Changes))
		case a.Offset != 0 && a.Offset != t.Commit:
			r.add("order", "%s was acknowledged at %s", t.Commit, a.Offset)
		case a.End < latest:
			r.add("order", "%s was acknowledged before something began that comes before it", t.Commit)
		}
		if !slices.Equal(a.Changes, t.Changes) {
			r.add("changed", "%s was sent as %v and is %v", t.Commit, short(a.Changes), short(t.Changes))
		}
		a.told = t.Commit
		latest = max(latest, a.Start)
	}
	for _, a := range l.attempts {
		if a.Outcome == Committed && a.told == 0 && len(a.Changes) > 0 {
			r.add("lost", "%v was acknowledged (%s) and is not in the log", short(a.Changes), a.Offset)
		}
	}
	return r.found
}

// whose returns the attempt that a transaction is, by the first number in it.
func (l *Ledger) whose(t *Told) *Attempt {
	for i := range t.Changes {
		if w := t.Changes[i].Write; w != 0 {
			return l.of(w)
		}
	}
	return nil
}

// shownChanges are so many of a transaction as a message has room for.
const shownChanges = 6

func short(changes []RowChange) string {
	if len(changes) <= shownChanges {
		return fmt.Sprint(changes)
	}
	return fmt.Sprintf("%v and %d more", changes[:shownChanges], len(changes)-shownChanges)
}
