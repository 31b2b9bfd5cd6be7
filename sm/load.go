package sm

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// LoadStatus says what has become of a large transaction.
type LoadStatus uint8

// The statuses. Numbers are stored.
const (
	LoadOpen      LoadStatus = 1
	LoadCommitted LoadStatus = 2
	// LoadAborted: it will never commit; its rows are garbage until sweeps have
	// removed them, and its record goes with the last of them.
	LoadAborted LoadStatus = 3
)

// loadReason says why a large transaction was aborted. Numbers are stored.
type loadReason uint8

const (
	reasonNone      loadReason = 0
	reasonGivenUp   loadReason = 1 // by who staged it, or for him
	reasonFailed    loadReason = 2 // one of its own entries failed
	reasonOvertaken loadReason = 3 // another transaction committed a row with one of its keys
	reasonRelied    loadReason = 4 // another transaction relied on a row not being there
	reasonDDL       loadReason = 5 // its table was changed
)

// load is a large transaction: rows that chunk entries have put into a table at
// their final keys, and that one later entry makes visible. A load is never
// modified once it is in a loadTable.
type load struct {
	id     keys.LoadID
	stage  log.StageID
	owner  log.Owner
	status LoadStatus
	reason loadReason
	// constraint is the unique constraint that reasonOvertaken is about.
	constraint string

	table   catalog.ID
	storage catalog.StorageID
	// fresh are the storages, with that of the rows first and then those of the
	// indexes in their order, that nobody else uses before the load commits.
	fresh []catalog.StorageID
	// began is the version of the catalog that the table's descriptor is from.
	began log.Offset

	chunks  int
	changes int64
	bytes   log.Offset // of change records
	storageSum
	touched int64 // log time of the last chunk

	commit log.Offset
	swept  log.Offset // how far its changes have been gone through
}

const loadFormat = 1

func (l *load) append(dst []byte) []byte {
	dst = append(dst, loadFormat, byte(l.status), byte(l.reason))
	dst = append(dst, l.stage[:]...)
	dst = l.storageSum.append(dst)
	for _, f := range []uint64{
		l.owner.Node, l.owner.Process, uint64(l.table), uint64(l.storage), uint64(l.began), uint64(l.chunks),
		uint64(l.changes), uint64(l.bytes), uint64(l.touched), uint64(l.commit), uint64(l.swept),
		uint64(len(l.constraint)),
	} {
		dst = binary.AppendUvarint(dst, f)
	}
	dst = append(dst, l.constraint...)
	for _, s := range l.fresh {
		dst = binary.AppendUvarint(dst, uint64(s))
	}
	return dst
}

func decodeLoad(id keys.LoadID, b []byte) (*load, error) {
	const fixed = 3 + len(log.StageID{})
	bad := fmt.Errorf("%w: record of load %d", errCorrupt, id)
	if len(b) < fixed+storageSumBytes || b[0] != loadFormat {
		return nil, bad
	}
	l := &load{id: id, status: LoadStatus(b[1]), reason: loadReason(b[2])}
	copy(l.stage[:], b[3:])
	l.storageSum, _ = decodeStorageSum(b[fixed : fixed+storageSumBytes])
	r := fieldReader{b: b[fixed+storageSumBytes:]}
	l.owner = log.Owner{Node: r.uint(), Process: r.uint()}
	l.table, l.storage = catalog.ID(r.uint()), catalog.StorageID(r.uint())
	l.began, l.chunks = log.Offset(r.uint()), int(r.uint())
	l.changes, l.bytes = int64(r.uint()), log.Offset(r.uint())
	l.touched = int64(r.uint())
	l.commit, l.swept = log.Offset(r.uint()), log.Offset(r.uint())
	l.constraint = string(r.bytes())
	for len(r.b) > 0 && !r.bad {
		l.fresh = append(l.fresh, catalog.StorageID(r.uint()))
	}
	if r.bad || l.status < LoadOpen || l.status > LoadAborted {
		return nil, bad
	}
	return l, nil
}

// failure is what the entries of an aborted load are answered.
func (l *load) failure() error {
	switch l.reason {
	case reasonOvertaken:
		if l.constraint == "" {
			break
		}
		e := sqlstate.New(sqlstate.UniqueViolation, "duplicate key value violates unique constraint \"%s\"", l.constraint).
			WithDetail("Another transaction has committed a row with the same key in the meantime.")
		e.Constraint = l.constraint
		return e
	case reasonFailed, reasonGivenUp:
		return sqlstate.New(sqlstate.SerializationFailure, "the large transaction has been given up")
	case reasonDDL:
		return sqlstate.New(sqlstate.SerializationFailure, "could not serialize access due to concurrent update").
			WithDetail("Another transaction has changed the table while its rows were being loaded.").
			WithHint("The transaction might succeed if retried.")
	}
	return sqlstate.New(sqlstate.SerializationFailure, "could not serialize access due to concurrent update").
		WithDetail("Another transaction has committed something that the rows being loaded are in conflict with.").
		WithHint("The transaction might succeed if retried.")
}

// loadTable has all loads that there are versions of. It is never modified: what
// changes it makes another one.
type loadTable struct {
	live []*load // open and aborted, ascending
	done []*load // committed, ascending
}

func findLoad(list []*load, id keys.LoadID) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(l *load, id keys.LoadID) int { return cmp.Compare(l.id, id) })
}

// find returns the load with that number, or nil: a load that is not known is one
// whose rows were abandoned.
func (t *loadTable) find(id keys.LoadID) *load {
	if t == nil {
		return nil
	}
	if i, ok := findLoad(t.done, id); ok {
		return t.done[i]
	}
	if i, ok := findLoad(t.live, id); ok {
		return t.live[i]
	}
	return nil
}

// staged returns the load, open or aborted, that goes by a stage's name.
func (t *loadTable) staged(id log.StageID) *load {
	if t == nil {
		return nil
	}
	for _, l := range t.live {
		if l.stage == id {
			return l
		}
	}
	return nil
}

// with returns a table that has l in its place.
func (t *loadTable) with(l *load) *loadTable {
	n := t.without(l.id)
	list := &n.live
	if l.status == LoadCommitted {
		list = &n.done
	}
	i, _ := findLoad(*list, l.id)
	*list = slices.Insert(slices.Clip(*list), i, l)
	return n
}

// without returns a table that does not have the live load id.
func (t *loadTable) without(id keys.LoadID) *loadTable {
	n := &loadTable{}
	if t != nil {
		*n = *t
	}
	if i, ok := findLoad(n.live, id); ok {
		n.live = slices.Delete(slices.Clone(n.live), i, i+1)
	}
	return n
}

// readLoads reads the records of all loads; nil when there are none.
func readLoads(s *store) (*loadTable, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: keys.SpaceStart(keys.Loads), UpperBound: keys.SpaceStart(keys.Loads + 1)})
	if err != nil {
		return nil, err
	}
	var t *loadTable
	for ok := it.First(); ok; ok = it.Next() {
		k, err := keys.Decode(it.Key())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		l, err := decodeLoad(k.Load, it.Value())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		t = t.with(l)
	}
	return t, errors.Join(it.Error(), it.Close())
}

// When the store has work waiting beyond these, Backlogged says so: before it makes
// every writer wait.
const (
	backlogMemTables = memTablesMax - 1 // by their size: small ones may wait for company
	backlogSublevels = 6
)

// Backlogged reports whether the store is behind with writing to its files. Who
// has a lot to write ought to wait then, so that others need not.
func (r *Replica) Backlogged() bool {
	p, err := r.acquire()
	if err != nil {
		return false
	}
	defer p.store.release()
	m := p.store.db.Metrics()
	return m.MemTable.Size >= uint64(backlogMemTables*r.opt.MemTableBytes) || m.Levels[0].Sublevels >= backlogSublevels
}

// LoadInfo describes a large transaction that is not committed.
type LoadInfo struct {
	Stage  log.StageID
	Owner  log.Owner
	Status LoadStatus // LoadOpen or LoadAborted
	Table  catalog.ID
	Chunks int
	Rows   int64
	Bytes  log.Offset
	// Touched is the log time of the last chunk.
	Touched int64
}

// Loads lists the large transactions that are open, or aborted and not swept.
func (r *Replica) Loads() []LoadInfo {
	t := r.published.Load().loads
	if t == nil {
		return nil
	}
	var out []LoadInfo
	for _, l := range t.live {
		out = append(out, LoadInfo{Stage: l.stage, Owner: l.owner, Status: l.status, Table: l.table,
			Chunks: l.chunks, Rows: l.rows, Bytes: l.bytes, Touched: l.touched})
	}
	return out
}
