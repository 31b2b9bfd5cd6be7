package sm

import (
	"encoding/binary"
	"fmt"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// sequenceState is the current value of a sequence.
type sequenceState struct {
	last   int64
	called bool
}

// sequenceLimitExceeded is PostgreSQL's sequence_generator_limit_exceeded.
const sequenceLimitExceeded sqlstate.Code = "2200H"

// SequenceNext takes count values and returns the first; the others follow at
// the sequence's increment. Where fewer are left before the sequence's bound,
// the block ends at the bound, which the caller knows from the descriptor.
// Error 2200H when none is left and the sequence does not cycle.
func (t *Txn) SequenceNext(s *catalog.Sequence, count int64) (first int64, err error) {
	if count < 1 || s.Increment == 0 {
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "invalid number of sequence values: %d", count)
	}
	st, err := t.sequence(s)
	if err != nil {
		return 0, err
	}
	first = st.last
	if st.called {
		if first, err = sequenceAfter(s, st.last); err != nil {
			return 0, err
		}
	}
	// How many steps fit between first and the bound, in unsigned arithmetic:
	// the distance may not fit a signed number.
	step := uint64(s.Increment)
	distance := uint64(s.Max) - uint64(first)
	if s.Increment < 0 {
		step = -step
		distance = uint64(first) - uint64(s.Min)
	}
	steps := min(uint64(count-1), distance/step)
	last := first + int64(steps)*s.Increment
	t.setSequence(s.ID, sequenceState{last: last, called: true})
	return first, nil
}

// sequenceAfter returns the value that follows last.
func sequenceAfter(s *catalog.Sequence, last int64) (int64, error) {
	next := last + s.Increment
	up := s.Increment > 0
	if up && (next < last || next > s.Max) {
		if s.Cycle {
			return s.Min, nil
		}
		return 0, sqlstate.New(sequenceLimitExceeded, "nextval: reached maximum value of sequence %q (%d)", s.Name, s.Max)
	}
	if !up && (next > last || next < s.Min) {
		if s.Cycle {
			return s.Max, nil
		}
		return 0, sqlstate.New(sequenceLimitExceeded, "nextval: reached minimum value of sequence %q (%d)", s.Name, s.Min)
	}
	return next, nil
}

// SequenceState returns the sequence's last value and whether it has been
// taken; a new sequence's is its start value, not taken.
func (t *Txn) SequenceState(s *catalog.Sequence) (last int64, called bool, err error) {
	st, err := t.sequence(s)
	return st.last, st.called, err
}

// SequenceSet sets the sequence's last value and whether it has been taken.
// Like SequenceNext it is not undone by RollbackTo, only by the failure of the
// whole transaction.
func (t *Txn) SequenceSet(s *catalog.Sequence, last int64, called bool) error {
	if last < s.Min || last > s.Max {
		return sqlstate.New(sqlstate.NumericValueOutOfRange,
			"setval: value %d is out of bounds for sequence %q (%d..%d)", last, s.Name, s.Min, s.Max)
	}
	t.setSequence(s.ID, sequenceState{last: last, called: called})
	return nil
}

// sequence returns a sequence's state as this transaction sees it.
func (t *Txn) sequence(s *catalog.Sequence) (sequenceState, error) {
	if st, ok := t.seqs[s.ID]; ok {
		return st, nil
	}
	st, ok, err := t.committedSequence(s.ID)
	if err != nil || ok {
		return st, err
	}
	return sequenceState{last: s.Start}, nil
}

func (t *Txn) setSequence(id catalog.ID, st sequenceState) {
	if t.seqs == nil {
		t.seqs = map[catalog.ID]sequenceState{}
	}
	t.seqs[id] = st
}

// committedSequence returns what was committed before this transaction; ok is
// false for a sequence that was never used.
func (t *Txn) committedSequence(id catalog.ID) (st sequenceState, ok bool, err error) {
	if t.app != nil {
		if c, found := t.app.seqs[id]; found {
			return c.state, c.live, nil
		}
	}
	value, _, err := t.base.seek(keys.AppendID(nil, keys.Sequences, uint32(id)))
	if err != nil || len(value) == 0 {
		return st, false, err
	}
	st, err = decodeSequence(value)
	return st, err == nil, err
}

func (s sequenceState) append(dst []byte) []byte {
	called := byte(0)
	if s.called {
		called = 1
	}
	return binary.BigEndian.AppendUint64(append(dst, called), uint64(s.last))
}

func decodeSequence(b []byte) (sequenceState, error) {
	if len(b) != 9 || b[0] > 1 {
		return sequenceState{}, fmt.Errorf("%w: sequence %x", errCorrupt, b)
	}
	return sequenceState{last: int64(binary.BigEndian.Uint64(b[1:])), called: b[0] == 1}, nil
}
