package query

import (
	"context"
	"strings"
	"sync"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// blockSize is how many values of a sequence are reserved at a time for the
// interactive transactions of a node.
const blockSize = 32

// sequenceBlocks are the values that this node has reserved through the log.
// Interactive transactions draw from them, so that the client may be shown a
// value before COMMIT without two transactions ever showing the same.
type sequenceBlocks struct {
	e      *Engine
	mu     sync.Mutex
	blocks map[catalog.ID]*block
}

// block is what is left of one reservation.
type block struct {
	next, left, step int64
}

func newSequenceBlocks(e *Engine) *sequenceBlocks {
	return &sequenceBlocks{e: e, blocks: map[catalog.ID]*block{}}
}

// draw takes one value, reserving more when none is left.
func (b *sequenceBlocks) draw(s *Session, q *catalog.Sequence) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.blocks[q.ID]
	if k == nil || k.left == 0 {
		var err error
		if k, err = b.reserve(s, q); err != nil {
			return 0, err
		}
		b.blocks[q.ID] = k
	}
	v := k.next
	k.next += k.step
	k.left--
	return v, nil
}

func (b *sequenceBlocks) reserve(s *Session, q *catalog.Sequence) (*block, error) {
	count := max(q.Cache, blockSize)
	e := s.entry(log.KindReserve)
	e.Reserve = &log.Reserve{Sequence: uint32(q.ID), Count: count}
	res, err := b.e.append(context.Background(), e)
	if err != nil {
		return nil, err
	}
	if res.Err != nil {
		return nil, sm.ErrorOf(res.Err)
	}
	if len(res.Drawn) != 1 {
		return nil, sqlstate.New(sqlstate.InternalError, "a reservation of sequence values has no answer")
	}
	first := res.Drawn[0].Value
	// The block ends early at the sequence's bound.
	room := (q.Max - first) / q.Increment
	if q.Increment < 0 {
		room = (q.Min - first) / q.Increment
	}
	if room >= 0 {
		count = min(count, room+1)
	}
	return &block{next: first, left: count, step: q.Increment}, nil
}

// forget drops all blocks: a statement may have moved a sequence.
func (b *sequenceBlocks) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.blocks)
}

// forgetBlocks drops the reserved values when a statement may move a sequence:
// DDL, a CALL, or anything that mentions setval. Values are lost then, which is allowed.
func (s *Session) forgetBlocks(q *plan.Query) {
	if q.Definition() || q.Call() || strings.Contains(strings.ToLower(q.Text()), "setval") {
		s.e.blocks.forget()
	}
}

// sessionSequences answers currval and lastval in a statement that only reads.
type sessionSequences struct {
	s *Session
}

// NextVal implements expr.Sequences.
func (q sessionSequences) NextVal(types.OID) (int64, error) {
	return 0, sqlstate.New(sqlstate.ReadOnlySQLTransaction, "cannot execute nextval() in a read-only transaction")
}

// CurrVal implements expr.Sequences.
func (q sessionSequences) CurrVal(seq types.OID) (int64, error) {
	if v, ok := q.s.current[seq]; ok {
		return v, nil
	}
	found, err := exec.SequenceByOID(q.s.catalog(), seq)
	if err != nil {
		return 0, err
	}
	return 0, sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "currval of sequence \"%s\" is not yet defined in this session", found.Name)
}

// SetVal implements expr.Sequences.
func (q sessionSequences) SetVal(types.OID, int64, bool) (int64, error) {
	return 0, sqlstate.New(sqlstate.ReadOnlySQLTransaction, "cannot execute setval() in a read-only transaction")
}

// LastVal implements expr.Sequences.
func (q sessionSequences) LastVal() (int64, error) {
	if len(q.s.order) == 0 {
		return 0, sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "lastval is not yet defined in this session")
	}
	return q.s.current[q.s.order[len(q.s.order)-1]], nil
}

// txSequences draws values in an interactive transaction: from reserved blocks,
// but from its own state for a sequence that it has made or set itself.
type txSequences struct {
	s     *Session
	tx    *transaction
	drawn []log.DrawnValue // by the current statement
	// recalled are values that are drawn again: the transaction repeats another.
	recalled []log.DrawnValue
	own      map[types.OID]bool
}

// NextVal implements expr.Sequences.
func (q *txSequences) NextVal(seq types.OID) (int64, error) {
	found, err := exec.SequenceByOID(q.tx.txn.Catalog(), seq)
	if err != nil {
		return 0, err
	}
	var v int64
	if q.own[seq] || q.tx.view.Catalog().Sequence(catalog.ID(seq)) != found {
		v, err = q.tx.txn.SequenceNext(found, 1)
	} else if len(q.recalled) > 0 && q.recalled[0].Sequence == uint32(seq) {
		v, q.recalled = q.recalled[0].Value, q.recalled[1:]
		q.drawn = append(q.drawn, log.DrawnValue{Sequence: uint32(seq), Value: v})
	} else if v, err = q.s.e.blocks.draw(q.s, found); err == nil {
		q.drawn = append(q.drawn, log.DrawnValue{Sequence: uint32(seq), Value: v})
	}
	if err != nil {
		return 0, err
	}
	q.s.drew(seq, v)
	return v, nil
}

// CurrVal implements expr.Sequences.
func (q *txSequences) CurrVal(seq types.OID) (int64, error) {
	return sessionSequences{q.s}.CurrVal(seq)
}

// SetVal implements expr.Sequences.
func (q *txSequences) SetVal(seq types.OID, value int64, called bool) (int64, error) {
	found, err := exec.SequenceByOID(q.tx.txn.Catalog(), seq)
	if err != nil {
		return 0, err
	}
	if value < found.Min || value > found.Max {
		return 0, sqlstate.New(sqlstate.NumericValueOutOfRange, "setval: value %d is out of bounds for sequence \"%s\" (%d..%d)",
			value, found.Name, found.Min, found.Max)
	}
	if err := q.tx.txn.SequenceSet(found, value, called); err != nil {
		return 0, err
	}
	if q.own == nil {
		q.own = map[types.OID]bool{}
	}
	q.own[seq] = true
	if called {
		q.s.drew(seq, value)
	}
	return value, nil
}

// LastVal implements expr.Sequences.
func (q *txSequences) LastVal() (int64, error) { return sessionSequences{q.s}.LastVal() }
