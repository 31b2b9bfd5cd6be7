package query

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/memlog"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// soon is for how long a test waits for what happens in the background.
const soon = 20 * time.Second

// neighbours is a cluster of which only one thing is known: whether others live.
type neighbours struct {
	Cluster
	dead  atomic.Bool
	asked atomic.Int64
}

// HolderAlive implements Cluster.
func (n *neighbours) HolderAlive(context.Context, log.Owner) bool {
	n.asked.Add(1)
	return !n.dead.Load()
}

// slotEngines starts n engines, on nodes 1 to n, over one log.
func slotEngines(t *testing.T, n int) ([]*Engine, *neighbours) {
	cluster := memlog.New(memlog.Options{Seed: 1})
	t.Cleanup(func() { require.NoError(t, cluster.Close()) })
	around := &neighbours{}
	var engines []*Engine
	for i := range n {
		executor := NewExecutor("db")
		r, err := sm.Open(sm.Options{Dir: "data", FS: vfs.NewMem(), Log: 2, Executor: executor})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, r.Close()) })
		engines = append(engines, NewEngine(EngineConfig{Database: "db", Node: uint64(i) + 1, LogID: 2, Replica: r, Log: cluster.Add(r),
			Executor: executor, Cluster: around, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Leads: func() bool { return i == 0 }}))
	}
	cluster.Start()
	return engines, around
}

func codeIs(t *testing.T, want sqlstate.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, sqlstate.CodeOf(err), "%v", err)
}

// commit commits a transaction, so that the log gets longer.
func commit(t *testing.T, e *Engine, sql string) log.Offset {
	t.Helper()
	res, err := e.append(t.Context(), &log.Entry{Kind: log.KindCommand, Time: e.now(), Statements: []log.Statement{{Text: sql}}})
	require.NoError(t, err)
	require.Nil(t, res.Err)
	return res.Offset
}

// TestSlotOfOneEngine: a slot begins where its snapshot ends, is held by one at a
// time, and has what was acknowledged last when it is let go of.
func TestSlotOfOneEngine(t *testing.T) {
	ctx := t.Context()
	engines, _ := slotEngines(t, 1)
	e := engines[0]
	before := commit(t, e, "CREATE TABLE public.t (a int)")
	s, snapshot, err := e.CreateSlot(ctx, SlotRequest{Name: "s", Plugin: "pgoutput"}, 7)
	require.NoError(t, err)
	require.Equal(t, before, snapshot)
	require.Equal(t, before+1, s.Confirmed)
	require.False(t, s.Active)

	h, err := e.AcquireSlot(ctx, "s", 7)
	require.NoError(t, err)
	held := h.Slot()
	require.True(t, held.HeldBy(e.owner, 7))
	_, err = e.AcquireSlot(ctx, "s", 8)
	codeIs(t, sqlstate.ObjectInUse, err)
	require.EqualError(t, err, `replication slot "s" is active for PID 7 (SQLSTATE 55006)`)
	codeIs(t, sqlstate.ObjectInUse, e.DropSlot(ctx, "s", false))
	_, err = e.AdvanceSlot(ctx, "s", before)
	codeIs(t, sqlstate.ObjectInUse, err)

	last := log.Offset(0)
	for range 50 {
		last = commit(t, e, "INSERT INTO public.t VALUES (1)")
		h.Acknowledge(last + 1)
	}
	h.Acknowledge(before) // backwards: of no effect
	require.NoError(t, h.Release(ctx))
	s, _ = e.cfg.Replica.Slot("s")
	require.Equal(t, last+1, s.Confirmed)
	require.False(t, s.Active)

	at, err := e.AdvanceSlot(ctx, "s", before+1)
	require.NoError(t, err)
	require.Equal(t, before+1, at, "backwards")
	at, err = e.AdvanceSlot(ctx, "s", last+1000)
	require.NoError(t, err)
	require.Equal(t, last+1, at, "not past the end")
	require.NoError(t, e.DropSlot(ctx, "s", false))
	codeIs(t, sqlstate.UndefinedObject, e.DropSlot(ctx, "s", true))
	_, err = e.AcquireSlot(ctx, "s", 7)
	codeIs(t, sqlstate.UndefinedObject, err)
}

// TestSlotTakenOver: a holder whose node does not answer is taken over by another
// node, and finds out.
func TestSlotTakenOver(t *testing.T) {
	ctx := t.Context()
	engines, around := slotEngines(t, 2)
	a, b := engines[0], engines[1]
	end := commit(t, a, "CREATE TABLE public.t (a int)") + 1
	_, _, err := b.CreateSlot(ctx, SlotRequest{Name: "s", Plugin: "pgoutput"}, 1)
	require.NoError(t, err)
	h, err := a.AcquireSlot(ctx, "s", 1)
	require.NoError(t, err)
	_, err = b.AcquireSlot(ctx, "s", 2)
	codeIs(t, sqlstate.ObjectInUse, err)
	require.Positive(t, around.asked.Load())

	around.dead.Store(true)
	other, err := b.AcquireSlot(ctx, "s", 2)
	require.NoError(t, err)
	select {
	case <-h.Lost():
	case <-time.After(soon):
		t.Fatal("the holder does not notice")
	}
	codeIs(t, sqlstate.ObjectInUse, h.Err())
	h.Acknowledge(end + 1000)
	codeIs(t, sqlstate.ObjectInUse, h.Release(ctx))
	other.Acknowledge(end)
	require.NoError(t, other.Release(ctx))
	require.Equal(t, end, other.Slot().Confirmed)
}
