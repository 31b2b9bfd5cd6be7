package sm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// ledger is a store's account of what was removed from it and of the garbage that
// is left. It says something about the files and nothing about the log, so it is
// different on each replica, and goes with a snapshot as the files do.
type ledger struct {
	// trimmed is up to where the change log has been removed and accounted for,
	// small up to where sequences and descriptors have, and described the change of
	// a descriptor up to which storages that nobody names have been removed.
	trimmed, small, described log.Offset
	garbage                   map[catalog.StorageID]garbage // by the storage of rows
}

// garbage counts the versions of rows that nobody can ask for, at least.
type garbage struct{ versions, bytes uint64 }

func (l *ledger) add(s catalog.StorageID, g garbage) {
	was := l.garbage[s]
	l.garbage[s] = garbage{versions: was.versions + g.versions, bytes: was.bytes + g.bytes}
}

func (l *ledger) forget(s catalog.StorageID) { delete(l.garbage, s) }

// storages lists the storages that have garbage, in order.
func (l *ledger) storages() []catalog.StorageID { return slices.Sorted(maps.Keys(l.garbage)) }

const (
	ledgerName   = "collected"
	ledgerFormat = 1
)

// append appends the stored form:
//
//	format · uvarint trimmed · uvarint small · uvarint described · for each storage: uvarint storage · uvarint versions · uvarint bytes
func (l *ledger) append(dst []byte) []byte {
	dst = append(dst, ledgerFormat)
	for _, v := range []log.Offset{l.trimmed, l.small, l.described} {
		dst = binary.AppendUvarint(dst, uint64(v))
	}
	for _, s := range l.storages() {
		g := l.garbage[s]
		dst = binary.AppendUvarint(dst, uint64(s))
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, g.versions), g.bytes)
	}
	return dst
}

func decodeLedger(b []byte) (*ledger, error) {
	l := &ledger{garbage: map[catalog.StorageID]garbage{}}
	if len(b) == 0 || b[0] != ledgerFormat {
		return nil, fmt.Errorf("%w: ledger %x", errCorrupt, b[:min(len(b), 8)])
	}
	r := fieldReader{b: b[1:]}
	l.trimmed, l.small, l.described = log.Offset(r.uint()), log.Offset(r.uint()), log.Offset(r.uint())
	for len(r.b) > 0 && !r.bad {
		s := catalog.StorageID(r.uint())
		l.garbage[s] = garbage{versions: r.uint(), bytes: r.uint()}
	}
	if r.bad {
		return nil, fmt.Errorf("%w: ledger", errCorrupt)
	}
	return l, nil
}

// readLedger reads the ledger of a store; nothing has been removed from a new one.
func readLedger(s *store) (*ledger, error) {
	value, closer, err := s.db.Get(keys.AppendMeta(nil, ledgerName))
	if errors.Is(err, pebble.ErrNotFound) {
		return &ledger{garbage: map[catalog.StorageID]garbage{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sm: ledger: %w", err)
	}
	defer closer.Close()
	return decodeLedger(value)
}

// Retention says how much history a replica retains.
type Retention struct {
	// Floor is the oldest offset that can be asked for. Held is that of the oldest
	// view that is open, which keeps everything from there on in the store, and
	// Removed up to where the change log has been removed.
	Floor, Held, Removed log.Offset
	// GarbageVersions and GarbageBytes count the versions of rows that are in the
	// store, and of which is known that nobody can ask for them.
	GarbageVersions, GarbageBytes uint64
}

// summary is what the ledger says.
func (l *ledger) summary() *Retention {
	s := &Retention{Removed: l.trimmed}
	for _, g := range l.garbage { // order does not matter: sums
		s.GarbageVersions += g.versions
		s.GarbageBytes += g.bytes
	}
	return s
}

// Retention returns how much history the replica retains. What was removed is as of
// the last run of Collect.
func (r *Replica) Retention() Retention {
	s := Retention{}
	if last := r.collected.Load(); last != nil {
		s = *last
	}
	p := r.published.Load()
	s.Floor, s.Held = p.position.Floor, p.store.pins.horizon(p.pin)
	return s
}
