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
			_, err := s.request(b.Context(), readTimeout, func(timeout time.Duration) (*dragonboat.RequestState, error) {
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
