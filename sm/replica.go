package sm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/diskspace"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// Replica is the state machine of one log on one node.
type Replica struct {
	opt       Options
	fs        *spaceFS
	space     diskspace.Writer
	log       *slog.Logger
	executor  Executor
	evaluator IndexEvaluator
	cache     *pebble.Cache

	// applyMu serialises everything that changes the state or replaces the
	// store: Apply, Sync, Prepare, Restore, Close.
	applyMu sync.Mutex
	state   state
	repeats *repeats
	closing bool
	images  int // numbers the checkpoints

	published atomic.Pointer[published]
	halted    atomic.Pointer[HaltedError]
	fenced    atomic.Pointer[FencedError]
	waiters   waiters
	catalogs  catalogHistory
	flushed   atomic.Uint64 // the index up to which Flush has been asked to flush

	sumsMu sync.RWMutex
	sums   map[catalog.StorageID]storageSum

	recent recentChanges

	// collecting lets one Collect run at a time; collected is what the last one left.
	collecting sync.Mutex
	collected  atomic.Pointer[Retention]
}

var _ log.StateMachine = (*Replica)(nil)

// published is what a batch made visible, replaced as a whole.
type published struct {
	position   Position
	catalog    *catalog.Catalog
	store      *store
	pin        *pin // of position.Floor
	generation uint64
	nextIDs    nextIDs
	loads      *loadTable  // nil when there never were any
	checks     *checkTable // nil when there never were any
	slots      *slotTable
}

// nextIDs are the numbers that a transaction hands out.
type nextIDs struct {
	id      catalog.ID
	storage catalog.StorageID
	row     uint64
}

// closeWait is how long Close waits for open views.
const closeWait = 10 * time.Second

// Open opens the replica in o.Dir, or creates an empty one there.
func Open(o Options) (*Replica, error) {
	if o.Executor == nil || o.Dir == "" {
		return nil, errors.New("sm: Options need a Dir and an Executor")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = DefaultMemTableBytes
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	r := &Replica{opt: o, log: o.Logger, executor: o.Executor, evaluator: o.IndexEvaluator}
	r.space.OnWait = func() { r.log.Error("the disk is full: a write of the tables waits for space", "directory", o.Dir) }
	r.fs = &spaceFS{FS: o.FS, space: &r.space}
	if r.cache = o.Cache; r.cache == nil {
		r.cache = pebble.NewCache(DefaultCacheBytes)
	} else {
		r.cache.Ref()
	}
	s, err := r.openCurrent()
	if err == nil {
		var c contents
		if c, err = readContents(s); err != nil {
			err = errors.Join(err, s.db.Close())
		} else {
			r.install(s, c)
		}
	}
	if err != nil {
		r.cache.Unref()
		return nil, err
	}
	return r, nil
}

// contents are what is kept in memory of a store.
type contents struct {
	state    state
	loads    *loadTable
	checks   *checkTable
	slots    *slotTable
	repeats  *repeats
	sums     map[catalog.StorageID]storageSum
	catalog  *catalog.Catalog
	versions []log.Offset
}

// readContents reads what is kept in memory from s. It changes nothing.
func readContents(s *store) (c contents, err error) {
	if c.state, err = readState(s); err != nil {
		return c, err
	}
	if c.loads, err = readLoads(s); err != nil {
		return c, err
	}
	if c.checks, err = readChecks(s); err != nil {
		return c, err
	}
	if c.slots, err = readSlots(s, c.state.slots); err != nil {
		return c, err
	}
	if c.repeats, err = readRepeats(s, c.state.place); err != nil {
		return c, err
	}
	if c.sums, err = readSums(s); err != nil {
		return c, err
	}
	if c.catalog, c.versions, err = loadCatalog(s, keys.MaxVersion); err != nil {
		return c, err
	}
	if c.state.catalog != c.catalog.Version() {
		return c, fmt.Errorf("sm: catalog is of %s, the state says %s", c.catalog.Version(), c.state.catalog)
	}
	return c, nil
}

// install makes s the replica's store.
func (r *Replica) install(s *store, c contents) {
	st := c.state
	r.state, r.repeats = st, c.repeats
	r.sumsMu.Lock()
	r.sums = c.sums
	r.sumsMu.Unlock()
	r.recent.reset(st.offset)
	r.collected.Store(nil)
	r.catalogs.reset(c.catalog, c.versions)
	old := r.published.Swap(&published{
		position: st.position(), catalog: c.catalog, store: s, pin: s.pins.at(st.floor), loads: c.loads, checks: c.checks, slots: c.slots,
		nextIDs: nextIDs{id: st.nextID, storage: st.nextStorage, row: st.nextRow},
	})
	if old != nil {
		close(old.slots.changed)
	}
	r.waiters.reached(st.offset)
	r.judge(c.checks)
	r.keepReport()
}

// publish makes what a has committed visible, and wakes who waits for it.
func (r *Replica) publish(a *applier) error {
	old := r.published.Load()
	r.state = a.state
	r.repeats.add(a.seen)
	r.sumsMu.Lock()
	maps.Copy(r.sums, a.sums)
	for _, id := range a.dropped {
		delete(r.sums, id)
	}
	r.sumsMu.Unlock()
	for _, c := range a.catalogs {
		r.catalogs.add(c)
	}
	pin := old.pin
	if pin.floor != a.state.floor {
		pin = old.store.pins.at(a.state.floor)
	}
	// First the pools: an iterator made from here on sees the new batch.
	err := errors.Join(old.store.points.advance(), old.store.scans.advance())
	r.published.Store(&published{
		position: a.state.position(), catalog: a.cat, store: old.store, pin: pin, generation: old.store.scans.generation.Load(),
		loads: a.loads, checks: a.checks, slots: a.slots,
		nextIDs: nextIDs{id: a.state.nextID, storage: a.state.nextStorage, row: a.state.nextRow},
	})
	if a.slots != old.slots {
		close(old.slots.changed)
	}
	r.waiters.reached(a.state.offset)
	return err
}

// Applied implements log.StateMachine.
func (r *Replica) Applied() log.Index { return r.published.Load().position.Index }

// Position returns how far the replica has applied its log.
func (r *Replica) Position() Position { return r.published.Load().position }

// Wait returns once everything up to off has been applied. It returns the
// context's error, log.ErrClosed, or a *HaltedError when off will not come.
func (r *Replica) Wait(ctx context.Context, off log.Offset) error {
	if r.Position().Offset >= off {
		return nil
	}
	return r.waiters.wait(ctx, off)
}

// Halted returns why the replica has stopped applying its log (a *HaltedError or
// *FencedError), or nil. A halted replica serves reads, a fenced one does not;
// Apply answers every further entry with a failure and nothing advances.
func (r *Replica) Halted() error {
	if f := r.fenced.Load(); f != nil {
		return f
	}
	if h := r.halted.Load(); h != nil {
		return h
	}
	return nil
}

// Flush starts writing what is only in memory to disk, and does not wait: it
// keeps replay after a crash short and Sync quick. It does nothing when nothing
// was applied since the last time, so that it may be called from a timer.
func (r *Replica) Flush() error {
	p, err := r.acquire()
	if err != nil {
		return err
	}
	defer p.store.release()
	if index := uint64(p.position.Index); r.flushed.Swap(index) == index {
		return nil
	}
	_, err = p.store.db.AsyncFlush()
	return err
}

// Trim closes idle iterators. They pin what was in memory when they were made:
// after a bulk load that is the whole load. It is for when the load is over.
func (r *Replica) Trim() error {
	p, err := r.acquire()
	if err != nil {
		return err
	}
	defer p.store.release()
	return errors.Join(p.store.points.drain(), p.store.scans.drain())
}

// Sync implements log.StateMachine. While the replica is halted it makes what
// was applied durable and returns log.ErrHalted, since the log must record no
// snapshot beyond that.
func (r *Replica) Sync() error {
	r.applyMu.Lock()
	defer r.applyMu.Unlock()
	if r.closing {
		return log.ErrClosed
	}
	if err := r.flush(r.published.Load().store.db); err != nil {
		return fmt.Errorf("sm: sync: %w", err)
	}
	return r.Halted()
}

// Close implements log.StateMachine. It makes everything applied durable, wakes
// waiters with log.ErrClosed and waits a while for open views.
func (r *Replica) Close() error {
	r.space.Stop() // who waits for space would not let go
	r.applyMu.Lock()
	defer r.applyMu.Unlock()
	if r.closing {
		return nil
	}
	r.closing = true
	r.waiters.fail(log.ErrClosed)
	s := r.published.Load().store
	s.closing.Store(true)
	err := r.flush(s.db)
	s.release()
	select {
	case <-s.closed:
		err = errors.Join(err, s.closeErr)
	case <-time.After(closeWait):
		return errors.Join(err, errors.New("sm: views are still open, the store stays open with them"))
	}
	r.cache.Unref()
	return err
}

// acquire takes a reference to the store that is published.
func (r *Replica) acquire() (*published, error) {
	for {
		p := r.published.Load()
		if p.store.acquire() {
			return p, nil
		}
		if r.published.Load() == p {
			return nil, log.ErrClosed
		}
	}
}

// RowCount returns about how many rows the table has now; it is for planning
// reads outside apply.
func (r *Replica) RowCount(t *catalog.Table) int64 {
	r.sumsMu.RLock()
	defer r.sumsMu.RUnlock()
	return r.sums[t.Storage].rows
}

// View returns a view of the latest offset. It must be closed. The error is
// log.ErrClosed or a *FencedError.
func (r *Replica) View() (*View, error) {
	if f := r.fenced.Load(); f != nil {
		return nil, f
	}
	return r.view()
}

// view is View also of a fenced replica.
func (r *Replica) view() (*View, error) {
	for {
		p, err := r.acquire()
		if err != nil {
			return nil, err
		}
		p.pin.views.Add(1)
		if r.published.Load().pin == p.pin {
			return &View{r: r, p: p, offset: p.position.Offset, time: p.position.Time, catalog: p.catalog}, nil
		}
		// The floor has risen meanwhile, and what is below may be gone already.
		p.pin.views.Add(-1)
		p.store.release()
	}
}

// ViewAt returns a view of an older offset, which must be closed. Between two
// commit offsets it shows the former. Errors are 22023 for an offset below the
// floor or past the end, and those of View.
func (r *Replica) ViewAt(off log.Offset) (*View, error) {
	if f := r.fenced.Load(); f != nil {
		return nil, f
	}
	return r.viewAt(off)
}

func (r *Replica) viewAt(off log.Offset) (*View, error) {
	v, err := r.view()
	if err != nil {
		return nil, err
	}
	pos := &v.p.position
	switch err = retained(off, pos.Floor); {
	case err != nil:
	case off > pos.End:
		err = sqlstate.New(sqlstate.InvalidParameterValue, "offset %s is past the end of the log, %s", off, pos.End)
	case off < pos.Offset:
		v.old, v.offset = true, off
		if v.catalog, err = r.catalogs.at(v.p.store, off); err == nil {
			err = v.settle()
		}
	}
	if err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// readState reads the state record, or makes the first one.
func readState(s *store) (state, error) {
	value, closer, err := s.db.Get(keys.AppendMeta(nil, stateName))
	if errors.Is(err, pebble.ErrNotFound) {
		st := newState()
		st.total, err = genesisSum()
		return st, err
	}
	if err != nil {
		return state{}, fmt.Errorf("sm: state: %w", err)
	}
	defer closer.Close()
	return decodeState(value)
}

// readSums reads the accounts of all key spaces.
func readSums(s *store) (map[catalog.StorageID]storageSum, error) {
	sums := map[catalog.StorageID]storageSum{}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: keys.SpaceStart(keys.Sums), UpperBound: keys.SpaceStart(keys.Sums + 1)})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		k, err := keys.Decode(it.Key())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		sum, ok := decodeStorageSum(it.Value())
		if !ok {
			return nil, errors.Join(fmt.Errorf("%w: sum of storage %d", errCorrupt, k.Storage), it.Close())
		}
		sums[k.Storage] = sum
	}
	return sums, errors.Join(it.Error(), it.Close())
}
