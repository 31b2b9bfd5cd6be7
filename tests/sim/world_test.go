package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/memlog"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/tests/crashfs"
)

const (
	databaseName        = "postgres"
	databaseLog  log.ID = 2

	nodes = 3
	// maxBatch is the most entries of one call to Apply on the replicas that cut
	// batches at random; node 0 applies one entry at a time.
	maxBatch = 40
	// memTable is small so that flushes and compactions happen all the time.
	memTable = 1 << 20
)

// chunkRows is how many rows a COPY or INSERT has at most that is not a large
// transaction, and how many one of its chunks has.
const chunkRows = 8

// world is one simulated log with its nodes and clients.
type world struct {
	seed    uint64
	rnd     *rand.Rand // of the scheduler and the workload
	seeds   *rand.Rand // of entries
	cluster *memlog.Cluster
	nodes   [nodes]*node
	now     int64 // the clock in microseconds

	positions map[log.Index]sm.Position // by the first replica that came there
	slots     map[log.Index][]sm.Slot   // likewise
	answers   map[log.Index][]byte      // likewise
	failure   error                     // the first thing that went wrong on a replica

	past    []past      // states of bank at offsets, the newest last
	bank    state       // what the modelled tables hold at the end of the log
	shown   map[int]int // tickets that clients were shown, with what they were for
	commits int         // transactions and commands committed so far

	faults bool // appends may be refused or lose their answers
	count  counts
}

// counts says what a run has been through.
type counts struct {
	entries, applied, crashes, stops, restores, syncs int
	committed, failed, conflicts, rolledBack, witness int
	lost, refused, copies, staged, tidied             int
	// What clients of the model have done in transaction blocks.
	modified, tickets, definitions, savedErrors int
	repeated                                    int // under an idempotency key
	lookedBack                                  int // transactions on a snapshot that was not the newest
	codes                                       map[string]int
}

func (c *counts) add(o *counts) {
	c.entries += o.entries
	c.applied += o.applied
	c.crashes += o.crashes
	c.stops += o.stops
	c.restores += o.restores
	c.syncs += o.syncs
	c.committed += o.committed
	c.failed += o.failed
	c.conflicts += o.conflicts
	c.rolledBack += o.rolledBack
	c.witness += o.witness
	c.lost += o.lost
	c.refused += o.refused
	c.copies += o.copies
	c.staged += o.staged
	c.modified += o.modified
	c.tickets += o.tickets
	c.definitions += o.definitions
	c.savedErrors += o.savedErrors
	c.repeated += o.repeated
	c.lookedBack += o.lookedBack
	c.tidied += o.tidied
	if c.codes == nil {
		c.codes = map[string]int{}
	}
	for k, n := range o.codes {
		c.codes[k] += n
	}
}

func (c *counts) String() string {
	return fmt.Sprintf("%d entries (%d committed, %d failed, %d applications), %d crashes, %d clean restarts, %d restored snapshots, %d syncs; "+
		"transactions: %d conflicts, %d rolled back, %d replayed by the model; in them %d read-modify-writes, %d numbers of a sequence, %d definitions, %d errors behind savepoints; %d repeated under a key; %d answers lost, %d appends refused; %d COPY, %d chunks, %d times tidied up; SQLSTATEs %v",
		c.entries, c.committed, c.failed, c.applied, c.crashes, c.stops, c.restores, c.syncs,
		c.conflicts, c.rolledBack, c.witness, c.modified, c.tickets, c.definitions, c.savedErrors, c.repeated, c.lost, c.refused, c.copies, c.staged, c.tidied, c.codes)
}

// node is one replica with its disk, and the engine that serves its sessions.
type node struct {
	w       *world
	id      int
	fs      *crashfs.FS
	machine *machine
	log     *memlog.Replica
	engine  *query.Engine
	link    *link
	synced  log.Index // what no crash may take away
}

// machine is a replica whose every position is compared with the others'.
type machine struct {
	*sm.Replica
	w      *world
	single bool // applies one entry at a time
}

// Apply implements log.StateMachine.
func (m *machine) Apply(entries []log.Committed) ([][]byte, error) {
	step := len(entries)
	if m.single {
		step = 1
	}
	var answers [][]byte
	for len(entries) > 0 {
		out, err := m.Replica.Apply(entries[:step])
		answers = append(answers, out...)
		if err != nil {
			return answers, err
		}
		if err := m.Halted(); err != nil {
			return answers, m.w.fail(fmt.Errorf("halted: %w", err))
		}
		for i, answer := range out {
			if err := m.w.compare(&entries[i], answer); err != nil {
				return answers, err
			}
		}
		if err := m.w.observe(m.Position(), m.Slots(), entries[step-1].Index); err != nil {
			return answers, err
		}
		m.w.count.applied += step
		entries = entries[step:]
		step = min(step, len(entries))
	}
	return answers, nil
}

// observe compares a replica's position and slots with what another replica had at
// the same index.
func (w *world) observe(p sm.Position, slots []sm.Slot, at log.Index) error {
	if p.Index != at {
		return w.fail(fmt.Errorf("applied entry %d, the position says %d", at, p.Index))
	}
	have, ok := w.positions[p.Index]
	if !ok {
		w.positions[p.Index], w.slots[p.Index] = p, slots
		return nil
	}
	if !slices.Equal(w.slots[p.Index], slots) {
		return w.fail(fmt.Errorf("the slots differ at entry %d:\n  %+v\n  %+v", p.Index, w.slots[p.Index], slots))
	}
	if have != p {
		return w.fail(fmt.Errorf("replicas differ at entry %d:\n  %+v\n  %+v", p.Index, have, p))
	}
	return nil
}

// compare compares the answer to an entry with what another replica answered.
func (w *world) compare(c *log.Committed, answer []byte) error {
	have, ok := w.answers[c.Index]
	if !ok {
		w.answers[c.Index] = answer
		return nil
	}
	if bytes.Equal(have, answer) {
		return nil
	}
	e, err := log.DecodeEntry(c.Data)
	if err != nil {
		return w.fail(err)
	}
	return w.fail(fmt.Errorf("replicas answer entry %d differently:\n%.3000s\n  %s\n  %s", c.Index, texts(e), resultText(have), resultText(answer)))
}

func resultText(answer []byte) string {
	r, err := log.DecodeResult(answer)
	if err != nil {
		return err.Error()
	}
	s := fmt.Sprintf("at %s", r.Offset)
	if r.Err != nil {
		s += fmt.Sprintf(" %v", r.Err.Fields)
	}
	for i := range r.Statements {
		s += fmt.Sprintf(" [%s, %d rows %.500q]", r.Statements[i].Tag, len(r.Statements[i].Rows), r.Statements[i].Rows)
	}
	return s
}

// fail keeps the first failure of the world.
func (w *world) fail(err error) error {
	if w.failure == nil {
		w.failure = err
	}
	return err
}

func newWorld(seed uint64) (*world, error) {
	w := &world{
		seed:  seed,
		rnd:   rand.New(rand.NewPCG(seed, 1)),
		seeds: rand.New(rand.NewPCG(seed, 2)),
		// Some day in 2026.
		now:       int64(26*365*24) * int64(time.Hour/time.Microsecond),
		positions: map[log.Index]sm.Position{}, slots: map[log.Index][]sm.Slot{},
		answers: map[log.Index][]byte{},
		cluster: memlog.New(memlog.Options{Seed: seed, MaxBatch: maxBatch, Gaps: true, Repeat: true}),
		bank:    newState(),
		shown:   map[int]int{},
	}
	w.count.codes = map[string]int{}
	for i := range w.nodes {
		n := &node{w: w, id: i, fs: crashfs.New()}
		if err := n.open(); err != nil {
			return nil, err
		}
		w.nodes[i] = n
	}
	return w, nil
}

// clock is what a node's clock says. Nodes disagree by up to a few seconds and
// their clocks sometimes go back.
func (n *node) clock() time.Time {
	n.w.now += int64(n.w.seeds.IntN(1000))
	skew := int64(n.id) * 1_500_000
	if n.w.seeds.IntN(50) == 0 {
		skew -= n.w.seeds.Int64N(5_000_000)
	}
	return time.UnixMicro(n.w.now + skew + 946_684_800_000_000).UTC()
}

func (w *world) newSeed() (s log.Seed) {
	binary.LittleEndian.PutUint64(s[:8], w.seeds.Uint64())
	binary.LittleEndian.PutUint64(s[8:], w.seeds.Uint64())
	return s
}

// open opens the node's replica on what its disk holds, and an engine over it.
func (n *node) open() error {
	executor := query.NewExecutor(databaseName)
	r, err := sm.Open(sm.Options{Dir: "data", FS: n.fs, Log: databaseLog, Executor: executor, MemTableBytes: memTable})
	if err != nil {
		return fmt.Errorf("node %d: open: %w", n.id, err)
	}
	if at := r.Applied(); at < n.synced {
		return fmt.Errorf("node %d: entry %d was durable, after the crash it has %d", n.id, n.synced, at)
	}
	n.synced = r.Applied()
	n.machine = &machine{Replica: r, w: n.w, single: n.id == 0}
	if at := r.Applied(); at > 0 {
		if err := n.w.observe(r.Position(), r.Slots(), at); err != nil {
			return fmt.Errorf("node %d: after it was opened: %w", n.id, err)
		}
	}
	if n.log == nil {
		n.log = n.w.cluster.Add(n.machine)
	} else {
		n.log.Restart(n.machine)
	}
	n.link = &link{w: n.w, inner: n.log}
	n.link.turn.L = &n.link.mu
	n.engine = query.NewEngine(query.EngineConfig{
		Database: databaseName, Node: uint64(n.id) + 1, LogID: databaseLog, Replica: r, ChunkRows: chunkRows, Log: n.link, Executor: executor,
		Logger: slog.New(slog.DiscardHandler), Now: n.clock, Seed: n.w.newSeed,
	})
	return nil
}

// tidy cleans up after large transactions, if there is anything to do.
func (n *node) tidy() error {
	if len(n.machine.Loads()) == 0 {
		return nil
	}
	n.w.count.tidied++
	return n.engine.Tidy(context.Background())
}

// crash loses what the node has not made durable, and then some of its memory.
func (n *node) crash() error {
	n.w.count.crashes++
	after := n.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: n.w.rnd.IntN(101), RNG: n.w.rnd})
	if err := n.machine.Close(); err != nil {
		return fmt.Errorf("node %d: close after a crash: %w", n.id, err)
	}
	n.fs = after
	return n.open()
}

// restart stops the node in order and starts it again.
func (n *node) restart() error {
	n.w.count.stops++
	at := n.machine.Applied()
	if err := n.machine.Close(); err != nil {
		return fmt.Errorf("node %d: close: %w", n.id, err)
	}
	n.synced = at
	return n.open()
}

// restore gives the node the state of another one.
func (n *node) restore(from *node) error {
	n.w.count.restores++
	if err := n.log.Restore(from.log); err != nil {
		return fmt.Errorf("node %d: restore from %d: %w", n.id, from.id, err)
	}
	n.synced = n.machine.Applied()
	if n.synced == 0 {
		return nil
	}
	return n.w.observe(n.machine.Position(), n.machine.Slots(), n.synced)
}

func (n *node) sync() error {
	n.w.count.syncs++
	if err := n.machine.Sync(); err != nil {
		return fmt.Errorf("node %d: sync: %w", n.id, err)
	}
	n.synced = n.machine.Applied()
	return nil
}

// step lets the node apply one batch of what it has not applied yet.
func (n *node) step() error {
	_, err := n.log.StepBatch()
	return err
}

// catchUp lets the node apply everything.
func (n *node) catchUp() error {
	for n.log.Behind() > 0 {
		if err := n.step(); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) close() error {
	var errs []error
	for _, n := range w.nodes {
		if n != nil {
			errs = append(errs, n.machine.Close())
		}
	}
	return errors.Join(append(errs, w.cluster.Close())...)
}
