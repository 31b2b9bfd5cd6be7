package sim

import "fmt"

// attempted is one thing that a transaction has done: a statement and what it
// showed, or a command about savepoints.
type attempted struct {
	op    *op
	shown string
	sql   string
}

// once runs one statement under an idempotency key, and again: it is executed once,
// and every answer is the first one.
func (t *witness) once(o *op) error {
	key := fmt.Sprintf("once-%d", *t.unique)
	l := t.c.n.link
	run := func(fault bool) (answer, error) {
		if err := t.must("SET tidemark.idempotency_key = '" + key + "'"); err != nil {
			return answer{}, err
		}
		l.last = nil
		if t.fault(fault); !fault {
			l.next = noFault
		}
		return t.run(o), nil
	}
	want := ""
	done := func() {
		before := t.w().bank.clone()
		if want = o.do(&t.w().bank); len(want) > 5 && want[:5] == "ERROR" {
			t.w().bank = *before
		}
	}
	a, err := run(true)
	if err != nil {
		return err
	}
	hit, landed := l.hit, l.last != nil
	if landed || hit == noFault {
		done()
	}
	if lost := map[fault]string{refuse: "53000", loseEntry: "08007", loseAnswer: "08007"}[hit]; hit != noFault && a.code() != lost || hit == noFault && a.shown() != want {
		return fmt.Errorf("%s under %s met fault %d and answers %s, expected %q", o.sql, key, hit, a.shown(), want)
	}
	for range 1 + t.w().rnd.IntN(2) {
		if a, err = run(false); err != nil {
			return err
		}
		if want == "" {
			done()
		}
		if a.shown() != want {
			return fmt.Errorf("%s under %s again answers %s, first it was %s", o.sql, key, a.shown(), want)
		}
		t.w().count.repeated++
	}
	if known := t.c.simple("SELECT status FROM tidemark.outcome('" + key + "')"); l.last != nil && known.shown() != map[bool]string{true: "committed", false: "failed"}[l.last.Err == nil]+"\nSELECT 1" {
		return fmt.Errorf("the outcome of %s is said to be %s", key, known.shown())
	}
	if l.last != nil && t.chance(3) {
		if err := t.must("SET tidemark.idempotency_key = '" + key + "'"); err != nil {
			return err
		}
		if a := t.c.simple("UPDATE bank SET bal = -1"); a.code() != "22023" {
			return fmt.Errorf("another command under %s answers %s", key, a.shown())
		}
	}
	return t.must("RESET tidemark.idempotency_key")
}

// takeKey puts the transaction under an idempotency key.
func (t *witness) takeKey() error {
	*t.unique++
	key := fmt.Sprintf("txn-%d", *t.unique)
	err := t.must("SET LOCAL tidemark.idempotency_key = '" + key + "'")
	t.key = key
	return err
}

// again repeats a transaction that has been committed, which its client does not
// know: it is shown everything as it was the first time, and changes nothing.
func (t *witness) again() error {
	attempt := t.attempt
	t.attempt = nil
	if err := t.must("BEGIN"); err != nil {
		return err
	}
	for _, x := range attempt {
		if x.op == nil {
			if err := t.must(x.sql); err != nil {
				return err
			}
			continue
		}
		if a := t.run(x.op); a.shown() != x.shown {
			return fmt.Errorf("%s in the repetition of %s answers %s (%v), the first time %s\n%s", x.op.sql, t.key, a.shown(), a.err, x.shown, t.story())
		}
	}
	t.c.n.link.next = noFault
	if a := t.c.simple("COMMIT"); a.shown() != "COMMIT" {
		return fmt.Errorf("COMMIT of the repetition of %s answers %s (%v)\n%s", t.key, a.shown(), a.err, t.story())
	}
	t.w().count.repeated++
	t.w().count.witness++
	return nil
}
