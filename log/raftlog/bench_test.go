package raftlog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tidemark-db/tidemark/log"
)

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// BenchmarkAppend measures one replica with syncs, by number of callers. The
// second form goes through Dragonboat's own synchronous call.
func BenchmarkAppend(b *testing.B) {
	h := openHost(b, HostConfig{Dir: b.TempDir()})
	s := openShard(b, h, &toyFast{})
	data := make([]byte, 200)
	forms := map[string]func() error{
		"append": func() error {
			_, err := s.Append(b.Context(), data)
			return err
		},
		"syncpropose": func() error {
			ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
			defer cancel()
			_, err := h.node.SyncPropose(ctx, s.session, data)
			return err
		},
	}
	for _, callers := range []int{1, 16, 64} {
		for _, form := range []string{"append", "syncpropose"} {
			b.Run(fmt.Sprintf("%s/%d", form, callers), func(b *testing.B) {
				run(b, callers, forms[form])
			})
		}
	}
}

func BenchmarkReadIndex(b *testing.B) {
	h := openHost(b, HostConfig{Dir: b.TempDir()})
	s := openShard(b, h, &toyFast{})
	appendOne(b, s, "x")
	require.Eventually(b, s.members.alone.Load, time.Second, time.Millisecond)
	b.Run("alone", func(b *testing.B) {
		run(b, 1, func() error { return s.ReadIndex(b.Context()) })
	})
	b.Run("asked", func(b *testing.B) {
		run(b, 1, func() error {
			_, err := s.pursue(b.Context(), readTimeout, func(timeout time.Duration) (*dragonboat.RequestState, error) {
				return h.node.ReadIndex(uint64(testLog), timeout)
			})
			return err
		})
	})
}

func run(b *testing.B, callers int, call func() error) {
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error, callers)
	for range callers {
		go func() {
			for left.Add(-1) >= 0 {
				if err := call(); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range callers {
		require.NoError(b, <-done)
	}
}

// BenchmarkIdle reports what groups cost that nobody uses: processor cores for
// three nodes with 100 groups of three.
func BenchmarkIdle(b *testing.B) {
	const groups, nodes = 100, 3
	const settle = 3 * time.Second
	hosts := make([]*Host, nodes)
	members := map[log.ReplicaID]log.NodeID{}
	for i := range hosts {
		hosts[i] = openHost(b, HostConfig{Dir: b.TempDir()})
		members[log.ReplicaID(i+1)] = hosts[i].Identity().NodeID
	}
	var shards []*Shard
	for i, h := range hosts {
		for _, other := range hosts {
			h.SetAddress(other.Identity().NodeID, other.RaftAddr())
		}
		for id := range groups {
			s, err := h.OpenShard(log.ID(id+1), &toyFast{}, ShardOptions{Replica: log.ReplicaID(i + 1), Members: members})
			require.NoError(b, err)
			shards = append(shards, s)
		}
	}
	for _, s := range shards {
		require.NoError(b, s.Ready(b.Context()))
	}
	time.Sleep(settle)
	terms := func() (sum uint64) {
		for _, s := range shards {
			_, term, _ := s.Leader()
			sum += term
		}
		return sum
	}
	before, began, elections := processorTime(b), time.Now(), terms()
	for b.Loop() {
		time.Sleep(time.Second)
	}
	b.ReportMetric((processorTime(b)-before).Seconds()/time.Since(began).Seconds(), "cores")
	b.ReportMetric(float64(terms()-elections), "terms")
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
