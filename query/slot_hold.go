package query

import (
	"context"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

const (
	// ackEvery is how often a consumer's position is put into the log at most: ten
	// consumers must not be felt by those who write.
	ackEvery = 100 * time.Millisecond
	// ackRetry is after how long a position is tried again that the log did not
	// take.
	ackRetry = 500 * time.Millisecond
)

// HeldSlot is a slot that this process holds for a consumer. Its methods may be
// called from several goroutines.
type HeldSlot struct {
	e       *Engine
	name    string
	session int32
	slot    sm.Slot // as it was acquired

	wake chan struct{} // has room for one
	stop context.CancelFunc
	done chan struct{} // closed when the background goroutine has ended
	lost chan struct{}

	mu  sync.Mutex
	to  log.Offset // acknowledged by the consumer
	err error      // why it was lost
}

// holds are the slots that this process holds or is about to.
type holds struct {
	mu   sync.Mutex
	list map[*HeldSlot]struct{}
}

// add notes that h is about to acquire its slot. One does so at a time, since what
// was acquired is known by its owner: another one that is at it is returned.
func (o *holds) add(h *HeldSlot) (other *HeldSlot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for x := range o.list { // order does not matter: there is one at most
		if x.name == h.name && x.slot.Generation == 0 {
			return x
		}
	}
	if o.list == nil {
		o.list = map[*HeldSlot]struct{}{}
	}
	o.list[h] = struct{}{}
	return nil
}

func (o *holds) remove(h *HeldSlot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.list, h)
}

// acquired notes the slot that h has got.
func (o *holds) acquired(h *HeldSlot, s sm.Slot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h.slot = s
}

// has reports whether somebody here but asking holds the slot in that generation,
// or is acquiring it and does not know the generation yet.
func (o *holds) has(name string, generation uint64, asking *HeldSlot) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for h := range o.list { // order does not matter: any will do
		if h != asking && h.name == name && (h.slot.Generation == 0 || h.slot.Generation == generation) {
			return true
		}
	}
	return false
}

// ofSession returns what a session holds.
func (o *holds) ofSession(session int32) []*HeldSlot {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []*HeldSlot
	for h := range o.list { // order does not matter: all are released
		if h.session == session {
			out = append(out, h)
		}
	}
	return out
}

// AcquireSlot makes the session, by the process id of its connection, the holder of
// a slot. A holder that is gone is taken over. Who gets a HeldSlot must release it.
// Errors: 42704, 55006, 55000.
func (e *Engine) AcquireSlot(ctx context.Context, name string, session int32) (*HeldSlot, error) {
	h := &HeldSlot{e: e, name: name, session: session,
		wake: make(chan struct{}, 1), done: make(chan struct{}), lost: make(chan struct{})}
	if other := e.holds.add(h); other != nil {
		return nil, (&sm.Slot{Name: name, Session: other.session}).InUse()
	}
	err := e.withFreeSlot(ctx, log.SlotChange{Op: log.SlotAcquire, Name: name, Session: session}, h)
	if err != nil {
		e.holds.remove(h)
		return nil, err
	}
	s, ok := e.cfg.Replica.Slot(name)
	if !ok || !s.HeldBy(e.owner, session) {
		e.holds.remove(h)
		if !ok {
			return nil, sm.NoSlot(name)
		}
		return nil, s.TakenFrom(session)
	}
	e.holds.acquired(h, s)
	ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	go h.run(ctx)
	return h, nil
}

// Slot returns the slot as this node knows it, or as it was last known when it is
// lost.
func (h *HeldSlot) Slot() sm.Slot {
	if s, ok := h.e.cfg.Replica.Slot(h.name); ok && s.Generation == h.slot.Generation {
		return s
	}
	return h.slot
}

// Acknowledge notes that the consumer has everything before the offset. It returns
// at once: the log learns of it soon, and of what was acknowledged last at the
// latest with Release.
func (h *HeldSlot) Acknowledge(to log.Offset) {
	h.mu.Lock()
	news := to > h.to
	h.to = max(h.to, to)
	h.mu.Unlock()
	if !news {
		return
	}
	select {
	case h.wake <- struct{}{}:
	default: // it will be seen with the one before
	}
}

// Lost is closed when the slot is somebody else's, dropped or invalidated.
func (h *HeldSlot) Lost() <-chan struct{} { return h.lost }

// Err says why the slot was lost, nil while it is not: 55006, 42704 or 55000.
func (h *HeldSlot) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Release puts the last acknowledgement into the log and lets go of the slot, both
// at once. When ctx ends before, the slot becomes free soon without it. It returns
// why the slot was lost if it was.
func (h *HeldSlot) Release(ctx context.Context) error {
	defer h.e.tendSlots()
	defer h.e.holds.remove(h)
	h.stop()
	select {
	case <-h.done:
	case <-ctx.Done():
		return exec.Canceled(ctx)
	}
	if err := h.Err(); err != nil {
		return err
	}
	h.mu.Lock()
	to := h.to
	h.mu.Unlock()
	return h.say(ctx, log.SlotRelease, to)
}

// run puts acknowledgements into the log, one at a time, and notices when the slot
// is lost.
func (h *HeldSlot) run(ctx context.Context) {
	defer close(h.done)
	for {
		changed := h.e.cfg.Replica.SlotChanged()
		if err := h.check(); err != nil {
			h.lose(err)
			return
		}
		select {
		case <-changed:
			continue
		case <-ctx.Done():
			return
		case <-h.wake:
		}
		pause := ackEvery
		if err := h.push(ctx); err != nil {
			if isSlotLost(err) {
				h.lose(err)
				return
			}
			h.e.cfg.Logger.Debug("an acknowledgement has to wait", "slot", h.name, "error", err)
			pause = ackRetry
			select {
			case h.wake <- struct{}{}:
			default:
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

func (h *HeldSlot) push(ctx context.Context) error {
	h.mu.Lock()
	to := h.to
	h.mu.Unlock()
	return h.say(ctx, log.SlotAdvance, to)
}

// say appends an entry of the holder.
func (h *HeldSlot) say(ctx context.Context, op log.SlotOp, to log.Offset) error {
	_, err := h.e.changeSlot(ctx, log.SlotChange{Op: op, Name: h.name, Session: h.session, Generation: h.slot.Generation, To: to})
	return err
}

// check returns why the slot is lost, nil when it is not.
func (h *HeldSlot) check() error {
	s, ok := h.e.cfg.Replica.Slot(h.name)
	switch {
	case !ok:
		return sm.NoSlot(h.name)
	case s.Invalid != "":
		return s.Unusable(h.e.cfg.Replica.Position().Floor)
	case s.Generation != h.slot.Generation || !s.Active:
		return s.TakenFrom(h.session)
	}
	return nil
}

func (h *HeldSlot) lose(err error) {
	h.mu.Lock()
	h.err = err
	h.mu.Unlock()
	close(h.lost)
}

// isSlotLost reports whether an error says that the slot is not the holder's any
// more; after any other one it may try again.
func isSlotLost(err error) bool {
	switch sqlstate.CodeOf(err) {
	case sqlstate.ObjectInUse, sqlstate.UndefinedObject, sqlstate.ObjectNotInPrerequisiteState:
		return true
	}
	return false
}
