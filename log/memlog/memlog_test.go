package memlog_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/memlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chain is a state machine whose state is a hash over everything applied, in
// order. It halts at the entry "poison".
type chain struct {
	mu    sync.Mutex
	state chainState
	saved chainState // what survives crash
	salt  byte       // makes a replica that answers wrongly

	halted bool
}

type chainState struct {
	Applied log.Index
	Hash    [32]byte
	Count   int
}

func (c *chain) Apply(entries []log.Committed) ([][]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out [][]byte
	for _, e := range entries {
		if e.Index <= c.state.Applied {
			return out, fmt.Errorf("index %d after %d", e.Index, c.state.Applied)
		}
		if string(e.Data) == "poison" {
			c.halted = true
		}
		if c.halted {
			out = append(out, []byte("refused"))
			continue
		}
		c.state.Hash = sha256.Sum256(append(append(c.state.Hash[:], e.Data...), c.salt))
		c.state.Applied = e.Index
		c.state.Count++
		out = append(out, binary.BigEndian.AppendUint64(nil, uint64(c.state.Count)))
		if c.salt != 0 {
			out[len(out)-1][0] = c.salt
		}
	}
	return out, nil
}

func (c *chain) Applied() log.Index {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.Applied
}

func (c *chain) Halted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.halted {
		return log.ErrHalted
	}
	return nil
}

func (c *chain) Sync() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saved = c.state
	return nil
}

func (c *chain) crash() *chain { return &chain{state: c.saved, saved: c.saved} }

func (c *chain) Prepare() (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, nil
}

func (c *chain) Save(image any, w io.Writer, _ <-chan struct{}) error {
	return gob.NewEncoder(w).Encode(image)
}

func (c *chain) Restore(r io.Reader, _ <-chan struct{}) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := gob.NewDecoder(r).Decode(&c.state); err != nil {
		return err
	}
	c.saved = c.state
	return nil
}

func (c *chain) Close() error { return nil }

// TestSimulation lets three replicas lag, crash and restore at random and
// expects that they end equal, and that a seed decides everything.
func TestSimulation(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	require.Equal(t, simulate(t, seed), simulate(t, seed), "the same seed must give the same run")
}

func simulate(t *testing.T, seed uint64) string {
	rnd := rand.New(rand.NewPCG(seed, 1))
	cluster := memlog.New(memlog.Options{Seed: seed, MaxBatch: 5, Gaps: true})
	machines := []*chain{{}, {}, {}}
	var replicas []*memlog.Replica
	for _, m := range machines {
		replicas = append(replicas, cluster.Add(m))
	}
	var trace bytes.Buffer
	for range 3000 {
		i := rnd.IntN(3)
		switch p := rnd.IntN(100); {
		case p < 50:
			fmt.Fprintf(&trace, "append %d\n", cluster.Append(fmt.Appendf(nil, "e%d", rnd.Uint32())))
		case p < 90:
			n, err := replicas[i].StepBatch()
			require.NoError(t, err)
			fmt.Fprintf(&trace, "step %d: %d\n", i, n)
		case p < 95:
			require.NoError(t, machines[i].Sync())
		case p < 98:
			machines[i] = machines[i].crash()
			replicas[i].Restart(machines[i])
		default:
			if from := rnd.IntN(3); from != i {
				require.NoError(t, replicas[i].Restore(replicas[from]))
			}
		}
	}
	for i, r := range replicas {
		for r.Behind() > 0 {
			_, err := r.Step(100)
			require.NoError(t, err)
		}
		require.Equal(t, machines[0].state, machines[i].state, "replica %d", i)
		require.Equal(t, cluster.Len(), machines[i].state.Count)
	}
	fmt.Fprintf(&trace, "%x", machines[0].state.Hash)
	return trace.String()
}

func TestDivergenceIsFound(t *testing.T) {
	cluster := memlog.New(memlog.Options{})
	good, bad := cluster.Add(&chain{}), cluster.Add(&chain{salt: 1})
	cluster.Append([]byte("x"))
	_, err := good.Step(1)
	require.NoError(t, err)
	_, err = bad.Step(1)
	require.ErrorIs(t, err, memlog.ErrDiverged)
}

// TestAppendDrives uses a replica as a log.Log on one goroutine.
func TestAppendDrives(t *testing.T) {
	cluster := memlog.New(memlog.Options{MaxBatch: 3, Gaps: true})
	r := cluster.Add(&chain{})
	for range 10 {
		cluster.Append([]byte("before"))
	}
	got, err := r.Append(t.Context(), []byte("mine"))
	require.NoError(t, err)
	require.Equal(t, uint64(11), binary.BigEndian.Uint64(got))
	cluster.Append([]byte("after"))
	require.NoError(t, r.ReadIndex(t.Context()))
	require.Zero(t, r.Behind())

	_, err = r.Append(t.Context(), make([]byte, log.MaxEntryBytes+1))
	require.ErrorIs(t, err, log.ErrTooLarge)
	require.NoError(t, r.Close())
	_, err = r.Append(t.Context(), []byte("late"))
	require.ErrorIs(t, err, log.ErrClosed)
}

// TestConcurrent has many callers on three replicas at once.
func TestConcurrent(t *testing.T) {
	cluster := memlog.New(memlog.Options{Seed: 7, MaxBatch: 8, Gaps: true, MaxDelay: 100 * time.Microsecond})
	machines := []*chain{{}, {}, {}}
	var logs []log.Log
	for _, m := range machines {
		logs = append(logs, cluster.Add(m))
	}
	cluster.Start()
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for i := range 12 {
		wg.Go(func() {
			l, machine := logs[i%3], machines[i%3]
			for j := range 50 {
				b, err := l.Append(t.Context(), fmt.Appendf(nil, "%d.%d", i, j))
				if err != nil {
					t.Error(err)
					return
				}
				machine.mu.Lock()
				applied := uint64(machine.state.Count)
				machine.mu.Unlock()
				n := binary.BigEndian.Uint64(b)
				mu.Lock()
				if seen[n] || applied < n {
					t.Errorf("answer %d twice, or before it was applied (%d)", n, applied)
				}
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i, l := range logs {
		require.NoError(t, l.ReadIndex(t.Context()))
		require.Equal(t, 600, machines[i].state.Count)
		require.Equal(t, machines[0].state.Hash, machines[i].state.Hash)
	}
	require.NoError(t, cluster.Close())
	_, err := logs[0].Append(t.Context(), []byte("x"))
	require.ErrorIs(t, err, log.ErrClosed)
}

func TestTimeoutLeavesTheOutcomeOpen(t *testing.T) {
	cluster := memlog.New(memlog.Options{MaxDelay: time.Hour})
	m := &chain{}
	r := cluster.Add(m)
	cluster.Start()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := r.Append(ctx, []byte("x"))
	require.ErrorIs(t, err, log.ErrUnknownOutcome)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, r.ReadIndex(ctx), context.DeadlineExceeded)
	require.NoError(t, cluster.Close())
}

func TestHalt(t *testing.T) {
	cluster := memlog.New(memlog.Options{})
	m := &chain{}
	r := cluster.Add(m)
	cluster.Start()
	_, err := r.Append(t.Context(), []byte("x"))
	require.NoError(t, err)
	answer, err := r.Append(t.Context(), []byte("poison"))
	require.NoError(t, err)
	require.Equal(t, "refused", string(answer))
	_, err = r.Append(t.Context(), []byte("y"))
	require.ErrorIs(t, err, log.ErrHalted)
	require.NotErrorIs(t, err, log.ErrUnknownOutcome)
	require.NoError(t, r.ReadIndex(t.Context()), "alone, its state is the newest there is")
	require.Equal(t, 1, m.state.Count)
	require.NoError(t, cluster.Close())
}
