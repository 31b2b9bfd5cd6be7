package tests

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark"
	"github.com/tidemark-db/tidemark/tests/cluster"
	"github.com/tidemark-db/tidemark/tests/workload"
)

const (
	clockRun = 5 * time.Second
	// clockPause is the longest time between two jumps of a clock, and clockJump
	// the longest way.
	clockPause = 300 * time.Millisecond
	clockJump  = 2 * time.Hour
)

// jumpingClock is a clock that somebody sets wrongly again and again.
type jumpingClock struct{ off atomic.Int64 }

func (c *jumpingClock) now() time.Time { return time.Now().Add(time.Duration(c.off.Load())) }

// TestClockJumps sets the clocks of all nodes forth and back by up to an hour each
// while clients work: no promise hangs on a clock, and the log's own time only
// grows.
func TestClockJumps(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	var clocks [faultNodes]jumpingClock
	var addrs []string
	for i := range clocks {
		cfg := tidemark.Config{Dir: t.TempDir(), SQLAddr: "127.0.0.1:0", RaftAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", Now: clocks[i].now}
		if i > 0 {
			cfg.Join = addrs[0]
		}
		n, err := tidemark.Open(t.Context(), cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, n.Close(context.Background())) })
		addrs = append(addrs, n.SQLAddr())
	}
	jumps := 0
	servers := &workload.Servers{
		Addrs: func() []string { return addrs },
		Disturb: func(context.Context) error {
			clocks[rnd.IntN(len(clocks))].off.Store(rnd.Int64N(int64(clockJump)) - int64(clockJump)/2)
			jumps++
			return nil
		},
	}
	all := append(workloads(), &workload.Tokens{})
	require.NoError(t, workload.Run(t.Context(), servers, workload.Options{Clients: faultClients, Duration: clockRun, Pause: clockPause, Seed: seed}, all...))
	for _, w := range all {
		t.Log(w)
	}
	require.Greater(t, jumps, 3)
	conn, err := cluster.Dial(t.Context(), addrs[1])
	require.NoError(t, err)
	defer conn.Close(context.Background())
	rows, err := execute(t.Context(), conn, "SELECT log_time FROM tidemark.log ORDER BY lsn, seq")
	require.NoError(t, err)
	require.Greater(t, len(rows), 100)
	for i := range rows[1:] {
		require.Less(t, rows[i][0], rows[i+1][0], "the log's time goes back")
	}
}
