package sm_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

var (
	here  = log.Owner{Node: 1, Process: 10}
	there = log.Owner{Node: 2, Process: 20}
)

// slotEntry encodes a change of the slot s, unless it names another.
func slotEntry(t testing.TB, c log.SlotChange) []byte {
	if c.Name == "" {
		c.Name = "s"
	}
	return encode(t, &log.Entry{Kind: log.KindSlot, Slot: &c})
}

// change applies a change and returns the code of its refusal, "" for none.
func change(t testing.TB, r *sm.Replica, c log.SlotChange) string {
	t.Helper()
	before := r.Position()
	res := apply(t, r, slotEntry(t, c))
	after := r.Position()
	require.Equal(t, before.Offset, after.Offset, "a slot takes no offset")
	require.Equal(t, before.Checksum, after.Checksum)
	require.Greater(t, after.Time, before.Time)
	require.Equal(t, before.Offset, res.Offset)
	if res.Err == nil {
		return ""
	}
	return res.Err.Code
}

func slot(t testing.TB, r *sm.Replica, name string) sm.Slot {
	t.Helper()
	s, ok := r.Slot(name)
	require.True(t, ok)
	return s
}

func TestSlotCreation(t *testing.T) {
	r := one(t)
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate, Name: "early", Plugin: "pgoutput"}))
	require.Equal(t, r.Position().End, slot(t, r, "early").Confirmed)
	res := must(t, r, "create a")
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate, Plugin: "pgoutput", Owner: here, Session: 7}))
	s := slot(t, r, "s")
	require.Equal(t, sm.Slot{Name: "s", Plugin: "pgoutput", Confirmed: res.Offset + 1, Generation: 2, Created: r.Position().Time}, s)
	require.LessOrEqual(t, slot(t, r, "early").Confirmed, res.Offset, "it delivers what came after it")

	require.Equal(t, "42710", change(t, r, log.SlotChange{Op: log.SlotCreate}))
	for name, code := range map[string]string{"A": "42602", "a-b": "42602", "ü": "42602", fmt.Sprintf("%064d", 0): "42622"} {
		require.Equal(t, code, change(t, r, log.SlotChange{Op: log.SlotCreate, Name: name}), name)
	}
	res = apply(t, r, encode(t, &log.Entry{Kind: log.KindSlot, Slot: &log.SlotChange{Op: log.SlotCreate}}))
	require.Equal(t, "42602", res.Err.Code, "no name")
	require.NotNil(t, apply(t, r, encode(t, &log.Entry{Kind: log.KindSlot})).Err)
	require.NotEmpty(t, change(t, r, log.SlotChange{}), "no operation")
	for i := len(r.Slots()); i < sm.MaxSlots; i++ {
		require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate, Name: fmt.Sprint("n", i)}))
	}
	require.Equal(t, "53400", change(t, r, log.SlotChange{Op: log.SlotCreate, Name: "more"}))
	require.Len(t, r.Slots(), sm.MaxSlots)
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotDrop}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate, Name: "more"}))
	for _, op := range []log.SlotOp{log.SlotDrop, log.SlotAcquire, log.SlotAdvance, log.SlotRelease, log.SlotRewind} {
		require.Equal(t, "42704", change(t, r, log.SlotChange{Op: op}))
	}
}

// TestSlotHolders: one holder at a time, and whoever held the slot before him is
// refused, whatever he says.
func TestSlotHolders(t *testing.T) {
	r := one(t)
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotAcquire, Owner: here, Session: 7}))
	first := slot(t, r, "s")
	require.True(t, first.HeldBy(here, 7))
	require.Equal(t, "55006", change(t, r, log.SlotChange{Op: log.SlotAcquire, Owner: there, Session: 8}))
	require.Equal(t, "55006", change(t, r, log.SlotChange{Op: log.SlotAcquire, Owner: here, Session: 7}), "not even he himself")
	require.Equal(t, "55006", change(t, r, log.SlotChange{Op: log.SlotDrop, Owner: here, Session: 7}))
	require.Equal(t, "55006", change(t, r, log.SlotChange{Op: log.SlotRewind, To: 1}))
	require.Equal(t, "55006", change(t, r, log.SlotChange{Op: log.SlotAcquire, Owner: there, Generation: first.Generation - 1, Steal: true}),
		"somebody else was gone")
	require.Equal(t, first, slot(t, r, "s"))

	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotAcquire, Owner: there, Session: 8, Generation: first.Generation, Steal: true}))
	second := slot(t, r, "s")
	require.True(t, second.HeldBy(there, 8))
	require.Greater(t, second.Generation, first.Generation)
	end := must(t, r, "create a").Offset + 1
	for _, op := range []log.SlotOp{log.SlotAdvance, log.SlotRelease} {
		require.Equal(t, "55006", change(t, r, log.SlotChange{Op: op, Owner: here, Session: 7, Generation: first.Generation, To: end}))
	}
	require.Equal(t, second, slot(t, r, "s"))

	for range 2 { // when its answer is lost, the holder says it again
		require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotRelease, Session: 8, Generation: second.Generation, To: end}))
		require.False(t, slot(t, r, "s").Active)
		require.Equal(t, end, slot(t, r, "s").Confirmed)
	}
	require.Equal(t, "55006", change(t, r, log.SlotChange{Op: log.SlotAdvance, Session: 8, Generation: second.Generation}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotDrop}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate}))
	require.Greater(t, slot(t, r, "s").Generation, second.Generation, "a number is not used again by another slot of the name")
}

// TestSlotMoves: a holder moves its slot forward only and not past the end; moving it
// backwards is for when nobody holds it.
func TestSlotMoves(t *testing.T) {
	r := one(t)
	first := must(t, r, "create a").Offset
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotAcquire, Owner: here, Session: 7}))
	g := slot(t, r, "s").Generation
	second := must(t, r, "insert a 1 p 1").Offset
	advance := func(to log.Offset) sm.Slot {
		require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotAdvance, Generation: g, To: to}))
		return slot(t, r, "s")
	}
	changed := r.SlotChanged()
	require.Equal(t, first+1, advance(first).Confirmed)
	require.Zero(t, advance(first+1).Acknowledged)
	select {
	case <-changed:
		t.Fatal("nothing has changed")
	default:
	}
	s := advance(second - 3)
	require.Equal(t, second-3, s.Confirmed)
	require.Equal(t, r.Position().Time, s.Acknowledged)
	<-changed
	require.Equal(t, second+1, advance(second+1000).Confirmed)
	require.Equal(t, second+1, advance(first).Confirmed)

	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotRelease, Generation: g}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotRewind, To: first}))
	require.Equal(t, first, slot(t, r, "s").Confirmed)
	require.Equal(t, "55006", change(t, r, log.SlotChange{Op: log.SlotRelease, Generation: g, To: second}), "a release that comes late")
	require.Equal(t, first, slot(t, r, "s").Confirmed)
	require.Equal(t, "22023", change(t, r, log.SlotChange{Op: log.SlotRewind}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotRewind, To: second + 1000}))
	require.Equal(t, second+1, slot(t, r, "s").Confirmed)
}

// TestTemporarySlot: it belongs to its session, which may take, leave and drop it,
// and nobody gets it when the session is gone.
func TestTemporarySlot(t *testing.T) {
	r := one(t)
	create := log.SlotChange{Op: log.SlotCreate, Temporary: true, Owner: here, Session: 7}
	require.Empty(t, change(t, r, create))
	s := slot(t, r, "s")
	require.True(t, s.HeldBy(here, 7))
	require.Equal(t, "55006", change(t, r, log.SlotChange{Op: log.SlotAcquire, Owner: here, Session: 8}))
	require.Equal(t, "55006", change(t, r, log.SlotChange{Op: log.SlotAcquire, Owner: here, Session: 8, Generation: s.Generation, Steal: true}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotAcquire, Owner: here, Session: 7}))
	s = slot(t, r, "s")
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotRelease, Generation: s.Generation}))
	require.Equal(t, s, slot(t, r, "s"))
	require.Equal(t, "55006", change(t, r, log.SlotChange{Op: log.SlotDrop, Owner: there, Session: 7}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotRewind, Owner: here, Session: 7, To: 1}))
	s = slot(t, r, "s")
	require.True(t, s.HeldBy(here, 7))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotDrop, Owner: here, Session: 7}))
	require.Empty(t, change(t, r, create))
	require.Equal(t, "55006", change(t, r, log.SlotChange{Op: log.SlotDrop, Generation: s.Generation, Steal: true}), "that was another one")
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotDrop, Generation: slot(t, r, "s").Generation, Steal: true}))
}

// TestAckSlot: a transaction that commits moves the slot, one that fails does not,
// and what a savepoint takes back is not acknowledged.
func TestAckSlot(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate}))
	from := slot(t, r, "s").Confirmed
	end := must(t, r, "insert a 1 p 1").Offset + 1
	ack := func(to log.Offset) string { return fmt.Sprintf("ack s %d", to) }
	code := func(statements ...string) string {
		res := apply(t, r, entry(t, statements...))
		require.NotNil(t, res.Err)
		return res.Err.Code
	}
	require.Equal(t, "22012", code(ack(end), "fail x"))
	require.Equal(t, "22023", code(ack(end+1000)), "past the end")
	require.Equal(t, "55000", code(ack(from)), "not forward")
	require.Equal(t, "55000", code(ack(end), ack(end)), "twice")
	require.Equal(t, "42704", code("ack x 1"))
	require.Equal(t, from, slot(t, r, "s").Confirmed)

	must(t, r, "savepoint", ack(end), "rollback", "insert a 2 p 2", ack(from+1), ack(from+2))
	require.Equal(t, from+2, slot(t, r, "s").Confirmed)
	require.Equal(t, r.Position().Time, slot(t, r, "s").Acknowledged)
	require.Equal(t, "55000", code("insert a 3 p 3", ack(from+2)))
	require.Equal(t, []string{"1 p 1", "2 p 2"}, latest(t, r, "a"))

	// In one batch, each transaction meets what the one before it has acknowledged.
	index := r.Applied()
	answers, err := r.Apply([]log.Committed{
		{Index: index + 1, Data: entry(t, ack(from+3))}, {Index: index + 2, Data: entry(t, ack(from+3))},
		{Index: index + 3, Data: slotEntry(t, log.SlotChange{Op: log.SlotDrop})}, {Index: index + 4, Data: entry(t, ack(from+4))}})
	require.NoError(t, err)
	for i, want := range []string{"", "55000", "", "42704"} {
		res, err := log.DecodeResult(answers[i])
		require.NoError(t, err)
		require.Equal(t, want != "", res.Err != nil, "%d", i)
		if want != "" {
			require.Equal(t, want, res.Err.Code)
		}
	}

	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	txn := v.Begin()
	defer txn.Close()
	require.Equal(t, sqlstate.UndefinedObject, sqlstate.CodeOf(txn.AckSlot("s", 1)))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate}))
	require.Equal(t, sqlstate.ObjectNotInPrerequisiteState, sqlstate.CodeOf(txn.AckSlot("s", end)))
	require.NoError(t, txn.AckSlot("s", end+1_000_000), "ahead of what a view shows")
	require.Equal(t, sqlstate.ObjectNotInPrerequisiteState, sqlstate.CodeOf(txn.AckSlot("s", end+1_000_000)))
	must(t, r, "insert a 9 p 9")
	require.NoError(t, v.Begin().AckSlot("s", 1), "what the slot was then is not known")
}

// TestLargeTransactionAcknowledgesNothing: its chunks are entries of their own, and
// may be given up.
func TestLargeTransactionAcknowledgesNothing(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotRewind, To: 1}))
	x := newLoad(t, r, 1, "a")
	res := apply(t, r, chunkEntry(t, &x.l, map[int64]toyValue{1: {"ack", 2}}, []int64{1}, false))
	require.Equal(t, "0A000", res.Err.Code)
	require.EqualValues(t, 1, slot(t, r, "s").Confirmed)
}

// TestSlotInvalidated: a slot whose changes are not retained any more is of no use
// until it is told to go on from a place that is.
func TestSlotInvalidated(t *testing.T) {
	r := one(t)
	must(t, r, "create a")
	for _, name := range []string{"old", "new"} {
		require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate, Name: name}))
		require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotAcquire, Name: name, Owner: here, Session: 7}))
	}
	g := slot(t, r, "old").Generation
	floor := must(t, r, "insert a 1 p 1").Offset + 1
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotAdvance, Name: "new", Generation: slot(t, r, "new").Generation, To: floor}))
	kept := slot(t, r, "new")
	require.NoError(t, sm.InvalidateSlots(r, floor))
	require.Equal(t, kept, slot(t, r, "new"))
	lost := slot(t, r, "old")
	require.False(t, lost.Active)
	err := sqlstate.As(lost.Unusable(floor))
	require.Equal(t, sqlstate.ObjectNotInPrerequisiteState, err.Code)
	require.Equal(t, `can no longer get changes from replication slot "old"`, err.Message)
	require.Contains(t, err.Hint, floor.String())

	require.Equal(t, "55000", change(t, r, log.SlotChange{Op: log.SlotAcquire, Name: "old"}))
	require.Equal(t, "55000", change(t, r, log.SlotChange{Op: log.SlotAdvance, Name: "old", Generation: g, To: floor}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotRelease, Name: "old", Generation: g, To: floor}))
	require.Equal(t, lost, slot(t, r, "old"))
	require.Equal(t, "55000", apply(t, r, entry(t, fmt.Sprintf("ack old %d", floor))).Err.Code)
	require.Equal(t, "55000", change(t, r, log.SlotChange{Op: log.SlotRewind, Name: "old", To: floor - 1}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotRewind, Name: "old", To: floor}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotAcquire, Name: "old"}))
	require.Empty(t, slot(t, r, "old").Invalid)
}

// TestSlotsSurvive: restarts and snapshots bring slots along, and a store whose slots
// are not those that were agreed about is not opened.
func TestSlotsSurvive(t *testing.T) {
	fs := vfs.NewMem()
	r := open(t, fs)
	must(t, r, "create a")
	for i := range 3 {
		require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate, Name: fmt.Sprint("s", i), Plugin: "pgoutput"}))
	}
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotAcquire, Name: "s1", Owner: there, Session: -7}))
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotDrop, Name: "s2"}))
	want := r.Slots()
	require.Len(t, want, 2)
	img := image(t, r)
	require.NoError(t, r.Close())
	r = open(t, fs)
	require.Equal(t, want, r.Slots())
	g := slot(t, r, "s1").Generation
	require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotAcquire, Name: "s0"}))
	require.Greater(t, slot(t, r, "s0").Generation, g)
	require.NoError(t, r.Close())

	other := one(t)
	changed := other.SlotChanged()
	require.NoError(t, other.Restore(bytes.NewReader(img), nil))
	<-changed
	require.Equal(t, want, other.Slots())

	db, err := pebble.Open(groupDir+"/store-1", sm.StoreOptions(options(fs, "")))
	require.NoError(t, err)
	require.NoError(t, db.Delete(keys.AppendSlot(nil, "s0"), pebble.NoSync))
	require.NoError(t, db.Flush())
	require.NoError(t, db.Close())
	_, err = sm.Open(options(fs, groupDir))
	require.ErrorContains(t, err, "slots have checksum")
}

// TestSlotsAreVotedOn: replicas that differ in a slot only do not agree.
func TestSlotsAreVotedOn(t *testing.T) {
	var digests []log.Digest
	var checksums []sm.Checksum
	for _, plugin := range []string{"pgoutput", "pgoutput", "pgoutpux"} {
		r := one(t)
		must(t, r, "create a")
		require.Empty(t, change(t, r, log.SlotChange{Op: log.SlotCreate, Plugin: plugin}))
		apply(t, r, encode(t, &log.Entry{Kind: log.KindCheck, Check: &log.Check{Voters: []log.ReplicaID{0}}}))
		v, err := r.Vote(t.Context(), r.Ballots()[0])
		require.NoError(t, err)
		digests, checksums = append(digests, v.Digest), append(checksums, r.Position().Checksum)
	}
	require.Equal(t, digests[0], digests[1])
	require.NotEqual(t, digests[0], digests[2])
	require.Equal(t, checksums[0], checksums[2], "views do not show them")
}
