package sm_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
)

// slotModel predicts what becomes of slots.
type slotModel struct {
	rnd   *rand.Rand
	r     *sm.Replica
	slots map[string]sm.Slot
	last  uint64 // generation
}

// list is what Slots must return.
func (x *slotModel) list() []sm.Slot {
	out := []sm.Slot{}
	for _, name := range slices.Sorted(maps.Keys(x.slots)) {
		out = append(out, x.slots[name])
	}
	return out
}

// step may draw an entry about slots; run predicts what it does.
func (x *slotModel) step(t *testing.T, m model) (data []byte, run func() (next model, ok, commits bool)) {
	if x.rnd.IntN(4) > 0 {
		return nil, nil
	}
	name := fmt.Sprint("s", x.rnd.IntN(3))
	pos := x.r.Position()
	to := pos.End - log.Offset(x.rnd.IntN(400)) + 40
	if x.rnd.IntN(5) == 0 {
		return entry(t, fmt.Sprintf("ack %s %d", name, to)), func() (model, bool, bool) {
			return m, x.ack(name, to, pos), true
		}
	}
	s := x.slots[name]
	c := log.SlotChange{
		Op: log.SlotOp(1 + x.rnd.IntN(6)), Name: name, Plugin: "p", Temporary: x.rnd.IntN(3) == 0,
		Owner: log.Owner{Node: uint64(x.rnd.IntN(2))}, Session: int32(x.rnd.IntN(2)),
		Generation: s.Generation - uint64(x.rnd.IntN(4)/3), To: to, Steal: x.rnd.IntN(2) == 0,
	}
	return slotEntry(t, c), func() (model, bool, bool) { return m, x.change(c, pos), false }
}

// ack is what a transaction does that only acknowledges.
func (x *slotModel) ack(name string, to log.Offset, pos sm.Position) bool {
	s, ok := x.slots[name]
	if !ok || s.Invalid != "" || to > pos.End || to <= s.Confirmed {
		return false
	}
	s.Confirmed, s.Acknowledged = to, x.r.Position().Time
	x.slots[name] = s
	return true
}

// change does what an entry does at a position, and reports whether it may. The log
// time of the entry is the replica's by now.
func (x *slotModel) change(c log.SlotChange, pos sm.Position) bool {
	s, there := x.slots[c.Name]
	now := x.r.Position().Time
	if there == (c.Op == log.SlotCreate) {
		return false
	}
	own := s.Temporary && s.HeldBy(c.Owner, c.Session)
	free := !s.Active || own || c.Steal && c.Generation == s.Generation
	switch c.Op {
	case log.SlotCreate:
		x.last++
		s = sm.Slot{Name: c.Name, Plugin: "p", Temporary: c.Temporary, Confirmed: pos.End, Generation: x.last, Created: now}
		if c.Temporary {
			s.Active, s.Owner, s.Session = true, c.Owner, c.Session
		}
	case log.SlotDrop:
		if free {
			delete(x.slots, c.Name)
		}
		return free
	case log.SlotAcquire:
		if !free || s.Temporary && !own || s.Invalid != "" {
			return false
		}
		x.last++
		s.Active, s.Owner, s.Session, s.Generation = true, c.Owner, c.Session, x.last
	case log.SlotRewind:
		to := min(c.To, pos.End)
		if !free || pos.Floor > 0 && to <= pos.Floor {
			return false
		}
		x.last++
		s.Active, s.Generation, s.Invalid = s.Active && s.Temporary, x.last, ""
		s.Confirmed, s.Acknowledged = to, now
	default:
		if c.Generation != s.Generation || c.Op == log.SlotAdvance && (!s.Active || s.Invalid != "") {
			return false
		}
		if to := min(c.To, pos.End); s.Active && s.Invalid == "" && to > s.Confirmed {
			s.Confirmed, s.Acknowledged = to, now
		}
		s.Active = s.Active && (s.Temporary || c.Op == log.SlotAdvance)
	}
	x.slots[c.Name] = s
	return true
}

// lose invalidates the slots that need something from before the floor.
func (x *slotModel) lose(floor log.Offset) {
	for name, s := range x.slots {
		if floor > 0 && s.Confirmed <= floor && s.Invalid == "" {
			s.Invalid = fmt.Sprintf("The changes between %s and %s are no longer retained.", s.Confirmed, floor+1)
			s.Active = s.Active && s.Temporary
			x.slots[name] = s
		}
	}
}
