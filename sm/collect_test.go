package sm_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/tests/crashfs"
)

func truncateEntry(t testing.TB, floor log.Offset) []byte {
	return encode(t, &log.Entry{Kind: log.KindTruncate, Semantics: log.CurrentSemantics, Truncate: &log.Truncate{Floor: floor}})
}

// truncate raises the floor and returns what it has become.
func truncate(t testing.TB, r *sm.Replica, floor log.Offset) log.Offset {
	require.Nil(t, apply(t, r, truncateEntry(t, floor)).Err)
	return r.Position().Floor
}

func collect(t testing.TB, r *sm.Replica) {
	require.NoError(t, r.Collect(t.Context(), sm.CollectOptions{Hurry: true}))
}

// stored counts what is in the store.
func stored(t testing.TB, r *sm.Replica) map[keys.Space]int {
	n, err := sm.Keys(r)
	require.NoError(t, err)
	return n
}

// TestTruncate raises the floor to commits only, and what is below cannot be asked
// for any more, removed or not.
func TestTruncate(t *testing.T) {
	r := one(t)
	require.Zero(t, truncate(t, r, 1<<40), "there is no commit")
	var at []log.Offset
	at = append(at, must(t, r, "create a").Offset)
	for i := range 5 {
		at = append(at, must(t, r, fmt.Sprintf("insert a %d x %d", i, i)).Offset)
		require.NotNil(t, apply(t, r, entry(t, "fail")).Err)
	}
	end := r.Position()
	require.Zero(t, truncate(t, r, at[0]-1))
	require.Equal(t, at[2], truncate(t, r, at[3]-1), "between two commits it is the first")
	require.Equal(t, at[2], truncate(t, r, at[1]), "it never goes back")
	require.Equal(t, end.Offset, r.Position().Offset, "it takes no offset")
	require.Equal(t, end.Checksum, r.Position().Checksum)

	for _, removed := range []bool{false, true} {
		if removed {
			collect(t, r)
		}
		for i, off := range at {
			v, err := r.ViewAt(off)
			if i < 2 {
				requireGone(t, err, at[2])
				continue
			}
			require.NoError(t, err)
			require.Equal(t, off, v.Offset())
			require.Len(t, dump(t, v, "a", 0, false), i)
			v.Close()
		}
		v, err := r.View()
		require.NoError(t, err)
		for _, from := range []log.Offset{0, at[2], at[2] - 1} { // nothing is missing after these
			require.Equal(t, at[3:], commits(t, v, max(from, at[2])))
			require.Equal(t, 3, changesFrom(t, v, from))
		}
		require.Equal(t, []log.Offset{at[2], at[2], at[3]}, commands(t, v, 0)[:3], "the failures after the floor are there")
		c := v.Changes(at[2] - 2)
		require.False(t, c.Next())
		requireGone(t, c.Err(), at[2])
		x := v.Transactions(at[1])
		require.False(t, x.Next())
		requireGone(t, x.Err(), at[2])
		for _, it := range []*sm.CommandIter{v.Commands(at[1]), v.CommandsAfter(at[1], 1)} {
			require.False(t, it.Next())
			requireGone(t, it.Err(), at[2])
		}
		v.Close()
	}
	sound(t, r)
	require.Equal(t, end.Offset, truncate(t, r, 1<<60))
	collect(t, r)
	sound(t, r)
	require.Equal(t, 2, stored(t, r)[keys.Commands], "the one at the floor, and the failure after it")
	require.Zero(t, stored(t, r)[keys.Changes])
	require.Len(t, latest(t, r, "a"), 5)
}

func requireGone(t *testing.T, err error, oldest log.Offset) {
	require.Equal(t, sqlstate.InvalidParameterValue, sqlstate.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "no longer retained; the oldest is "+oldest.String())
}

func commits(t *testing.T, v *sm.View, from log.Offset) (out []log.Offset) {
	it := v.Transactions(from)
	defer it.Close()
	for it.Next() {
		out = append(out, it.Header().Commit)
	}
	require.NoError(t, it.Err())
	return out
}

func changesFrom(t *testing.T, v *sm.View, from log.Offset) (n int) {
	it := v.Changes(from)
	defer it.Close()
	for it.Next() {
		n++
	}
	require.NoError(t, it.Err())
	return n
}

func commands(t *testing.T, v *sm.View, from log.Offset) (out []log.Offset) {
	it := v.Commands(from)
	defer it.Close()
	for it.Next() {
		out = append(out, it.Command().Offset)
	}
	require.NoError(t, it.Err())
	return out
}

// TestCollect removes exactly what is superseded at the floor.
func TestCollect(t *testing.T) {
	r := one(t)
	must(t, r, "create a", "insert a 1 x 1", "insert a 2 x 2", "insert a 3 x 3")
	must(t, r, "update a 1 1 y 1", "delete a 2", "nextval a_seq 1")
	must(t, r, "update a 1 1 z 1", "nextval a_seq 1")
	floor := must(t, r, "insert a 2 again 2", "nextval a_seq 1").Offset
	must(t, r, "delete a 2", "update a 3 3 w 3", "nextval a_seq 1")
	collect(t, r)
	before := stored(t, r)
	require.Equal(t, before, stored(t, r), "without a floor nothing goes")
	require.Equal(t, floor, truncate(t, r, floor))
	want, v := dumpAt(t, r, floor), r.Position()
	collect(t, r)
	after := stored(t, r)
	// Rows: 1 and 2 with the version at the floor, 2 with its deletion after it,
	// 3 with both. Sequence: the value at the floor and the one after it.
	require.Equal(t, 5, after[keys.Rows])
	require.Equal(t, 2, after[keys.Sequences])
	require.Equal(t, want, dumpAt(t, r, floor))
	require.Equal(t, v, r.Position())
	sound(t, r)

	require.Equal(t, v.Offset, truncate(t, r, v.Offset))
	collect(t, r)
	require.Equal(t, 2, stored(t, r)[keys.Rows], "a deletion goes with what it deletes")
	require.Equal(t, 4, stored(t, r)[keys.Entries])
	require.Equal(t, []string{"1 z 1", "3 w 3"}, latest(t, r, "a"))
	require.Equal(t, "5", must(t, r, "nextval a_seq 1").Statements[0].Tag)
	must(t, r, "insert a 2 new 2")
	sound(t, r)
}

func dumpAt(t *testing.T, r *sm.Replica, off log.Offset) (out [][]string) {
	v, err := r.ViewAt(off)
	require.NoError(t, err)
	defer v.Close()
	for index := range 3 {
		out = append(out, dump(t, v, "a", index, false))
	}
	return out
}

// TestCollectDropped removes tables that are gone, and what is left of them where
// they were given new storage.
func TestCollectDropped(t *testing.T) {
	r := one(t)
	must(t, r, "create a", "insert a 1 x 1")
	must(t, r, "create b", "insert b 1 x 1", "nextval b_seq 1")
	must(t, r, "rekey a")
	must(t, r, "reindex a")
	must(t, r, "drop b")
	at := r.Position().Offset
	must(t, r, "truncate a")
	truncate(t, r, at)
	collect(t, r)
	require.Equal(t, [][]string{{"1 x 1"}, {"1 x 1"}, {"1 x 1"}}, dumpAt(t, r, at))
	require.Equal(t, 1, stored(t, r)[keys.Rows])
	require.Equal(t, 2, stored(t, r)[keys.Entries])
	sound(t, r)
	truncate(t, r, r.Position().Offset)
	collect(t, r)
	require.Zero(t, stored(t, r)[keys.Rows])
	require.Zero(t, stored(t, r)[keys.Entries])
	require.Zero(t, stored(t, r)[keys.Sequences])
	sound(t, r)
	must(t, r, "create b", "insert b 1 y 1", "insert a 1 y 1")
	collect(t, r)
	require.Equal(t, []string{"1 y 1"}, latest(t, r, "b"))
	sound(t, r)
}

// TestViewsPinHistory keeps what an open view can see, tables and log, whatever the
// floor does meanwhile.
func TestViewsPinHistory(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	first := must(t, r, "insert a 1 x 1").Offset
	must(t, r, "update a 1 1 y 1")
	old, err := r.ViewAt(first)
	require.NoError(t, err)
	now, err := r.View()
	require.NoError(t, err)
	must(t, r, "update a 1 1 z 1")
	truncate(t, r, r.Position().Offset)
	later, err := r.View()
	require.NoError(t, err)
	for range 2 {
		collect(t, r)
		require.Equal(t, []string{"1 x 1"}, dump(t, old, "a", 0, false))
		require.Equal(t, []string{"1 y 1"}, dump(t, now, "a", 1, false))
		require.Equal(t, 2, changesFrom(t, now, 0), "it reads the log as it was when it was opened")
		require.Zero(t, changesFrom(t, later, 0))
		require.Zero(t, r.Retention().Held)
	}
	old.Close()
	now.Close()
	collect(t, r)
	require.Equal(t, 1, stored(t, r)[keys.Rows])
	require.Equal(t, []string{"1 z 1"}, dump(t, later, "a", 0, false))
	later.Close()
	require.Equal(t, r.Position().Floor, r.Retention().Removed)
}

// TestCollectWaits leaves a storage alone until there is enough garbage in it.
func TestCollectWaits(t *testing.T) {
	r := one(t)
	must(t, r, "create a", "insert a 1 x 1")
	gentle := func() int {
		truncate(t, r, r.Position().Offset)
		require.NoError(t, r.Collect(t.Context(), sm.CollectOptions{}))
		return stored(t, r)[keys.Rows]
	}
	bump := func(n int) {
		for i := range n {
			must(t, r, fmt.Sprintf("update a 1 1 x%d 1", i))
		}
	}
	bump(900)
	require.Equal(t, 901, gentle())
	require.EqualValues(t, 900, r.Retention().GarbageVersions)
	bump(200)
	require.Equal(t, 1, gentle())
	require.Zero(t, r.Retention().GarbageVersions)
	sound(t, r)
}

// TestCollectLoads removes versions that a large transaction has written, or that
// hide them, and leaves alone what is staged.
func TestCollectLoads(t *testing.T) {
	r := one(t)
	must(t, r, "create a", "insert a 1 x 1", "delete a 1")
	v, err := r.View()
	require.NoError(t, err)
	oid := table(v, "a").ID
	v.Close()
	stage := func(n byte, ids ...int64) *simLoad {
		l := &simLoad{id: log.StageID{n}, oid: oid, table: "a"}
		rows := map[int64]toyValue{}
		for _, id := range ids {
			rows[id] = toyValue{"l", id}
		}
		require.Nil(t, apply(t, r, chunkEntry(t, l, rows, ids, false)).Err)
		return l
	}
	adopt := func(l *simLoad) {
		e := &log.Entry{Kind: log.KindCommand, Semantics: log.CurrentSemantics, Statements: []log.Statement{
			{Text: "copy a", Copy: &log.CopyData{Stage: l.id, Chunks: 1, Loaded: true}}}}
		require.Nil(t, apply(t, r, encode(t, e)).Err)
	}
	committed, open := stage(1, 1, 2), stage(2, 3, 4)
	stage(3, 5, 6)
	must(t, r, "insert a 5 mine 5") // the third one is doomed
	adopt(committed)
	must(t, r, "update a 1 1 later 1")
	at := r.Position().Offset
	want := latest(t, r, "a")
	truncate(t, r, at)
	collect(t, r)
	require.Equal(t, want, latest(t, r, "a"))
	require.Equal(t, 3+2+2, stored(t, r)[keys.Rows])
	require.Equal(t, 2+2, stored(t, r)[keys.LoadChanges], "those of the one that was committed are history")
	adopt(open)
	for len(r.Loads()) > 0 {
		require.Nil(t, apply(t, r, unstage(t, r.Loads()[0].Stage, 1)).Err)
	}
	must(t, r, "delete a 2", "delete a 4")
	truncate(t, r, r.Position().Offset)
	collect(t, r)
	require.Equal(t, []string{"1 later 1", "3 l 3", "5 mine 5"}, latest(t, r, "a"))
	require.Equal(t, 3, stored(t, r)[keys.Rows])
	require.Zero(t, stored(t, r)[keys.LoadChanges])
	sound(t, r)
}

// TestSweepAfterCollect sweeps a load with the descriptors of when it began, which
// have been superseded and fallen below the floor.
func TestSweepAfterCollect(t *testing.T) {
	fs := vfs.NewMem()
	r := open(t, fs)
	must(t, r, "create a")
	v, err := r.View()
	require.NoError(t, err)
	l := &simLoad{id: log.StageID{1}, oid: table(v, "a").ID, table: "a"}
	v.Close()
	require.Nil(t, apply(t, r, chunkEntry(t, l, map[int64]toyValue{1: {"l", 1}}, []int64{1}, false)).Err)
	must(t, r, "reindex a") // dooms it
	must(t, r, "drop a")
	must(t, r, "create b")
	truncate(t, r, r.Position().Offset)
	collect(t, r)
	require.NoError(t, r.Close())
	r = open(t, fs)
	defer func() { require.NoError(t, r.Close()) }()
	require.Len(t, r.Loads(), 1)
	for len(r.Loads()) > 0 {
		require.Nil(t, apply(t, r, unstage(t, l.id, 1)).Err)
	}
	require.NoError(t, r.Halted())
	sound(t, r)
}

// TestCollectBesideApply applies, reads and collects at the same time.
func TestCollectBesideApply(t *testing.T) {
	const rows, rounds = 40, 400
	r := one(t)
	must(t, r, "create a")
	for i := range rows {
		must(t, r, fmt.Sprintf("insert a %d x %d", i, i))
	}
	truncate(t, r, r.Position().Offset)
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				collect(t, r)
			}
		}
	})
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			floor := r.Position().Floor
			v, err := r.ViewAt(floor)
			if err != nil { // it has risen meanwhile
				assert.Equal(t, sqlstate.InvalidParameterValue, sqlstate.CodeOf(err))
				continue
			}
			first := dump(t, v, "a", 0, false)
			assert.Len(t, first, rows)
			for index := range 2 {
				assert.ElementsMatch(t, first, dump(t, v, "a", index, true))
			}
			v.Close()
		}
	})
	rnd := newRand(t, uint64(time.Now().UnixNano()))
	defer others.Wait()
	defer close(stop)
	for i := range rounds {
		id := rnd.IntN(rows)
		must(t, r, fmt.Sprintf("delete a %d", id), fmt.Sprintf("insert a %d %c %d", id, 'a'+i%20, id))
		if i%10 == 0 {
			truncate(t, r, r.Position().Offset-log.Offset(rnd.IntN(500)))
			must(t, r, "create b", "insert b 1 x 1")
			require.Equal(t, []string{"1 x 1"}, latest(t, r, "b"))
			must(t, r, "drop b")
		}
	}
	sound(t, r)
}

// fewSteps is a context that ends after it has been asked so many times.
type fewSteps struct {
	context.Context
	left int
}

func (c *fewSteps) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestCollectInterrupted stops collecting at every place where it pauses: a row with
// many versions that was deleted never comes back.
func TestCollectInterrupted(t *testing.T) {
	r := one(t)
	must(t, r, "create a", "insert a 1 x 1")
	for range 30 {
		must(t, r, "insert a 7 x 7")
		for range 120 {
			must(t, r, "update a 7 7 y 7")
		}
		must(t, r, "delete a 7")
	}
	truncate(t, r, r.Position().Offset)
	steps := 0
	for ; ; steps++ {
		err := r.Collect(&fewSteps{Context: t.Context(), left: steps}, sm.CollectOptions{Hurry: true})
		require.Equal(t, []string{"1 x 1"}, latest(t, r, "a"), "stopped after %d steps", steps)
		sound(t, r)
		if err == nil {
			break
		}
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Greater(t, steps, 3)
	require.Equal(t, 1, stored(t, r)[keys.Rows])
}

// TestStoreStaysSmall updates the same rows again and again: with a floor that
// follows, the store is as large as what is retained.
func TestStoreStaysSmall(t *testing.T) {
	const rows, rounds = 400, 100
	fs := vfs.NewMem()
	r := open(t, fs)
	defer func() { require.NoError(t, r.Close()) }()
	must(t, r, "create a")
	for i := range rows {
		must(t, r, fmt.Sprintf("insert a %d x %d", i, i))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		b := make([]byte, 250)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return hex.EncodeToString(b)
	}
	most := 0
	var disk []uint64
	for round := range rounds {
		var lines []string
		for i := range rows {
			lines = append(lines, fmt.Sprintf("update a %d %d %s %d", i, i, text(), i))
		}
		must(t, r, lines...)
		if round%5 > 0 {
			continue
		}
		truncate(t, r, r.Position().Offset)
		require.NoError(t, r.Sync())
		require.NoError(t, r.Collect(t.Context(), sm.CollectOptions{}))
		most = max(most, stored(t, r)[keys.Rows])
		disk = append(disk, sm.DiskBytes(r))
	}
	t.Logf("bytes on the disk: %v", disk)
	require.LessOrEqual(t, most, 7*rows)
	// Random bytes in hex halve: that much is written for rows, changes and commands.
	written := uint64(3 * rounds * rows * 250)
	require.Less(t, slices.Max(disk), written/3, "%d bytes were written", written)
	sound(t, r)
}

// collectTarget is a replica that has garbage.
type collectTarget struct {
	t      *testing.T
	r      *sm.Replica
	mem    *crashfs.FS
	rnd    *rand.Rand
	states map[log.Offset][]string
	after  map[log.Index]sm.Position
}

func newCollectTarget(t *testing.T, rnd *rand.Rand, fault *faulty) *collectTarget {
	x := &collectTarget{t: t, mem: crashfs.New(), rnd: rnd, states: map[log.Offset][]string{}, after: map[log.Index]sm.Position{}}
	r, err := sm.Open(options(errorfs.Wrap(x.mem, fault), "/data/replica"))
	require.NoError(t, err)
	x.r = r
	x.do("create a")
	x.work(100)
	require.NoError(t, r.Sync())
	return x
}

func (x *collectTarget) do(lines ...string) {
	res := must(x.t, x.r, lines...)
	x.states[res.Offset] = latest(x.t, x.r, "a")
	x.after[x.r.Applied()] = x.r.Position()
}

// work changes the same few rows again and again.
func (x *collectTarget) work(n int) {
	for i := range n {
		id := x.rnd.IntN(8)
		switch x.rnd.IntN(3) {
		case 0:
			x.do(fmt.Sprintf("delete a %d", id))
		default:
			x.do(fmt.Sprintf("delete a %d", id), fmt.Sprintf("insert a %d %c%0200d %d", id, 'a'+i%26, i, id))
		}
	}
}

// run raises the floor, collects and syncs, a few times.
func (x *collectTarget) run() {
	for range 3 {
		x.work(5)
		truncate(x.t, x.r, x.r.Position().Offset-300)
		x.after[x.r.Applied()] = x.r.Position()
		collect(x.t, x.r)
		require.NoError(x.t, x.r.Sync())
	}
}

// verify opens what a crash leaves: a state that there was, with all its history.
func (x *collectTarget) verify(fs *crashfs.FS, msg string) {
	r, err := sm.Open(options(fs, "/data/replica"))
	require.NoError(x.t, err, msg)
	pos := r.Position()
	require.Equal(x.t, x.after[pos.Index], pos, msg)
	sound(x.t, r)
	for _, again := range []bool{false, true} {
		if again {
			collect(x.t, r)
		}
		for _, off := range slices.Sorted(maps.Keys(x.states)) {
			if off > pos.Offset {
				break
			}
			v, err := r.ViewAt(off)
			require.Equal(x.t, off >= pos.Floor, err == nil, "%s: %s: %v", msg, off, err)
			if err == nil {
				require.Equal(x.t, x.states[off], dump(x.t, v, "a", 0, false), msg)
				require.ElementsMatch(x.t, x.states[off], dump(x.t, v, "a", 2, false), msg)
				v.Close()
			}
		}
	}
	require.NoError(x.t, r.Close())
}

// TestCollectSurvivesCrashes crashes at each write to the disk while garbage is
// removed, with nothing kept that was not synced, or some, or all.
func TestCollectSurvivesCrashes(t *testing.T) {
	rnd := faultRand(t)
	run := func(at int) int {
		var crashed *crashfs.FS
		fault := &faulty{kind: errorfs.OpIsWrite, at: at}
		x := newCollectTarget(t, rnd, fault)
		// The crash may come in a goroutine of Pebble's: it has random numbers of its own.
		own := rand.New(rand.NewPCG(rnd.Uint64(), 0))
		fault.do = func() error {
			crashed = x.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * own.IntN(3), RNG: own})
			return nil
		}
		fault.during(x.run)
		if crashed == nil {
			crashed = x.mem.CrashClone(vfs.CrashCloneCfg{})
		}
		require.NoError(t, x.r.Close())
		x.verify(crashed, fmt.Sprint("crash before write ", at))
		return fault.count
	}
	for _, at := range places(rnd, run(0)) {
		run(at)
	}
}
