package query

import (
	"context"
	"io"
	"log/slog"
	"sync"
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

// Databases, Nodes and Replicas implement Cluster.
func (n *neighbours) Databases() []DatabaseInfo { return nil }
func (n *neighbours) Nodes() []NodeInfo {
	return []NodeInfo{{ID: "n1", Number: 1}, {ID: "n2", Number: 2}}
}
func (n *neighbours) Replicas() []ReplicaInfo { return nil }

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
	require.Equal(t, "That is a connection to node n1.", sqlstate.As(err).Detail)

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

// TestSlotOfOneAtATime: of many who ask at once one gets the slot.
func TestSlotOfOneAtATime(t *testing.T) {
	engines, _ := slotEngines(t, 2)
	_, _, err := engines[0].CreateSlot(t.Context(), SlotRequest{Name: "s"}, 0)
	require.NoError(t, err)
	var got atomic.Int64
	var asking sync.WaitGroup
	holders := make(chan *HeldSlot, 1)
	for i := range 16 {
		asking.Go(func() {
			h, err := engines[i%2].AcquireSlot(t.Context(), "s", 0)
			if err == nil {
				got.Add(1)
				holders <- h
				return
			}
			if sqlstate.CodeOf(err) != sqlstate.ObjectInUse {
				t.Errorf("%v", err)
			}
		})
	}
	asking.Wait()
	require.EqualValues(t, 1, got.Load())
	require.NoError(t, (<-holders).Release(t.Context()))
}

// TestAcknowledgementsAreFew: a consumer may acknowledge as often as it likes.
func TestAcknowledgementsAreFew(t *testing.T) {
	engines, _ := slotEngines(t, 1)
	e := engines[0]
	end := commit(t, e, "CREATE TABLE public.t (a int)") + 1
	for range 100 {
		end = commit(t, e, "INSERT INTO public.t VALUES (1)") + 1
	}
	_, _, err := e.CreateSlot(t.Context(), SlotRequest{Name: "s"}, 0)
	require.NoError(t, err)
	_, err = e.AdvanceSlot(t.Context(), "s", 1)
	require.NoError(t, err)
	h, err := e.AcquireSlot(t.Context(), "s", 0)
	require.NoError(t, err)
	place, began := e.cfg.Replica.Position().Place, time.Now()
	for to := end - 1000; to <= end; to++ {
		h.Acknowledge(to)
	}
	require.NoError(t, h.Release(t.Context()))
	entries := e.cfg.Replica.Position().Place - place
	require.LessOrEqual(t, int64(entries), int64(2+time.Since(began)/ackEvery))
	s, _ := e.cfg.Replica.Slot("s")
	require.Equal(t, end, s.Confirmed)
	require.False(t, s.Active)
}

// TestSlotsOfSessions: what a session held is let go of when it ends, and its
// temporary slots are gone.
func TestSlotsOfSessions(t *testing.T) {
	engines, _ := slotEngines(t, 1)
	e := engines[0]
	maintain(t, e)
	end := commit(t, e, "CREATE TABLE public.t (a int)") + 1
	session := func(pid int32) *Session {
		s, _, err := e.NewSession(t.Context(), StartupParams{User: "u", Database: "db", ProcessID: pid})
		require.NoError(t, err)
		return s
	}
	one, two := session(1), session(2)
	defer two.Close()
	_, _, err := e.CreateSlot(t.Context(), SlotRequest{Name: "s"}, 1)
	require.NoError(t, err)
	for i, name := range []string{"t1", "t2"} {
		_, _, err = e.CreateSlot(t.Context(), SlotRequest{Name: name, Temporary: true}, int32(i+1))
		require.NoError(t, err)
	}
	_, err = e.AdvanceSlot(t.Context(), "s", 1)
	require.NoError(t, err)
	h, err := e.AcquireSlot(t.Context(), "s", 1)
	require.NoError(t, err)
	own, err := e.AcquireSlot(t.Context(), "t1", 1)
	require.NoError(t, err, "a session's own")
	require.NoError(t, own.Release(t.Context()))
	_, err = e.AcquireSlot(t.Context(), "t1", 2)
	codeIs(t, sqlstate.ObjectInUse, err)
	codeIs(t, sqlstate.ObjectInUse, e.dropSlot(t.Context(), "t1", false, 2))
	require.NoError(t, e.tidyOwnSlots(t.Context()), "nobody is gone")
	require.Len(t, e.Slots(), 3)
	h.Acknowledge(end)
	one.Close()
	s, _ := e.cfg.Replica.Slot("s")
	require.False(t, s.Active, "at once")
	require.Equal(t, end, s.Confirmed)
	require.Eventually(t, func() bool { return !e.hasSlot("t1") }, soon, time.Millisecond)
	require.True(t, e.hasSlot("t2"))
	require.NoError(t, e.dropSlot(t.Context(), "t2", false, 2), "one's own")
}

func maintain(t *testing.T, e *Engine) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Maintain(ctx)
	}()
	t.Cleanup(func() { stop(); <-done })
}

// TestSlotsOfTheDead: what the processes of nodes held that ended without a word is
// let go of, by the node itself or by the one that leads.
func TestSlotsOfTheDead(t *testing.T) {
	ctx := t.Context()
	engines, around := slotEngines(t, 2)
	a, b := engines[0], engines[1]
	hold := func() {
		_, _, err := b.CreateSlot(ctx, SlotRequest{Name: "s"}, 0)
		require.NoError(t, err)
		_, err = b.AcquireSlot(ctx, "s", 0)
		require.NoError(t, err)
		_, _, err = b.CreateSlot(ctx, SlotRequest{Name: "t", Temporary: true}, 0)
		require.NoError(t, err)
	}
	drop := func() {
		require.False(t, a.cfg.Replica.Slots()[0].Active)
		require.False(t, a.hasSlot("t"))
		require.NoError(t, b.DropSlot(ctx, "s", false))
	}
	hold()
	require.NoError(t, a.freshSlots(ctx))
	strikes := map[uint64]int{}
	for range 2 * holderStrikes {
		require.NoError(t, a.tidyOtherSlots(ctx, strikes))
	}
	require.Len(t, a.Slots(), 2, "it lives")
	around.dead.Store(true)
	for range holderStrikes {
		require.Len(t, a.Slots(), 2)
		require.NoError(t, a.tidyOtherSlots(ctx, strikes))
	}
	drop()
	require.NoError(t, a.tidyOtherSlots(ctx, strikes))
	require.Empty(t, strikes)

	hold()
	cfg := b.cfg
	again := NewEngine(cfg) // the same node after a restart
	require.NoError(t, again.tidyOwnSlots(ctx))
	require.NoError(t, a.freshSlots(ctx))
	drop()

	hold()
	require.NoError(t, a.freshSlots(ctx))
	_, _, err := a.CreateSlot(ctx, SlotRequest{Name: "t"}, 0)
	require.NoError(t, err, "in the place of a temporary one whose session is gone")
	_, err = a.AcquireSlot(ctx, "s", 0)
	require.NoError(t, err)
}

// TestDropSlotWaits: DROP_REPLICATION_SLOT … WAIT waits for the holder.
func TestDropSlotWaits(t *testing.T) {
	engines, _ := slotEngines(t, 2)
	a, b := engines[0], engines[1]
	_, _, err := a.CreateSlot(t.Context(), SlotRequest{Name: "s"}, 0)
	require.NoError(t, err)
	h, err := a.AcquireSlot(t.Context(), "s", 0)
	require.NoError(t, err)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	codeIs(t, sqlstate.QueryCanceled, b.DropSlot(short, "s", true))
	dropped := make(chan error, 1)
	go func() { dropped <- b.DropSlot(t.Context(), "s", true) }()
	require.NoError(t, h.Release(t.Context()))
	require.NoError(t, <-dropped)
	require.NoError(t, a.freshSlots(t.Context()))
	require.False(t, a.hasSlot("s"))
}

// TestReleaseGivenUp: a release that may not wait leaves the slot to whoever comes.
func TestReleaseGivenUp(t *testing.T) {
	engines, _ := slotEngines(t, 1)
	e := engines[0]
	maintain(t, e)
	_, _, err := e.CreateSlot(t.Context(), SlotRequest{Name: "s"}, 0)
	require.NoError(t, err)
	h, err := e.AcquireSlot(t.Context(), "s", 0)
	require.NoError(t, err)
	e.holds.remove(h)
	require.Eventually(t, func() bool { s, _ := e.cfg.Replica.Slot("s"); return !s.Active }, soon, time.Millisecond)
	<-h.Lost()
	codeIs(t, sqlstate.ObjectInUse, h.Err())
}

// TestWaitForSlot: who waits for a consumer goes on when it has acknowledged the last
// commit before the position that was asked for.
func TestWaitForSlot(t *testing.T) {
	engines, _ := slotEngines(t, 2)
	a, b := engines[0], engines[1]
	first := commit(t, a, "CREATE TABLE public.t (a int)")
	second := commit(t, a, "INSERT INTO public.t VALUES (1)")
	_, _, err := a.CreateSlot(t.Context(), SlotRequest{Name: "s"}, 0)
	require.NoError(t, err)
	_, err = a.AdvanceSlot(t.Context(), "s", first)
	require.NoError(t, err)
	s, _, err := b.NewSession(t.Context(), StartupParams{User: "u", Database: "db", ProcessID: 1})
	require.NoError(t, err)
	defer s.Close()
	h, err := a.AcquireSlot(t.Context(), "s", 0)
	require.NoError(t, err)
	for _, c := range []struct{ target, last log.Offset }{{first, first}, {first + 1, first}, {second - 1, first}, {second, second}, {second + 1, second}, {0, second}} {
		waited := make(chan error, 1)
		target := ""
		if c.target != 0 {
			target = c.target.String()
		}
		go func() { waited <- s.waitSlot(t.Context(), "s", target, soon) }()
		h.Acknowledge(c.last + 1)
		require.NoError(t, <-waited)
		held := h.Slot()
		require.LessOrEqual(t, held.Confirmed, c.last+1)
	}
	third := commit(t, a, "INSERT INTO public.t VALUES (2)")
	codeIs(t, sqlstate.QueryCanceled, s.waitSlot(t.Context(), "s", third.String(), time.Millisecond))
	waited := make(chan error, 1)
	go func() { waited <- s.waitSlot(t.Context(), "s", third.String(), soon) }()
	require.NoError(t, h.Release(t.Context()))
	require.NoError(t, a.DropSlot(t.Context(), "s", false))
	codeIs(t, sqlstate.UndefinedObject, <-waited)
}
