package log

import "math"

// SlotOp says what an entry does with a slot.
type SlotOp uint8

// The operations. Numbers are stored.
const (
	SlotCreate  SlotOp = 1
	SlotDrop    SlotOp = 2
	SlotAcquire SlotOp = 3 // become its holder
	SlotAdvance SlotOp = 4 // by the holder: everything before To has been received
	SlotRelease SlotOp = 5 // by the holder, with a last To
	SlotRewind  SlotOp = 6 // move it to To, in either direction, while nobody holds it
)

// SlotChange is what an entry of KindSlot does with one slot.
type SlotChange struct {
	Op   SlotOp
	Name string
	// Plugin and Temporary belong to SlotCreate. A temporary slot goes when its
	// session does.
	Plugin    string
	Temporary bool
	// Owner and Session are who asks: a process, and the process id of a
	// connection to it.
	Owner   Owner
	Session int32
	// Generation is that of the holder who asks (SlotAdvance, SlotRelease), or
	// with Steal of the one who is known to be gone.
	Generation uint64
	To         Offset
	// Steal says that the slot's holder of that Generation is gone: the slot counts
	// as free as long as nobody else has taken it.
	Steal bool
}

// slotFields counts the fields in format version 1.
const slotFields = 9

func (s *SlotChange) encode(w *writer) {
	if s == nil {
		w.none()
		return
	}
	w.array(slotFields)
	w.uint(uint64(s.Op))
	w.string(s.Name)
	w.string(s.Plugin)
	w.uint(boolUint(s.Temporary))
	w.array(ownerFields)
	w.uint(s.Owner.Node)
	w.uint(s.Owner.Process)
	w.int(int64(s.Session))
	w.uint(s.Generation)
	w.uint(uint64(s.To))
	w.uint(boolUint(s.Steal))
}

func decodeSlot(r *reader) *SlotChange {
	if r.isNone() {
		return nil
	}
	s := &SlotChange{}
	r.fields(slotFields)
	s.Op = SlotOp(r.uint(uint64(SlotRewind)))
	s.Name = r.string()
	s.Plugin = r.string()
	s.Temporary = r.uint(1) == 1
	r.fields(ownerFields)
	s.Owner.Node, s.Owner.Process = r.uint(math.MaxUint64), r.uint(math.MaxUint64)
	s.Session = int32(r.int(math.MinInt32, math.MaxInt32))
	s.Generation = r.uint(math.MaxUint64)
	s.To = Offset(r.uint(math.MaxUint64))
	s.Steal = r.uint(1) == 1
	return s
}
