package sm_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func TestSpeculativeTransaction(t *testing.T) {
	r := one(t)
	must(t, r, "create a", "insert a 1 one 10", "insert a 3 three 30", "insert a 5 five 50")
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	tbl := table(v, "a")
	txn := v.Begin()
	defer txn.Close()
	require.True(t, txn.Speculative())
	require.Equal(t, v.Offset(), txn.Offset())
	require.NoError(t, txn.Insert(tbl, toyRow(2, "two", 20)))
	m := txn.Savepoint()
	row, ok, err := txn.Get(tbl, toyKey(tbl, 3), nil)
	require.NoError(t, err)
	require.True(t, ok)
	row = row.Clone()
	require.NoError(t, txn.Update(tbl, row, toyRow(4, "vier", 40)))
	require.ErrorIs(t, txn.Update(tbl, row, toyRow(3, "x", 1)), sm.ErrRowChanged)
	require.ErrorIs(t, txn.Delete(tbl, row), sm.ErrRowChanged)
	var dup *sm.UniqueViolationError
	require.ErrorAs(t, txn.Insert(tbl, toyRow(9, "nine", 50)), &dup)
	require.Equal(t, "a_n", dup.Index.Name)
	require.Equal(t, toyKey(tbl, 5), dup.ExistingKey)
	require.Equal(t, sqlstate.UniqueViolation, sqlstate.CodeOf(dup))

	must(t, r, "insert a 9 later 90") // not visible to v
	want := []string{"1 one 10", "2 two 20", "4 vier 40", "5 five 50"}
	require.Equal(t, want, dumpTxn(t, txn, tbl, 0, false))
	require.EqualValues(t, 5, txn.RowCount(tbl), "that of the newest offset, and its own")
	back := dumpTxn(t, txn, tbl, 0, true)
	slices.Reverse(back)
	require.Equal(t, want, back)
	require.Equal(t, []string{"5 five 50", "1 one 10", "2 two 20", "4 vier 40"}, dumpTxn(t, txn, tbl, 1, false))

	found, ok, err := txn.Conflicting(tbl, nil, toyRow(77, "x", 40))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, int64(4), found.Values[colID].Int())
	require.Zero(t, found.Changed, "its own")
	_, ok, err = txn.Conflicting(tbl, &tbl.Indexes[0], toyRow(77, "x", 40))
	require.NoError(t, err)
	require.False(t, ok)

	txn.RollbackTo(m)
	require.Equal(t, []string{"1 one 10", "2 two 20", "3 three 30", "5 five 50"}, dumpTxn(t, txn, tbl, 0, false))
	require.Equal(t, []string{"1 one 10", "3 three 30", "5 five 50", "9 later 90"}, latest(t, r, "a"))
}

// TestScanIsStable: a scan sees the rows as they were when it began, whatever
// its own transaction does meanwhile.
func TestScanIsStable(t *testing.T) {
	r := one(t)
	must(t, r, "create a", "insert a 2 x 2", "insert a 4 x 4", "insert a 6 x 6")
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	tbl := table(v, "a")
	for _, reverse := range []bool{false, true} {
		for index := range tbl.Indexes {
			txn := v.Begin()
			require.NoError(t, txn.Insert(tbl, toyRow(3, "x", 3)))
			want := dumpTxn(t, txn, tbl, index, reverse)
			it := txn.Scan(sm.ScanOptions{Table: tbl, Index: &tbl.Indexes[index], Reverse: reverse})
			var got []string
			for n := int64(100); it.Next(); n += 10 {
				row := it.Row().Clone()
				x := row.Values
				got = append(got, fmt.Sprintf("%d %s %d", x[colID].Int(), x[colName].Str(), x[colN].Int()))
				require.NoError(t, txn.Delete(tbl, row))
				for k := range int64(5) { // before and after everything
					require.NoError(t, txn.Insert(tbl, toyRow(n+k, "y", n+k)))
					require.NoError(t, txn.Insert(tbl, toyRow(-n-k, "w", -n-k)))
				}
			}
			require.NoError(t, it.Err())
			it.Close()
			require.Equal(t, want, got)
			require.Len(t, dumpTxn(t, txn, tbl, index, reverse), 40)
			txn.Close()
		}
	}
}

func TestSpans(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	for i := range 20 {
		must(t, r, fmt.Sprintf("insert a %d n%d %d", i, i%3, i))
	}
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	txn := v.Begin()
	defer txn.Close()
	tbl := table(v, "a")
	ids := func(o sm.ScanOptions) (out []int64) {
		o.Table, o.Want = tbl, []int{colID}
		it := txn.Scan(o)
		defer it.Close()
		for it.Next() {
			require.True(t, it.Row().Values[colName].IsNull(), "not wanted")
			out = append(out, it.Row().Values[colID].Int())
		}
		require.NoError(t, it.Err())
		return out
	}
	spans := []sm.Span{{Hi: toyKey(tbl, 2)}, {Lo: toyKey(tbl, 5), Hi: toyKey(tbl, 7)}, {Lo: toyKey(tbl, 9), Hi: toyKey(tbl, 9)}, {Lo: toyKey(tbl, 18)}}
	require.Equal(t, []int64{0, 1, 5, 6, 18, 19}, ids(sm.ScanOptions{Spans: spans}))
	require.Equal(t, []int64{19, 18, 6, 5, 1, 0}, ids(sm.ScanOptions{Spans: spans, Reverse: true}))
	byName := &tbl.Indexes[1]
	lo := keys.AppendIndex(nil, byName, []types.Datum{types.String("n2")})
	require.Equal(t, []int64{2, 5, 8, 11, 14, 17}, ids(sm.ScanOptions{Index: byName, Spans: []sm.Span{{Lo: lo, Hi: keys.PrefixEnd(lo)}}}))
	require.Empty(t, ids(sm.ScanOptions{Spans: []sm.Span{}}), "no span is nothing")
}

func TestReadersBesideApply(t *testing.T) {
	r := one(t)
	must(t, r, "create a", "insert a 0 x 0")
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 3 {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				v, err := r.View()
				if err != nil {
					t.Error(err)
					return
				}
				// Each transaction adds one row and moves n of row 0 along with it.
				rows := dump(t, v, "a", 0, false)
				txn := v.Begin()
				row, _, err := txn.Get(table(v, "a"), toyKey(table(v, "a"), 0), nil)
				if err != nil || row.Values[colN].Int() != -int64(len(rows)-1) {
					t.Errorf("%d rows, row 0 is %v (%v)", len(rows), row, err)
				}
				txn.Close()
				old, err := r.ViewAt(v.Offset() - 1)
				if err == nil {
					if n := len(dump(t, old, "a", 1, false)); n > len(rows) {
						t.Errorf("older view has %d rows, newer %d", n, len(rows))
					}
					old.Close()
				}
				v.Close()
			}
		}()
	}
	for i := 1; i <= 300; i++ {
		must(t, r, fmt.Sprintf("insert a %d x %d", i, i), fmt.Sprintf("update a 0 0 x %d", -i))
	}
	close(stop)
	group.Wait()
}

// plain makes a table of one key column and the others given.
func plain(t *sm.Txn, columns []catalog.Column, indexes ...catalog.Index) *catalog.Table {
	tbl := &catalog.Table{ID: t.NewID(), Schema: catalog.PublicID, Name: "p", Storage: t.NewStorage(), Columns: columns, Indexes: indexes}
	for i := range tbl.Indexes {
		tbl.Indexes[i].ID, tbl.Indexes[i].Storage = t.NewID(), t.NewStorage()
		tbl.Indexes[i].Name = fmt.Sprint("p_", i)
		if tbl.Indexes[i].Primary {
			tbl.Indexes[i].Storage = tbl.Storage
		}
	}
	t.PutDescriptor(tbl)
	return tbl
}

// within runs f as one committed transaction.
func within(t *testing.T, f func(*sm.Txn) error) *sm.Replica {
	x := &bench{do: f}
	r, err := sm.Open(sm.Options{Dir: "/r", FS: vfs.NewMem(), Log: 1, Executor: x, IndexEvaluator: evenOnly{}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	res := apply(t, r, entry(t, "x"))
	require.NoError(t, r.Halted())
	require.Nil(t, res.Err)
	sound(t, r)
	return r
}

// evenOnly is a partial index on even values, with the half as its expression.
type evenOnly struct{}

func (evenOnly) IndexKey(_ *catalog.Catalog, _ *catalog.Table, _ *catalog.Index, row []types.Datum) ([]types.Datum, bool, error) {
	n := row[0].Int()
	return []types.Datum{types.Int(n / 2)}, n%2 == 0, nil
}

func TestNullsInUniqueIndexes(t *testing.T) {
	cols := []catalog.Column{{Num: 1, Name: "a", Type: types.Int4Type.OID}, {Num: 2, Name: "b", Type: types.Int4Type.OID}}
	key := []catalog.IndexColumn{{Column: 1, Type: types.Int4Type.OID, NullsFirst: true}, {Column: 2, Type: types.Int4Type.OID}}
	within(t, func(txn *sm.Txn) error {
		tbl := plain(txn, cols, catalog.Index{Unique: true, Columns: key})
		row := []types.Datum{types.NullDatum, types.Int(1)}
		require.NoError(t, txn.Insert(tbl, row))
		require.NoError(t, txn.Insert(tbl, row), "NULLs are distinct")
		require.NoError(t, txn.Insert(tbl, []types.Datum{types.Int(1), types.Int(1)}))
		require.Error(t, txn.Insert(tbl, []types.Datum{types.Int(1), types.Int(1)}))
		it := txn.Scan(sm.ScanOptions{Table: tbl, Index: &tbl.Indexes[0]})
		defer it.Close()
		require.True(t, it.Next())
		require.True(t, it.Row().Values[0].IsNull(), "NULLS FIRST")
		return nil
	})
	within(t, func(txn *sm.Txn) error {
		tbl := plain(txn, cols, catalog.Index{Unique: true, NullsNotDistinct: true, Columns: key})
		row := []types.Datum{types.NullDatum, types.NullDatum}
		require.NoError(t, txn.Insert(tbl, row))
		require.Error(t, txn.Insert(tbl, row))
		return nil
	})
}

func TestPartialExpressionIndex(t *testing.T) {
	cols := []catalog.Column{{Num: 1, Name: "a", Type: types.Int4Type.OID}}
	within(t, func(txn *sm.Txn) error {
		tbl := plain(txn, cols, catalog.Index{Unique: true, Predicate: "a % 2 = 0",
			Columns: []catalog.IndexColumn{{Expr: "a / 2", Type: types.Int4Type.OID}}})
		for _, n := range []int64{1, 1, 2, 3, 4} {
			require.NoError(t, txn.Insert(tbl, []types.Datum{types.Int(n)}))
		}
		require.Error(t, txn.Insert(tbl, []types.Datum{types.Int(4)}))
		it := txn.Scan(sm.ScanOptions{Table: tbl, Index: &tbl.Indexes[0]})
		defer it.Close()
		n := 0
		for it.Next() {
			row := it.Row().Clone()
			require.NoError(t, txn.Update(tbl, row, []types.Datum{types.Int(row.Values[0].Int() + 1)}))
			n++
		}
		require.Equal(t, 2, n)
		require.NoError(t, txn.Insert(tbl, []types.Datum{types.Int(4)}), "5 has left the index")
		return nil
	})
}

func TestAddedColumns(t *testing.T) {
	cols := []catalog.Column{{Num: 1, Name: "a", Type: types.Int4Type.OID}}
	within(t, func(txn *sm.Txn) error {
		old := plain(txn, cols)
		require.NoError(t, txn.Insert(old, []types.Datum{types.Int(1)}))
		wide := *old
		wide.Columns = append(slices.Clone(cols),
			catalog.Column{Num: 2, Name: "b", Type: types.TextType.OID, Missing: types.AppendDatum(nil, types.String("default"))},
			catalog.Column{Num: 3, Name: "c", Type: types.Int4Type.OID})
		txn.PutDescriptor(&wide)
		require.NoError(t, txn.Insert(&wide, []types.Datum{types.Int(2), types.NullDatum, types.Int(3)}))
		for _, want := range [][]int{nil, {0, 1, 2}, {2, 1}} {
			it := txn.Scan(sm.ScanOptions{Table: &wide, Want: want})
			require.True(t, it.Next())
			require.Equal(t, "default", it.Row().Values[1].Str())
			require.True(t, it.Row().Values[2].IsNull())
			require.True(t, it.Next())
			require.True(t, it.Row().Values[1].IsNull())
			require.Equal(t, int64(3), it.Row().Values[2].Int())
			require.False(t, it.Next())
			it.Close()
		}
		// The hidden row ids become a primary key.
		keyed := wide
		keyed.Storage = txn.NewStorage()
		keyed.Indexes = []catalog.Index{{ID: txn.NewID(), Name: "pk", Primary: true, Unique: true, Storage: keyed.Storage,
			Columns: []catalog.IndexColumn{{Column: 1, Type: types.Int4Type.OID}}}}
		require.NoError(t, txn.Rekey(&wide, &keyed))
		txn.PutDescriptor(&keyed)
		row, ok, err := txn.Get(&keyed, keys.AppendIndex(nil, keyed.PrimaryKey(), []types.Datum{types.Int(1)}), nil)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "default", row.Values[1].Str())
		return nil
	})
}

func TestCommandLog(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	ok := must(t, r, "insert a 1 x 1", "insert a 2 x 2").Offset
	apply(t, r, entry(t, "insert a 3 x 3", "fail"))
	apply(t, r, entry(t, "fail"))
	rows := types.AppendRow(nil, toyRow(7, "y", 7))
	inline := &log.CopyData{Rows: append([]byte{byte(len(rows))}, rows...)}
	last := apply(t, r, encode(t, &log.Entry{Kind: log.KindCommand, Application: "app", Statements: []log.Statement{{Text: "copy a", Copy: inline}}}))
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	var got []string
	it := v.Commands(0)
	for it.Next() {
		c := it.Command()
		code := "ok"
		if c.Failure != nil {
			code = c.Failure.Code + " " + c.Failure.Fields["H"]
		}
		got = append(got, fmt.Sprintf("%d %d %s %q", c.Seq, c.Rows, code, c.Entry.Statements[0].Text))
	}
	require.NoError(t, it.Err())
	it.Close()
	require.Equal(t, []string{`0 0 ok "create a"`, `0 2 ok "insert a 1 x 1"`, `1 0 22012 do not "insert a 3 x 3"`,
		`2 0 22012 do not "fail"`, `0 1 ok "copy a"`}, got)
	it = v.Commands(ok)
	require.True(t, it.Next())
	require.Equal(t, last.Offset, it.Command().Offset)
	require.Empty(t, it.Command().Entry.Statements[0].Copy.Rows, "the change log has them")
	require.Equal(t, "app", it.Command().Entry.Application)
	require.False(t, it.Next())
	it.Close()
	it = v.CommandsAfter(ok, 1)
	require.True(t, it.Next())
	require.EqualValues(t, 2, it.Command().Seq)
	require.Equal(t, ok, it.Command().Offset)
	it.Close()

	at, err := v.OffsetAt(r.Position().Time)
	require.NoError(t, err)
	require.Equal(t, last.Offset, at)
	at, err = v.OffsetAt(r.Position().Time - 1)
	require.NoError(t, err)
	require.Equal(t, ok, at)
	_, err = v.OffsetAt(0)
	require.Equal(t, sqlstate.InvalidParameterValue, sqlstate.CodeOf(err))
}

// TestCheckFindsDamage damages a closed store in several ways; each must be
// reported.
func TestCheckFindsDamage(t *testing.T) {
	for _, what := range []string{"row gone", "row changed", "row torn", "entry gone", "entry left", "command gone", "descriptor changed"} {
		fs := vfs.NewMem()
		r := open(t, fs)
		must(t, r, "create a", "create b")
		must(t, r, "insert a 1 one 10", "insert a 2 two 20")
		must(t, r, "nextval a_seq 4")
		sound(t, r)
		require.NoError(t, r.Close())
		damage(t, fs, what)
		r = open(t, fs)
		report, err := r.Check(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, report.Problems, what)
		require.NoError(t, r.Close())
	}
}

func damage(t *testing.T, fs vfs.FS, what string) {
	db, err := pebble.Open("/data/replica/store-1", sm.StoreOptions(options(fs, "")))
	require.NoError(t, err)
	space := map[string]keys.Space{"row": keys.Rows, "ent": keys.Entries, "com": keys.Commands, "des": keys.Descriptors}[what[:3]]
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: keys.SpaceStart(space), UpperBound: keys.SpaceStart(space + 1)})
	require.NoError(t, err)
	require.True(t, it.First())
	key, value := slices.Clone(it.Key()), slices.Clone(it.Value())
	require.NoError(t, it.Close())
	switch what {
	case "row gone", "entry gone", "command gone":
		err = db.Delete(key, pebble.NoSync)
	case "row changed", "descriptor changed":
		at := max(bytes.Index(value, []byte("one")), bytes.Index(value, []byte("pkey")))
		require.Positive(t, at)
		value[at]++
		err = db.Set(key, value, pebble.NoSync)
	case "row torn":
		err = db.Set(key, value[:len(value)-3], pebble.NoSync)
	case "entry left":
		key = slices.Insert(key, keys.StorageBytes, 'x')
		err = db.Set(key, value, pebble.NoSync)
	}
	require.NoError(t, err)
	require.NoError(t, db.Flush())
	require.NoError(t, db.Close())
}
