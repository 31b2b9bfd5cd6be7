package sm

import (
	"bytes"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/types"
)

// appendRowPrefix appends the prefix of the row of tbl with that primary key.
func appendRowPrefix(dst []byte, tbl *catalog.Table, key []byte) []byte {
	return keys.Terminate(append(keys.AppendStorage(dst, keys.Rows, tbl.Storage), key...))
}

// Get returns the row with that primary key in stored form (keys.AppendIndex,
// or Row.Key). want lists the 0-based column positions to decode, nil all. The
// Row is reused by the next Get of this transaction.
func (t *Txn) Get(tbl *catalog.Table, key []byte, want []int) (*Row, bool, error) {
	t.prefixBuf = appendRowPrefix(t.prefixBuf[:0], tbl, key)
	row := &t.row
	ok, err := t.read(t.prefixBuf, row)
	if !ok || err != nil {
		return nil, false, err
	}
	if err := t.decoder.use(tbl, want); err != nil {
		return nil, false, err
	}
	row.Values = sized(row.Values, len(tbl.Columns))
	row.Key = append(row.Key[:0], key...)
	if err := t.decoder.decode(row.stored, row.Values, true); err != nil {
		return nil, false, err
	}
	return row, true, nil
}

// use is init unless d was made for the same table and columns already.
func (d *rowDecoder) use(t *catalog.Table, want []int) error {
	if d.table == t && (want == nil) == (d.want == nil) && len(want) == len(d.want) {
		same := true
		for i := range want {
			same = same && want[i] == d.want[i]
		}
		if same {
			return nil
		}
	}
	return d.init(t, want)
}

// sized returns n NULLs, in v's memory if it is large enough.
func sized(v []types.Datum, n int) []types.Datum {
	if cap(v) < n {
		return make([]types.Datum, n)
	}
	v = v[:n]
	clear(v)
	return v
}

// read finds the visible version of a row and fills what row says about it;
// row.stored stays valid.
func (t *Txn) read(prefix []byte, row *Row) (bool, error) {
	if it := t.over.find(prefix); it != nil {
		v := it.cur
		row.stored, row.Created, row.Changed = v.value, v.created, v.changed
		return !v.deleted, nil
	}
	return t.readBase(prefix, row)
}

func (t *Txn) readBase(prefix []byte, row *Row) (bool, error) {
	value, v, err := t.base.seek(prefix)
	if value == nil || err != nil {
		return false, err
	}
	head, err := decodeRowValue(value, v)
	if err != nil || head.deleted {
		return false, err
	}
	row.stored, row.Created, row.Changed = t.arena.copy(head.row), head.created, v
	return true, nil
}

// gap is a range of one key space in which the store is known to hold nothing:
// from lo on, up to and without hi, or to the space's end when hi is nil. The
// store does not change under a transaction, so it stays true. It makes the
// test for duplicates free for rows that arrive in the order of their keys.
type gap struct {
	space  [keys.StorageBytes]byte
	misses int
	known  bool
	lo, hi []byte
}

// gapMisses is after how many lookups that found nothing a key space's gap is
// looked for; it costs more than a lookup.
const gapMisses = 8

func (t *Txn) gapOf(prefix []byte) *gap {
	for i := range t.gaps {
		if g := &t.gaps[i]; bytes.Equal(g.space[:], prefix[:keys.StorageBytes]) {
			return g
		}
	}
	t.gaps = append(t.gaps, gap{})
	g := &t.gaps[len(t.gaps)-1]
	copy(g.space[:], prefix)
	return g
}

func (g *gap) holds(prefix []byte) bool {
	return g.known && bytes.Compare(g.lo, prefix) <= 0 && (g.hi == nil || bytes.Compare(prefix, g.hi) < 0)
}

// seekNew is base.seek for a key that is probably not there. It leaves in t.met
// the open loads that have it.
func (t *Txn) seekNew(prefix []byte) (value []byte, v log.Offset, err error) {
	t.met = t.met[:0]
	g := t.gapOf(prefix)
	if g.holds(prefix) {
		return nil, 0, nil
	}
	if value, v, err = t.base.seekMeeting(prefix, &t.met); value != nil || err != nil {
		g.misses = 0
		return value, v, err
	}
	if g.misses++; g.misses >= gapMisses {
		return nil, 0, t.findGap(g, prefix)
	}
	return nil, 0, nil
}

// findGap learns what comes after prefix, which the store does not have.
func (t *Txn) findGap(g *gap, prefix []byte) error {
	it, err := t.base.scans.get(t.base.store.db, t.base.generation)
	if err != nil {
		return err
	}
	it.SetBounds(nil, nil)
	g.misses = 0
	if it.SeekGE(prefix) {
		next := it.Key()
		next = next[:keys.Split(next)]
		switch {
		case bytes.Equal(next, prefix):
			g.known = false // only versions that are not visible
		case bytes.HasPrefix(next, g.space[:]):
			g.known, g.hi = true, append(g.hi[:0], next...)
		default:
			g.known, g.hi = true, nil
		}
	} else {
		g.known, g.hi = it.Error() == nil, nil
	}
	g.lo = append(g.lo[:0], prefix...)
	return t.base.scans.put(it)
}

// findEntry finds a live index entry and returns the primary key that it leads to,
// valid until the next read; fresh says that neither overlay nor store has one.
func (t *Txn) findEntry(prefix []byte) (pk []byte, ok bool, fresh bool, err error) {
	if it := t.over.find(prefix); it != nil {
		if it.cur.deleted {
			return nil, false, false, nil
		}
		pk, ok, err = entryPrimaryKey(prefix, it.cur.value)
		return pk, ok, false, err
	}
	value, _, err := t.seekNew(prefix)
	if err != nil || value == nil {
		return nil, false, err == nil, err
	}
	pk, ok, err = entryPrimaryKey(prefix, value)
	return pk, ok, !ok, err
}
