package sm_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/types"
)

// past is what a range of an index of table a held at an offset.
type past struct {
	off  log.Offset
	span sm.Span
	ix   int
	rows []string
}

// rowsIn reads a range of an index of table a as of an offset.
func rowsIn(t *testing.T, r *sm.Replica, off log.Offset, s sm.Span, ix int) []string {
	v, err := r.ViewAt(off)
	require.NoError(t, err)
	defer v.Close()
	txn := v.Begin()
	defer txn.Close()
	tbl := table(v, "a")
	it := txn.Scan(sm.ScanOptions{Table: tbl, Index: &tbl.Indexes[ix], Spans: []sm.Span{s}})
	defer it.Close()
	var out []string
	for it.Next() {
		row := it.Row()
		out = append(out, fmt.Sprintf("%d %s %d @%s", row.Values[colID].Int(), row.Values[colName].Str(), row.Values[colN].Int(), row.Changed))
	}
	require.NoError(t, it.Err())
	return out
}

// randomSpan draws a range of one of a table's indexes, sometimes one whose ends
// are in the wrong order.
func randomSpan(rnd *rand.Rand, tbl *catalog.Table) (sm.Span, int) {
	ix := rnd.IntN(len(tbl.Indexes))
	c := &tbl.Indexes[ix].Columns[0]
	at := func(n int) []byte {
		d := types.Int(int64(n))
		if types.OID(c.Type) == types.TextType.OID {
			d = types.String(fmt.Sprintf("n%d", n%4))
		}
		return keys.AppendColumn(nil, d, c)
	}
	n := rnd.IntN(40)
	lo := at(n)
	switch rnd.IntN(4) {
	case 0:
		return sm.Span{Lo: lo}, ix
	case 1:
		return sm.Span{Lo: lo, Hi: at(n + 5)}, ix
	}
	return sm.Span{Lo: lo, Hi: keys.PrefixEnd(lo)}, ix
}

// TestSpansChangedSince compares what ranges of a table hold over random writes:
// a range that is said not to have changed must read the same.
func TestSpansChangedSince(t *testing.T) {
	rnd := newRand(t, uint64(time.Now().UnixNano()))
	r := one(t)
	must(t, r, "create a", "create b")
	var pasts []past
	said := map[bool]int{}
	for range 3000 {
		id, name := rnd.IntN(40), fmt.Sprintf("n%d", rnd.IntN(4))
		sql := fmt.Sprintf("insert a %d %s %d", id, name, id)
		switch rnd.IntN(5) {
		case 0:
			sql = fmt.Sprintf("update a %d %d %s %d", id, id, name, id)
		case 1:
			sql = fmt.Sprintf("delete a %d", id)
		case 2:
			sql = fmt.Sprintf("update a %d %d %s %d", id, rnd.IntN(40), name, rnd.IntN(40))
		case 3:
			sql = fmt.Sprintf("insert b %d %s %d", id, name, id)
		}
		apply(t, r, entry(t, sql))
		v, err := r.View()
		require.NoError(t, err)
		off, tbl := v.Offset(), table(v, "a")
		txn := v.Begin()
		for _, p := range pasts {
			changed := txn.SpansChangedSince(sm.ScanOptions{Table: tbl, Index: &tbl.Indexes[p.ix], Spans: []sm.Span{p.span}}, p.off)
			said[changed]++
			if !changed {
				require.Equal(t, p.rows, rowsIn(t, r, off, p.span, p.ix), "index %d, span %x to %x, since %s", p.ix, p.span.Lo, p.span.Hi, p.off)
			}
		}
		txn.Close()
		v.Close()
		s, ix := randomSpan(rnd, tbl)
		pasts = append(pasts, past{off, s, ix, rowsIn(t, r, off, s, ix)})
		if len(pasts) > 12 {
			pasts = pasts[rnd.IntN(2)+1:]
		}
	}
	require.Greater(t, said[false], said[true], "it is of some use: %v", said)
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	txn := v.Begin()
	defer txn.Close()
	tbl := table(v, "a")
	all := sm.ScanOptions{Table: tbl, Spans: []sm.Span{{Lo: toyKey(tbl, 1), Hi: toyKey(tbl, 2)}}}
	must(t, r, "reindex a")
	require.True(t, txn.SpansChangedSince(all, v.Offset()), "its descriptor")
}
