package sm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// What is below the floor is garbage, but for the state there. Each replica removes
// its own, beside apply, whenever it suits it: replicas differ in what they still
// have, and never in what they say.
//
// Nothing is removed beyond the floor of the oldest view that is open. Batches of
// the store survive a crash in the order in which they were committed, so where a
// removal is left, so is the entry that raised the floor before it.

// CollectOptions say how Collect works.
type CollectOptions struct {
	// Hurry leaves the pauses out, and the question whether there is enough garbage
	// for a storage to be gone through.
	Hurry bool
}

// How collecting stays unnoticed. After each burst of so many keys it pauses so many
// times as long as that took, and it waits while the store is behind.
const (
	collectKeys  = 1024
	collectShare = 3
	// restMax bounds a pause, so that a replica that is closed need not wait for it.
	restMax      = time.Second
	backlogPause = 100 * time.Millisecond
)

// When a storage is worth going through: so many versions in it are garbage for each
// row that it has, and they are so many or as large as that.
const (
	garbageShare    = 4 // one for so many rows
	garbageVersions = 1000
	garbageBytes    = 1 << 20
	// smallBytes is after how much of the change log sequences and descriptors are
	// gone through, which have no account of their own.
	smallBytes log.Offset = 1 << 20
)

// errStopped says that the store is being closed or replaced: what is to be done
// is done by whoever collects next.
var errStopped = errors.New("sm: collecting was stopped")

// Collect removes from the store what nobody can ask for any more. It runs beside
// everything else, and returns when there is nothing left to do, or with the error
// of ctx or of the store.
func (r *Replica) Collect(ctx context.Context, o CollectOptions) error {
	r.collecting.Lock()
	defer r.collecting.Unlock()
	err := r.collect(ctx, o)
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
}

func (r *Replica) collect(ctx context.Context, o CollectOptions) error {
	if r.Halted() != nil {
		return nil // what a fenced replica has is evidence
	}
	p, err := r.acquire()
	if err != nil {
		return nil // closed
	}
	defer p.store.release()
	c := &collector{r: r, ctx: ctx, hurry: o.Hurry, store: p.store, p: p, horizon: p.store.pins.horizon(p.pin)}
	last := r.collected.Load()
	if c.horizon == 0 || !o.Hurry && last != nil && last.Removed == c.horizon {
		return nil // nothing has become garbage since
	}
	if c.ledger, err = readLedger(p.store); err != nil {
		return err
	}
	if err = c.trim(); err == nil {
		err = c.storages()
	}
	if err != nil {
		return err
	}
	r.collected.Store(c.ledger.summary())
	return nil
}

// collector is one run of Collect.
type collector struct {
	r     *Replica
	ctx   context.Context
	hurry bool
	// store is the one that was published, as p, when the run began. The run ends
	// when it is replaced.
	store   *store
	p       *published
	horizon log.Offset
	ledger  *ledger

	batch *pebble.Batch
	began time.Time

	// base decides what can be seen of the versions that are being gone through. Of
	// the key that they belong to: whether the visible one has been met, and that
	// one, if it is a deletion and goes last.
	base      base
	prefix    []byte
	met       bool
	tombstone []byte
}

// trim takes account of the changes that have fallen below the horizon, and removes
// them with their commands.
func (c *collector) trim() error {
	from := c.ledger.trimmed
	if from >= c.horizon {
		return nil
	}
	if err := c.account(from); err != nil {
		return err
	}
	c.ledger.trimmed = c.horizon
	// The ranges go from the beginning each time: a file of the store is removed at
	// once where one range has all of it, and not where several do together.
	return c.commit(func(b *pebble.Batch) error {
		err := errors.Join(
			b.DeleteRange(keys.SpaceStart(keys.Changes), keys.AppendChange(nil, c.horizon), nil),
			b.DeleteRange(keys.SpaceStart(keys.Commands), keys.AppendCommand(nil, c.horizon, 0), nil),
		)
		if c.p.loads == nil {
			return err
		}
		for _, l := range c.p.loads.done {
			if l.commit > from && l.commit <= c.horizon {
				err = errors.Join(err, b.DeleteRange(keys.AppendLoadChange(nil, l.id, 0), keys.AppendLoadChange(nil, l.id+1, 0), nil))
			}
		}
		return err
	})
}

// account enters in the ledger what the changes from an offset to the horizon have
// made garbage: the versions that were there before.
func (c *collector) account(from log.Offset) error {
	at, hi := keys.AppendChange(nil, from), keys.AppendChange(nil, c.horizon)
	return c.bursts(at, hi, func(it *pebble.Iterator) error {
		value, err := it.ValueAndErr()
		if err != nil || len(value) == 0 || value[0] == byte(opLoad) {
			return err
		}
		var ch Change
		if err := decodeChange(value, &ch); err != nil {
			return err
		}
		if ch.Op == OpUpdate || ch.Op == OpDelete {
			c.ledger.add(ch.Storage, garbage{versions: 1, bytes: uint64(len(ch.Key) + len(ch.Before))})
		}
		return nil
	})
}

// storages goes through what has enough garbage.
func (c *collector) storages() error {
	d, err := c.describe()
	if err != nil {
		return err
	}
	if c.ledger.described < d.version {
		if err := c.dropped(d); err != nil {
			return err
		}
	}
	if c.hurry || c.horizon-c.ledger.small >= smallBytes {
		if err := c.small(); err != nil {
			return err
		}
	}
	for _, s := range c.ledger.storages() {
		if !c.hurry && !c.worth(s) {
			continue
		}
		for _, x := range d.of(s) {
			if err := c.span(x.space, x.storage); err != nil {
				return err
			}
		}
		c.ledger.forget(s)
		if err := c.commit(nil); err != nil {
			return err
		}
	}
	return nil
}

// worth reports whether a storage of rows has enough garbage to be gone through.
func (c *collector) worth(s catalog.StorageID) bool {
	g := c.ledger.garbage[s]
	c.r.sumsMu.RLock()
	rows := c.r.sums[s].rows
	c.r.sumsMu.RUnlock()
	return g.versions*garbageShare >= uint64(max(rows, 0)) && (g.versions >= garbageVersions || g.bytes >= garbageBytes)
}

// small goes through sequences and descriptors.
func (c *collector) small() error {
	if err := c.versions(keys.SpaceStart(keys.Sequences), keys.SpaceStart(keys.Sequences+1), c.horizon); err != nil {
		return err
	}
	// What a load has staged is swept with the descriptors of when it began.
	began := c.horizon
	if c.p.loads != nil {
		for _, l := range c.p.loads.live {
			began = min(began, l.began)
		}
	}
	if err := c.versions(keys.SpaceStart(keys.Descriptors), keys.SpaceStart(keys.Descriptors+1), began); err != nil {
		return err
	}
	c.ledger.small = c.horizon
	return c.commit(nil)
}

// span goes through the versions of one storage.
func (c *collector) span(space keys.Space, s catalog.StorageID) error {
	lo := keys.AppendStorage(nil, space, s)
	return c.versions(keys.Terminate(lo), keys.Terminate(keys.PrefixEnd(lo)), c.horizon)
}

// versions goes through the keys at lo or later, before hi. Of each, the version
// that is visible at an offset stays, unless it says that there is nothing, and
// older ones go. The one that says so goes last: what it hides must not be seen.
func (c *collector) versions(lo, hi []byte, at log.Offset) error {
	c.base = base{store: c.store, asOf: at, loads: c.p.loads}
	c.prefix = c.prefix[:0]
	err := c.bursts(lo, hi, c.version)
	if err == nil && c.tombstone != nil {
		err = c.commit(c.bury)
	}
	c.tombstone, c.met = nil, false
	return err
}

// version decides about the version that it stands on.
func (c *collector) version(it *pebble.Iterator) error {
	key := it.Key()
	n := keys.Split(key)
	if !bytes.Equal(key[:n], c.prefix) {
		if err := c.bury(c.batch); err != nil {
			return err
		}
		c.prefix, c.met = append(c.prefix[:0], key[:n]...), false
	}
	v, err := keys.Version(key)
	if err != nil || v > c.base.asOf {
		return err
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	_, seen, err := c.base.sees(key[0], v, value, nil)
	switch {
	case err != nil || !seen: // what a load has staged stays until that is settled
		return err
	case c.met:
		return c.batch.Delete(key, nil)
	}
	c.met = true
	if isTombstone(keys.Space(key[0]), value) {
		c.tombstone = bytes.Clone(key)
	}
	return nil
}

// bury removes the deletion that hid the versions which were removed before it.
func (c *collector) bury(b *pebble.Batch) error {
	if c.tombstone == nil {
		return nil
	}
	key := c.tombstone
	c.tombstone = nil
	return b.Delete(key, nil)
}

// isTombstone reports whether a version says that there is nothing, and may go once
// there is nothing older. A descriptor's stays: without it, the descriptors that
// every catalog begins with would be back.
func isTombstone(space keys.Space, value []byte) bool {
	switch space {
	case keys.Rows, keys.Entries:
		return len(value) > 0 && value[0] == flagDeleted
	case keys.Sequences:
		return len(value) == 0
	}
	return false
}

// bursts calls f at every key at lo or later, before hi, and commits what f has put
// into the batch after each burst. Between bursts it holds no iterator, so that
// nothing is kept from being deleted for long.
func (c *collector) bursts(lo, hi []byte, f func(*pebble.Iterator) error) error {
	for at := lo; at != nil; {
		c.began = time.Now()
		next, err := c.burst(at, hi, f)
		if err != nil {
			return err
		}
		if at = next; at != nil {
			if err := c.pause(); err != nil {
				return err
			}
		}
	}
	return nil
}

// burst is one burst from at on; next is where the next one begins, nil at the end.
func (c *collector) burst(at, hi []byte, f func(*pebble.Iterator) error) (next []byte, err error) {
	c.batch = c.store.db.NewBatch()
	defer func() { err = errors.Join(err, c.batch.Close()) }()
	it, err := c.store.db.NewIter(&pebble.IterOptions{LowerBound: at, UpperBound: hi})
	if err != nil {
		return nil, err
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n > collectKeys {
			next = bytes.Clone(it.Key())
			break
		}
		if err := f(it); err != nil {
			return nil, errors.Join(fmt.Errorf("sm: collecting at %s: %w", keys.Describe(it.Key()), err), it.Close())
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil || c.batch.Empty() {
		return next, err
	}
	return next, c.batch.Commit(pebble.NoSync)
}

// commit commits what f puts into a batch together with the ledger.
func (c *collector) commit(f func(*pebble.Batch) error) (err error) {
	b := c.store.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	if f != nil {
		if err := f(b); err != nil {
			return err
		}
	}
	if err := b.Set(keys.AppendMeta(nil, ledgerName), c.ledger.append(nil), nil); err != nil {
		return err
	}
	return b.Commit(pebble.NoSync)
}

// pause rests after a burst, and finds out whether to go on.
func (c *collector) pause() error {
	rest := min(collectShare*time.Since(c.began), restMax)
	for {
		if c.hurry {
			rest = 0
		}
		select {
		case <-time.After(rest):
		case <-c.ctx.Done():
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if c.r.published.Load().store != c.store || c.store.closing.Load() || c.r.Halted() != nil {
			return errStopped
		}
		if c.hurry || !c.r.Backlogged() {
			return nil
		}
		rest = backlogPause
	}
}
