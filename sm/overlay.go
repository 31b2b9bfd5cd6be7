package sm

import (
	"bytes"

	"github.com/tidwall/btree"

	"github.com/tidemark-db/tidemark/log"
)

// overlay holds what transactions have written and the store does not have yet:
// those of one Apply call, or one speculative transaction. It is an ordered map
// from key prefix to a chain of versions, newest first. The chain is what makes
// savepoints cheap, and lets a scan see the state at which it was opened while
// its own transaction goes on writing.
type overlay struct {
	tree *btree.BTreeG[*item] // nil until the first write
	hint btree.PathHint

	// undo lists, in order, the items that the open transaction has written.
	undo []*item
	// clock numbers the writes; it never goes back.
	clock uint64
	// shape counts the insertions and deletions of items, so that a cursor knows
	// when its place in the tree is void.
	shape uint64

	probe    item // the key of a lookup, kept here so that it does not escape
	items    []item
	versions []version
	// How large the last slab of each was.
	itemSlab, versionSlab int
}

// item is one key of the overlay.
type item struct {
	key []byte // prefix, with its sentinel
	cur *version
}

// version is one state of a key.
type version struct {
	prev *version
	// clock is when it was written.
	clock uint64
	// value is the stored row, or what an index entry's value is.
	value []byte
	// created is the commit offset of the transaction that inserted the row; 0
	// means the one that wrote this version.
	created log.Offset
	// changed is the commit offset of the transaction that wrote this version; 0
	// while that transaction is open.
	changed log.Offset
	deleted bool
	// fresh says that nothing was there before: neither this overlay nor the
	// store had a live version. Deleted again by the same transaction, it need
	// not be written at all.
	fresh bool
}

// Items and versions are allocated this many at a time: few at first, because
// most overlays are those of a few small transactions.
const (
	slabFirst = 8
	slabMax   = 256
)

func nextSlab(last int) int { return min(max(2*last, slabFirst), slabMax) }

func itemLess(a, b *item) bool { return bytes.Compare(a.key, b.key) < 0 }

// empty reports whether nothing is in o; most transactions only read.
func (o *overlay) empty() bool { return o.tree == nil || o.tree.Len() == 0 }

// find returns the item of key, or nil.
func (o *overlay) find(key []byte) *item {
	if o.empty() {
		return nil
	}
	o.probe.key = key
	it, _ := o.tree.GetHint(&o.probe, &o.hint)
	return it
}

// put writes v as the newest version of key. it is what find returned for it;
// key must stay unchanged for as long as the overlay lives.
func (o *overlay) put(it *item, key []byte, v version) {
	o.clock++
	v.clock = o.clock
	if len(o.versions) == 0 {
		o.versionSlab = nextSlab(o.versionSlab)
		o.versions = make([]version, o.versionSlab)
	}
	p := &o.versions[0]
	o.versions = o.versions[1:]
	if it == nil {
		if len(o.items) == 0 {
			o.itemSlab = nextSlab(o.itemSlab)
			o.items = make([]item, o.itemSlab)
		}
		it = &o.items[0]
		o.items = o.items[1:]
		it.key = key
		if o.tree == nil {
			o.tree = btree.NewBTreeGOptions(itemLess, btree.Options{NoLocks: true})
		}
		o.tree.SetHint(it, &o.hint)
		o.shape++
	}
	v.prev = it.cur
	*p = v
	it.cur = p
	o.undo = append(o.undo, it)
}

// rollback undoes the writes after the first n of the open transaction.
func (o *overlay) rollback(n int) {
	for i := len(o.undo) - 1; i >= n; i-- {
		it := o.undo[i]
		it.cur = it.cur.prev
		if it.cur == nil {
			o.tree.Delete(it)
			o.shape++
		}
		o.undo[i] = nil
	}
	o.undo = o.undo[:n]
}

// bulkWrites is from how many writes on a transaction's items are visited in
// the order of their keys: sorting is then worth more than a walk of the tree,
// because Pebble sorts a large batch and one in order costs it nothing.
const bulkWrites = 4096

// commit calls write for every key that the open transaction has changed, with
// its newest version, and makes those versions the base of the next one.
func (o *overlay) commit(at log.Offset, write func(key []byte, v *version) error) error {
	settle := func(it *item) error {
		v := it.cur
		if v == nil || v.changed != 0 {
			return nil // rolled back, or visited before
		}
		oldest := v
		for oldest.prev != nil && oldest.prev.changed == 0 {
			oldest = oldest.prev
		}
		if !v.deleted || !oldest.fresh {
			if err := write(it.key, v); err != nil {
				return err
			}
		}
		v.changed, v.prev = at, nil
		if v.created == 0 {
			v.created = at
		}
		return nil
	}
	var err error
	if len(o.undo) < bulkWrites {
		for _, it := range o.undo {
			if err = settle(it); err != nil {
				return err
			}
		}
	} else {
		o.tree.Scan(func(it *item) bool {
			err = settle(it)
			return err == nil
		})
	}
	clear(o.undo)
	o.undo = o.undo[:0]
	return err
}

// at returns the newest version written at or before clock, or nil when the
// base is what was visible then.
func (it *item) at(clock uint64) *version {
	for v := it.cur; v != nil; v = v.prev {
		if v.clock <= clock {
			return v
		}
	}
	return nil
}

// overlayCursor walks the items of a range that have a version visible at a
// clock.
type overlayCursor struct {
	o       *overlay
	iter    btree.IterG[*item]
	shape   uint64
	clock   uint64
	lo, hi  []byte // prefixes; hi exclusive
	reverse bool
	it      *item // nil when exhausted
	v       *version
}

// start moves to the first item of [lo, hi) in the direction of the walk.
func (c *overlayCursor) start(lo, hi []byte) {
	c.lo, c.hi, c.it = lo, hi, nil
	if c.o.empty() {
		return
	}
	if c.reverse {
		c.seekBefore(hi)
	} else {
		c.seek(lo, true)
	}
	c.settle()
}

// seek places the tree iterator at the first item at or after key; when
// inclusive is false an item with that very key is passed over.
func (c *overlayCursor) seek(key []byte, inclusive bool) {
	c.iter = c.o.tree.Iter()
	c.shape = c.o.shape
	c.it = nil
	if !c.iter.Seek(&item{key: key}) {
		return
	}
	if !inclusive && bytes.Equal(c.iter.Item().key, key) && !c.iter.Next() {
		return
	}
	c.it = c.iter.Item()
}

// seekBefore places the tree iterator at the last item before key.
func (c *overlayCursor) seekBefore(key []byte) {
	c.iter = c.o.tree.Iter()
	c.shape = c.o.shape
	c.it = nil
	ok := c.iter.Seek(&item{key: key})
	if ok {
		ok = c.iter.Prev()
	} else {
		ok = c.iter.Last()
	}
	if ok {
		c.it = c.iter.Item()
	}
}

// next moves to the next item.
func (c *overlayCursor) next() {
	c.step()
	c.settle()
}

func (c *overlayCursor) step() {
	if c.it == nil {
		return
	}
	if c.shape != c.o.shape {
		if c.reverse {
			c.seekBefore(c.it.key)
		} else {
			c.seek(c.it.key, false)
		}
		return
	}
	ok := false
	if c.reverse {
		ok = c.iter.Prev()
	} else {
		ok = c.iter.Next()
	}
	c.it = nil
	if ok {
		c.it = c.iter.Item()
	}
}

// settle passes over items that have nothing visible, and ends the walk at the
// range's end.
func (c *overlayCursor) settle() {
	for c.it != nil {
		if c.reverse && bytes.Compare(c.it.key, c.lo) < 0 || !c.reverse && bytes.Compare(c.it.key, c.hi) >= 0 {
			c.it = nil
			return
		}
		if c.v = c.it.at(c.clock); c.v != nil {
			return
		}
		c.step()
	}
}
