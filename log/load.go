package log

import "math"

// Load makes a chunk a part of a large transaction: its rows are put into the
// table when the chunk is applied, where nobody sees them before the entry whose
// CopyData is Loaded commits them all. The chunk's entry has one statement, the
// COPY or INSERT that the rows are of.
type Load struct {
	// Table is the OID of the table that the rows go into.
	Table uint32
	// Owner is who will commit or abandon the transaction.
	Owner Owner
	// Fresh says that the transaction empties the table before: the rows go into
	// new storage, which the table gets when the transaction commits.
	Fresh bool
	// Beside are other large transactions that the same entry will commit. Their
	// rows count as the transaction's own.
	Beside []StageID
	// Line is the place of the chunk's first row in the client's data, from 1; 0
	// when the rows do not come from a client.
	Line int64
}

// Owner names a process that stages rows or holds a slot: whether it still lives
// is what its node knows.
type Owner struct {
	Node    uint64
	Process uint64 // drawn at random when the process starts
}

// loadFields and ownerFields count the fields in format version 1.
const (
	loadFields  = 5
	ownerFields = 2
)

func (l *Load) encode(w *writer) {
	if l == nil {
		w.none()
		return
	}
	w.array(loadFields)
	w.uint(uint64(l.Table))
	w.array(ownerFields)
	w.uint(l.Owner.Node)
	w.uint(l.Owner.Process)
	w.uint(boolUint(l.Fresh))
	w.array(len(l.Beside))
	for i := range l.Beside {
		w.bytes(l.Beside[i][:])
	}
	w.int(l.Line)
}

func decodeLoad(r *reader) *Load {
	if r.isNone() {
		return nil
	}
	l := &Load{}
	r.fields(loadFields)
	l.Table = uint32(r.uint(math.MaxUint32))
	r.fields(ownerFields)
	l.Owner.Node, l.Owner.Process = r.uint(math.MaxUint64), r.uint(math.MaxUint64)
	l.Fresh = r.uint(1) == 1
	l.Beside = list(r, 1, func(id *StageID, r *reader) { r.fixed(id[:]) })
	l.Line = r.int(0, math.MaxInt64)
	return l
}

// boolUint is how a truth value is stored.
func boolUint(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
