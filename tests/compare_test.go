package tests

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/memlog"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm"
)

// comparePatience is how long replicas may take to compare each other.
const comparePatience = 60 * time.Second

// different executes something else than the entry says, for as long as it is on.
type different struct {
	sm.Executor
	mu sync.Mutex
	on bool
}

func (d *different) set(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.on = on
}

func (d *different) Execute(t *sm.Txn, e *log.Entry) (log.Result, error) {
	d.mu.Lock()
	on := d.on
	d.mu.Unlock()
	if on {
		n := *e
		n.Statements = []log.Statement{e.Statements[0]}
		n.Statements[0].Text = strings.ReplaceAll(n.Statements[0].Text, "good", "evil")
		e = &n
	}
	return d.Executor.Execute(t, e)
}

// TestReplicasCompare: engines have their replicas vote on their own, and one that
// executes something else than the others is fenced.
func TestReplicasCompare(t *testing.T) {
	cluster := memlog.New(memlog.Options{Seed: 1, MaxBatch: 8, Gaps: true, Tolerant: true})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var replicas []*sm.Replica
	var logs []log.Log
	bad := &different{}
	for id := log.ReplicaID(1); id <= 3; id++ {
		executor := query.NewExecutor("postgres")
		o := sm.Options{Dir: "/data", FS: vfs.NewMem(), Log: 2, Replica: id, Executor: executor}
		if id == 3 {
			bad.Executor = executor
			o.Executor = bad
		}
		r, err := sm.Open(o)
		require.NoError(t, err)
		l := cluster.Add(r)
		e := query.NewEngine(query.EngineConfig{
			Database: "postgres", Node: uint64(id), LogID: 2, Replica: r, Log: l, Executor: executor, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
			Leads: func() bool { return id == 1 }, CheckEvery: 20 * time.Millisecond,
			Voters: func(context.Context) ([]log.ReplicaID, error) { return []log.ReplicaID{1, 2, 3}, nil },
		})
		replicas, logs = append(replicas, r), append(logs, l)
		running.Go(func() { e.Maintain(ctx) })
	}
	cluster.Start()
	t.Cleanup(func() {
		stop()
		require.NoError(t, cluster.Close())
		running.Wait()
		for _, r := range replicas {
			require.NoError(t, r.Close())
		}
	})
	run := func(sql string) {
		e := log.Entry{Kind: log.KindCommand, Semantics: log.CurrentSemantics, Statements: []log.Statement{{Text: sql}}}
		data, err := e.Append(nil)
		require.NoError(t, err)
		out, err := logs[0].Append(ctx, data)
		require.NoError(t, err)
		res, err := log.DecodeResult(out)
		require.NoError(t, err)
		require.Nil(t, res.Err)
	}
	agreed := func(least log.Offset, among ...*sm.Replica) func() bool {
		return func() bool {
			for _, r := range among {
				if r.CheckState().Agreed.Offset < least {
					return false
				}
			}
			return true
		}
	}
	run("CREATE TABLE public.t (a int, b text)")
	require.Eventually(t, agreed(replicas[0].Position().Offset, replicas...), comparePatience, 5*time.Millisecond)
	require.NotZero(t, replicas[0].CheckState().LastScan, "the first time it is a scan")

	bad.set(true)
	run("INSERT INTO public.t VALUES (1, 'good')")
	require.NoError(t, replicas[2].Wait(ctx, replicas[0].Position().Offset))
	bad.set(false)
	require.Eventually(t, func() bool { return replicas[2].Fenced() != nil }, comparePatience, 5*time.Millisecond)
	run("INSERT INTO public.t VALUES (2, 'good')")
	require.Eventually(t, agreed(replicas[0].Position().Offset, replicas[:2]...), comparePatience, 5*time.Millisecond)

	require.ErrorIs(t, logs[2].ReadIndex(ctx), log.ErrHalted)
	_, err := logs[2].Append(ctx, nil)
	require.ErrorIs(t, err, log.ErrHalted)
	require.ErrorContains(t, replicas[2].CheckState().Err, "replica 3 of log 2 is fenced")
}
