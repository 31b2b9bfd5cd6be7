package sm

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// View is a read-only snapshot of all tables at one offset. It may be used by
// several goroutines at once.
//
// No iterator is held: every key has versions, and what is committed later has
// later ones. While a view is open, everything stays in the store that was retained
// when it was opened.
type View struct {
	r       *Replica
	p       *published
	offset  log.Offset
	time    int64
	catalog *catalog.Catalog
	old     bool // not the newest offset when it was opened
	closed  atomic.Bool
}

// Offset returns the commit offset that v shows.
func (v *View) Offset() log.Offset { return v.offset }

// Floor returns the oldest offset whose history v can read.
func (v *View) Floor() log.Offset { return v.p.position.Floor }

// Time returns the log time at v's offset, in microseconds since 2000-01-01
// UTC.
func (v *View) Time() int64 { return v.time }

// Catalog returns the catalog at v's offset.
func (v *View) Catalog() *catalog.Catalog { return v.catalog }

// CatalogAt returns the catalog as it was at off, for decoding old changes.
func (v *View) CatalogAt(off log.Offset) (*catalog.Catalog, error) {
	return v.r.catalogs.at(v.p.store, off)
}

// Close releases what v pins. Transactions begun on it must be closed before.
func (v *View) Close() {
	if v.closed.Swap(true) {
		return
	}
	v.p.pin.views.Add(-1)
	v.p.store.release()
}

// Begin returns a transaction over v: its reads see v and its own writes, which
// are never committed. It must be closed.
func (v *View) Begin() *Txn {
	b := v.base()
	t := &Txn{
		r: v.r, base: &b, over: &overlay{}, cat: v.catalog,
		offset: v.offset, end: v.p.position.End, time: v.time,
	}
	// Storage and row numbers that are never committed must not be those that
	// chunks of large transactions take meanwhile.
	t.nextIDs = nextIDs{id: v.p.nextIDs.id, storage: speculativeStorage, row: speculativeRow}
	return t
}

// Rebase moves a speculative transaction from its view to v, a newer one with the
// same catalog. What the transaction has written stays on top; the caller makes
// sure that nothing it depended on is different in v.
func (t *Txn) Rebase(v *View) error {
	err := t.base.close()
	b := v.base()
	if b.own = t.base.own; len(b.own) > 0 {
		b.filters = nil // they would hide what is newer than v
	}
	t.base, t.gaps = &b, nil
	t.offset, t.end, t.time = v.offset, v.p.position.End, v.time
	return err
}

// The numbers that a speculative transaction hands out begin here. They sort
// after all that apply ever hands out.
const (
	speculativeStorage catalog.StorageID = 1 << 31
	speculativeRow     uint64            = 1 << 63
)

// base returns the store as v sees it.
func (v *View) base() base {
	s := v.p.store
	b := base{store: s, points: &s.points, scans: &s.scans, generation: v.p.generation, asOf: v.offset, loads: v.p.loads}
	if v.old {
		b.filters = make([]pebble.BlockPropertyFilter, 1, 2) // Pebble wants room for one of its own
		b.filters[0] = keys.VersionsUpTo(v.offset)
	}
	return b
}

// settle moves the offset of a view that was asked for between two commits, or
// inside a transaction, to the commit before, and finds its log time.
func (v *View) settle() error {
	it := v.commandsIn(v.Floor(), 0)
	defer it.Close()
	h, ok, err := it.lastCommitted()
	if err != nil {
		return err
	}
	v.offset, v.time = 0, 0
	if ok {
		v.offset, v.time = h.Commit, h.Time
	}
	return nil
}
