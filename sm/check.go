package sm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/types"
)

// MaxProblems bounds the problems that a CheckReport keeps.
const MaxProblems = 100

// CheckReport is what Check found.
type CheckReport struct {
	Offset log.Offset
	// Checksum is the one recomputed from the store.
	Checksum Checksum
	// Digest is of all rows, descriptors, sequences and index entries that were
	// read: replicas that are sound have the same one at the same offset.
	Digest       log.Digest
	Tables       int
	Rows         int64
	Entries      int64 // of indexes
	Transactions int64 // in the command log
	// Problems describes each disagreement, the first MaxProblems of them; none
	// means the store is sound.
	Problems []string
}

// checker is one run of Check.
type checker struct {
	ctx    context.Context
	view   *View
	txn    *Txn
	report CheckReport
	// sums are the accounts of the tables; nil at an older offset, whose accounts
	// nobody has kept.
	sums    map[catalog.StorageID]storageSum
	total   sum
	entries sum
	hash    hasher
	steps   int
	gentle  bool
	rested  time.Time
}

// CheckOptions say what CheckAt looks at.
type CheckOptions struct {
	// Offset is the commit offset to look at; 0 means the newest.
	Offset log.Offset
	// Gentle makes it work in short bursts with long pauses.
	Gentle bool
}

// How a gentle check works: after each burst of so many keys it pauses so many
// times as long as that took.
const (
	burstKeys   = 1024
	gentleShare = 9
)

// Check reads the whole store and verifies it: every row decodes, checksums and
// row counts are those that were kept, indexes agree with rows, and the command
// log is an unbroken chain. An error means that the check could not be finished.
// It runs beside apply, and on a replica that is halted or fenced too.
func (r *Replica) Check(ctx context.Context) (CheckReport, error) {
	return r.CheckAt(ctx, CheckOptions{})
}

// CheckAt is Check of any offset that is retained, so that replicas which have
// got to different places can be compared. At an older one the checksums of the
// tables are computed, but there are none to compare them with.
func (r *Replica) CheckAt(ctx context.Context, o CheckOptions) (CheckReport, error) {
	v, sums, err := r.checkView(o.Offset)
	if err != nil {
		return CheckReport{}, err
	}
	defer v.Close()
	c := &checker{ctx: ctx, view: v, txn: v.Begin(), sums: sums, report: CheckReport{Offset: v.offset}, gentle: o.Gentle, rested: time.Now()}
	defer c.txn.Close()
	if err := c.run(); err != nil {
		return c.report, err
	}
	if c.report.Checksum = c.total.checksum(); sums != nil && c.report.Checksum != v.p.position.Checksum {
		c.problem("checksum is %s, recomputed %s", v.p.position.Checksum, c.report.Checksum)
	}
	all, entries := c.report.Checksum, c.entries.checksum()
	c.report.Digest = log.Digest(c.hash.of(all[:], entries[:]).checksum())
	return c.report, nil
}

// checkView returns what is to be checked, with the accounts that belong to it.
func (r *Replica) checkView(off log.Offset) (*View, map[catalog.StorageID]storageSum, error) {
	r.applyMu.Lock()
	defer r.applyMu.Unlock()
	if off != 0 && off != r.Position().Offset {
		v, err := r.viewAt(off)
		return v, nil, err
	}
	v, err := r.view()
	return v, maps.Clone(r.sums), err
}

func (c *checker) run() error {
	steps := []func() error{
		func() error { return c.sumSpace(keys.Descriptors) },
		func() error { return c.sumSpace(keys.Sequences) },
		c.genesis,
		c.chain,
	}
	for _, d := range c.view.catalog.All() {
		if t, ok := d.(*catalog.Table); ok {
			steps = append(steps, func() error { return c.table(t) })
		}
	}
	for _, f := range steps {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) problem(format string, args ...any) {
	if len(c.report.Problems) < MaxProblems {
		c.report.Problems = append(c.report.Problems, fmt.Sprintf(format, args...))
	}
}

// cancelled looks at the context now and then, and rests if it is to be gentle.
func (c *checker) cancelled() error {
	if c.steps++; c.steps%burstKeys != 0 {
		return nil
	}
	if c.gentle {
		select {
		case <-time.After(gentleShare * time.Since(c.rested)):
		case <-c.ctx.Done():
		}
		c.rested = time.Now()
	}
	return c.ctx.Err()
}

// scan calls f for the visible version of every key of [lo, hi).
func (c *checker) scan(lo, hi []byte, f func(*baseCursor) error) error {
	b := c.view.base()
	cur := baseCursor{b: &b}
	if err := cur.open(); err != nil {
		return err
	}
	err := cur.start(lo, hi)
	for ; err == nil && cur.valid; err = cur.next() {
		if err = c.cancelled(); err != nil {
			break
		}
		if err = f(&cur); err != nil {
			break
		}
	}
	return errors.Join(err, cur.close())
}

// sumSpace adds the live values of a space of small records to the checksum.
func (c *checker) sumSpace(s keys.Space) error {
	return c.scan(keys.SpaceStart(s), keys.SpaceStart(s+1), func(cur *baseCursor) error {
		if len(cur.value) > 0 {
			c.total.add(c.hash.of(cur.prefix, cur.value))
		}
		return nil
	})
}

// genesis adds the descriptors that every catalog begins with and that were
// never stored.
func (c *checker) genesis() error {
	for _, d := range catalog.New().All() {
		prefix := keys.AppendID(nil, keys.Descriptors, uint32(d.DescriptorID()))
		_, v, err := c.txn.base.seek(prefix)
		if err != nil {
			return err
		}
		if v != 0 {
			continue
		}
		b, err := encodeDescriptor(d)
		if err != nil {
			return err
		}
		c.total.add(c.hash.of(prefix, b))
	}
	return nil
}

// chain verifies that each transaction names the one before it.
func (c *checker) chain() error {
	it := c.view.Transactions(0)
	defer it.Close()
	prev, end := log.Offset(0), genesis
	if floor := c.view.Floor(); floor > 0 {
		prev, end = floor, floor+1
	}
	for it.Next() {
		if err := c.cancelled(); err != nil {
			return err
		}
		h := it.Header()
		if h.Prev != prev || h.Start != log.Next(end) || h.Commit < h.Start {
			c.problem("transaction %s: starts at %s after %s, expected after %s", h.Commit, h.Start, h.Prev, prev)
		}
		prev, end = h.Commit, h.End
		c.report.Transactions++
	}
	if it.Err() == nil && prev != c.view.offset {
		c.problem("the last transaction is %s, the position %s", prev, c.view.offset)
	}
	return it.Err()
}

// table verifies the rows of one table, and its indexes.
func (c *checker) table(t *catalog.Table) error {
	c.report.Tables++
	var dec rowDecoder
	if err := dec.init(t, nil); err != nil {
		return err
	}
	values := make([]types.Datum, len(t.Columns))
	entries := make([]int64, len(t.Indexes))
	var have storageSum
	lo := keys.AppendStorage(nil, keys.Rows, t.Storage)
	hi := keys.Terminate(keys.PrefixEnd(lo))
	err := c.scan(keys.Terminate(lo), hi, func(cur *baseCursor) error {
		head, err := decodeRowValue(cur.value, cur.version)
		if err != nil {
			c.problem("table %q, %s: %v", t.Name, keys.Describe(cur.prefix), err)
			return nil
		}
		if head.deleted {
			return nil
		}
		have.rows++
		have.sum.add(c.hash.of(cur.prefix, head.row))
		if err := dec.decode(head.row, values, false); err != nil {
			c.problem("table %q, %s: %v", t.Name, keys.Describe(cur.prefix), err)
			return nil
		}
		return c.entriesOf(t, values, rowKey(cur.prefix), entries)
	})
	if err != nil {
		return err
	}
	c.report.Rows += have.rows
	c.total.add(have.sum)
	if kept := c.sums[t.Storage]; c.sums != nil && kept != have {
		c.problem("table %q has %d rows and checksum %s, kept are %d and %s", t.Name,
			have.rows, have.sum.checksum(), kept.rows, kept.sum.checksum())
	}
	for i := range t.Indexes {
		if ix := &t.Indexes[i]; !ix.Primary {
			if err := c.index(t, ix, entries[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// entriesOf verifies that a row has its entry in every index.
func (c *checker) entriesOf(t *catalog.Table, row []types.Datum, pk []byte, count []int64) error {
	for i := range t.Indexes {
		ix := &t.Indexes[i]
		if ix.Primary {
			key, err := c.txn.appendPrimaryKey(nil, t, ix, row)
			if err != nil || !bytes.Equal(key, pk) {
				c.problem("table %q: the row at %x has the primary key %x (%v)", t.Name, pk, key, err)
			}
			continue
		}
		p, err := c.txn.planEntry(t, ix, row, pk)
		if err != nil {
			c.problem("index %q: %v", ix.Name, err)
			continue
		}
		if !p.include {
			continue
		}
		count[i]++
		value, _, err := c.txn.base.seek(p.prefix)
		if err != nil {
			return err
		}
		if value == nil {
			c.problem("index %q has no entry for the row at %x", ix.Name, pk)
			continue
		}
		leads, ok, err := entryPrimaryKey(p.prefix, value)
		if err != nil || !ok || !bytes.Equal(leads, pk) {
			c.problem("index %q: the entry for the row at %x leads to %x (%v)", ix.Name, pk, leads, err)
		}
	}
	c.txn.arena = arena{} // plans of earlier rows are not needed any more
	return nil
}

// index verifies that an index has no entries beside those of the rows.
func (c *checker) index(t *catalog.Table, ix *catalog.Index, want int64) error {
	lo := keys.AppendStorage(nil, keys.Entries, ix.Storage)
	hi := keys.Terminate(keys.PrefixEnd(lo))
	have := int64(0)
	err := c.scan(keys.Terminate(lo), hi, func(cur *baseCursor) error {
		_, ok, err := entryPrimaryKey(cur.prefix, cur.value)
		if err != nil {
			c.problem("index %q, %s: %v", ix.Name, keys.Describe(cur.prefix), err)
			return nil
		}
		if ok {
			have++
			c.entries.add(c.hash.of(cur.prefix, cur.value))
		}
		return nil
	})
	c.report.Entries += have
	if err == nil && have != want {
		c.problem("index %q of table %q has %d entries, its rows need %d", ix.Name, t.Name, have, want)
	}
	return err
}
