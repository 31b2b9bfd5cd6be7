package sim

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/tests/check"
)

var (
	simSeed     = flag.Uint64("sim.seed", 0, "seed of the simulation; 0 takes one from the clock")
	simDuration = flag.Duration("sim.duration", 0, "how long to simulate; 0 runs for -sim.commands")
	simCommands = flag.Int("sim.commands", 0, "entries to simulate in all; 0 takes the default, or the full number when TIDEMARK_SIM=full")
)

const (
	defaultCommands = 4_000
	fullCommands    = 50_000
	fullCrashes     = 100
	// worldCommands is how long one simulated log gets.
	worldCommands = 2_500

	// maxWorkers is how many worlds run at a time, each on one goroutine.
	maxWorkers = 4

	witnesses = 6
	mixers    = 4
)

// client does one thing after the other.
type client interface {
	next() error
	conn() *conn
	inBlock() bool
}

// TestSimulation runs worlds until enough was simulated.
func TestSimulation(t *testing.T) {
	seed := *simSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	full := os.Getenv("TIDEMARK_SIM") == "full"
	commands := *simCommands
	switch {
	case commands > 0:
	case full:
		commands = fullCommands
	default:
		commands = defaultCommands
	}
	began := time.Now()
	var mu sync.Mutex
	var total counts
	var workers sync.WaitGroup
	var failed error
	round := uint64(0)
	for range min(runtime.GOMAXPROCS(0), maxWorkers) {
		workers.Go(func() {
			for {
				mu.Lock()
				mine := seed + round
				// Worlds on their way count as if they were complete.
				enough := failed != nil || *simDuration > 0 && time.Since(began) > *simDuration || *simDuration == 0 && int(round)*worldCommands >= commands
				round++
				mu.Unlock()
				if enough {
					return
				}
				c, err := simulate(mine)
				mu.Lock()
				if err != nil {
					failed = errors.Join(failed, err)
				} else {
					total.add(c)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	t.Logf("seed %d, %s: %s", seed, time.Since(began).Round(time.Millisecond), &total)
	require.NoError(t, failed)
	if full && *simDuration == 0 {
		require.GreaterOrEqual(t, total.entries, fullCommands)
		require.GreaterOrEqual(t, total.crashes, fullCrashes)
	}
	require.Positive(t, total.witness, "the model replayed nothing")
	require.Positive(t, total.crashes)
	for what, n := range map[string]int{"conflicts": total.conflicts, "read-modify-writes": total.modified, "sequences": total.tickets, "definitions": total.definitions, "errors behind savepoints": total.savedErrors, "repetitions": total.repeated, "old snapshots": total.lookedBack} {
		require.Positive(t, n, "%s in transactions", what)
	}
}

// simulate runs the world of one seed.
func simulate(seed uint64) (*counts, error) {
	w, err := newWorld(seed)
	if err != nil {
		return nil, err
	}
	err = w.run()
	if w.failure != nil {
		err = w.failure // the first of all, and not what came of it
	}
	if err != nil {
		return nil, fmt.Errorf("seed %d (rerun it with -sim.seed=%[1]d -sim.commands=1): after %d entries: %w", seed, w.cluster.Len(), err)
	}
	return &w.count, nil
}

// run simulates one log from its beginning to its end.
func (w *world) run() error {
	if err := w.setUp(); err != nil {
		return err
	}
	w.faults = true
	unique := 1000
	clients := make([]client, witnesses+mixers)
	for w.cluster.Len() < worldCommands {
		if err := w.event(clients, &unique); err != nil {
			return err
		}
		if w.failure != nil {
			return w.failure
		}
	}
	w.faults = false
	w.leave(clients, nil)
	w.count.entries = w.cluster.Len()
	if err := w.verify(); err != nil {
		return err
	}
	return w.close()
}

func (w *world) setUp() error {
	c, err := w.nodes[0].connect()
	if err != nil {
		return err
	}
	defer c.session.Close()
	g := &generator{rnd: w.rnd}
	scripts := []string{modelSchema, w.bank.fill(), "CREATE SEQUENCE s0"}
	for i := range mixTables - 1 {
		scripts = append(scripts, g.createTable(fmt.Sprintf("t%d", i)))
	}
	for _, sql := range scripts {
		if a := c.simple(sql); a.err != nil {
			return fmt.Errorf("%s: %w", sql, a.err)
		}
	}
	return nil
}

// event lets one thing happen: mostly a client does something, sometimes a node
// crashes, is restarted or restored, or catches up.
func (w *world) event(clients []client, unique *int) error {
	n := w.nodes[w.rnd.IntN(nodes)]
	switch k := w.rnd.IntN(1000); {
	case k < 2:
		w.crashClients(clients, n)
		return n.crash()
	case k < 3:
		w.leave(clients, n)
		return n.restart()
	case k < 4:
		w.leave(clients, n)
		from := w.nodes[w.rnd.IntN(nodes)]
		if from == n || from.machine.Applied() < n.machine.Applied() {
			return nil // a log never sends a snapshot that is older
		}
		return n.restore(from)
	case k < 12:
		return n.sync()
	case k < 30:
		return n.machine.Flush()
	case k < 94:
		return n.step()
	case k < 100:
		return n.tidy()
	}
	i := w.rnd.IntN(len(clients))
	if clients[i] == nil {
		c, err := n.connect()
		if err != nil {
			return err
		}
		if i < witnesses {
			clients[i] = &witness{c: c, unique: unique}
		} else {
			clients[i] = &mix{c: c}
		}
	}
	c := clients[i]
	if err := c.next(); err != nil {
		return err
	}
	w.remember()
	if w.failure == nil && !c.inBlock() && w.rnd.IntN(50) == 0 {
		c.conn().session.Close()
		clients[i] = nil
	}
	return nil
}

// leave ends the sessions of a node in order, or all for nil.
func (w *world) leave(clients []client, n *node) {
	for i, c := range clients {
		if c != nil && (n == nil || c.conn().n == n) {
			c.conn().session.Close()
			clients[i] = nil
		}
	}
}

// crashClients ends the sessions of a node that nobody hears of any more.
func (w *world) crashClients(clients []client, n *node) {
	n.link.dead = true
	w.leave(clients, n)
}

// verify compares everything at the end of the log.
func (w *world) verify() error {
	var dumps []string
	for _, n := range w.nodes {
		if err := n.catchUp(); err != nil {
			return fmt.Errorf("node %d: %w", n.id, err)
		}
		if err := sound(n.machine.Replica); err != nil {
			return fmt.Errorf("node %d: %w", n.id, err)
		}
		dump, err := n.dump()
		if err != nil {
			return fmt.Errorf("node %d: %w", n.id, err)
		}
		dumps = append(dumps, dump)
	}
	if dumps[0] != dumps[1] || dumps[0] != dumps[2] {
		return fmt.Errorf("queries answer differently on replicas:\n%.3000s\n\n%.3000s\n\n%.3000s", dumps[0], dumps[1], dumps[2])
	}
	if err := verifyChanges(w.nodes[1].machine.Replica, w.rnd); err != nil {
		return err
	}
	if err := w.replay([]int{1 << 30, 1 + w.rnd.IntN(100)}[w.rnd.IntN(2)]); err != nil {
		return fmt.Errorf("replay from zero: %w", err)
	}
	return nil
}

// dump asks for the modelled tables, which must hold what the model says, and
// for all others.
func (n *node) dump() (string, error) {
	c, err := n.connect()
	if err != nil {
		return "", err
	}
	defer c.session.Close()
	if a := c.simple(readAll); a.shown() != n.w.bank.all() {
		return "", fmt.Errorf("the modelled tables hold\n%s (%v)\nexpected\n%s", a.shown(), a.err, n.w.bank.all())
	}
	if a := c.simple(showShape); a.shown() != n.w.bank.showShape() {
		return "", fmt.Errorf("table shape holds\n%s (%v)\nexpected\n%s", a.shown(), a.err, n.w.bank.showShape())
	}
	for k := range extras {
		if a := c.simple(countExtra(k)); a.shown() != n.w.bank.countExtra(k) {
			return "", fmt.Errorf("table extra%d answers %s, expected %s", k, a.shown(), n.w.bank.countExtra(k))
		}
	}
	out := ""
	for i := range mixTables {
		out += c.simple(fmt.Sprintf("SELECT * FROM t%d", i)).shown() + "\n"
	}
	return out, nil
}

func sound(r *sm.Replica) error {
	report, err := r.Check(context.Background())
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("check: %q", report.Problems)
	}
	return nil
}

// replay applies the whole log to a replica that has nothing yet. It compares
// its positions, and the log compares its answers.
func (w *world) replay(cut int) error {
	r, err := sm.Open(sm.Options{Dir: "data", FS: vfs.NewMem(), Log: databaseLog, Executor: query.NewExecutor(databaseName)})
	if err != nil {
		return err
	}
	place := w.cluster.Add(&machine{Replica: r, w: w})
	for place.Behind() > 0 {
		if _, err := place.Step(cut); err != nil {
			return err
		}
	}
	if err := sound(r); err != nil {
		return err
	}
	return r.Close()
}

// TestSimulationNotices breaks one replica and expects to hear of it: a test of
// the test.
func TestSimulationNotices(t *testing.T) {
	w, err := newWorld(1)
	require.NoError(t, err)
	require.NoError(t, w.setUp())
	require.NoError(t, w.nodes[1].catchUp())
	p := w.nodes[1].machine.Position()
	p.Checksum[3] ^= 1
	require.Error(t, w.observe(p, nil, p.Index), "another checksum at the same place")
	p.Checksum[3] ^= 1
	require.Error(t, w.observe(p, []sm.Slot{{Name: "c0"}}, p.Index), "another slot")

	s := &witness{c: &conn{n: w.nodes[0]}}
	o := op{sql: "SELECT bal FROM bank WHERE id = 0", do: func(s *state) string { return fmt.Sprintf("%d\nSELECT 1", s.bal[0]) }}
	s.steps = []check.Step[*state]{o.step(o.do(&w.bank))}
	_, differs := s.replay()
	require.Empty(t, differs)
	w.bank.bal[0]++
	_, differs = s.replay()
	require.NotEmpty(t, differs, "a read that is not so at its place in the log")

	f := fold{}
	v, err := w.nodes[1].machine.View()
	require.NoError(t, err)
	defer v.Close()
	require.Error(t, f.compare(v), "a change log without the changes")
	require.False(t, slices.Equal(rand.New(rand.NewPCG(1, 1)).Perm(9), rand.New(rand.NewPCG(2, 1)).Perm(9)))
}
