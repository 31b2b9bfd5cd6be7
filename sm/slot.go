package sm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// MaxSlots is how many slots a database may have.
const MaxSlots = 100

// maxSlotName is the longest name of a slot, in bytes.
const maxSlotName = 63

// Slot is a consumer's durable position in the log. It is state of the log, so
// every node has it.
type Slot struct {
	Name      string
	Plugin    string
	Temporary bool // it goes when its session does
	// Confirmed is up to where the consumer has everything: what commits at it or
	// later is still to be delivered.
	Confirmed log.Offset
	// Generation tells one holder from the next. Numbers are never used again in a
	// log, also not by another slot of the same name.
	Generation uint64
	// Active says that somebody holds the slot, or did when last heard of: Session
	// is the process id of the connection and Owner the process that it is to.
	Active  bool
	Owner   log.Owner
	Session int32
	// Invalid says why the slot is of no use any more; "" for a good one.
	Invalid string
	// Created and Acknowledged are log times, in microseconds since 2000-01-01
	// UTC. Acknowledged is when Confirmed was moved last; 0 means never.
	Created, Acknowledged int64
}

// HeldBy reports whether that session of a process holds the slot.
func (s *Slot) HeldBy(owner log.Owner, session int32) bool {
	return s.Active && s.Owner == owner && s.Session == session
}

// NoSlot is the error for a slot that is not there.
func NoSlot(name string) *sqlstate.Error {
	return sqlstate.New(sqlstate.UndefinedObject, "replication slot \"%s\" does not exist", name)
}

// InUse is the error for a slot that somebody else holds.
func (s *Slot) InUse() *sqlstate.Error {
	return sqlstate.New(sqlstate.ObjectInUse, "replication slot \"%s\" is active for PID %d", s.Name, s.Session)
}

// TakenFrom is what a former holder is told.
func (s *Slot) TakenFrom(session int32) *sqlstate.Error {
	if s.Active {
		return s.InUse().WithDetail("It was taken over from PID %d.", session)
	}
	return sqlstate.New(sqlstate.ObjectInUse, "replication slot \"%s\" is no longer held by PID %d", s.Name, session)
}

// Unusable is the error for a slot that was invalidated, nil for a good one. floor
// is the oldest position that is still retained.
func (s *Slot) Unusable(floor log.Offset) error {
	if s.Invalid == "" {
		return nil
	}
	return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "can no longer get changes from replication slot \"%s\"", s.Name).
		WithDetail("%s", s.Invalid).
		WithHint("Copy the tables again into the consumer, or let it go on at %s, the oldest position that is retained, with pg_replication_slot_advance('%s', '%s').",
			leastSlot(floor), s.Name, leastSlot(floor))
}

// slotTable has all slots. It is never modified: what changes it makes another
// one.
type slotTable struct {
	list []*Slot // ascending by name
	// changed is closed when another table has been published in its place.
	changed chan struct{}
}

func newSlotTable(list []*Slot) *slotTable {
	return &slotTable{list: list, changed: make(chan struct{})}
}

func (t *slotTable) search(name string) (int, bool) {
	return slices.BinarySearchFunc(t.list, name, func(s *Slot, name string) int { return strings.Compare(s.Name, name) })
}

// find returns the slot of that name, or nil.
func (t *slotTable) find(name string) *Slot {
	if i, ok := t.search(name); ok {
		return t.list[i]
	}
	return nil
}

// with returns a table that has s in its place.
func (t *slotTable) with(s *Slot) *slotTable {
	i, ok := t.search(s.Name)
	list := slices.Clone(t.list)
	if ok {
		list[i] = s
	} else {
		list = slices.Insert(list, i, s)
	}
	return newSlotTable(list)
}

// without returns a table that does not have the slot of that name.
func (t *slotTable) without(name string) *slotTable {
	list := slices.Clone(t.list)
	if i, ok := t.search(name); ok {
		list = slices.Delete(list, i, i+1)
	}
	return newSlotTable(list)
}

// Slots returns all slots by name.
func (r *Replica) Slots() []Slot {
	list := r.published.Load().slots.list
	out := make([]Slot, len(list))
	for i, s := range list {
		out[i] = *s
	}
	return out
}

// Slot returns the slot of that name, and whether there is one.
func (r *Replica) Slot(name string) (Slot, bool) {
	if s := r.published.Load().slots.find(name); s != nil {
		return *s, true
	}
	return Slot{}, false
}

// SlotChanged returns a channel that is closed when any slot has changed since the
// call. Who waits for something about a slot asks for the channel first, and then
// looks at the slot.
func (r *Replica) SlotChanged() <-chan struct{} { return r.published.Load().slots.changed }

const slotFormat = 1

// append appends the stored form, which does not have the name: that is in the key.
func (s *Slot) append(dst []byte) []byte {
	dst = append(dst, slotFormat)
	dst = appendBytes(dst, []byte(s.Plugin))
	for _, f := range []uint64{
		flag(s.Temporary), uint64(s.Confirmed), s.Generation, flag(s.Active), s.Owner.Node, s.Owner.Process,
		uint64(uint32(s.Session)), uint64(s.Created), uint64(s.Acknowledged),
	} {
		dst = binary.AppendUvarint(dst, f)
	}
	return appendBytes(dst, []byte(s.Invalid))
}

func decodeSlot(name string, b []byte) (*Slot, error) {
	bad := fmt.Errorf("%w: record of slot %q", errCorrupt, name)
	if len(b) == 0 || b[0] != slotFormat {
		return nil, bad
	}
	r := fieldReader{b: b[1:]}
	s := &Slot{Name: name, Plugin: string(r.bytes()), Temporary: r.uint() == 1, Confirmed: log.Offset(r.uint()), Generation: r.uint(),
		Active: r.uint() == 1}
	s.Owner = log.Owner{Node: r.uint(), Process: r.uint()}
	s.Session = int32(uint32(r.uint()))
	s.Created, s.Acknowledged = int64(r.uint()), int64(r.uint())
	s.Invalid = string(r.bytes())
	if r.bad || len(r.b) > 0 {
		return nil, bad
	}
	return s, nil
}

// readSlots reads all slots, and makes sure that they are those which the replicas
// have agreed about.
func readSlots(s *store, want sum) (*slotTable, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: keys.SpaceStart(keys.Slots), UpperBound: keys.SpaceStart(keys.Slots + 1)})
	if err != nil {
		return nil, err
	}
	var list []*Slot
	var have sum
	var h hasher
	for ok := it.First(); ok; ok = it.Next() {
		k, err := keys.Decode(it.Key())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		slot, err := decodeSlot(string(k.Body), it.Value())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		have.add(h.of(it.Key(), it.Value()))
		list = append(list, slot)
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, err
	}
	if have != want {
		return nil, fmt.Errorf("%w: the slots have checksum %s, kept is %s", errCorrupt, have.checksum(), want.checksum())
	}
	return newSlotTable(list), nil
}
