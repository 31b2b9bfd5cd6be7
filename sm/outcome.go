package sm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// OutcomeKind says what names a transaction whose outcome is remembered.
type OutcomeKind byte

// The kinds of names. Numbers are stored.
const (
	OutcomeOfKey         OutcomeKind = 'k' // an idempotency key
	OutcomeOfTransaction OutcomeKind = 'x' // a log.TransactionID
)

// Outcome is what became of a transaction that somebody may ask for again.
type Outcome struct {
	// Offset is the commit offset, or where the log was when it failed; Prev is
	// the commit offset before it, whose state it was executed on.
	Offset, Prev log.Offset
	// Time is its log time, Expires that from which it is forgotten.
	Time, Expires int64
	// Failure is why it did not commit, or nil.
	Failure *log.Failure

	digest sum    // of the command
	answer []byte // the log.Result; nil when it was too large to be kept
}

const (
	// maxAnswerBytes is up to what size an answer is kept for a repetition.
	maxAnswerBytes = 64 << 10
	// TraceWindow is for how long the outcome of a transaction is remembered
	// whose number a client has asked for, in microseconds of log time.
	TraceWindow = 24 * 60 * 60 * 1_000_000
	// forgetAtOnce is how many outcomes that have expired are removed whenever a
	// new one is remembered: more than one, so that they cannot pile up.
	forgetAtOnce  = 4
	outcomeFormat = 1
)

func (o *Outcome) append(dst []byte) []byte {
	dst = append(dst, outcomeFormat)
	for _, v := range []uint64{uint64(o.Offset), uint64(o.Prev), uint64(o.Time), uint64(o.Expires), o.digest.hi, o.digest.lo} {
		dst = binary.AppendUvarint(dst, v)
	}
	return append(dst, o.answer...)
}

func decodeOutcome(b []byte) (*Outcome, error) {
	if len(b) == 0 || b[0] != outcomeFormat {
		return nil, fmt.Errorf("%w: outcome %x", errCorrupt, b[:min(len(b), 8)])
	}
	r := fieldReader{b: b[1:]}
	o := &Outcome{Offset: log.Offset(r.uint()), Prev: log.Offset(r.uint()), Time: int64(r.uint()), Expires: int64(r.uint()),
		digest: sum{hi: r.uint(), lo: r.uint()}}
	if r.bad {
		return nil, fmt.Errorf("%w: outcome %x", errCorrupt, b[:min(len(b), 8)])
	}
	if o.answer = r.b; len(o.answer) > 0 {
		res, err := log.DecodeResult(o.answer)
		if err != nil {
			return nil, fmt.Errorf("sm: outcome: %w", err)
		}
		o.Failure = res.Err
	}
	return o, nil
}

// Outcome returns what is remembered of a name, nil when there is nothing or no
// longer anything.
func (v *View) Outcome(kind OutcomeKind, name string) (*Outcome, error) {
	b := v.base()
	value, err := b.unversioned(keys.AppendOutcome(nil, byte(kind), name))
	var o *Outcome
	if err == nil && value != nil {
		o, err = decodeOutcome(append([]byte(nil), value...))
	}
	if err = errors.Join(err, b.close()); err != nil || o == nil || o.Expires <= v.p.position.Time {
		return nil, err
	}
	return o, nil
}

// recall returns the answer to an entry whose key has been used; nil when it has
// to be executed. The same key with another command is an error.
func (a *applier) recall(e *log.Entry) (*log.Result, error) {
	if e.IdempotencyKey == "" {
		return nil, nil
	}
	o, err := a.outcome(OutcomeOfKey, e.IdempotencyKey)
	if o == nil || err != nil {
		return nil, err
	}
	if o.digest != a.commandDigest(e) {
		return a.refuse(sqlstate.New(sqlstate.InvalidParameterValue, "idempotency key \"%s\" was used for another command", e.IdempotencyKey).
			WithDetail("That command ended at %s.", o.Offset)), nil
	}
	if len(o.answer) == 0 {
		return a.refuse(sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "the command with idempotency key \"%s\" has been committed at %s, but its answer was too large to be kept",
			e.IdempotencyKey, o.Offset)), nil
	}
	return log.DecodeResult(o.answer)
}

// outcome returns what is remembered of a name as of the entry being applied.
func (a *applier) outcome(kind OutcomeKind, name string) (*Outcome, error) {
	key := keys.AppendOutcome(nil, byte(kind), name)
	o, ok := a.outcomes[string(key)]
	if !ok {
		value, err := a.base.unversioned(key)
		if value == nil || err != nil {
			return nil, err
		}
		if o, err = decodeOutcome(append([]byte(nil), value...)); err != nil {
			return nil, err
		}
	}
	if o.Expires <= a.state.time {
		return nil, nil
	}
	return o, nil
}

// remember keeps the outcome of an entry for those who may ask.
func (a *applier) remember(t *Txn, e *log.Entry, prev log.Offset, res *log.Result) error {
	if e.IdempotencyKey == "" && !t.traced || res.Err != nil && Passing(res.Err.Code) {
		return nil
	}
	answer, err := res.Append(nil)
	if err != nil {
		return err
	}
	o := Outcome{Offset: res.Offset, Prev: prev, Time: a.state.time, Failure: res.Err}
	if len(answer) <= maxAnswerBytes {
		o.answer = answer
	}
	if e.IdempotencyKey != "" {
		o.digest = a.commandDigest(e)
		o.Expires = a.state.time + e.IdempotencyWindow
		if err := a.putOutcome(OutcomeOfKey, e.IdempotencyKey, o); err != nil {
			return err
		}
	}
	if t.traced {
		o.Expires = a.state.time + TraceWindow
		if err := a.putOutcome(OutcomeOfTransaction, e.TransactionID().String(), o); err != nil {
			return err
		}
	}
	return a.forget()
}

// Passing reports whether a failure, by its SQLSTATE, lies in the circumstances:
// conflicts, limits and the system's own errors. To try again may help, so it is
// not remembered.
func Passing(code string) bool {
	switch code[:min(2, len(code))] {
	case "40", "53", "54", "57", "58", "XX":
		return true
	}
	return false
}

func (a *applier) putOutcome(kind OutcomeKind, name string, o Outcome) error {
	key := keys.AppendOutcome(nil, byte(kind), name)
	a.outcomes[string(key)] = &o
	if err := a.batch.Set(key, o.append(nil), nil); err != nil {
		return err
	}
	return a.batch.Set(keys.AppendExpiry(nil, o.Expires, key), nil, nil)
}

// forget removes a few outcomes that have expired. Which ones depends on how the
// log was cut into batches, and nobody can tell: they count as gone already.
func (a *applier) forget() error {
	it, err := a.base.scans.get(a.base.store.db, a.base.generation)
	if err != nil {
		return err
	}
	it.SetBounds(keys.SpaceStart(keys.Expiries), keys.AppendExpiry(nil, a.state.time+1, nil))
	n := 0
	for ok := it.First(); ok && n < forgetAtOnce && err == nil; ok = it.Next() {
		n++
		err = a.forgetOne(append([]byte(nil), it.Key()...))
	}
	return errors.Join(err, it.Error(), a.base.scans.put(it))
}

func (a *applier) forgetOne(expiry []byte) error {
	k, err := keys.Decode(expiry)
	if err != nil {
		return err
	}
	o, ok := a.outcomes[string(k.Body)]
	if !ok {
		value, err := a.base.unversioned(k.Body)
		if err != nil {
			return err
		}
		if value != nil {
			if o, err = decodeOutcome(append([]byte(nil), value...)); err != nil {
				return err
			}
		}
	}
	// The name may have been used again since.
	if o != nil && o.Expires == k.Time {
		if err := a.batch.Delete(k.Body, nil); err != nil {
			return err
		}
	}
	return a.batch.Delete(expiry, nil)
}

// commandDigest is the digest of what a client asked for, without the
// circumstances of the attempt.
func (a *applier) commandDigest(e *log.Entry) sum {
	b := a.buf[:0]
	b = append(b, byte(e.Kind))
	str := func(s []byte) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	for _, s := range e.Settings {
		str([]byte(s.Name))
		str([]byte(s.Value))
	}
	for i := range e.Statements {
		st := &e.Statements[i]
		b = append(b, byte(st.Action))
		str([]byte(st.Text))
		b = binary.AppendUvarint(b, uint64(len(st.Params)))
		for _, p := range st.Params {
			b = binary.AppendUvarint(b, uint64(p.Type))
			str(p.Value)
		}
		if st.Copy != nil {
			str(st.Copy.Rows)
			str(st.Copy.Sum)
			b = binary.AppendUvarint(b, uint64(st.Copy.Chunks))
		}
	}
	a.buf = b
	return a.hash.of([]byte(e.Role), b)
}

// Trace makes the outcome of an applied transaction known under its number: a
// client has asked for it.
func (t *Txn) Trace() { t.traced = true }
