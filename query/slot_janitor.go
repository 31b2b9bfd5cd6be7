package query

import (
	"context"
	"errors"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

const (
	// ownSlotsEvery is how often a node looks for slots that it holds for nobody,
	// besides whenever a session ends; otherSlotsEvery is how often the node that
	// leads looks after those of others.
	ownSlotsEvery   = time.Second
	otherSlotsEvery = 5 * time.Second
	// holderStrikes is how often in a row a node must not have answered for its
	// slots to be let go of without anybody asking for them. Who wants one takes it
	// at once.
	holderStrikes = 3
	// releaseTimeout bounds how long the end of a session waits for its slots.
	releaseTimeout = 2 * time.Second
)

// tendSlots has slots looked at soon.
func (e *Engine) tendSlots() {
	select {
	case e.slotsDue <- struct{}{}:
	default:
	}
}

// releaseSlots lets go of what a session held that has ended. Its temporary slots
// go soon.
func (e *Engine) releaseSlots(session int32) {
	for _, h := range e.holds.ofSession(session) {
		ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
		if err := h.Release(ctx); err != nil {
			e.cfg.Logger.Debug("the end of a session has not released its slot", "slot", h.name, "error", err)
		}
		cancel()
	}
	e.tendSlots()
}

// tend lets go of slots whose holders are gone until ctx ends, so that temporary
// ones go and nobody takes the others for active.
func (e *Engine) tend(ctx context.Context) {
	ticker := time.NewTicker(ownSlotsEvery)
	defer ticker.Stop()
	strikes := map[uint64]int{} // by generation
	var others time.Time
	for {
		err := e.tidyOwnSlots(ctx)
		if e.cfg.Leads() && time.Since(others) >= otherSlotsEvery {
			others = time.Now()
			err = errors.Join(err, e.tidyOtherSlots(ctx, strikes))
		}
		if err != nil && ctx.Err() == nil && e.cfg.Replica.Halted() == nil {
			e.cfg.Logger.Warn("letting go of slots failed", "error", err)
		}
		select {
		case <-ticker.C:
		case <-e.slotsDue:
		case <-ctx.Done():
			return
		}
	}
}

// tidyOwnSlots lets go of the slots that this node holds for nobody: their sessions
// are gone, or its process was another one.
func (e *Engine) tidyOwnSlots(ctx context.Context) error {
	for _, s := range e.cfg.Replica.Slots() {
		if s.Active && s.Owner.Node == e.owner.Node && e.holderGone(ctx, &s, nil) {
			if err := e.letGo(ctx, &s); err != nil {
				return err
			}
		}
	}
	return nil
}

// tidyOtherSlots lets go of the slots that nodes hold which do not answer. strikes
// counts, by generation, how often in a row they did not.
func (e *Engine) tidyOtherSlots(ctx context.Context, strikes map[uint64]int) error {
	gone := map[log.Owner]bool{}
	live := map[uint64]bool{}
	for _, s := range e.cfg.Replica.Slots() {
		if !s.Active || s.Owner.Node == e.owner.Node {
			continue
		}
		if _, asked := gone[s.Owner]; !asked {
			gone[s.Owner] = e.holderGone(ctx, &s, nil)
		}
		if !gone[s.Owner] {
			continue
		}
		live[s.Generation] = true
		if strikes[s.Generation]++; strikes[s.Generation] < holderStrikes {
			continue
		}
		if err := e.letGo(ctx, &s); err != nil {
			return err
		}
	}
	for g := range strikes { // order does not matter: each is judged by itself
		if !live[g] {
			delete(strikes, g)
		}
	}
	return nil
}

// letGo drops a temporary slot and releases any other. That somebody else has been
// quicker is fine.
func (e *Engine) letGo(ctx context.Context, s *sm.Slot) error {
	c := log.SlotChange{Op: log.SlotRelease, Name: s.Name, Session: s.Session, Generation: s.Generation, Steal: true}
	if s.Temporary {
		c.Op = log.SlotDrop
	}
	_, err := e.changeSlot(ctx, c)
	switch sqlstate.CodeOf(err) {
	case sqlstate.ObjectInUse, sqlstate.UndefinedObject:
		return nil
	}
	return err
}
