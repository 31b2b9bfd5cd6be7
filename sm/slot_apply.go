package sm

import (
	"errors"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// slotAck is what a transaction acknowledges if it commits.
type slotAck struct {
	slot string
	to   log.Offset
}

// changeSlot executes an entry of KindSlot. It takes no offset: slots are no part
// of what views show.
func (a *applier) changeSlot(e *log.Entry) (*log.Result, error) {
	a.state.time = max(a.state.time+1, e.Time)
	c := e.Slot
	if c == nil {
		return a.refuse(sqlstate.New(sqlstate.InternalError, "slot entry names no slot")), nil
	}
	err := a.doSlot(c)
	var failure *sqlstate.Error
	if errors.As(err, &failure) {
		return a.refuse(failure), nil
	}
	return &log.Result{Offset: a.state.offset}, err
}

func (a *applier) doSlot(c *log.SlotChange) error {
	if c.Op == log.SlotCreate {
		return a.createSlot(c)
	}
	s := a.slots.find(c.Name)
	if s == nil {
		return NoSlot(c.Name)
	}
	switch c.Op {
	case log.SlotDrop:
		if s.Active && !own(s, c) && !steals(s, c) {
			return s.InUse()
		}
		return a.dropSlot(s)
	case log.SlotAcquire:
		return a.acquireSlot(*s, c)
	case log.SlotAdvance, log.SlotRelease:
		return a.advanceSlot(*s, c)
	case log.SlotRewind:
		return a.rewindSlot(*s, c)
	}
	return sqlstate.New(sqlstate.InternalError, "slot entry has the unknown operation %d", c.Op)
}

// own reports whether who asks has the slot as its temporary one: it stays with
// its session also while nothing is read from it.
func own(s *Slot, c *log.SlotChange) bool { return s.Temporary && s.HeldBy(c.Owner, c.Session) }

// steals reports whether the slot's holder is the one who is known to be gone.
func steals(s *Slot, c *log.SlotChange) bool { return c.Steal && c.Generation == s.Generation }

// createSlot makes a slot whose first transaction is the next one that commits: the
// view at the last commit has all that came before.
func (a *applier) createSlot(c *log.SlotChange) error {
	if err := checkSlotName(c.Name); err != nil {
		return err
	}
	if a.slots.find(c.Name) != nil {
		return sqlstate.New(sqlstate.DuplicateObject, "replication slot \"%s\" already exists", c.Name)
	}
	if len(a.slots.list) >= MaxSlots {
		return sqlstate.New(sqlstate.ConfigurationLimitExceeded, "all replication slots are in use").
			WithHint("Drop one: a database has at most %d.", MaxSlots)
	}
	s := &Slot{
		Name: c.Name, Plugin: c.Plugin, Temporary: c.Temporary, Confirmed: a.state.end,
		Generation: a.nextGeneration(), Created: a.state.time,
	}
	if c.Temporary {
		s.Active, s.Owner, s.Session = true, c.Owner, c.Session
	}
	return a.putSlot(s)
}

// checkSlotName refuses names as PostgreSQL does.
func checkSlotName(name string) error {
	switch {
	case name == "":
		return sqlstate.New(sqlstate.InvalidName, "replication slot name \"%s\" is too short", name)
	case len(name) > maxSlotName:
		return sqlstate.New(sqlstate.NameTooLong, "replication slot name \"%s\" is too long", name)
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_') {
			return sqlstate.New(sqlstate.InvalidName, "replication slot name \"%s\" contains invalid character", name).
				WithHint("Replication slot names may only contain lower case letters, numbers, and the underscore character.")
		}
	}
	return nil
}

func (a *applier) nextGeneration() uint64 {
	a.state.generation++
	return a.state.generation
}

// acquireSlot makes who asks the holder. s is the caller's to change.
func (a *applier) acquireSlot(s Slot, c *log.SlotChange) error {
	if err := s.Unusable(a.state.floor); err != nil {
		return err
	}
	if s.Active && !own(&s, c) && (s.Temporary || !steals(&s, c)) {
		return s.InUse()
	}
	s.Active, s.Owner, s.Session, s.Generation = true, c.Owner, c.Session, a.nextGeneration()
	return a.putSlot(&s)
}

// advanceSlot moves the slot forward for its holder and lets go of it if asked to.
// Being told twice changes nothing, so a holder may ask again when it does not know
// what has become of its question.
func (a *applier) advanceSlot(s Slot, c *log.SlotChange) error {
	if c.Generation != s.Generation {
		return s.TakenFrom(c.Session)
	}
	if c.Op == log.SlotAdvance {
		if err := s.Unusable(a.state.floor); err != nil {
			return err
		}
		if !s.Active {
			return s.TakenFrom(c.Session)
		}
	}
	moved := s.Active && s.Invalid == "" && a.confirm(&s, c.To)
	release := s.Active && c.Op == log.SlotRelease && !s.Temporary
	if release {
		s.Active = false
	}
	if !moved && !release {
		return nil
	}
	return a.putSlot(&s)
}

// confirm moves the slot forward to the offset, and not past the end of the log. It
// reports whether that has changed anything.
func (a *applier) confirm(s *Slot, to log.Offset) bool {
	to = min(to, a.state.end)
	if to <= s.Confirmed {
		return false
	}
	s.Confirmed, s.Acknowledged = to, a.state.time
	return true
}

// rewindSlot moves a slot that nobody reads from to any position that is retained,
// also backwards, so that it can be read again. A slot that was invalidated is good
// again then. Whoever held it before has lost it.
func (a *applier) rewindSlot(s Slot, c *log.SlotChange) error {
	if c.To == 0 {
		return sqlstate.New(sqlstate.InvalidParameterValue, "invalid target WAL LSN")
	}
	if s.Active && !own(&s, c) && !steals(&s, c) {
		return s.InUse()
	}
	to := min(c.To, a.state.end)
	if to < a.state.floor {
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "cannot advance replication slot to %s, minimum is %s", to, a.state.floor)
	}
	s.Confirmed, s.Acknowledged, s.Invalid, s.Generation = to, a.state.time, "", a.nextGeneration()
	s.Active = s.Active && s.Temporary
	return a.putSlot(&s)
}

// putSlot keeps a slot in its new state.
func (a *applier) putSlot(s *Slot) error {
	key := keys.AppendSlot(nil, s.Name)
	if old := a.slots.find(s.Name); old != nil {
		a.state.slots.sub(a.hash.of(key, old.append(nil)))
	}
	value := s.append(nil)
	a.state.slots.add(a.hash.of(key, value))
	a.slots = a.slots.with(s)
	return a.batch.Set(key, value, nil)
}

func (a *applier) dropSlot(s *Slot) error {
	key := keys.AppendSlot(nil, s.Name)
	a.state.slots.sub(a.hash.of(key, s.append(nil)))
	a.slots = a.slots.without(s.Name)
	return a.batch.Delete(key, nil)
}

// invalidateSlots makes the slots useless whose consumers still need something from
// before the floor.
func (a *applier) invalidateSlots(floor log.Offset) error {
	for _, s := range a.slots.list {
		if s.Confirmed >= floor || s.Invalid != "" {
			continue
		}
		n := *s
		n.Invalid = "The changes between " + s.Confirmed.String() + " and " + floor.String() + " are no longer retained."
		n.Active = s.Active && s.Temporary
		if err := a.putSlot(&n); err != nil {
			return err
		}
	}
	return nil
}

// AckSlot acknowledges everything before to on behalf of the slot's consumer, if
// and when the transaction commits. It has to move the slot forward: a consumer
// whose work is in this transaction must not have it done twice, so what was
// acknowledged before is an error, 55000. Other errors are 42704 and 22023. A
// speculative transaction over an older state is told nothing, because slots have
// no past: its entry will be.
func (t *Txn) AckSlot(name string, to log.Offset) error {
	confirmed := log.Offset(0)
	if slots, pos := t.slots(); slots != nil {
		s := slots.find(name)
		if s == nil {
			return NoSlot(name)
		}
		if err := s.Unusable(pos.Floor); err != nil {
			return err
		}
		if t.app != nil && to > pos.End { // over a view the log may have got further
			return sqlstate.New(sqlstate.InvalidParameterValue, "\"%s\" is past the end of the log", to)
		}
		confirmed = s.Confirmed
	}
	for _, ack := range t.acks {
		if ack.slot == name {
			confirmed = max(confirmed, ack.to)
		}
	}
	if to <= confirmed {
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "replication slot \"%s\" has been acknowledged up to %s already", name, confirmed).
			WithDetail("What comes before %s has been processed.", confirmed)
	}
	t.acks = append(t.acks, slotAck{slot: name, to: to})
	return nil
}

// slots are the slots that the transaction meets, and the position that they are of;
// nil when its state is not the newest.
func (t *Txn) slots() (*slotTable, Position) {
	if t.app != nil {
		return t.app.slots, t.app.state.position()
	}
	p := t.r.published.Load()
	if p.position.Offset != t.offset {
		return nil, Position{}
	}
	return p.slots, p.position
}

// settleSlots moves the slots that a transaction acknowledges.
func (a *applier) settleSlots(t *Txn) error {
	for _, ack := range t.acks {
		s := *a.slots.find(ack.slot)
		if a.confirm(&s, ack.to) {
			if err := a.putSlot(&s); err != nil {
				return err
			}
		}
	}
	return nil
}
