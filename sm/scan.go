package sm

import (
	"bytes"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// Span is a range of stored keys in the key space of an index or of a table's
// rows: Lo inclusive, Hi exclusive, nil open. keys.AppendIndex and
// keys.PrefixEnd make them.
type Span struct{ Lo, Hi []byte }

// ScanOptions say what a scan reads.
type ScanOptions struct {
	Table *catalog.Table
	// Index is the index to follow; nil, or the primary key, means the rows in
	// primary-key order.
	Index *catalog.Index
	// Spans are read in the order given, or from the last to the first when
	// Reverse is set, each backwards then; none means everything. They must be
	// ascending and must not overlap.
	Spans   []Span
	Reverse bool
	// Want lists the 0-based column positions to decode, nil all.
	Want []int
	// Doom gives up the large transactions of others that have staged rows in the
	// spans, when this transaction commits: it relies on there being no more rows
	// than it sees.
	Doom bool
}

// Iter iterates over rows.
type Iter struct {
	t     *Txn
	opt   ScanOptions
	index bool
	span  int // how many spans have been begun

	baseCur baseCursor
	overCur overlayCursor
	dec     rowDecoder
	arena   arena
	row     Row
	pk      []byte
	// consumed says that row refers to what baseCur stands on, so that it must
	// move on before anything else happens.
	consumed bool
	met      []keys.LoadID // with Doom, the open loads passed over
	err      error
	closed   bool
}

// everything is the span of a scan that was given none.
var everything = []Span{{}}

// Scan iterates over rows as they are when it is called: what the transaction
// writes while the iterator is open is not seen. The iterator must be closed,
// and before a RollbackTo.
func (t *Txn) Scan(o ScanOptions) *Iter {
	it := &Iter{t: t, opt: o, index: o.Index != nil && !o.Index.Primary}
	if o.Spans == nil {
		it.opt.Spans = everything
	}
	if it.err = it.dec.init(o.Table, o.Want); it.err != nil {
		return it
	}
	it.row.Values = sized(nil, len(o.Table.Columns))
	it.overCur = overlayCursor{o: t.over, clock: t.over.clock, reverse: o.Reverse}
	it.baseCur = baseCursor{b: t.base, reverse: o.Reverse}
	if o.Doom {
		it.baseCur.met = &it.met
	}
	it.err = it.baseCur.open()
	return it
}

// Next moves to the next row.
func (it *Iter) Next() bool {
	for it.err == nil && !it.closed {
		if !it.step() {
			if it.err != nil || !it.nextSpan() {
				return false
			}
			continue
		}
		return it.err == nil
	}
	return false
}

// Row returns the row that Next moved to, valid until the next Next or Close.
func (it *Iter) Row() *Row { return &it.row }

// Err returns the error that ended the iteration.
func (it *Iter) Err() error { return it.err }

// Close releases the iterator; it may be called twice.
func (it *Iter) Close() {
	if it.closed {
		return
	}
	it.closed = true
	for _, id := range it.met {
		it.t.doom(doom{load: id, reason: reasonRelied})
	}
	if err := it.baseCur.close(); err != nil && it.err == nil {
		it.err = err
	}
}

// nextSpan begins the next span.
func (it *Iter) nextSpan() bool {
	if it.span >= len(it.opt.Spans) {
		return false
	}
	s := it.opt.Spans[it.span]
	if it.opt.Reverse {
		s = it.opt.Spans[len(it.opt.Spans)-1-it.span]
	}
	it.span++
	space, storage := keys.Rows, it.opt.Table.Storage
	if it.index {
		space, storage = keys.Entries, it.opt.Index.Storage
	}
	lo, hi := s.bounds(space, storage)
	if bytes.Compare(lo, hi) >= 0 {
		// Pebble does not say what an iterator does with bounds in the wrong order,
		// and this one goes back to a pool: it would lose keys for somebody else.
		return it.nextSpan()
	}
	it.overCur.start(lo, hi)
	it.err = it.baseCur.start(lo, hi)
	return it.err == nil
}

// step moves to the next live row of the span that was begun.
func (it *Iter) step() bool {
	for it.err == nil {
		if it.consumed {
			it.consumed = false
			if it.err = it.baseCur.next(); it.err != nil {
				return false
			}
		}
		var ok bool
		if it.index {
			ok = it.stepEntry()
		} else {
			ok = it.stepRow()
		}
		if ok {
			return true
		}
		if it.overCur.it == nil && !it.baseCur.valid {
			return false
		}
	}
	return false
}

// useOverlay decides which layer has the next key; with the same key in both,
// the overlay's hides the store's, which is passed over.
func (it *Iter) useOverlay() bool {
	if it.overCur.it == nil {
		return false
	}
	if !it.baseCur.valid {
		return true
	}
	c := bytes.Compare(it.overCur.it.key, it.baseCur.prefix)
	if it.opt.Reverse {
		c = -c
	}
	if c == 0 {
		it.err = it.baseCur.next()
	}
	return c <= 0
}

// stepRow takes the next key of a table; false when it holds no row.
func (it *Iter) stepRow() bool {
	if it.useOverlay() {
		v, key := it.overCur.v, it.overCur.it.key
		it.row.Key = key[keys.StorageBytes : len(key)-1 : len(key)-1]
		it.row.stored, it.row.Created, it.row.Changed = v.value, v.created, v.changed
		it.overCur.next()
		return !v.deleted && it.decode()
	}
	c := &it.baseCur
	if !c.valid || it.err != nil {
		return false
	}
	it.consumed = true
	head, err := decodeRowValue(c.value, c.version)
	if err != nil {
		it.err = err
		return false
	}
	if head.deleted {
		return false
	}
	it.row.Key = c.prefix[keys.StorageBytes : len(c.prefix)-1 : len(c.prefix)-1]
	it.row.Created, it.row.Changed = head.created, c.version
	if it.row.stored = head.row; !it.dec.inPlace {
		it.row.stored = it.arena.copy(head.row)
	}
	return it.decode()
}

func (it *Iter) decode() bool {
	it.err = it.dec.decode(it.row.stored, it.row.Values, true)
	return it.err == nil
}

// stepEntry takes the next key of an index and looks up its row; false when the
// entry is deleted.
func (it *Iter) stepEntry() bool {
	var pk []byte
	var ok bool
	if it.useOverlay() {
		v, key := it.overCur.v, it.overCur.it.key
		if !v.deleted {
			pk, ok, it.err = entryPrimaryKey(key, v.value)
		}
		it.pk = append(it.pk[:0], pk...)
		it.overCur.next()
	} else {
		c := &it.baseCur
		if !c.valid || it.err != nil {
			return false
		}
		pk, ok, it.err = entryPrimaryKey(c.prefix, c.value)
		it.pk = append(it.pk[:0], pk...)
		it.consumed = true
	}
	it.row.Key = it.pk
	return ok && it.err == nil && it.lookup()
}

// lookup reads the row of it.row.Key as it was when the scan was opened.
func (it *Iter) lookup() bool {
	t := it.t
	t.prefixBuf = appendRowPrefix(t.prefixBuf[:0], it.opt.Table, it.row.Key)
	found := false
	if item := t.over.find(t.prefixBuf); item != nil {
		if v := item.at(it.overCur.clock); v != nil {
			it.row.stored, it.row.Created, it.row.Changed = v.value, v.created, v.changed
			return !v.deleted && it.decode()
		}
	}
	found, it.err = t.readBase(t.prefixBuf, &it.row)
	return found && it.err == nil && it.decode()
}
