package sim

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/tests/check"
)

// witness is a client of the modelled tables. Whatever it is shown is compared
// with the model: at once with the state at its snapshot and its own writes, and
// at its commit, when its statements are explained again by the state at its
// place in the log. That is serializability, and as commit order is real time
// here, strict.
type witness struct {
	c      *conn
	unique *int

	in       bool // in a transaction block
	readOnly bool
	failed   bool
	local    *state // the snapshot with the client's own writes; nil before the first statement
	// newest: READ COMMITTED. Each statement sees the newest state and the client's
	// own writes, and steps has nothing but these.
	newest bool
	steps  []check.Step[*state]
	saves  []save
	writes bool

	key     string // the idempotency key, or ""
	attempt []attempted
}

type save struct {
	name  string
	local *state
}

func (t *witness) conn() *conn       { return t.c }
func (t *witness) inBlock() bool     { return t.in }
func (t *witness) w() *world         { return t.c.n.w }
func (t *witness) reset()            { *t = witness{c: t.c, unique: t.unique} }
func (t *witness) draw() op          { *t.unique++; return randomOp(t.w().rnd, *t.unique) }
func (t *witness) chance(n int) bool { return t.w().rnd.IntN(n) == 0 }

// next does one thing.
func (t *witness) next() error {
	switch {
	case !t.in && t.chance(3):
		return t.begin()
	case !t.in && t.chance(4):
		return t.script()
	case !t.in:
		return t.alone()
	case t.failed:
		return t.recover()
	case t.chance(6):
		return t.end()
	case t.chance(6):
		return t.savepoint()
	}
	return t.inside()
}

func (t *witness) begin() error {
	sql := []string{"BEGIN", "BEGIN", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL READ COMMITTED"}[t.w().rnd.IntN(6)]
	if a := t.c.simple(sql); a.err != nil {
		return fmt.Errorf("%s: %w", sql, a.err)
	}
	t.in, t.readOnly, t.newest = true, strings.HasSuffix(sql, "READ ONLY"), strings.HasSuffix(sql, "READ COMMITTED")
	switch {
	case t.newest:
	case t.chance(4):
		return t.lookBack()
	case !t.readOnly && t.chance(2):
		return t.takeKey()
	}
	return nil
}

func (t *witness) run(o *op) answer {
	if o.params != nil {
		return t.c.extended(o.sql, o.params...)
	}
	return t.c.simple(o.sql)
}

// alone runs one statement on its own.
func (t *witness) alone() error {
	o := t.draw()
	if o.writes && o.params == nil && t.chance(5) {
		return t.once(&o)
	}
	before := t.w().bank.clone()
	t.c.n.link.last = nil
	t.fault(o.writes)
	a := t.run(&o)
	if o.writes && t.c.n.link.hit != noFault {
		return t.afterFault([]op{o}, a)
	}
	if want := o.do(&t.w().bank); a.shown() != want {
		return t.wrong(&o, before, want, a)
	}
	if a.err != nil {
		t.w().bank = *before
	}
	return nil
}

// script runs several statements as one query string.
func (t *witness) script() error {
	var ops []op
	var texts, want []string
	next := t.w().bank.clone()
	writes, failed := false, ""
	for range 2 + t.w().rnd.IntN(3) {
		o := t.draw()
		if o.params != nil {
			continue
		}
		ops, texts = append(ops, o), append(texts, o.sql)
		writes = writes || o.writes
		if failed == "" {
			out := o.do(next)
			if want = append(want, out); strings.HasPrefix(out, "ERROR") {
				failed = out
			}
		}
	}
	if len(ops) < 2 {
		return nil
	}
	t.fault(writes)
	a := t.c.simple(strings.Join(texts, "; "))
	if writes && t.c.n.link.hit != noFault {
		return t.afterFault(ops, a)
	}
	expected := strings.Join(want, "\n")
	if failed != "" {
		expected = failed
	}
	if a.shown() != expected {
		return fmt.Errorf("script %q answers\n%s (%v)\nexpected\n%s", texts, a.shown(), a.err, expected)
	}
	if failed == "" {
		t.w().bank = *next
	}
	return nil
}

// fault lets the next append go wrong, now and then.
func (t *witness) fault(writes bool) {
	l := t.c.n.link
	l.next, l.hit = noFault, noFault
	if writes && t.w().faults && t.chance(40) {
		l.next = fault(t.w().rnd.IntN(int(faultsCount)))
	}
}

// afterFault compares what the client was told with what really happened, and
// brings the model up to date.
func (t *witness) afterFault(ops []op, a answer) error {
	l := t.c.n.link
	want := map[fault]string{refuse: "53000", loseEntry: "08007", loseAnswer: "08007"}[l.hit]
	if a.code() != want {
		return fmt.Errorf("an append met fault %d and the client was told %s (%v), expected %s", l.hit, a.shown(), a.err, want)
	}
	if l.last != nil && l.last.Err == nil {
		for i := range ops {
			ops[i].do(&t.w().bank)
		}
	}
	return nil
}

// inside runs a statement in the transaction block, or two that belong together.
func (t *witness) inside() error {
	switch {
	case t.chance(10):
		return t.readModifyWrite()
	case t.chance(10):
		*t.unique++
		o := t.w().ticketOp(*t.unique)
		_, err := t.perform(&o)
		if err == nil && !t.failed {
			t.w().count.tickets++
		}
		return err
	}
	o := t.draw()
	a, err := t.perform(&o)
	switch {
	case a.err != nil && len(t.saves) > 0:
		t.w().count.savedErrors++
	case a.err == nil && o.definition():
		t.w().count.definitions++
	}
	return err
}

// readModifyWrite is a client that works out in its own code what to write.
func (t *witness) readModifyWrite() error {
	id := t.w().rnd.IntN(accounts)
	read := op{sql: fmt.Sprintf("SELECT bal FROM bank WHERE id = %d", id), do: func(s *state) string { return fmt.Sprintf("%d\nSELECT 1", s.bal[id]) }}
	a, err := t.perform(&read)
	if err != nil || t.failed {
		return err
	}
	text, _, _ := strings.Cut(a.out, "\n")
	bal, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("a balance is no number: %w", err)
	}
	write := op{sql: "UPDATE bank SET bal = $1 WHERE id = $2", params: []string{fmt.Sprint(bal + 7), strconv.Itoa(id)}, writes: true,
		do: func(s *state) string { s.bal[id] = bal + 7; return updated(1) }}
	t.w().count.modified++
	_, err = t.perform(&write)
	return err
}

// perform runs one statement in the block and compares what it shows with the
// snapshot and the client's own writes.
func (t *witness) perform(o *op) (answer, error) {
	if t.local == nil {
		t.local = t.w().bank.clone() // everything acknowledged is seen
	}
	if t.newest {
		now, differs := t.replay()
		if differs != "" {
			return t.tooLate(o, differs)
		}
		t.local = now
	}
	before := t.local.clone()
	a := t.run(o)
	if o.given != nil {
		o.do = o.given(a)
	}
	want := o.do(t.local)
	if t.readOnly && o.writes && (want != "ERROR 42P01" || o.definition()) { // a table that is missed comes first
		want = "ERROR 25006"
	}
	if a.shown() != want {
		return a, t.wrong(o, before, want, a)
	}
	if a.err != nil {
		t.failed, t.local = true, before
	} else {
		t.writes = t.writes || o.writes
	}
	if !t.newest || o.writes {
		t.steps = append(t.steps, o.step(want))
	}
	t.attempt = append(t.attempt, attempted{op: o, shown: a.shown()})
	return a, nil
}

// tooLate runs a statement of a READ COMMITTED transaction which has been shown
// what is no longer so.
func (t *witness) tooLate(o *op, differs string) (answer, error) {
	a := t.run(o)
	if a.code() != "40001" {
		return a, fmt.Errorf("%s answers %s, although %s\n%s", o.sql, a.shown(), differs, t.story())
	}
	t.failed = true
	t.w().count.conflicts++
	return a, nil
}

// savepoint does something with savepoints.
func (t *witness) savepoint() error {
	if t.local == nil {
		t.local = t.w().bank.clone()
	}
	if len(t.saves) > 0 && t.chance(2) {
		i := t.w().rnd.IntN(len(t.saves))
		name := t.saves[i].name
		for j := len(t.saves) - 1; j > i; j-- { // a later one may have the same name
			if t.saves[j].name == name {
				i = j
				break
			}
		}
		if t.chance(2) {
			return t.rollbackTo(i)
		}
		t.steps = append(t.steps, check.Step[*state]{Action: check.ActionRelease, Name: name})
		t.saves = t.saves[:i]
		return t.must("RELEASE SAVEPOINT " + name)
	}
	name := string(rune('a' + t.w().rnd.IntN(3)))
	t.saves = append(t.saves, save{name, t.local.clone()})
	t.steps = append(t.steps, check.Step[*state]{Action: check.ActionSavepoint, Name: name})
	return t.must("SAVEPOINT " + name)
}

func (t *witness) rollbackTo(i int) error {
	s := t.saves[i]
	t.saves = t.saves[:i+1]
	t.local, t.failed = s.local.clone(), false
	t.steps = append(t.steps, check.Step[*state]{Action: check.ActionRollbackTo, Name: s.name})
	return t.must("ROLLBACK TO SAVEPOINT " + s.name)
}

func (t *witness) must(sql string) error {
	if a := t.c.simple(sql); a.err != nil {
		return fmt.Errorf("%s: %w", sql, a.err)
	}
	t.attempt = append(t.attempt, attempted{sql: sql})
	return nil
}

// recover goes on after a failed statement.
func (t *witness) recover() error {
	if t.chance(4) {
		if a := t.c.simple("SELECT 1"); a.code() != "25P02" {
			return fmt.Errorf("a statement in a failed transaction answers %s", a.shown())
		}
		return nil
	}
	if len(t.saves) > 0 && !t.chance(4) {
		i := len(t.saves) - 1
		return t.rollbackTo(i)
	}
	defer t.reset()
	t.w().count.rolledBack++
	sql := []string{"ROLLBACK", "COMMIT"}[t.w().rnd.IntN(2)]
	a := t.c.simple(sql)
	if a.shown() != "ROLLBACK" || t.c.session.TxStatus() != 'I' {
		return fmt.Errorf("%s of a failed transaction answers %s", sql, a.shown())
	}
	return nil
}

// end commits or rolls back.
func (t *witness) end() error {
	defer t.reset()
	if t.chance(6) {
		t.w().count.rolledBack++
		return t.must("ROLLBACK")
	}
	t.c.n.link.last = nil
	t.fault(t.writes)
	a := t.c.simple("COMMIT")
	l := t.c.n.link
	if !t.writes {
		if a.shown() != "COMMIT" {
			return fmt.Errorf("COMMIT of a transaction that wrote nothing answers %s (%v)", a.shown(), a.err)
		}
		return nil
	}
	next, differs := t.replay()
	if l.hit != noFault {
		want := map[fault]string{refuse: "53000", loseEntry: "08007", loseAnswer: "08007"}[l.hit]
		if a.code() != want {
			return fmt.Errorf("COMMIT met fault %d and the client was told %s (%v)", l.hit, a.shown(), a.err)
		}
		if l.last == nil {
			return nil
		}
		if l.last.Err == nil && t.key != "" && differs == "" {
			t.w().bank = *next
			return t.again()
		}
	}
	if l.last == nil {
		return fmt.Errorf("COMMIT appended nothing and answers %s (%v)", a.shown(), a.err)
	}
	committed := l.last.Err == nil
	switch {
	case committed && differs != "":
		return fmt.Errorf("committed, but %s\n%s", differs, t.story())
	case !committed && l.last.Err.Code != "40001":
		return fmt.Errorf("COMMIT failed with %v\n%s", l.last.Err, t.story())
	case !committed && differs == "":
		return fmt.Errorf("40001 although everything the client saw is so at its place in the log: %v\n%s", l.last.Err.Fields, t.story())
	case committed:
		t.w().count.witness++
		t.w().bank = *next
	default:
		t.w().count.conflicts++
	}
	if l.hit == noFault && committed != (a.shown() == "COMMIT") {
		return fmt.Errorf("COMMIT answers %s, the log says %v", a.shown(), l.last.Err)
	}
	return nil
}

// replay explains the transaction by the state at its place in the log. It
// returns the state after it, and what the client saw that is not so there.
func (t *witness) replay() (*state, string) {
	return check.Replay(&t.w().bank, (*state).clone, t.steps)
}

// story tells what the client did.
func (t *witness) story() string {
	var b strings.Builder
	for _, x := range t.steps {
		if x.Action == check.ActionRun {
			fmt.Fprintf(&b, "  %s -> %q\n", x.Name, x.Shown)
		} else {
			fmt.Fprintf(&b, "  %s %s\n", x.Action, x.Name)
		}
	}
	return b.String()
}

func (t *witness) wrong(o *op, before *state, want string, a answer) error {
	return fmt.Errorf("%s %v answers\n%s (%v)\nexpected\n%s\nin\n%s\nafter\n%s", o.sql, o.params, a.shown(), a.err, want, before.all(), t.story())
}
