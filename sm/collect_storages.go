package sm

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// storageSpan is the key space of rows or index entries of one storage.
type storageSpan struct {
	space   keys.Space
	storage catalog.StorageID
}

// described is what descriptors that can still be asked for say of storages.
type described struct {
	// version is that of the newest change of a descriptor at or below the horizon.
	version log.Offset
	used    map[storageSpan]bool
	// indexes are the storages of indexes by those of the rows they belong to.
	indexes map[catalog.StorageID][]catalog.StorageID
}

// of lists the spans of a storage of rows and of its indexes.
func (d *described) of(rows catalog.StorageID) []storageSpan {
	if !d.used[storageSpan{keys.Rows, rows}] {
		return nil
	}
	out := []storageSpan{{keys.Rows, rows}}
	for _, s := range d.indexes[rows] {
		out = append(out, storageSpan{keys.Entries, s})
	}
	return out
}

// describe reads the descriptors as they are at the horizon and after it, and those
// of loads that are not settled.
func (c *collector) describe() (*described, error) {
	d := &described{used: map[storageSpan]bool{}, indexes: map[catalog.StorageID][]catalog.StorageID{}}
	c.prefix = c.prefix[:0]
	err := c.bursts(keys.SpaceStart(keys.Descriptors), keys.SpaceStart(keys.Descriptors+1), func(it *pebble.Iterator) error {
		key := it.Key()
		if n := keys.Split(key); !bytes.Equal(key[:n], c.prefix) {
			c.prefix, c.met = append(c.prefix[:0], key[:n]...), false
		}
		v, err := keys.Version(key)
		if err != nil {
			return err
		}
		if v <= c.horizon {
			d.version = max(d.version, v)
			if c.met {
				return nil
			}
			c.met = true
		}
		value, err := it.ValueAndErr()
		if err != nil || len(value) == 0 {
			return err
		}
		return d.note(value)
	})
	if c.p.loads != nil {
		for _, l := range c.p.loads.live {
			d.use(l.fresh)
		}
	}
	return d, err
}

// note notes the storages of a descriptor.
func (d *described) note(value []byte) error {
	if catalog.Kind(value[0]) != catalog.KindTable {
		return nil
	}
	x, err := decodeDescriptor(value)
	if err != nil {
		return err
	}
	d.use(storagesOf(x.(*catalog.Table)))
	return nil
}

// use notes a storage of rows with those of its indexes.
func (d *described) use(list []catalog.StorageID) {
	if len(list) == 0 {
		return
	}
	d.used[storageSpan{keys.Rows, list[0]}] = true
	for _, s := range list[1:] {
		d.used[storageSpan{keys.Entries, s}] = true
		if !slices.Contains(d.indexes[list[0]], s) {
			d.indexes[list[0]] = append(d.indexes[list[0]], s)
		}
	}
}

// dropped removes the storages that no descriptor names any more. Only those count
// that had been handed out when the run began: a number is never used again.
func (c *collector) dropped(d *described) error {
	for _, space := range []keys.Space{keys.Rows, keys.Entries} {
		at := catalog.StorageID(0)
		for {
			s, ok, err := c.storageFrom(space, at)
			if err != nil {
				return err
			}
			if !ok || s >= c.p.nextIDs.storage {
				break
			}
			at = s + 1
			if d.used[storageSpan{space, s}] {
				continue
			}
			lo := keys.AppendStorage(nil, space, s)
			err = c.commit(func(b *pebble.Batch) error {
				return b.DeleteRange(keys.Terminate(slices.Clone(lo)), keys.Terminate(keys.PrefixEnd(lo)), nil)
			})
			if err != nil {
				return err
			}
			c.ledger.forget(s)
		}
	}
	c.ledger.described = d.version
	return c.commit(nil)
}

// storageFrom finds the first storage at or after s that has keys.
func (c *collector) storageFrom(space keys.Space, s catalog.StorageID) (found catalog.StorageID, ok bool, err error) {
	it, err := c.store.db.NewIter(&pebble.IterOptions{
		LowerBound: keys.Terminate(keys.AppendStorage(nil, space, s)), UpperBound: keys.SpaceStart(space + 1),
	})
	if err != nil {
		return 0, false, err
	}
	if it.First() {
		var k keys.Key
		if k, err = keys.Decode(it.Key()); err == nil {
			found, ok = k.Storage, true
		}
	}
	return found, ok, errors.Join(err, it.Error(), it.Close())
}
