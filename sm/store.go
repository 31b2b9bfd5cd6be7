package sm

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"

	"github.com/tidemark-db/tidemark/sm/keys"
)

// store is an open Pebble store with a count of those who use it: Restore puts
// another one in its place while views of the old one are still being read.
type store struct {
	db   *pebble.DB
	dir  string
	refs atomic.Int64
	// closed is closed when the last user has gone, closeErr is set before.
	closed   chan struct{}
	closeErr error
	// remove, when set, is called once the store is closed: it has been replaced.
	remove atomic.Pointer[func() error]

	points, scans iterPool
	pins          pins
	// closing is set when nothing more should be begun that takes long.
	closing atomic.Bool
}

// formatVersion is Pebble's on-disk format, pinned so that an upgrade of the
// library does not silently make a directory unreadable for the version before.
const formatVersion = pebble.FormatValueSeparation

// prefixBundle is how many keys of a block share one stored prefix.
const prefixBundle = 16

var keySchema = colblk.DefaultKeySchema(keys.Comparer, prefixBundle)

// pebbleOptions returns the options of every store of a replica.
func pebbleOptions(o *Options, fs *spaceFS, cache *pebble.Cache) *pebble.Options {
	po := &pebble.Options{
		FS:                          fs,
		Cache:                       cache,
		Comparer:                    keys.Comparer,
		KeySchema:                   keySchema.Name,
		KeySchemas:                  sstable.MakeKeySchemas(&keySchema),
		BlockPropertyCollectors:     keys.BlockProperties,
		FormatMajorVersion:          formatVersion,
		DisableWAL:                  true, // the replicated log is the write-ahead log
		MemTableSize:                uint64(o.MemTableBytes),
		MemTableStopWritesThreshold: memTablesMax,
		MaxOpenFiles:                maxOpenFiles,
		Logger:                      pebbleLogger{log: o.Logger, space: fs.space},
	}
	po.TargetFileSizes[0] = l0FileBytes
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
		po.Levels[i].BlockSize = blockBytes
		po.Levels[i].IndexBlockSize = indexBlockBytes
	}
	po.Experimental.SpanPolicyFunc = spaceSpan
	po.EnsureDefaults()
	return po
}

// spaceSpan lets Pebble begin a new table file with each key space. A file that
// reached from the end of one space into the next would overlap with everything
// between them, and loads that only append to both would be rewritten again and
// again instead of being moved.
func spaceSpan(start []byte) (pebble.SpanPolicy, []byte, error) {
	return pebble.SpanPolicy{}, keys.SpaceStart(keys.Space(start[0]) + 1), nil
}

func openStore(o *Options, fs *spaceFS, cache *pebble.Cache, dir string) (*store, error) {
	db, err := pebble.Open(dir, pebbleOptions(o, fs, cache))
	if err != nil {
		return nil, fmt.Errorf("sm: open store %s: %w", dir, err)
	}
	s := &store{db: db, dir: dir, closed: make(chan struct{})}
	s.refs.Store(1)
	return s, nil
}

// acquire takes a reference; it fails when the last one is gone.
func (s *store) acquire() bool {
	for {
		n := s.refs.Load()
		if n == 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives a reference back; the last one closes the store.
func (s *store) release() {
	if s.refs.Add(-1) > 0 {
		return
	}
	err := errors.Join(s.points.drain(), s.scans.drain())
	s.closeErr = errors.Join(err, s.db.Close())
	if f := s.remove.Load(); f != nil {
		s.closeErr = errors.Join(s.closeErr, (*f)())
	}
	close(s.closed)
}

// iterPool keeps idle iterators. Every key of interest is versioned, so a reader
// of an offset can use any iterator made at or after it: versions that are too
// new for it are passed over.
type iterPool struct {
	mu   sync.Mutex
	free []pooledIter
	// generation counts the positions published; an iterator made before is of
	// no use to a reader of the newest one.
	generation atomic.Uint64
}

type pooledIter struct {
	*pebble.Iterator
	generation uint64
}

const (
	// iterPoolMax bounds the idle iterators of one kind.
	iterPoolMax = 64
	// drainEvery is after how many publications idle iterators are closed, so
	// that they do not pin memtables and deleted files for ever.
	drainEvery = 64
)

// get returns an iterator at least as new as generation.
func (p *iterPool) get(db *pebble.DB, generation uint64) (pooledIter, error) {
	p.mu.Lock()
	for n := len(p.free); n > 0; n = len(p.free) {
		it := p.free[n-1]
		p.free[n-1] = pooledIter{}
		p.free = p.free[:n-1]
		if it.generation >= generation {
			p.mu.Unlock()
			return it, nil
		}
		if err := it.Close(); err != nil {
			p.mu.Unlock()
			return pooledIter{}, err
		}
	}
	p.mu.Unlock()
	made := p.generation.Load()
	it, err := db.NewIter(nil)
	return pooledIter{Iterator: it, generation: made}, err
}

// put takes an iterator back.
func (p *iterPool) put(it pooledIter) error {
	if err := it.Error(); err != nil || it.generation < p.generation.Load() {
		return errors.Join(err, it.Close())
	}
	p.mu.Lock()
	if len(p.free) < iterPoolMax {
		p.free = append(p.free, it)
		p.mu.Unlock()
		return nil
	}
	p.mu.Unlock()
	return it.Close()
}

// advance says that a newer position has been published.
func (p *iterPool) advance() error {
	if p.generation.Add(1)%drainEvery == 0 {
		return p.drain()
	}
	return nil
}

// drain closes the idle iterators.
func (p *iterPool) drain() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	for _, it := range p.free {
		err = errors.Join(err, it.Close())
	}
	p.free = nil
	return err
}
