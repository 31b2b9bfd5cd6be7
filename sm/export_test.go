package sm

import (
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

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

// Keys counts what is in the store by key space, superseded versions included.
func Keys(r *Replica) (map[keys.Space]int, error) {
	p, err := r.acquire()
	if err != nil {
		return nil, err
	}
	defer p.store.release()
	it, err := p.store.db.NewIter(nil)
	if err != nil {
		return nil, err
	}
	out := map[keys.Space]int{}
	for ok := it.First(); ok; ok = it.Next() {
		out[keys.Space(it.Key()[0])]++
	}
	return out, errors.Join(it.Error(), it.Close())
}

// DiskBytes is what the store takes on the disk.
func DiskBytes(r *Replica) uint64 {
	return r.published.Load().store.db.Metrics().DiskSpaceUsage()
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
