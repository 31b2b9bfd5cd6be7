package sm

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// baseCursor walks the visible versions of a range of the store.
type baseCursor struct {
	b       *base
	it      pooledIter
	own     bool // not from the pool
	reverse bool
	// met, when set, collects the open loads whose versions are passed over.
	met *[]keys.LoadID

	// What it stands on; valid until the next move.
	valid   bool
	prefix  []byte
	value   []byte
	version log.Offset

	saved []byte // prefix, when the iterator has moved on
	keep  []byte // value, likewise
	seek  []byte
	ended bool // the iterator is exhausted
}

// versionsWalked is how many versions of one key are stepped over before a seek
// is made instead.
const versionsWalked = 8

func (c *baseCursor) open() error {
	var err error
	if c.b.filters != nil {
		c.own = true
		c.it.Iterator, err = c.b.store.db.NewIter(&pebble.IterOptions{PointKeyFilters: c.b.filters})
		return err
	}
	c.it, err = c.b.scans.get(c.b.store.db, c.b.generation)
	return err
}

func (c *baseCursor) close() error {
	it := c.it
	c.it, c.valid = pooledIter{}, false
	switch {
	case it.Iterator == nil:
		return nil
	case c.own:
		return it.Close()
	}
	return c.b.scans.put(it)
}

// start moves to the first visible version of [lo, hi) in the direction of the
// walk.
func (c *baseCursor) start(lo, hi []byte) error {
	c.it.SetBounds(lo, hi)
	if c.reverse {
		c.ended = !c.it.Last()
		return c.settleBack()
	}
	c.ended = !c.it.First()
	return c.settle()
}

// next moves on to the next key.
func (c *baseCursor) next() error {
	if c.reverse {
		return c.settleBack() // the iterator has moved on already
	}
	c.saved = append(c.saved[:0], c.prefix...)
	if c.ended = !c.it.Next(); c.ended {
		return c.settle()
	}
	// Usually a key has one version, so Next is tried before NextPrefix.
	if k := c.it.Key(); len(k)-keys.SuffixBytes == len(c.saved) && bytes.Equal(k[:len(c.saved)], c.saved) {
		c.ended = !c.it.NextPrefix()
	}
	return c.settle()
}

// look reads the version v of prefix that the iterator stands on, when it is
// visible.
func (c *baseCursor) look(prefix []byte, v log.Offset) (seen bool, err error) {
	if v > c.b.asOf && len(c.b.own) == 0 {
		return false, nil
	}
	value, err := c.it.ValueAndErr()
	if err != nil {
		return false, err
	}
	at, seen, err := c.b.sees(prefix[0], v, value, c.met)
	if seen {
		c.version, c.value = at, value
	}
	return seen, err
}

// settle finds the newest visible version at or after where the iterator is.
func (c *baseCursor) settle() error {
	for walked := 0; !c.ended; walked++ {
		k := c.it.Key()
		v, err := keys.Version(k)
		if err != nil {
			return err
		}
		n := len(k) - keys.SuffixBytes
		seen, err := c.look(k[:n], v)
		if err != nil {
			return err
		}
		if seen {
			c.prefix, c.valid = k[:n], true
			return nil
		}
		if walked < versionsWalked || v <= c.b.ceiling() {
			c.ended = !c.it.Next()
			continue
		}
		walked = 0
		c.seek = keys.AppendVersion(append(c.seek[:0], k[:n]...), c.b.asOf)
		c.ended = !c.it.SeekGE(c.seek)
	}
	c.valid = false
	return c.it.Error()
}

// settleBack finds the newest visible version of the last key at or before
// where the iterator is, and leaves the iterator before that key. Backwards the
// oldest version comes first.
func (c *baseCursor) settleBack() error {
	c.valid = false
	for !c.ended && !c.valid {
		k := c.it.Key()
		c.saved = append(c.saved[:0], k[:keys.Split(k)]...)
		for walked := 0; !c.ended; walked++ {
			k := c.it.Key()
			n := keys.Split(k)
			if !bytes.Equal(k[:n], c.saved) {
				break
			}
			if walked == versionsWalked {
				if err := c.seekVisible(); err != nil {
					return err
				}
				break
			}
			v, err := keys.Version(k)
			if err != nil {
				return err
			}
			seen, err := c.look(k[:n], v)
			if err != nil {
				return err
			}
			if seen {
				c.valid, c.keep = true, append(c.keep[:0], c.value...)
			}
			c.ended = !c.it.Prev()
		}
	}
	c.prefix, c.value = c.saved, c.keep
	return c.it.Error()
}

// seekVisible finds the visible version of the key c.saved by a seek, and steps
// before the key.
func (c *baseCursor) seekVisible() error {
	c.seek = keys.AppendVersion(append(c.seek[:0], c.saved...), c.b.ceiling())
	for ok := c.it.SeekGE(c.seek); ok; ok = c.it.Next() {
		k := c.it.Key()
		if !bytes.Equal(k[:keys.Split(k)], c.saved) {
			break
		}
		v, err := keys.Version(k)
		if err != nil {
			return err
		}
		seen, err := c.look(c.saved, v)
		if err != nil {
			return err
		}
		if seen {
			c.valid, c.keep = true, append(c.keep[:0], c.value...)
			break
		}
	}
	if err := c.it.Error(); err != nil {
		return err
	}
	c.ended = !c.it.SeekLT(c.saved)
	return nil
}
