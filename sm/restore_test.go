package sm_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/tests/crashfs"
)

// maxFaults bounds the places at which something goes wrong: beyond, some are
// left out at random.
const maxFaults = 150

// faulty counts file operations while it is armed, and does something at one of
// them.
type faulty struct {
	mu    sync.Mutex // Pebble works in goroutines of its own as well
	kind  errorfs.OpReadWrite
	armed bool
	count int
	at    int // 0: never
	do    func() error
	after bool // also at all later operations
}

// MaybeError implements errorfs.Injector.
func (f *faulty) MaybeError(op errorfs.Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.armed || op.Kind.ReadOrWrite() != f.kind {
		return nil
	}
	if f.count++; f.at > 0 && (f.count == f.at || f.after && f.count > f.at) {
		return f.do()
	}
	return nil
}

// String implements errorfs.Injector.
func (f *faulty) String() string { return "faulty" }

// during runs what is to be disturbed.
func (f *faulty) during(run func()) {
	f.set(true)
	defer f.set(false)
	run()
}

func (f *faulty) set(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = on
}

// target is a replica with a state of its own that a snapshot is restored to.
type target struct {
	t     *testing.T
	mem   *crashfs.FS
	fault *faulty
	r     *sm.Replica
	old   sm.Position
}

// newTarget makes one; with fenced it has fenced itself before.
func newTarget(t *testing.T, fault *faulty, fenced bool) *target {
	x := &target{t: t, mem: crashfs.New(), fault: fault}
	o := options(errorfs.Wrap(x.mem, fault), "/data/replica")
	o.Replica = 1
	r, err := sm.Open(o)
	require.NoError(t, err)
	x.r = r
	must(t, r, "create old", "insert old 1 x 1")
	for i := range 40 {
		must(t, r, fmt.Sprintf("insert old %d x %d", i+10, i+10))
	}
	if fenced {
		apply(t, r, encode(t, &log.Entry{Kind: log.KindCheck, Check: &log.Check{Voters: []log.ReplicaID{1, 2, 3}}}))
		of := r.Applied()
		for _, id := range []log.ReplicaID{2, 3} {
			apply(t, r, encode(t, &log.Entry{Kind: log.KindVote, Vote: &log.Vote{Check: of, Replica: id}}))
		}
		require.Error(t, r.Fenced())
	}
	if err := r.Sync(); !fenced {
		require.NoError(t, err)
	}
	x.old = r.Position()
	return x
}

// reopen opens what a crash leaves, and says whether it is the new state: it has
// to be that or the old one, as a whole.
func (x *target) reopen(fs *crashfs.FS, img sm.Position, fenced bool, msg string) (restored bool) {
	o := options(fs, "/data/replica")
	o.Replica = 1
	r, err := sm.Open(o)
	require.NoError(x.t, err, msg)
	got := r.Position()
	restored = got == img
	require.True(x.t, restored || got == x.old, "%s: %+v", msg, got)
	sound(x.t, r)
	require.Equal(x.t, fenced && !restored, r.Fenced() != nil, msg)
	_, err = fs.Stat("/data/replica/fenced.json")
	require.Equal(x.t, fenced && !restored, err == nil, msg)
	require.NoError(x.t, r.Close())
	return restored
}

// places returns where the n operations of a run are disturbed, from 1.
func places(rnd *rand.Rand, n int) []int {
	out := rnd.Perm(n)
	out = out[:min(n, maxFaults)]
	for i := range out {
		out[i]++
	}
	return out
}

func faultRand(t *testing.T) *rand.Rand { return newRand(t, uint64(time.Now().UnixNano())) }

// snapshotOf makes a snapshot that a target may be given, and its position.
func snapshotOf(t *testing.T) ([]byte, sm.Position) {
	source := one(t)
	must(t, source, "create a", "insert a 1 new 1")
	for i := range 60 {
		must(t, source, fmt.Sprintf("insert a %d new %d", i+10, i+10))
	}
	return image(t, source), source.Position()
}

func image(t *testing.T, r *sm.Replica) []byte {
	img, err := r.Prepare()
	require.NoError(t, err)
	var buf bytes.Buffer
	require.NoError(t, r.Save(img, &buf, nil))
	return buf.Bytes()
}

// TestRestoreSurvivesCrashes crashes before the n-th write operation of a
// restore, for every n, with nothing kept that was not synced, or some, or all:
// what is there afterwards is all of the old or all of the new.
func TestRestoreSurvivesCrashes(t *testing.T) {
	for _, fenced := range []bool{false, true} {
		rnd := faultRand(t)
		img, position := snapshotOf(t)
		seen := map[bool]int{}
		run := func(at int) (total int) {
			var crashed *crashfs.FS
			fault := &faulty{kind: errorfs.OpIsWrite, at: at}
			x := newTarget(t, fault, fenced)
			fault.do = func() error {
				crashed = x.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * rnd.IntN(3), RNG: rnd})
				return nil
			}
			fault.during(func() { require.NoError(t, x.r.Restore(bytes.NewReader(img), nil)) })
			if crashed == nil { // the last write was another one's, or there was to be no crash
				crashed = x.mem.CrashClone(vfs.CrashCloneCfg{})
			}
			require.NoError(t, x.r.Close())
			seen[x.reopen(crashed, position, fenced, fmt.Sprint("crash before write ", at))]++
			return fault.count
		}
		n := run(0)
		require.Equal(t, 1, seen[true], "a restore is durable when it returns")
		for _, at := range places(rnd, n) {
			run(at)
		}
		t.Logf("%d writes: old state %d times, new %d", n, seen[false], seen[true])
		require.Greater(t, seen[false], 5)
		require.Greater(t, seen[true], 1)
	}
}

var errDisk = errors.New("the disk has failed")

// failDisk is what an operation fails with. It spares those of Pebble's flushes
// and compactions: an error of theirs ends the process, and would end the test. It
// is the same as a crash there.
func failDisk() error {
	stack := string(debug.Stack())
	if strings.Contains(stack, "pebble/v2.(*DB).flush1") || strings.Contains(stack, "pebble/v2.(*DB).compact1") {
		return nil
	}
	return errDisk
}

// TestRestoreSurvivesErrors lets the n-th operation of a restore fail, and in half
// of the runs all later ones too. A replica that goes on has its old state and can
// be given the snapshot again; one that cannot has either state when it is opened.
func TestRestoreSurvivesErrors(t *testing.T) {
	img, position := snapshotOf(t)
	for _, kind := range []errorfs.OpReadWrite{errorfs.OpIsWrite, errorfs.OpIsRead} {
		rnd := faultRand(t)
		seen := map[string]int{}
		run := func(at int) (total int) {
			fault := &faulty{kind: kind, at: at, after: rnd.IntN(2) == 0, do: failDisk}
			x := newTarget(t, fault, false)
			err, died := x.restore(img)
			switch {
			case died:
				seen["died"]++
			case err != nil && x.r.Position() == x.old:
				seen["refused"]++
				x.goesOn(img, position)
			default:
				seen["restored"]++
			}
			closeQuietly(x.r)
			crashed := x.mem.CrashClone(vfs.CrashCloneCfg{})
			seen[fmt.Sprint("new ", x.reopen(crashed, position, false, fmt.Sprint("error at ", at)))]++
			return fault.count
		}
		for _, at := range places(rnd, run(0)) {
			run(at)
		}
		t.Logf("%v", seen)
		require.Positive(t, seen["refused"])
	}
}

// restore gives a snapshot to the target; died says that it ended as a process
// would.
func (x *target) restore(img []byte) (err error, died bool) {
	defer func() { died = recover() != nil }()
	x.fault.during(func() { err = x.r.Restore(bytes.NewReader(img), nil) })
	return err, false
}

// save takes a snapshot of the target; died says that it ended as a process would.
func (x *target) save() (err error, died bool) {
	defer func() { died = recover() != nil }()
	x.fault.during(func() {
		var img any
		if img, err = x.r.Prepare(); err == nil {
			err = x.r.Save(img, &bytes.Buffer{}, nil)
		}
	})
	return err, false
}

// goesOn uses a replica whose restore has failed: it is as it was, and takes the
// snapshot when nothing is in the way any more.
func (x *target) goesOn(img []byte, position sm.Position) {
	sound(x.t, x.r)
	must(x.t, x.r, "insert old 2 y 2")
	require.NoError(x.t, x.r.Restore(bytes.NewReader(img), nil))
	require.Equal(x.t, position, x.r.Position())
	sound(x.t, x.r)
}

// closeQuietly closes a replica whose store may have failed.
func closeQuietly(r *sm.Replica) {
	defer func() { _ = recover() }()
	_ = r.Close()
}

// TestSaveDisturbsNothing lets each operation of taking a snapshot fail, and the
// power go at each: the replica has what it had, and another snapshot is good.
func TestSaveDisturbsNothing(t *testing.T) {
	for _, kind := range []errorfs.OpReadWrite{errorfs.OpIsWrite, errorfs.OpIsRead} {
		rnd := faultRand(t)
		refused := 0
		run := func(at int, crash bool) (total int) {
			var crashed *crashfs.FS
			fault := &faulty{kind: kind, at: at}
			x := newTarget(t, fault, false)
			fault.do = func() error {
				if !crash {
					return failDisk()
				}
				crashed = x.mem.CrashClone(vfs.CrashCloneCfg{})
				return nil
			}
			must(t, x.r, "insert old 3 z 3")
			latest := x.r.Position()
			err, died := x.save()
			if died {
				x.reopen(x.mem.CrashClone(vfs.CrashCloneCfg{}), latest, false, fmt.Sprint("at ", at))
				return fault.count
			}
			if err != nil {
				refused++
			}
			require.Equal(t, latest, x.r.Position())
			sound(t, x.r)
			if crashed == nil {
				good := image(t, x.r)
				other := one(t)
				require.NoError(t, other.Restore(bytes.NewReader(good), nil))
				require.Equal(t, latest, other.Position())
				crashed = x.mem.CrashClone(vfs.CrashCloneCfg{})
			}
			closeQuietly(x.r)
			x.reopen(crashed, latest, false, fmt.Sprint("at ", at))
			return fault.count
		}
		for _, crash := range []bool{false, true} {
			for _, at := range places(rnd, run(0, crash)) {
				run(at, crash)
			}
		}
		require.Positive(t, refused)
	}
}
