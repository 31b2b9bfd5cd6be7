package query

import (
	"context"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

const (
	// slotAttempts is how often something is tried with a slot that others take
	// and leave at the same time.
	slotAttempts = 5
	// slotFreshTimeout bounds the question whether this node knows everything of a
	// slot; holderTimeout the one whether another node's process still runs.
	slotFreshTimeout = 5 * time.Second
	holderTimeout    = 400 * time.Millisecond
	// slotPoll is how often who waits for a slot looks whether its holder is gone.
	slotPoll = time.Second
)

// SlotRequest is a slot to be made.
type SlotRequest struct {
	Name, Plugin string
	Temporary    bool // it goes when the session does
}

// CreateSlot makes a slot. snapshot is the offset whose view has everything that
// the slot will not deliver: the slot begins with the transaction after it.
// session is the process id of the connection. Errors: 42710, 53400, 42602, 42622.
func (e *Engine) CreateSlot(ctx context.Context, r SlotRequest, session int32) (slot sm.Slot, snapshot log.Offset, err error) {
	c := log.SlotChange{Op: log.SlotCreate, Name: r.Name, Plugin: r.Plugin, Temporary: r.Temporary, Session: session}
	res, err := e.changeSlot(ctx, c)
	if sqlstate.CodeOf(err) == sqlstate.DuplicateObject && e.dropOrphan(ctx, r.Name) {
		res, err = e.changeSlot(ctx, c)
	}
	if err != nil {
		return sm.Slot{}, 0, err
	}
	slot, ok := e.cfg.Replica.Slot(r.Name)
	if !ok {
		return sm.Slot{}, 0, sm.NoSlot(r.Name) // dropped by somebody else in the meantime
	}
	return slot, res.Offset, nil
}

// dropOrphan drops a temporary slot whose session is gone, and reports whether it
// has.
func (e *Engine) dropOrphan(ctx context.Context, name string) bool {
	s, ok := e.cfg.Replica.Slot(name)
	if !ok || !s.Temporary || !e.holderGone(ctx, &s, nil) {
		return false
	}
	_, err := e.changeSlot(ctx, log.SlotChange{Op: log.SlotDrop, Name: name, Generation: s.Generation, Steal: true})
	return err == nil
}

// DropSlot drops a slot that nobody holds; with wait it waits until nobody does.
// Errors: 42704, 55006.
func (e *Engine) DropSlot(ctx context.Context, name string, wait bool) error {
	return e.dropSlot(ctx, name, wait, 0)
}

// dropSlot is DropSlot by a session, which may also drop its own temporary slots.
func (e *Engine) dropSlot(ctx context.Context, name string, wait bool, session int32) error {
	for {
		changed := e.cfg.Replica.SlotChanged()
		err := e.withFreeSlot(ctx, log.SlotChange{Op: log.SlotDrop, Name: name, Session: session}, nil)
		if !wait || sqlstate.CodeOf(err) != sqlstate.ObjectInUse {
			return err
		}
		select {
		case <-changed:
		case <-time.After(slotPoll):
		case <-ctx.Done():
			return exec.Canceled(ctx)
		}
	}
}

// AdvanceSlot moves a slot that nobody holds to an offset, also backwards as far
// as history is retained, and returns where it is then: not past the end of the
// log. Errors: 42704, 55006, 55000, 22023.
func (e *Engine) AdvanceSlot(ctx context.Context, name string, to log.Offset) (log.Offset, error) {
	return e.advanceSlot(ctx, name, to, 0)
}

func (e *Engine) advanceSlot(ctx context.Context, name string, to log.Offset, session int32) (log.Offset, error) {
	if err := e.withFreeSlot(ctx, log.SlotChange{Op: log.SlotRewind, Name: name, Session: session, To: to}, nil); err != nil {
		return 0, err
	}
	s, ok := e.cfg.Replica.Slot(name)
	if !ok {
		return 0, sm.NoSlot(name)
	}
	return s.Confirmed, nil
}

// withFreeSlot appends a change of a slot that nobody else may hold. A holder that
// is gone does not count. What this node knows of the slot may be old: before it
// refuses, it asks for the newest. h is who acquires the slot, if that is it.
func (e *Engine) withFreeSlot(ctx context.Context, c log.SlotChange, h *HeldSlot) error {
	fresh := false
	for attempt := 1; ; attempt++ {
		s, ok := e.cfg.Replica.Slot(c.Name)
		c.Generation, c.Steal = s.Generation, false
		var refusal error
		switch {
		case !ok:
			refusal = sm.NoSlot(c.Name)
		case !s.Active || s.Temporary && s.HeldBy(e.owner, c.Session):
		case !e.holderGone(ctx, &s, h):
			refusal = e.inUse(&s)
		case s.Temporary && c.Op != log.SlotDrop:
			refusal = sm.NoSlot(c.Name) // it goes with its session
		default:
			c.Steal = true
		}
		if refusal != nil && !fresh {
			if err := e.freshSlots(ctx); err != nil {
				return err
			}
			fresh = true
			continue
		}
		if refusal != nil {
			return refusal
		}
		_, err := e.changeSlot(ctx, c)
		if sqlstate.CodeOf(err) != sqlstate.ObjectInUse || attempt == slotAttempts {
			return err
		}
		fresh = false // somebody was quicker
	}
}

// inUse is the error for a slot that somebody holds. Process ids are those of a node.
func (e *Engine) inUse(s *sm.Slot) error {
	err := s.InUse()
	if node, ok := e.nodes()[s.Owner.Node]; ok && s.Owner.Node != e.owner.Node {
		return err.WithDetail("That is a connection to node %s.", node)
	}
	return err
}

// nodes are the nodes of the cluster by the numbers that owners have.
func (e *Engine) nodes() map[uint64]log.NodeID {
	if e.cfg.Cluster == nil {
		return nil
	}
	out := map[uint64]log.NodeID{}
	for _, n := range e.cfg.Cluster.Nodes() {
		out[n.Number] = n.ID
	}
	return out
}

// freshSlots returns once this node knows what was done with slots before the call.
func (e *Engine) freshSlots(ctx context.Context) error {
	inner, cancel := context.WithTimeout(ctx, slotFreshTimeout)
	defer cancel()
	err := e.fresh.confirm(inner)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return exec.Canceled(ctx)
	case inner.Err() != nil:
		return sqlstate.New(sqlstate.QueryCanceled, "timed out while waiting for this node to be up to date").
			WithDetail("This node has applied the log up to %s.%s", e.cfg.Replica.Position().Offset, e.behind())
	}
	return appendError(err)
}

// holderGone reports whether the holder of a slot will do nothing with it any more:
// its process or its session has ended. Being wrong is safe: the log refuses what
// a former holder says. asking is who wants to acquire it, if anybody.
func (e *Engine) holderGone(ctx context.Context, s *sm.Slot, asking *HeldSlot) bool {
	switch {
	case s.Owner == e.owner && s.Temporary:
		return !e.byPID(s.Session, func(*Session) {})
	case s.Owner == e.owner:
		return !e.holds.has(s.Name, s.Generation, asking)
	case s.Owner.Node == e.owner.Node:
		return true // an earlier process of this node
	case e.cfg.Cluster == nil:
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, holderTimeout)
	defer cancel()
	return !e.cfg.Cluster.HolderAlive(ctx, s.Owner)
}

// changeSlot appends an entry about a slot. Owner is this process.
func (e *Engine) changeSlot(ctx context.Context, c log.SlotChange) (*log.Result, error) {
	c.Owner = e.owner
	res, err := e.append(ctx, &log.Entry{Kind: log.KindSlot, Time: e.now(), Slot: &c})
	if err == nil && res.Err != nil {
		err = sm.ErrorOf(res.Err)
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}

// Process is the number of this process among those that ever had the log on this
// node, as holders of slots are named.
func (e *Engine) Process() uint64 { return e.owner.Process }

// Slots are the slots by name, with how far behind they are.
func (e *Engine) Slots() []SlotInfo {
	slots := e.cfg.Replica.Slots()
	if len(slots) == 0 {
		return nil
	}
	nodes := e.nodes()
	v, err := e.cfg.Replica.View()
	out := make([]SlotInfo, len(slots))
	for i, s := range slots {
		out[i] = SlotInfo{Slot: s}
		if s.Active {
			out[i].Node = nodes[s.Owner.Node]
		}
		if end := e.cfg.Replica.Position().End; end > s.Confirmed {
			out[i].LagBytes = uint64(end - s.Confirmed)
		}
		if err == nil {
			out[i].Lag = e.slotLag(v, s.Confirmed)
		}
	}
	if err == nil {
		v.Close()
	}
	return out
}

// slotLag is since when there is something that a slot's consumer has not
// acknowledged.
func (e *Engine) slotLag(v *sm.View, confirmed log.Offset) time.Duration {
	it := v.Transactions(max(confirmed, 1) - 1)
	defer it.Close()
	if !it.Next() {
		return 0
	}
	return time.Duration(max(0, e.now()-it.Header().Time)) * time.Microsecond
}
