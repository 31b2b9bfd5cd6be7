package sm_test

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// TestBulk: a transaction large enough to be written in the order of its keys
// gives the same state as the same work in small ones, however calls are cut.
func TestBulk(t *testing.T) {
	const rows = 9000
	var inserts []string
	for i := range rows {
		inserts = append(inserts, fmt.Sprintf("insert a %d n%d %d", (i*7919)%rows, i%13, i))
	}
	big := [][]byte{entry(t, "create a"), entry(t, "insert a 3 early 1"), entry(t, append([]string{"delete a 3", "savepoint"}, inserts[:500]...)...)}
	big = append(big, entry(t, append(append([]string{"savepoint"}, inserts[:100]...), "rollback")...), entry(t, append([]string{"truncate a"}, inserts...)...),
		entry(t, "delete a 5", "update a 6 6 other -6"))
	run := func(together bool) *sm.Replica {
		r := one(t)
		var c []log.Committed
		for i, e := range big {
			c = append(c, log.Committed{Index: log.Index(i + 1), Data: e})
		}
		if together {
			_, err := r.Apply(c)
			require.NoError(t, err)
		} else {
			for i := range c {
				_, err := r.Apply(c[i : i+1])
				require.NoError(t, err)
			}
		}
		require.NoError(t, r.Halted())
		sound(t, r)
		return r
	}
	a, b := run(true), run(false)
	require.Equal(t, a.Position(), b.Position())
	require.Len(t, latest(t, a, "a"), rows-1)
	require.Equal(t, latest(t, a, "a"), latest(t, b, "a"))
}

// TestDuplicatesAmongOrderedInserts: rows that arrive in the order of their
// keys are not looked up one by one, and a duplicate among them is found still.
func TestDuplicatesAmongOrderedInserts(t *testing.T) {
	for _, step := range []int64{1, -1} {
		x := &bench{}
		r, err := sm.Open(sm.Options{Dir: "/r", FS: vfs.NewMem(), Log: 1, Executor: x})
		require.NoError(t, err)
		var tbl *catalog.Table
		x.do = func(txn *sm.Txn) error {
			tbl = plain(txn, []catalog.Column{{Num: 1, Name: "a", Type: types.Int8Type.OID}},
				catalog.Index{Primary: true, Unique: true, Columns: []catalog.IndexColumn{{Column: 1, Type: types.Int8Type.OID}}})
			for n := int64(0); n < 1000; n += 100 {
				require.NoError(t, txn.Insert(tbl, []types.Datum{types.Int(n)}))
			}
			return nil
		}
		require.Nil(t, apply(t, r, entry(t, "x")).Err)
		x.do = func(txn *sm.Txn) error {
			from := int64(0)
			if step < 0 {
				from = 999
			}
			for k := range int64(1000) {
				n := from + k*step
				err := txn.Insert(tbl, []types.Datum{types.Int(n)})
				if n%100 == 0 {
					var dup *sm.UniqueViolationError
					require.ErrorAs(t, err, &dup, "%d", n)
				} else {
					require.NoError(t, err)
				}
				require.Error(t, txn.Insert(tbl, []types.Datum{types.Int(n)}), "again")
			}
			return nil
		}
		require.Nil(t, apply(t, r, entry(t, "x")).Err)
		require.NoError(t, r.Halted())
		sound(t, r)
		require.NoError(t, r.Close())
	}
}

// TestHotRow reads a row with many versions at all of them.
func TestHotRow(t *testing.T) {
	r := one(t)
	must(t, r, "create a", "insert a 1 before 1", "insert a 2 hot 0", "insert a 3 after 3")
	var offsets []log.Offset
	for i := range 60 {
		offsets = append(offsets, must(t, r, fmt.Sprintf("update a 2 2 hot %d", 100+i)).Offset)
	}
	for i, off := range offsets {
		v, err := r.ViewAt(off)
		require.NoError(t, err)
		want := []string{"1 before 1", fmt.Sprintf("2 hot %d", 100+i), "3 after 3"}
		require.Equal(t, want, dump(t, v, "a", 0, false))
		want[0], want[2] = want[2], want[0]
		require.Equal(t, want, dump(t, v, "a", 0, true))
		txn := v.Begin()
		row, ok, err := txn.Get(table(v, "a"), toyKey(table(v, "a"), 2), nil)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, off, row.Changed)
		require.Less(t, row.Created, offsets[0])
		txn.Close()
		v.Close()
	}
}
