package sm

import (
	"bytes"
	"sync"

	"github.com/tidwall/btree"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// recentChanges says whether a table, or a range of its keys, may have changed
// since an offset. Each node keeps its own, and a yes may be careless: what it
// answers must only ever save work.
type recentChanges struct {
	mu sync.RWMutex
	// tables has the last transaction that changed a table, of those since
	// tablesSince; wide the last one whose changes are not among the keys.
	tables, wide map[catalog.ID]log.Offset
	tablesSince  log.Offset
	// ring has the changes of keys since keysSince: number i of all that there ever
	// were, total, is at i modulo its size. They are sorted into keys, which has the
	// last change of each key, when somebody asks: indexed of them so far. Where
	// nobody asks, noting a change costs next to nothing.
	ring           []recentKey
	total, indexed int
	keysSince      log.Offset
	keys           *btree.BTreeG[recentKey]
	hint           btree.PathHint
}

// recentKey is a change of a key of a row or an index entry, as it is stored.
type recentKey struct {
	key []byte
	at  log.Offset
}

const (
	// recentKeys is how many changes are kept.
	recentKeys = 1 << 16
	// recentProbe is how many changed keys of a range are looked at before the
	// range counts as changed.
	recentProbe = 256
)

// reset forgets everything: nothing is known of what came before off.
func (c *recentChanges) reset(off log.Offset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tables, c.wide, c.tablesSince = map[catalog.ID]log.Offset{}, map[catalog.ID]log.Offset{}, off
	c.keys = btree.NewBTreeGOptions(func(a, b recentKey) bool { return bytes.Compare(a.key, b.key) < 0 }, btree.Options{NoLocks: true})
	c.keysSince, c.ring, c.total, c.indexed = off, nil, 0, 0
}

// table notes that a transaction has changed rows of a table; its keys are noted
// as well.
func (c *recentChanges) table(t catalog.ID, at log.Offset) {
	c.mu.Lock()
	c.tables[t] = at
	c.mu.Unlock()
}

// whole notes that a transaction has changed anything of a table.
func (c *recentChanges) whole(t catalog.ID, at log.Offset) {
	c.mu.Lock()
	c.tables[t], c.wide[t] = at, at
	c.mu.Unlock()
}

// note notes changed keys of a transaction, which are copied.
func (c *recentChanges) note(changed [][]byte, at log.Offset) {
	size := 0
	for _, k := range changed {
		size += len(k)
	}
	buf := make([]byte, 0, size)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range changed {
		n := len(buf)
		buf = append(buf, k...)
		c.add(recentKey{buf[n:len(buf):len(buf)], at})
	}
}

func (c *recentChanges) add(k recentKey) {
	if len(c.ring) < recentKeys {
		c.ring = append(c.ring, k)
	} else {
		old := &c.ring[c.total%recentKeys]
		c.keysSince = old.at
		if c.total-recentKeys < c.indexed {
			if last, ok := c.keys.GetHint(*old, &c.hint); ok && last.at == old.at {
				c.keys.DeleteHint(*old, &c.hint)
			}
		}
		*old = k
	}
	c.total++
}

// index sorts in the changes that it has not seen.
func (c *recentChanges) index() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := max(c.indexed, c.total-len(c.ring)); i < c.total; i++ {
		c.keys.SetHint(c.ring[i%recentKeys], &c.hint)
	}
	c.indexed = c.total
}

func (c *recentChanges) tableSince(t catalog.ID, off log.Offset) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return off < c.tablesSince || c.tables[t] > off
}

// rangeSince reports whether a key of the table at or after lo and before hi may
// have changed after off.
func (c *recentChanges) rangeSince(t catalog.ID, lo, hi []byte, off log.Offset) bool {
	c.mu.RLock()
	behind := c.indexed < c.total
	c.mu.RUnlock()
	if behind {
		c.index()
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if off < c.tablesSince || off < c.keysSince || c.wide[t] > off || c.indexed < c.total {
		return true
	}
	found, probed := false, 0
	c.keys.Ascend(recentKey{key: lo}, func(k recentKey) bool {
		if bytes.Compare(k.key, hi) >= 0 {
			return false
		}
		probed++
		found = k.at > off || probed > recentProbe
		return !found
	})
	return found
}

// TableChangedSince reports whether a committed transaction may have changed
// the table, its rows or its descriptor, after off. It is conservative: true
// when this node cannot tell, as after a restart.
func (r *Replica) TableChangedSince(t catalog.ID, off log.Offset) bool {
	return r.recent.tableSince(t, off)
}

// SpansChangedSince reports whether a committed transaction may have changed,
// after off, what a scan with these options reads. Like TableChangedSince it may
// answer with a careless yes; earlier entries of the same Apply call count.
func (t *Txn) SpansChangedSince(o ScanOptions, off log.Offset) bool {
	if !t.r.TableChangedSince(o.Table.ID, off) {
		return false
	}
	space, storage := keys.Rows, o.Table.Storage
	if o.Index != nil && !o.Index.Primary {
		space, storage = keys.Entries, o.Index.Storage
	}
	for _, s := range o.Spans {
		lo, hi := s.bounds(space, storage)
		if t.r.recent.rangeSince(o.Table.ID, lo, hi, off) {
			return true
		}
	}
	return len(o.Spans) == 0
}

// bounds returns the keys that a span goes from and to, in a key space.
func (s Span) bounds(space keys.Space, storage catalog.StorageID) (lo, hi []byte) {
	lo = keys.Terminate(append(keys.AppendStorage(nil, space, storage), s.Lo...))
	if s.Hi != nil {
		return lo, keys.Terminate(append(keys.AppendStorage(nil, space, storage), s.Hi...))
	}
	return lo, keys.Terminate(keys.PrefixEnd(keys.AppendStorage(nil, space, storage)))
}
