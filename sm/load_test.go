package sm_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/tests/crashfs"
)

// loadTest stages rows of one load at a time.
type loadTest struct {
	t *testing.T
	r *sm.Replica
	l simLoad
}

func newLoad(t *testing.T, r *sm.Replica, n byte, name string) *loadTest {
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	return &loadTest{t: t, r: r, l: simLoad{id: log.StageID{n}, table: name, oid: table(v, name).ID}}
}

// chunk stages rows named after their ids from..to-1.
func (x *loadTest) chunk(from, to int64) *log.Result {
	rows := map[int64]toyValue{}
	var order []int64
	for id := from; id < to; id++ {
		rows[id], order = toyValue{fmt.Sprint("r", id), id}, append(order, id)
	}
	res := apply(x.t, x.r, chunkEntry(x.t, &x.l, rows, order, false))
	if res.Err == nil {
		x.l.chunks++
	}
	return res
}

func (x *loadTest) commit(before ...string) *log.Result {
	e := &log.Entry{Kind: log.KindCommand, Semantics: log.CurrentSemantics}
	for _, s := range before {
		e.Statements = append(e.Statements, statement(s))
	}
	e.Statements = append(e.Statements, log.Statement{Text: "copy " + x.l.table,
		Copy: &log.CopyData{Stage: x.l.id, Chunks: x.l.chunks, Loaded: true}})
	return apply(x.t, x.r, encode(x.t, e))
}

func TestLoadIsSeenWhole(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	must(t, r, "insert a 1000 old 1000")
	x := newLoad(t, r, 1, "a")
	before := r.Position()
	for i := range int64(5) {
		require.Nil(t, x.chunk(10*i, 10*i+10).Err)
	}
	require.Equal(t, before.Offset, r.Position().Offset, "chunks take no offset")
	require.Equal(t, before.Checksum, r.Position().Checksum)
	require.Len(t, latest(t, r, "a"), 1)
	require.Equal(t, int64(50), r.Loads()[0].Rows)
	old, err := r.View()
	require.NoError(t, err)
	defer old.Close()
	must(t, r, "insert a 1001 between 1001")
	res := x.commit("insert a 1002 x 1002")
	require.Nil(t, res.Err)
	require.Empty(t, r.Loads())
	require.Len(t, latest(t, r, "a"), 53)
	require.Len(t, dump(t, old, "a", 1, true), 1, "an older view goes on seeing nothing of it")
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	txn := v.Begin()
	defer txn.Close()
	row, ok, err := txn.Get(table(v, "a"), toyKey(table(v, "a"), 7), nil)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, res.Offset, row.Changed, "a row is of the transaction that committed it")
	require.Equal(t, res.Offset, row.Created)
	it := v.Changes(res.Offset)
	require.False(t, it.Next())
	it.Close()
	sound(t, r)
}

// TestLoadChangesFromAnywhere begins reading the change log at every offset
// around and inside the changes of a load.
func TestLoadChangesFromAnywhere(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	x := newLoad(t, r, 1, "a")
	require.Nil(t, x.chunk(0, 4).Err)
	require.Nil(t, x.chunk(4, 6).Err)
	require.Nil(t, x.commit("insert a 100 x 100").Err)
	must(t, r, "insert a 200 x 200")
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	var all []log.Offset
	it := v.Changes(0)
	for it.Next() {
		all = append(all, it.Change().Offset)
	}
	it.Close()
	require.NoError(t, it.Err())
	require.Len(t, all, 8)
	for from := all[0] - 1; from <= v.Offset(); from++ {
		var want, got []log.Offset
		for _, o := range all {
			if o > from {
				want = append(want, o)
			}
		}
		it := v.Changes(from)
		for it.Next() {
			got = append(got, it.Change().Offset)
		}
		it.Close()
		require.NoError(t, it.Err())
		require.Equal(t, want, got, "from %s", from)
	}
}

func TestFirstToCommitDooms(t *testing.T) {
	tests := map[string]struct {
		by   string
		code sqlstate.Code
	}{
		"the primary key":     {"insert a 3 x 900", sqlstate.UniqueViolation},
		"a unique index":      {"insert a 900 x 3", sqlstate.UniqueViolation},
		"an updated row":      {"update a 500 3 x 500", sqlstate.UniqueViolation},
		"there being no rows": {"none a r3", sqlstate.SerializationFailure},
		"a change of table":   {"reindex a", sqlstate.SerializationFailure},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := one(t)
			must(t, r, "create a")
			must(t, r, "insert a 500 x 500")
			x := newLoad(t, r, 1, "a")
			require.Nil(t, x.chunk(0, 10).Err)
			must(t, r, "savepoint", test.by, "rollback")
			require.NotNil(t, apply(t, r, entry(t, test.by, "fail")).Err)
			must(t, r, "none a other", "update a 500 500 y 500", "insert a 901 x 901")
			require.Nil(t, x.chunk(10, 20).Err, "nobody has overtaken it yet")
			must(t, r, test.by)
			want := latest(t, r, "a")
			require.Equal(t, string(test.code), x.chunk(20, 30).Err.Code)
			require.Equal(t, string(test.code), x.commit().Err.Code)
			require.Equal(t, want, latest(t, r, "a"))
			require.Nil(t, apply(t, r, unstage(t, x.l.id, 100)).Err)
			garbage, err := sm.Garbage(r)
			require.NoError(t, err)
			require.Empty(t, garbage)
			sound(t, r)
		})
	}
}

func TestLoadRefusals(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	must(t, r, "insert a 500 x 500")
	x := newLoad(t, r, 1, "a")
	require.Nil(t, x.chunk(0, 5).Err)
	x.l.chunks = 2 // chunk 1 is on its way still
	require.Equal(t, string(sm.ChunkEarly), x.chunk(5, 6).Err.Code)
	x.l.chunks = 1
	require.Nil(t, x.chunk(5, 6).Err)
	x.l.chunks = 3
	require.Equal(t, "XX000", x.commit().Err.Code, "a chunk is missing")
	require.Equal(t, "40001", x.commit().Err.Code, "that was its end")
	x = newLoad(t, r, 2, "a")
	require.Nil(t, x.chunk(0, 5).Err, "the rows of an aborted load are in nobody's way")
	require.Equal(t, "23505", x.chunk(3, 4).Err.Code, "its own rows are")
	x = newLoad(t, r, 3, "a")
	require.Nil(t, x.chunk(0, 5).Err)
	require.Equal(t, "23505", x.commit("insert a 2 x 222").Err.Code, "its own transaction has overtaken it")
	x = newLoad(t, r, 4, "a")
	x.l.fresh = true
	require.Nil(t, x.chunk(0, 5).Err)
	require.Equal(t, "40001", x.commit().Err.Code, "the table was not emptied")
	x = newLoad(t, r, 5, "a")
	x.l.fresh = true
	require.Nil(t, x.chunk(498, 502).Err)
	require.Equal(t, "40001", x.commit("truncate a", "insert a 1 x 1").Err.Code, "it has rows again")
	require.Equal(t, []string{"500 x 500"}, latest(t, r, "a"))
	(&loadModel{r: r}).clear(t, r)
}

// TestAttach lets a speculative transaction see what its session has staged, and
// nobody else's newer rows.
func TestAttach(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	must(t, r, "insert a 500 x 500")
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	txn := v.Begin()
	defer txn.Close()
	a := table(v, "a")
	require.Len(t, dumpTxn(t, txn, a, 0, false), 1)
	x := newLoad(t, r, 1, "a")
	require.Nil(t, x.chunk(0, 5).Err)
	must(t, r, "insert a 600 newer 600")
	require.Nil(t, x.chunk(5, 20).Err)
	mark := txn.Savepoint()
	n, err := txn.Attach(x.l.id)
	require.NoError(t, err)
	require.Positive(t, n)
	for index := range a.Indexes {
		for _, reverse := range []bool{false, true} {
			require.Len(t, dumpTxn(t, txn, a, index, reverse), 21)
		}
	}
	require.Equal(t, int64(22), txn.RowCount(a), "the committed rows are counted as of now")
	require.ErrorAs(t, txn.Insert(a, toyRow(7, "again", 7000)), new(*sm.UniqueViolationError))
	require.NoError(t, txn.Insert(a, toyRow(600, "own", 600)))
	txn.RollbackTo(mark)
	require.Len(t, dumpTxn(t, txn, a, 0, false), 1)
	other := v.Begin()
	defer other.Close()
	require.Len(t, dumpTxn(t, other, a, 0, false), 1)
}

// TestLoadSurvives crashes, snapshots and restores around a load.
func TestLoadSurvives(t *testing.T) {
	fs := crashfs.New()
	r := open(t, fs)
	must(t, r, "create a")
	x := newLoad(t, r, 1, "a")
	require.Nil(t, x.chunk(0, 50).Err)
	require.NoError(t, r.Sync())
	require.NoError(t, r.Close())
	r = open(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	x.r = r
	require.Equal(t, int64(50), r.Loads()[0].Rows)
	require.Nil(t, x.chunk(50, 80).Err)
	img, err := r.Prepare()
	require.NoError(t, err)
	var snapshot bytes.Buffer
	require.NoError(t, r.Save(img, &snapshot, nil))
	require.Nil(t, x.commit().Err)
	want := r.Position()
	require.NoError(t, r.Restore(bytes.NewReader(snapshot.Bytes()), nil))
	require.Empty(t, latest(t, r, "a"))
	require.Nil(t, x.commit().Err)
	require.Equal(t, want, r.Position())
	require.Len(t, latest(t, r, "a"), 80)
	sound(t, r)
	require.NoError(t, r.Close())
}
