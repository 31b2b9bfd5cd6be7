package raftlog

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
)

// onceOnly makes a toy recognise entries that come twice, as sm does by seeds.
func onceOnly(t *testing.T, m *toy) *toy {
	executed, err := (&log.Result{Offset: 1}).Append(nil)
	require.NoError(t, err)
	repeated, err := (&log.Result{Offset: 1, Repeat: log.Repeated}).Append(nil)
	require.NoError(t, err)
	m.executed, m.repeated = executed, repeated
	return m
}

// TestAppendOutlivesLeaders kills leaders and moves the leadership while clients
// of all nodes write: every write is answered with success and happens once.
func TestAppendOutlivesLeaders(t *testing.T) {
	p := newPeers(t, 3, HostConfig{SnapshotEntries: 400})
	for _, n := range p.nodes {
		onceOnly(t, n.state)
	}
	p.found()
	var mu sync.RWMutex // guards the peers
	var written, pauseMax atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for c := range 6 {
		clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				mu.RLock()
				s := p.nodes[c%3].shard
				mu.RUnlock()
				if s == nil {
					time.Sleep(time.Millisecond)
					continue
				}
				began := time.Now()
				_, err := s.Append(t.Context(), fmt.Appendf(nil, "%d/%d", c, i))
				if isAny(err, log.ErrClosed) {
					continue // its own node was closed: the client does not know
				}
				if err != nil {
					t.Errorf("client %d: %v", c, err)
					return
				}
				written.Add(1)
				pauseMax.Store(max(pauseMax.Load(), int64(time.Since(began))))
			}
		})
	}
	for round := range 6 {
		time.Sleep(300 * time.Millisecond)
		leader := p.leader()
		if round%2 == 0 {
			require.NoError(t, p.nodes[leader].shard.TransferLeader(p.ctx(), p.nodes[(leader+1)%3].replica))
			continue
		}
		host := p.nodes[leader].host
		mu.Lock()
		p.nodes[leader].shard = nil
		mu.Unlock()
		require.NoError(t, host.Close())
		time.Sleep(1500 * time.Millisecond)
		p.nodes[leader].state = onceOnly(t, p.nodes[leader].state.reopened())
		p.start(leader)
		s, err := p.nodes[leader].host.OpenShard(testLog, p.nodes[leader].state, ShardOptions{Replica: p.nodes[leader].replica})
		require.NoError(t, err)
		mu.Lock()
		p.nodes[leader].shard = s
		mu.Unlock()
	}
	close(stop)
	clients.Wait()
	t.Logf("%d writes, the longest took %s", written.Load(), time.Duration(pauseMax.Load()))
	require.Less(t, time.Duration(pauseMax.Load()), proposalTimeout)
	for i := range p.nodes {
		p.sees(i, int(written.Load()))
		entries := map[string]int{}
		for _, e := range p.nodes[i].state.clone().Entries {
			entries[e]++
			require.Equal(t, 1, entries[e], e)
		}
	}
}

// TestRepeatedAnswer shows which answer counts: that of the execution, else that
// the entry was repeated, and nothing when it came too late.
func TestRepeatedAnswer(t *testing.T) {
	encoded := func(r log.Repeat) []byte {
		b, err := (&log.Result{Repeat: r}).Append(nil)
		require.NoError(t, err)
		return b
	}
	require.True(t, log.IsExecuted(encoded(log.Executed)))
	require.True(t, log.IsExecuted([]byte("of a toy")))
	require.False(t, log.IsExecuted(encoded(log.Repeated)))
	require.False(t, log.IsExecuted(encoded(log.TooLate)))
	require.True(t, log.IsTooLate(encoded(log.TooLate)))
}

// TestAppendIsMadeAgain lets a state machine sleep: the entry is proposed again,
// and the answer is that of the first.
func TestAppendIsMadeAgain(t *testing.T) {
	p := newPeers(t, 3, HostConfig{})
	var slept atomic.Bool
	for _, n := range p.nodes {
		onceOnly(t, n.state).onApply = func(e log.Committed) {
			if string(e.Data) == "slow" && !slept.Swap(true) {
				time.Sleep(patienceFirst + patienceFirst/2)
			}
		}
	}
	p.found()
	for i := range p.nodes {
		slept.Store(false)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		answer, err := p.nodes[i].shard.Append(ctx, []byte("slow"))
		require.NoError(t, err)
		require.Equal(t, i == 0, log.IsExecuted(answer))
	}
}

// BenchmarkFailover reports how long a write of another node takes that begins
// when the leader goes.
func BenchmarkFailover(b *testing.B) {
	p := newPeers(b, 3, HostConfig{})
	for _, n := range p.nodes {
		n.state = &toy{}
	}
	p.found()
	var longest time.Duration
	for b.Loop() {
		b.StopTimer()
		dead := p.leader()
		b.StartTimer()
		began := time.Now()
		go p.nodes[dead].host.Close()
		_, err := p.nodes[(dead+1)%3].shard.Append(b.Context(), []byte("x"))
		require.NoError(b, err)
		longest = max(longest, time.Since(began))
		b.StopTimer()
		p.crash(dead)
		p.start(dead)
		p.open(dead, ShardOptions{Replica: log.ReplicaID(dead + 1)})
		require.NoError(b, p.nodes[dead].shard.Ready(p.ctx()))
		b.StartTimer()
	}
	b.ReportMetric(longest.Seconds()*1000, "ms-longest")
}
