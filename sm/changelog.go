package sm

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// logIter walks the records of one space that is ordered by offset.
type logIter struct {
	v     *View
	it    pooledIter
	began bool
	lo    []byte
	err   error
	arena arena
}

// open prepares a walk over the records in [lo, hi); without an iterator when
// that is empty, since Pebble wants bounds in their order.
func (l *logIter) open(v *View, lo, hi []byte) {
	l.v, l.lo = v, lo
	if bytes.Compare(lo, hi) >= 0 {
		return
	}
	s := v.p.store
	if l.it, l.err = s.scans.get(s.db, v.p.generation); l.err == nil {
		l.it.SetBounds(lo, hi)
	}
}

// next moves to the next record.
func (l *logIter) next() bool {
	if l.err != nil || l.it.Iterator == nil {
		return false
	}
	ok := false
	if l.began {
		ok = l.it.Next()
	} else {
		ok = l.it.First()
		l.began = true
	}
	if !ok {
		l.err = l.it.Error()
	}
	return ok
}

// record returns the key and value that next moved to; the value may be kept.
func (l *logIter) record() (k keys.Key, value []byte, err error) {
	if k, err = keys.Decode(l.it.Key()); err != nil {
		return k, nil, err
	}
	value, err = l.it.ValueAndErr()
	return k, l.arena.copy(value), err
}

// Err returns the error that ended the iteration.
func (l *logIter) Err() error { return l.err }

// Close releases the iterator; it may be called twice.
func (l *logIter) Close() {
	if l.it.Iterator == nil {
		return
	}
	l.err = errors.Join(l.err, l.v.p.store.scans.put(l.it))
	l.it = pooledIter{}
}

// Changes iterates over the changes whose own offset is greater than from and
// whose transaction is committed at or before v's offset, in order. It seeks
// straight to from, also into the middle of a transaction. 0 means from the oldest
// that is retained; any other offset below v's floor is an error, 22023, since
// changes would be missing. It must be closed.
func (v *View) Changes(from log.Offset) *ChangeIter {
	if err := v.begins(from); err != nil {
		return &ChangeIter{logIter: logIter{err: err}}
	}
	return v.changesIn(after(max(from, v.Floor())), v.offset)
}

// begins returns an error when what comes after from is not all retained.
func (v *View) begins(from log.Offset) error {
	if from == 0 || after(from) >= v.Floor() {
		return nil
	}
	return retained(from, v.Floor())
}

// changesIn iterates over the changes at lo or later, before hi.
func (v *View) changesIn(lo, hi log.Offset) *ChangeIter {
	it := &ChangeIter{}
	it.open(v, keys.AppendChange(nil, lo), keys.AppendChange(nil, max(lo, hi)))
	if v.p.loads != nil && lo < hi {
		it.enter(lo, hi)
	}
	return it
}

// enter opens the load whose changes lo is among, if there is one.
func (it *ChangeIter) enter(lo, hi log.Offset) {
	if it.err != nil {
		return
	}
	defer it.it.SetBounds(it.lo, keys.AppendChange(nil, hi))
	it.it.SetBounds(keys.SpaceStart(keys.Changes), keys.AppendChange(nil, hi))
	if !it.it.SeekLT(it.lo) {
		return
	}
	k, value, err := it.record()
	if err == nil {
		_, err = it.openLoad(k.Offset, value, lo)
	}
	it.err = err
}

// openLoad goes on to the changes of a load when value is the record at their
// place, at; those before lo are left out.
func (it *ChangeIter) openLoad(at log.Offset, value []byte, lo log.Offset) (bool, error) {
	id, size, ok, err := decodeLoadMarker(value)
	if !ok || err != nil || at+size <= lo {
		return ok, err
	}
	first := max(lo, at) - at
	it.inside, it.place = true, at
	it.load = logIter{}
	it.load.open(it.v, keys.AppendLoadChange(nil, id, first), keys.AppendLoadChange(nil, id, size))
	return true, it.load.err
}

// after returns the offset after off, or off when there is none.
func after(off log.Offset) log.Offset {
	if off == math.MaxUint64 {
		return off
	}
	return off + 1
}

// ChangeIter iterates over changes.
type ChangeIter struct {
	logIter
	change Change
	header TxnHeader

	// load walks the changes of a load, which begin at place, while inside.
	load   logIter
	inside bool
	place  log.Offset
}

// Next moves to the next change.
func (it *ChangeIter) Next() bool {
	for it.err == nil {
		if it.inside && it.load.next() {
			k, value, err := it.load.record()
			if err == nil {
				it.change.Offset = it.place + k.Offset
				err = decodeChange(value, &it.change)
			}
			it.err = err
			return err == nil
		}
		if it.inside {
			it.inside = false
			it.load.Close()
			it.err = it.load.err
			continue
		}
		if !it.next() {
			return false
		}
		k, value, err := it.record()
		if err == nil {
			var loaded bool
			if loaded, err = it.openLoad(k.Offset, value, 0); loaded && err == nil {
				continue
			}
		}
		if err == nil {
			it.change.Offset = k.Offset
			err = decodeChange(value, &it.change)
		}
		it.err = err
		return err == nil
	}
	return false
}

// Close releases the iterators; it may be called twice.
func (it *ChangeIter) Close() {
	it.load.Close()
	it.logIter.Close()
}

// Change returns the change that Next moved to. The Change is reused by Next,
// its byte slices are not.
func (it *ChangeIter) Change() *Change { return &it.change }

// Txn returns the header of the change's transaction.
func (it *ChangeIter) Txn() (TxnHeader, error) {
	if at := it.change.Offset; at < it.header.Start || at >= it.header.Commit {
		c := it.v.commandsIn(at, 0)
		defer c.Close()
		h, ok, err := c.nextCommitted()
		if err == nil && !ok {
			err = fmt.Errorf("%w: the change at %s has no transaction", errCorrupt, at)
		}
		if err != nil {
			return TxnHeader{}, err
		}
		it.header = h.TxnHeader
	}
	return it.header, nil
}

// Transactions iterates over the committed transactions whose commit offset is
// greater than from and at most v's offset, in order. As for Changes, 0 means from
// the oldest that is retained. It must be closed.
func (v *View) Transactions(from log.Offset) *TxnIter {
	if err := retained(from, v.Floor()); err != nil && from > 0 {
		return &TxnIter{commands: &CommandIter{logIter: logIter{err: err}}}
	}
	return &TxnIter{commands: v.commandsIn(after(max(from, v.Floor())), 0)}
}

// TxnIter iterates over committed transactions.
type TxnIter struct {
	commands *CommandIter
	header   TxnHeader
}

// Next moves to the next transaction.
func (it *TxnIter) Next() bool {
	h, ok, err := it.commands.nextCommitted()
	it.header = h.TxnHeader
	it.commands.err = errors.Join(it.commands.err, err)
	return ok && err == nil
}

// Header returns the transaction that Next moved to.
func (it *TxnIter) Header() TxnHeader { return it.header }

// Changes iterates over the changes of the transaction that Next moved to. It
// must be closed.
func (it *TxnIter) Changes() *ChangeIter {
	c := it.commands.v.changesIn(it.header.Start, it.header.Commit)
	c.header = it.header
	return c
}

// Err returns the error that ended the iteration.
func (it *TxnIter) Err() error { return it.commands.err }

// Close releases the iterator; it may be called twice.
func (it *TxnIter) Close() { it.commands.Close() }

// Command is one record of the command log.
type Command struct {
	// Offset is the commit offset of a committed command; for a failed one it
	// is the last commit offset before it, and Seq tells failures at the same
	// place apart (from 1; 0 for a committed command).
	Offset log.Offset
	Seq    uint32
	// Header is that of the transaction; zero for a failed command but for Time.
	Header TxnHeader
	// Rows counts the rows changed.
	Rows int64
	// Failure is the recorded failure, or nil.
	Failure *log.Failure
	// Entry is the entry itself; rows that a COPY brought inline are left out.
	Entry *log.Entry
}

// Commands iterates over the command log: the entries whose offset is greater
// than from, committed and failed ones, in the order of the log. As for Changes, 0
// means from the oldest that is retained. It must be closed.
func (v *View) Commands(from log.Offset) *CommandIter {
	if err := v.begins(from); err != nil {
		return &CommandIter{logIter: logIter{err: err}}
	}
	return v.commandsIn(max(after(from), v.Floor()), 0)
}

// CommandsAfter is Commands for someone who has seen the command at (from, seq)
// and wants what comes after it: failures at the same offset included.
func (v *View) CommandsAfter(from log.Offset, seq uint32) *CommandIter {
	if seq == math.MaxUint32 {
		return v.Commands(from)
	}
	if err := v.begins(from); err != nil {
		return &CommandIter{logIter: logIter{err: err}}
	}
	return v.commandsIn(from, seq+1)
}

func (v *View) commandsIn(lo log.Offset, seq uint32) *CommandIter {
	it := &CommandIter{}
	hi := max(lo, after(v.offset))
	it.open(v, keys.AppendCommand(nil, lo, seq), keys.AppendCommand(nil, hi, seq))
	return it
}

// CommandIter iterates over the command log.
type CommandIter struct {
	logIter
	command *Command
}

// Next moves to the next command.
func (it *CommandIter) Next() bool {
	if !it.next() {
		return false
	}
	it.command, it.err = it.read()
	return it.err == nil
}

func (it *CommandIter) read() (*Command, error) {
	k, value, err := it.record()
	if err != nil {
		return nil, err
	}
	var h commandHead
	data, err := h.decode(value, k.Offset)
	if err != nil {
		return nil, err
	}
	c := &Command{Offset: k.Offset, Seq: k.Seq, Header: h.TxnHeader, Rows: h.rows}
	if h.failed {
		res, err := log.DecodeResult(h.failure)
		if err != nil {
			return nil, fmt.Errorf("sm: failure of the command at %s: %w", k.Offset, err)
		}
		c.Failure = res.Err
	}
	if c.Entry, err = log.DecodeEntry(data); err != nil {
		return nil, fmt.Errorf("sm: command at %s: %w", k.Offset, err)
	}
	return c, nil
}

// nextCommitted moves to the next committed command and reads only its head.
func (it *CommandIter) nextCommitted() (h commandHead, ok bool, err error) {
	for it.next() {
		k, err := keys.Decode(it.it.Key())
		if err != nil {
			return h, false, err
		}
		if k.Seq != 0 {
			continue
		}
		value, err := it.it.ValueAndErr()
		if err == nil {
			_, err = h.decode(value, k.Offset)
		}
		return h, err == nil, err
	}
	return h, false, it.err
}

// lastCommitted returns the head of the last committed command of the range.
func (it *CommandIter) lastCommitted() (h commandHead, ok bool, err error) {
	if it.err != nil || it.it.Iterator == nil {
		return h, false, it.err
	}
	for ok := it.it.Last(); ok; ok = it.it.Prev() {
		k, err := keys.Decode(it.it.Key())
		if err != nil {
			return h, false, err
		}
		if k.Seq != 0 {
			continue
		}
		_, err = h.decode(it.it.Value(), k.Offset)
		return h, err == nil, err
	}
	return h, false, it.it.Error()
}

// Command returns the command that Next moved to; it may be kept.
func (it *CommandIter) Command() *Command { return it.command }

// OffsetAt returns the commit offset of the last transaction whose log time is
// at or before t (microseconds since 2000-01-01 UTC): the state "as of" a time.
// Error 22023 when there is none.
func (v *View) OffsetAt(t int64) (log.Offset, error) {
	lo, hi := v.Floor(), after(v.offset)
	best, found := log.Offset(0), false
	// Log time grows with the offset, so halving the range finds the place.
	for lo < hi {
		mid := lo + (hi-lo)/2
		it := v.commandsIn(mid, 0)
		h, ok, err := it.nextCommitted()
		it.Close()
		switch {
		case err != nil:
			return 0, err
		case !ok || h.Commit >= hi || h.Time > t:
			hi = mid
		default:
			best, found, lo = h.Commit, true, h.Commit+1
		}
	}
	if !found && v.Floor() > 0 {
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "the history of that time is no longer retained; the oldest offset is %s", v.Floor())
	}
	if !found {
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "the log has no transaction that early")
	}
	return best, nil
}
