package sm_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/tests/crashfs"
)

// seeded is an entry as a proposer makes it.
func seeded(t *testing.T, seed uint64, earliest log.Place, statements ...string) []byte {
	e, err := log.DecodeEntry(entry(t, statements...))
	require.NoError(t, err)
	binary.BigEndian.PutUint64(e.Seed[:], seed)
	e.Earliest = earliest
	return encode(t, e)
}

func applyOne(t *testing.T, r *sm.Replica, data []byte) *log.Result {
	out, err := r.Apply([]log.Committed{{Index: r.Applied() + 1, Data: data}})
	require.NoError(t, err)
	res, err := log.DecodeResult(out[0])
	require.NoError(t, err)
	return res
}

// others applies n entries that nobody recognises, in batches of any size.
func others(t *testing.T, r *sm.Replica, n int) {
	const batch = 5000
	data := encode(t, &log.Entry{Kind: log.KindCheck, Semantics: log.CurrentSemantics})
	for n > 0 {
		entries := make([]log.Committed, min(n, batch))
		for i := range entries {
			entries[i] = log.Committed{Index: r.Applied() + 1 + log.Index(i), Data: data}
		}
		_, err := r.Apply(entries)
		require.NoError(t, err)
		n -= len(entries)
	}
}

// TestRepeatedEntries applies entries again: after a restart, after a snapshot,
// within one batch, and when they have been forgotten.
func TestRepeatedEntries(t *testing.T) {
	fs := crashfs.New()
	r := open(t, fs)
	require.Nil(t, applyOne(t, r, seeded(t, 1, 1, "create a")).Err)
	insert := seeded(t, 2, 2, "insert a 1 x 1")
	first := applyOne(t, r, insert)
	require.Nil(t, first.Err)
	failing := seeded(t, 3, 3, "insert a 1 y 2")
	failed := applyOne(t, r, failing)
	require.Equal(t, "23505", failed.Err.Code)

	check := func(r *sm.Replica) {
		t.Helper()
		sum := r.Position().Checksum
		again := applyOne(t, r, insert)
		require.Nil(t, again.Err)
		require.Equal(t, log.Repeated, again.Repeat)
		require.Equal(t, first.Offset, again.Offset)
		again = applyOne(t, r, failing)
		require.Equal(t, log.Repeated, again.Repeat)
		require.Equal(t, "23505", again.Err.Code)
		require.Equal(t, sum, r.Position().Checksum)
		require.Equal(t, []string{"1 x 1"}, latest(t, r, "a"))
	}
	check(r)
	require.NoError(t, r.Close())
	r = open(t, fs)
	check(r)
	image, err := r.Prepare()
	require.NoError(t, err)
	var buf bytes.Buffer
	require.NoError(t, r.Save(image, &buf, nil))
	other := open(t, crashfs.New())
	require.NoError(t, other.Restore(&buf, nil))
	check(other)

	at := r.Applied()
	remove := seeded(t, 4, r.Position().Place+1, "delete a 1")
	back := seeded(t, 5, r.Position().Place+1, "insert a 1 z 3")
	out, err := r.Apply([]log.Committed{{Index: at + 1, Data: remove}, {Index: at + 2, Data: back}, {Index: at + 3, Data: remove}})
	require.NoError(t, err)
	require.True(t, log.IsExecuted(out[1]))
	require.False(t, log.IsExecuted(out[2]))
	require.Equal(t, []string{"1 z 3"}, latest(t, r, "a"))
}

// TestForgottenEntriesAreRefused lets the window pass.
func TestForgottenEntriesAreRefused(t *testing.T) {
	fs := crashfs.New()
	r := open(t, fs)
	require.Nil(t, applyOne(t, r, seeded(t, 1, 1, "create a")).Err)
	require.EqualValues(t, 1, r.Position().Place)
	late := seeded(t, 2, 2, "insert a 1 x 1") // at place 2
	require.Nil(t, applyOne(t, r, late).Err)
	others(t, r, int(sm.RepeatWindow)-1)
	again := applyOne(t, r, late)
	require.EqualValues(t, 2+sm.RepeatWindow, r.Position().Place)
	require.Equal(t, log.TooLate, again.Repeat, "the first place behind the window")
	require.Equal(t, "40001", again.Err.Code)

	near := seeded(t, 3, r.Position().Place+1, "insert a 2 y 2")
	require.Nil(t, applyOne(t, r, near).Err)
	others(t, r, int(sm.RepeatWindow)-2)
	again = applyOne(t, r, near)
	require.Equal(t, log.Repeated, again.Repeat, "the last place in the window")
	require.Equal(t, log.TooLate, applyOne(t, r, near).Repeat)
	require.NoError(t, r.Close())
	r = open(t, fs)
	require.Equal(t, log.TooLate, applyOne(t, r, near).Repeat)
	require.Equal(t, []string{"1 x 1", "2 y 2"}, latest(t, r, "a"))
}
