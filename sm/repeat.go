package sm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// An entry whose answer does not come is proposed again, so it may be in the log
// more than once. It is recognised by its seed for as long as RepeatWindow
// entries, and is not executed twice; after that it is refused.

// RepeatWindow is how many entries back a repeated one is recognised, counting
// every entry of the log.
const RepeatWindow log.Place = 65_536

// entryEnd is what became of an entry: the position of the log after it, or with
// the highest bit the SQLSTATE that it failed with.
type entryEnd uint64

const (
	entryFailed entryEnd = 1 << 63
	codeLength           = 5
)

func endOf(res *log.Result) entryEnd {
	if res.Err == nil {
		return entryEnd(res.Offset)
	}
	end := entryFailed
	for i := range min(len(res.Err.Code), codeLength) {
		end |= entryEnd(res.Err.Code[i]) << (8 * i)
	}
	return end
}

// answer is what a repeated entry is told; at is the position of the log now.
func (end entryEnd) answer(at log.Offset) *log.Result {
	if end&entryFailed == 0 {
		return &log.Result{Offset: log.Offset(end), Repeat: log.Repeated}
	}
	var code [codeLength]byte
	for i := range code {
		code[i] = byte(end >> (8 * i))
	}
	err := sqlstate.New(sqlstate.Code(code[:]), "the transaction has failed, and its message is lost").
		WithDetail("The answer came to a node that had skipped the transaction with a snapshot.")
	return &log.Result{Offset: at, Err: FailureOf(err), Repeat: log.Repeated}
}

// seenEntry is an entry that has been applied.
type seenEntry struct {
	place log.Place
	end   entryEnd
}

// seenSeed is a seed at its place.
type seenSeed struct {
	seed log.Seed
	end  entryEnd
}

// seen are the entries of one Apply call: their places follow each other.
type seen struct {
	first log.Place
	list  []seenSeed
	known map[log.Seed]seenEntry // made for the first entry that has a seed
}

func (s *seen) add(place log.Place, seed log.Seed, end entryEnd) {
	if len(s.list) == 0 {
		s.first = place
	}
	s.list = append(s.list, seenSeed{seed: seed, end: end})
	if seed != (log.Seed{}) {
		if s.known == nil {
			s.known = map[log.Seed]seenEntry{}
		}
		s.known[seed] = seenEntry{place: place, end: end}
	}
}

// repeats are the entries that are remembered, in memory. How they lie in stored
// blocks depends on how the log was cut into batches; what is recognised does not.
type repeats struct {
	known  map[log.Seed]log.Place
	first  log.Place    // of the first list; lists have listLength places each
	lists  [][]seenSeed // the last one may be shorter
	oldest log.Place    // whose seed is still in known
	next   log.Place    // after the last one
	blocks []log.Place  // the first places of the stored blocks, in order
}

// listLength is how many entries are forgotten at a time.
const listLength = 1024

// add adds the entries of one block and forgets what no longer counts.
func (r *repeats) add(s seen) {
	if len(s.list) == 0 {
		return
	}
	if r.next == 0 {
		r.first, r.oldest = s.first, s.first
	}
	r.blocks = append(r.blocks[r.expired(s.first+log.Place(len(s.list))-1):], s.first)
	for i, one := range s.list {
		place := s.first + log.Place(i)
		if n := len(r.lists); n == 0 || len(r.lists[n-1]) == listLength {
			r.lists = append(r.lists, make([]seenSeed, 0, min(listLength, max(len(s.list)-i, 16))))
		}
		last := &r.lists[len(r.lists)-1]
		*last = append(*last, one)
		if r.next = place + 1; one.seed != (log.Seed{}) {
			r.known[one.seed] = place
		}
	}
	r.forget()
}

// forget removes what is too old to be recognised.
func (r *repeats) forget() {
	for ; r.oldest+RepeatWindow < r.next; r.oldest++ {
		seed := r.at(r.oldest).seed
		if r.known[seed] == r.oldest { // it may have been used again since
			delete(r.known, seed)
		}
	}
	for r.first+listLength <= r.oldest {
		r.lists[0] = nil
		r.lists, r.first = r.lists[1:], r.first+listLength
	}
}

func (r *repeats) at(place log.Place) *seenSeed {
	i := place - r.first
	return &r.lists[i/listLength][i%listLength]
}

// expired is how many blocks have nothing that counts once last is applied.
func (r *repeats) expired(last log.Place) int {
	n := 0
	for n < len(r.blocks) {
		end := r.next
		if n+1 < len(r.blocks) {
			end = r.blocks[n+1]
		}
		if end-1+RepeatWindow > last {
			break
		}
		n++
	}
	return n
}

// find returns an entry that has been applied.
func (r *repeats) find(seed log.Seed) (seenEntry, bool) {
	place, ok := r.known[seed]
	if !ok {
		return seenEntry{}, false
	}
	return seenEntry{place: place, end: r.at(place).end}, true
}

// repeated returns the answer to an entry that must not be executed, nil for one
// that must be.
func (a *applier) repeated(e *log.Entry) (*log.Result, error) {
	if e.Seed == (log.Seed{}) {
		return nil, nil
	}
	place := a.state.place + 1
	if e.Earliest > 0 && e.Earliest+RepeatWindow <= place {
		res := a.refuse(sqlstate.New(sqlstate.SerializationFailure, "the transaction was too long on its way to the log").
			WithDetail("More than %d others have come before it.", RepeatWindow).
			WithHint("Try again."))
		res.Repeat = log.TooLate
		return res, nil
	}
	known, ok := a.seen.known[e.Seed]
	if !ok {
		known, ok = a.r.repeats.find(e.Seed)
	}
	if !ok || known.place+RepeatWindow <= place {
		return nil, nil
	}
	// A key has the whole answer.
	if res, err := a.recall(e); res != nil || err != nil {
		return res, err
	}
	return known.end.answer(a.state.offset), nil
}

const seenBytes = len(log.Seed{}) + 8 // a stored seenSeed

// writeSeen stores the seeds of the call as one block, and deletes blocks that
// no longer count.
func (a *applier) writeSeen() error {
	if len(a.seen.list) == 0 {
		return nil
	}
	value := make([]byte, 0, len(a.seen.list)*seenBytes)
	for i := range a.seen.list {
		s := &a.seen.list[i]
		value = binary.LittleEndian.AppendUint64(append(value, s.seed[:]...), uint64(s.end))
	}
	a.buf = keys.AppendApplied(a.buf[:0], a.seen.first)
	if err := a.batch.Set(a.buf, value, nil); err != nil {
		return err
	}
	old := a.r.repeats
	for _, first := range old.blocks[:old.expired(a.state.place)] {
		a.buf = keys.AppendApplied(a.buf[:0], first)
		if err := a.batch.Delete(a.buf, nil); err != nil {
			return err
		}
	}
	return nil
}

// readRepeats reads what is remembered; last is the place of the last entry.
func readRepeats(s *store, last log.Place) (*repeats, error) {
	r := &repeats{known: map[log.Seed]log.Place{}}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: keys.SpaceStart(keys.Applied), UpperBound: keys.SpaceStart(keys.Applied + 1)})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		k, err := keys.Decode(it.Key())
		b := seen{first: k.Place}
		for v := it.Value(); err == nil && len(v) > 0; {
			if len(v) < seenBytes || b.first+log.Place(len(b.list)) > last {
				err = fmt.Errorf("%w: entries applied from %d", errCorrupt, b.first)
				break
			}
			var one seenSeed
			n := copy(one.seed[:], v)
			one.end = entryEnd(binary.LittleEndian.Uint64(v[n:]))
			v = v[seenBytes:]
			b.list = append(b.list, one)
		}
		if err == nil && r.next > 0 && b.first != r.next {
			err = fmt.Errorf("%w: entries applied from %d follow those before %d", errCorrupt, b.first, r.next)
		}
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		r.add(b)
	}
	return r, errors.Join(it.Error(), it.Close())
}
