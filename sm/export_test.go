package sm

import (
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/diskspace"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// StoreOptions are the options with which a replica opens its store, for tests
// that damage one.
func StoreOptions(o Options) *pebble.Options {
	o.MemTableBytes = DefaultMemTableBytes
	o.Logger = slog.New(slog.DiscardHandler)
	return pebbleOptions(&o, &spaceFS{FS: o.FS, space: &diskspace.Writer{}}, nil)
}

// Garbage lists the keys that belong to loads which are not committed.
func Garbage(r *Replica) ([]string, error) {
	p, err := r.acquire()
	if err != nil {
		return nil, err
	}
	defer p.store.release()
	it, err := p.store.db.NewIter(nil)
	if err != nil {
		return nil, err
	}
	var out []string
	for ok := it.First(); ok; ok = it.Next() {
		k, err := keys.Decode(it.Key())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		id := k.Load
		if provisional(it.Key()[0], it.Value()) {
			if id, _, err = loadOf(it.Value()); err != nil {
				return nil, errors.Join(err, it.Close())
			}
		}
		if l := p.loads.find(id); id != 0 && (l == nil || l.status != LoadCommitted) {
			out = append(out, keys.Describe(it.Key()))
		}
	}
	return out, errors.Join(it.Error(), it.Close())
}

// InvalidateSlots raises the floor as an entry would, and invalidates the slots that
// are left behind.
func InvalidateSlots(r *Replica, floor log.Offset) error {
	r.applyMu.Lock()
	defer r.applyMu.Unlock()
	a := r.newApplier()
	a.state.floor = floor
	err := a.invalidateSlots(floor)
	a.settle(a.state.index+1, log.Seed{}, 0)
	if err == nil {
		err = a.commit()
	}
	return errors.Join(err, a.close())
}
