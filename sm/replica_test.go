package sm_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func TestInsertUpdateDelete(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	must(t, r, "insert a 2 two 20", "insert a 1 one 10", "insert a 3 three 30")
	require.Equal(t, []string{"1 one 10", "2 two 20", "3 three 30"}, latest(t, r, "a"))
	must(t, r, "update a 2 2 zwei 21", "delete a 1", "update a 3 4 vier 40")
	require.Equal(t, []string{"2 zwei 21", "4 vier 40"}, latest(t, r, "a"))
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	require.Equal(t, []string{"4 vier 40", "2 zwei 21"}, dump(t, v, "a", 0, true))
	require.Equal(t, []string{"4 vier 40", "2 zwei 21"}, dump(t, v, "a", 1, false))
	require.Equal(t, []string{"4 vier 40", "2 zwei 21"}, dump(t, v, "a", 2, false), "descending index")
	require.Equal(t, []string{"2 zwei 21", "4 vier 40"}, dump(t, v, "a", 2, true))
	sound(t, r)
}

func TestUniqueViolations(t *testing.T) {
	r := one(t)
	must(t, r, "create a", "insert a 1 one 10", "insert a 2 two 20")
	for _, s := range []string{"insert a 1 other 99", "insert a 3 other 10", "update a 1 2 x 10", "update a 1 1 x 20"} {
		before := r.Position()
		res := apply(t, r, entry(t, "insert a 9 nine 90", s))
		require.NotNil(t, res.Err, s)
		require.Equal(t, "23505", res.Err.Code)
		require.Equal(t, before.Offset, res.Offset)
		require.Equal(t, before.Checksum, r.Position().Checksum)
	}
	// A key that was given up may be taken again, in the same transaction too.
	must(t, r, "delete a 1", "insert a 1 neu 10", "update a 1 1 neu 30", "insert a 3 drei 10")
	require.Equal(t, []string{"1 neu 30", "2 two 20", "3 drei 10"}, latest(t, r, "a"))
	sound(t, r)
}

func TestSavepoints(t *testing.T) {
	r := one(t)
	must(t, r, "create a", "insert a 1 one 10")
	res := must(t, r, "insert a 2 two 20", "savepoint", "insert a 3 three 30", "update a 1 1 eins 11", "delete a 2",
		"create b", "insert b 1 x 1", "rollback", "insert a 3 drei 30", "insert a 1 dup 1", "insert a 4 vier 40")
	require.Equal(t, "ERROR 23505", res.Statements[len(res.Statements)-2].Tag)
	require.Equal(t, []string{"1 one 10", "2 two 20", "3 drei 30", "4 vier 40"}, latest(t, r, "a"))
	require.Nil(t, latest(t, r, "b"))
	sound(t, r)
	// A row that comes and goes within one transaction leaves nothing.
	before := r.Position()
	must(t, r, "insert a 9 x 9", "delete a 9")
	require.Equal(t, before.Checksum, r.Position().Checksum)
	sound(t, r)
}

func TestOffsets(t *testing.T) {
	r := one(t)
	require.Equal(t, log.Offset(0), r.Position().Offset)
	first := must(t, r, "create a")
	require.Equal(t, log.FirstOffset, first.Offset)
	last := r.Position()
	for i := range 20 {
		var res *log.Result
		if i%3 == 0 {
			res = must(t, r, "delete a 12345") // changes nothing, takes a span still
		} else {
			res = must(t, r, "insert a "+string(rune('0'+i%10))+string(rune('0'+i/10))+" x "+string(rune('0'+i%10))+string(rune('0'+i/10)))
		}
		pos := r.Position()
		require.GreaterOrEqual(t, res.Offset, log.Next(last.End))
		require.Equal(t, pos.Offset, res.Offset)
		require.Equal(t, pos.Offset+1, pos.End)
		require.Equal(t, last.Time+1, pos.Time, "log time grows though the proposers' clock stands")
		last = pos
	}
}

func TestWait(t *testing.T) {
	r := one(t)
	off := must(t, r, "create a").Offset
	require.NoError(t, r.Wait(t.Context(), off))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, r.Wait(ctx, off+1), context.DeadlineExceeded)
	done := make(chan error, 2)
	go func() { done <- r.Wait(t.Context(), off+1) }()
	go func() { done <- r.Wait(t.Context(), off<<8) }()
	must(t, r, "insert a 1 x 1")
	require.NoError(t, <-done)
	require.NotNil(t, apply(t, r, entry(t, "poison")).Err)
	require.ErrorIs(t, <-done, log.ErrHalted)
	require.ErrorIs(t, r.Wait(t.Context(), off<<8), log.ErrHalted)
}

func TestHalt(t *testing.T) {
	for _, bad := range []string{"poison", "broken"} {
		fs := vfs.NewMem()
		r := open(t, fs)
		must(t, r, "create a")
		n := r.Applied()
		good, after := entry(t, "insert a 1 one 1"), entry(t, "insert a 2 two 2")
		poisoned := encode(t, &log.Entry{Kind: log.KindCommand, Statements: []log.Statement{statement("insert a 3 x 3"), statement(bad)}})
		out, err := r.Apply([]log.Committed{{Index: n + 1, Data: good}, {Index: n + 3, Data: poisoned}, {Index: n + 4, Data: after}})
		require.NoError(t, err)
		res := make([]*log.Result, 3)
		for i := range out {
			res[i], err = log.DecodeResult(out[i])
			require.NoError(t, err)
		}
		require.Nil(t, res[0].Err)
		require.Equal(t, string(sqlstate.IOError), res[1].Err.Code)
		require.Contains(t, res[2].Err.Fields["M"], "log is halted at "+res[0].Offset.String())
		require.NotContains(t, res[2].Err.Fields["M"], "goroutine", "the stack is not for clients")
		var h *sm.HaltedError
		require.ErrorAs(t, r.Halted(), &h)
		require.Equal(t, log.Index(n+3), h.Index)
		require.Equal(t, n+1, r.Applied(), "nothing advances")
		require.Equal(t, []string{"1 one 1"}, latest(t, r, "a"))
		require.ErrorIs(t, r.Sync(), log.ErrHalted)
		_, err = r.Prepare()
		require.ErrorIs(t, err, log.ErrHalted)
		require.NoError(t, r.Close())

		r = open(t, fs)
		require.NoError(t, r.Halted())
		require.Equal(t, n+1, r.Applied(), "what was applied before is durable")
		out, err = r.Apply([]log.Committed{{Index: n + 3, Data: poisoned}, {Index: n + 4, Data: after}})
		require.NoError(t, err)
		require.Len(t, out, 2)
		require.ErrorAs(t, r.Halted(), &h)
		require.Equal(t, log.Index(n+3), h.Index, "it halts at the same place")
		sound(t, r)
		require.NoError(t, r.Close())
	}
}

// TestUnknownEntries: what this program cannot know must not be skipped, since
// a newer replica would apply it.
func TestUnknownEntries(t *testing.T) {
	newer := encode(t, &log.Entry{Kind: log.KindCommand, Semantics: log.CurrentSemantics + 1})
	kind := encode(t, &log.Entry{Kind: 99})
	for _, data := range [][]byte{newer, kind, {0xff, 1, 2}, nil} {
		r := one(t)
		require.NotNil(t, apply(t, r, data).Err)
		require.Error(t, r.Halted())
	}
}

func TestSequences(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	require.Equal(t, "1", must(t, r, "nextval a_seq 1").Statements[0].Tag)
	require.Equal(t, "2", must(t, r, "nextval a_seq 10").Statements[0].Tag)
	sum := r.Position().Checksum
	require.NotNil(t, apply(t, r, entry(t, "nextval a_seq 5", "fail")).Err)
	require.Equal(t, sum, r.Position().Checksum, "a failed transaction takes no values")
	res := must(t, r, "savepoint", "nextval a_seq 1", "rollback", "nextval a_seq 1")
	require.Equal(t, "13", res.Statements[1].Tag, "a savepoint gives none back")
	v, err := r.View()
	require.NoError(t, err)
	id := v.Catalog().Relation(catalog.Name{Schema: catalog.PublicID, Name: "a_seq"})
	seq := v.Catalog().Sequence(id)
	txn := v.Begin()
	last, called, err := txn.SequenceState(seq)
	require.NoError(t, err)
	require.True(t, called)
	require.EqualValues(t, 13, last)
	txn.Close()
	v.Close()
	res = apply(t, r, encode(t, &log.Entry{Kind: log.KindReserve, Reserve: &log.Reserve{Sequence: uint32(id), Count: 100}}))
	require.Nil(t, res.Err)
	require.Equal(t, []log.DrawnValue{{Sequence: uint32(id), Value: 14}}, res.Drawn)
	require.Equal(t, "114", must(t, r, "nextval a_seq 1").Statements[0].Tag)
	res = apply(t, r, encode(t, &log.Entry{Kind: log.KindReserve, Reserve: &log.Reserve{Sequence: 1, Count: 100}}))
	require.Equal(t, "42P01", res.Err.Code)
	must(t, r, "dropseq a_seq")
	sound(t, r)
}

func TestSequenceBounds(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	up := &catalog.Sequence{ID: 1, Name: "s", Start: 8, Increment: 3, Min: 1, Max: 12}
	down := &catalog.Sequence{ID: 2, Name: "s", Start: -9223372036854775807, Increment: -1, Min: -9223372036854775808, Max: -1}
	wide := &catalog.Sequence{ID: 3, Name: "s", Start: -9223372036854775808, Increment: 9223372036854775807, Min: -9223372036854775808, Max: 9223372036854775807, Cycle: true}
	txn := v.Begin()
	defer txn.Close()
	next := func(s *catalog.Sequence, n int64) any {
		x, err := txn.SequenceNext(s, n)
		if err != nil {
			return sqlstate.CodeOf(err)
		}
		return x
	}
	require.EqualValues(t, 8, next(up, 1))
	require.EqualValues(t, 11, next(up, 100), "the block ends at the bound")
	require.EqualValues(t, "2200H", next(up, 1))
	require.EqualValues(t, int64(-9223372036854775807), next(down, 1))
	require.EqualValues(t, int64(-9223372036854775808), next(down, 1))
	require.EqualValues(t, "2200H", next(down, 1))
	require.EqualValues(t, int64(-9223372036854775808), next(wide, 3))
	require.EqualValues(t, int64(-9223372036854775808), next(wide, 1), "it cycles")
	require.EqualValues(t, "22023", next(up, 0))
	require.Error(t, txn.SequenceSet(up, 13, true))
	require.NoError(t, txn.SequenceSet(up, 2, false))
	require.EqualValues(t, 2, next(up, 1))
}

func TestStagedRows(t *testing.T) {
	rows := func(ids ...int64) []byte {
		var b []byte
		for _, id := range ids {
			row := types.AppendRow(nil, toyRow(id, "staged", id))
			b = append(append(b, byte(len(row))), row...)
		}
		return b
	}
	stage := func(n int, b []byte) []byte {
		return encode(t, &log.Entry{Kind: log.KindStage, Stage: &log.Stage{ID: log.StageID{1}, Chunk: n, Rows: b}})
	}
	copyIn := encode(t, &log.Entry{Kind: log.KindCommand, Statements: []log.Statement{
		{Text: "copy a", Copy: &log.CopyData{Stage: log.StageID{1}, Chunks: 2}}}})
	for _, together := range []bool{false, true} {
		r := one(t)
		must(t, r, "create a")
		entries := [][]byte{stage(0, rows(3, 4)), stage(1, rows(1, 2)), copyIn, copyIn}
		var results []*log.Result
		if together {
			var c []log.Committed
			for i, e := range entries {
				c = append(c, log.Committed{Index: r.Applied() + log.Index(i) + 1, Data: e})
			}
			out, err := r.Apply(c)
			require.NoError(t, err)
			for _, b := range out {
				res, err := log.DecodeResult(b)
				require.NoError(t, err)
				results = append(results, res)
			}
		} else {
			for _, e := range entries {
				results = append(results, apply(t, r, e))
			}
		}
		require.Equal(t, "COPY 4", results[2].Statements[0].Tag)
		require.Equal(t, "58P01", results[3].Err.Code, "the chunks are gone with their transaction")
		require.Equal(t, []string{"1 staged 1", "2 staged 2", "3 staged 3", "4 staged 4"}, latest(t, r, "a"))

		require.Nil(t, apply(t, r, stage(0, rows(7))).Err)
		require.Nil(t, apply(t, r, stage(1, rows(8))).Err)
		unstage := encode(t, &log.Entry{Kind: log.KindUnstage, Stage: &log.Stage{ID: log.StageID{1}}})
		require.Nil(t, apply(t, r, unstage).Err)
		require.Equal(t, "58P01", apply(t, r, copyIn).Err.Code)

		inline := encode(t, &log.Entry{Kind: log.KindCommand, Statements: []log.Statement{
			{Text: "copy a", Copy: &log.CopyData{Rows: rows(9)}}}})
		require.Equal(t, "COPY 1", apply(t, r, inline).Statements[0].Tag)
		torn := encode(t, &log.Entry{Kind: log.KindCommand, Statements: []log.Statement{
			{Text: "copy a", Copy: &log.CopyData{Rows: []byte{200}}}}})
		require.Equal(t, "22P04", apply(t, r, torn).Err.Code)
		sound(t, r)
	}
}

func TestBudget(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	e := &log.Entry{Kind: log.KindCommand, Budget: log.Budget{Rows: 2},
		Statements: []log.Statement{statement("insert a 1 x 1"), statement("insert a 2 x 2")}}
	require.Nil(t, apply(t, r, encode(t, e)).Err)
	e.Statements = []log.Statement{statement("delete a 1"), statement("delete a 2"), statement("insert a 3 x 3")}
	require.Equal(t, "54000", apply(t, r, encode(t, e)).Err.Code)
	require.Len(t, latest(t, r, "a"), 2)
	e.Budget = log.Budget{Bytes: 5}
	require.Equal(t, "54000", apply(t, r, encode(t, e)).Err.Code)
}

func TestTableChangedSince(t *testing.T) {
	fs := vfs.NewMem()
	r := open(t, fs)
	must(t, r, "create a", "create b")
	v, err := r.View()
	require.NoError(t, err)
	a, b, seen := table(v, "a").ID, table(v, "b").ID, v.Offset()
	v.Close()
	require.False(t, r.TableChangedSince(a, seen))
	must(t, r, "insert a 1 x 1")
	require.True(t, r.TableChangedSince(a, seen))
	require.False(t, r.TableChangedSince(b, seen))
	seen = r.Position().Offset
	require.False(t, r.TableChangedSince(a, seen))
	must(t, r, "reindex b")
	require.True(t, r.TableChangedSince(b, seen), "its descriptor")
	require.NoError(t, r.Close())
	r = open(t, fs)
	require.True(t, r.TableChangedSince(a, seen), "unknown after a restart")
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	_, err = r.View()
	require.ErrorIs(t, err, log.ErrClosed)
}

func TestSnapshotRestore(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	for i := range 50 {
		must(t, r, "insert a "+string(rune('0'+i/10))+string(rune('0'+i%10))+" x "+string(rune('0'+i/10))+string(rune('0'+i%10)))
	}
	img, err := r.Prepare()
	require.NoError(t, err)
	want := r.Position()
	must(t, r, "delete a 1") // not in the image
	var buf bytes.Buffer
	require.NoError(t, r.Save(img, &buf, nil))

	fs := vfs.NewMem()
	other := open(t, fs)
	must(t, other, "create old", "insert old 1 x 1")
	view, err := other.View() // stays readable while its store is replaced
	require.NoError(t, err)
	before := other.Position()
	for _, bad := range [][]byte{nil, buf.Bytes()[:buf.Len()-1], flip(buf.Bytes(), buf.Len()/2), flip(buf.Bytes(), 40)} {
		require.Error(t, other.Restore(bytes.NewReader(bad), nil))
		require.Equal(t, before, other.Position())
	}
	stop := make(chan struct{})
	close(stop)
	require.Error(t, other.Restore(bytes.NewReader(buf.Bytes()), stop))
	require.NoError(t, other.Restore(bytes.NewReader(buf.Bytes()), nil))
	require.Equal(t, want, other.Position())
	require.Len(t, latest(t, other, "a"), 50)
	require.Equal(t, []string{"1 x 1"}, dump(t, view, "old", 0, false))
	view.Close()
	must(t, other, "delete a 1")
	require.Equal(t, r.Position(), other.Position())
	sound(t, other)
	require.NoError(t, other.Close())
	other = open(t, fs)
	require.Equal(t, r.Position(), other.Position())
	sound(t, other)
	names, err := fs.List("/data/replica")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"current", "store-2"}, names)
	require.NoError(t, other.Close())
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x10
	return b
}

func TestSaveStops(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	img, err := r.Prepare()
	require.NoError(t, err)
	stop := make(chan struct{})
	close(stop)
	require.Error(t, r.Save(img, io.Discard, stop))
	require.Error(t, r.Save("no image", io.Discard, nil))
	img, err = r.Prepare()
	require.NoError(t, err)
	broken := errors.New("connection lost")
	require.ErrorIs(t, r.Save(img, failingWriter{broken}, nil), broken)
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
