package sm

import (
	"encoding/binary"
	"fmt"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// state is what a replica keeps beside its tables. It is written in the batch
// of every Apply call, so that tables and position are one atomic unit.
type state struct {
	index     log.Index
	offset    log.Offset // last commit
	end       log.Offset
	time      int64
	failures  uint32 // failed commands since the last commit
	catalog   log.Offset
	epoch     log.Epoch
	semantics log.Semantics
	floor     log.Offset
	place     log.Place // of the last applied entry

	// The next ones to be handed out.
	nextID      catalog.ID
	nextStorage catalog.StorageID
	nextRow     uint64
	nextLoad    keys.LoadID
	generation  uint64 // of a slot: the last one that was handed out

	// total is the checksum of everything: rows, descriptors, sequences.
	total sum
	// slots is the checksum of the slots, which views do not show: they change
	// without a commit.
	slots sum
}

const (
	stateName    = "state"
	stateFormat  = 1
	firstEpoch   = 1
	firstRowID   = 1
	firstStorage = 1
	firstLoad    = 1
	// genesis is the end before the first transaction, so that it starts at
	// log.FirstOffset.
	genesis = log.FirstOffset - 1
)

func newState() state {
	return state{
		end: genesis, epoch: firstEpoch, semantics: 1,
		nextID: catalog.FirstUserID, nextStorage: firstStorage, nextRow: firstRowID,
		nextLoad: firstLoad,
	}
}

func (s *state) fields() []uint64 {
	return []uint64{
		uint64(s.index), uint64(s.offset), uint64(s.end), uint64(s.time), uint64(s.failures),
		uint64(s.catalog), uint64(s.epoch), uint64(s.semantics), uint64(s.floor),
		uint64(s.nextID), uint64(s.nextStorage), s.nextRow, s.total.hi, s.total.lo,
		uint64(s.nextLoad), uint64(s.place), s.generation, s.slots.hi, s.slots.lo,
	}
}

// append appends the stored form.
func (s *state) append(dst []byte) []byte {
	dst = append(dst, stateFormat)
	for _, f := range s.fields() {
		dst = binary.AppendUvarint(dst, f)
	}
	return dst
}

func decodeState(b []byte) (state, error) {
	var s state
	if len(b) == 0 || b[0] != stateFormat {
		return s, fmt.Errorf("sm: state record has an unknown format: %x", b)
	}
	b = b[1:]
	f := s.fields()
	for i := range f {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return s, fmt.Errorf("sm: state record is cut short")
		}
		f[i], b = v, b[n:]
	}
	return state{
		index: log.Index(f[0]), offset: log.Offset(f[1]), end: log.Offset(f[2]), time: int64(f[3]), failures: uint32(f[4]),
		catalog: log.Offset(f[5]), epoch: log.Epoch(f[6]), semantics: log.Semantics(f[7]), floor: log.Offset(f[8]),
		nextID: catalog.ID(f[9]), nextStorage: catalog.StorageID(f[10]), nextRow: f[11], total: sum{hi: f[12], lo: f[13]},
		nextLoad: keys.LoadID(f[14]), place: log.Place(f[15]),
		generation: f[16], slots: sum{hi: f[17], lo: f[18]},
	}, nil
}

func (s *state) position() Position {
	return Position{
		Offset: s.offset, End: s.end, Index: s.index, Time: s.time, Checksum: s.total.checksum(),
		Epoch: s.epoch, Catalog: s.catalog, Semantics: s.semantics, Floor: s.floor, Place: s.place,
	}
}
