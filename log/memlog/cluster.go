package memlog

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/log"
)

// ErrDiverged says that two replicas gave different answers to one entry.
var ErrDiverged = errors.New("replicas diverged")

// Options choose how the log misbehaves. The zero value is a well-behaved one.
type Options struct {
	// Seed makes a run repeatable.
	Seed uint64

	// MaxBatch is the most entries of one call to Apply; calls take a random
	// number up to it. Zero means no bound and no cutting.
	MaxBatch int

	// Gaps leaves out indexes at random, as consensus does for its own entries.
	Gaps bool

	// Repeat appends some entries a second time, a while later, as a proposer does
	// that did not hear of the first.
	Repeat bool

	// MaxDelay is the longest that a started replica waits before it applies a
	// batch; the wait is random. Zero means no waiting.
	MaxDelay time.Duration

	// Tolerant leaves it to the replicas to notice that they differ. Otherwise one
	// that answers differently from the first is stopped.
	Tolerant bool
}

// entry is one place in the order. answer is a hash of the first answer that a
// replica gave, to compare the others with.
type entry struct {
	index    log.Index
	data     []byte
	answer   uint64
	answered bool
}

// Cluster is one order of entries and the replicas that apply it.
type Cluster struct {
	opts Options
	hash maphash.Seed

	mu       sync.Mutex
	grown    *sync.Cond // an entry was appended, or the cluster closes
	rnd      *rand.Rand // guarded by mu
	order    []entry
	replicas []*Replica
	started  bool
	closed   bool
	stop     chan struct{} // closed with the cluster
	running  sync.WaitGroup
}

// New returns an empty cluster.
func New(opts Options) *Cluster {
	c := &Cluster{
		opts: opts,
		hash: maphash.MakeSeed(),
		rnd:  rand.New(rand.NewPCG(opts.Seed, 0)),
		stop: make(chan struct{}),
	}
	c.grown = sync.NewCond(&c.mu)
	return c
}

// Add adds a replica; it starts at what machine has applied.
func (c *Cluster) Add(machine log.StateMachine) *Replica {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &Replica{cluster: c, machine: machine, waiting: map[int]chan answer{}}
	r.next = c.position(machine.Applied())
	c.replicas = append(c.replicas, r)
	if c.started {
		c.run(r)
	}
	return r
}

// Append adds an entry to the order and returns its index; no replica applies it
// until it is stepped.
func (c *Cluster) Append(data []byte) log.Index {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order[c.appendLocked(data)].index
}

// One in repeatOften entries is followed by a repetition of one of the last
// repeatFar.
const (
	repeatOften = 8
	repeatFar   = 20
)

// appendLocked returns the new entry's place in the order.
func (c *Cluster) appendLocked(data []byte) int {
	place := c.addLocked(data)
	if c.opts.Repeat && c.rnd.IntN(repeatOften) == 0 {
		c.addLocked(c.order[place-c.rnd.IntN(min(repeatFar, place+1))].data)
	}
	return place
}

func (c *Cluster) addLocked(data []byte) int {
	index := log.Index(1)
	if n := len(c.order); n > 0 {
		index = c.order[n-1].index + 1
	}
	if c.opts.Gaps && c.rnd.IntN(8) == 0 {
		index += log.Index(1 + c.rnd.IntN(3))
	}
	c.order = append(c.order, entry{index: index, data: data})
	c.grown.Broadcast()
	return len(c.order) - 1
}

// Len returns how many entries have been appended.
func (c *Cluster) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.order)
}

// Start gives every replica a goroutine that applies what is appended, so that
// they serve concurrent callers.
func (c *Cluster) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started || c.closed {
		return
	}
	c.started = true
	for _, r := range c.replicas {
		c.run(r)
	}
}

// Close stops all replicas and waits for their goroutines. The state machines
// stay open: they belong to who made them.
func (c *Cluster) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.stop)
	}
	for _, r := range c.replicas {
		r.stopLocked(log.ErrClosed)
	}
	c.grown.Broadcast()
	c.mu.Unlock()
	c.running.Wait()
	return nil
}

// position returns the place of the first entry after index.
func (c *Cluster) position(index log.Index) int {
	lo, hi := 0, len(c.order)
	for lo < hi {
		mid := (lo + hi) / 2
		if c.order[mid].index <= index {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// cut returns how many of n entries the next batch takes.
func (c *Cluster) cut(n int) int {
	if c.opts.MaxBatch <= 0 || n == 0 {
		return n
	}
	return min(n, 1+c.rnd.IntN(c.opts.MaxBatch))
}

// compareLocked remembers the first answer to the entry at place and compares
// later ones with it.
func (c *Cluster) compareLocked(place int, data []byte) error {
	if c.opts.Tolerant {
		return nil
	}
	e := &c.order[place]
	sum := maphash.Bytes(c.hash, data)
	if !e.answered {
		e.answer, e.answered = sum, true
		return nil
	}
	if e.answer != sum {
		return fmt.Errorf("%w: entry %d (index %d) was answered differently before", ErrDiverged, place, e.index)
	}
	return nil
}
