// Package diskspace owns what is known about full disks: how much space is left
// and how much of it is kept back, and the writes that wait for space instead of
// failing. The Raft log and the tables both write through it; it knows neither.
package diskspace

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
)

// Reserve is kept back of a file system for what is written on behalf of entries
// that were accepted before it was full: a share of it, and no more than an amount
// that is enough for any.
const (
	reserveShare = 8       // one part in so many
	reserveMax   = 1 << 30 // bytes
)

// Once refused, writes are accepted again when the reserve and this share of it on
// top are free, so that they are not accepted and refused by turns.
const reliefShare = 4

// Space is the space of a file system, in bytes.
type Space struct{ Free, Total uint64 }

// Reserve returns how much of it is kept back.
func (s Space) Reserve() uint64 { return min(s.Total/reserveShare, reserveMax) }

// Full reports whether nothing more should be accepted; was says whether that was
// so before.
func (s Space) Full(was bool) bool {
	need := s.Reserve()
	if was {
		need += need / reliefShare
	}
	return s.Free < need
}

// String prints the figures for people.
func (s Space) String() string {
	return fmt.Sprintf("%d MB of %d MB are free, %d MB are kept back", s.Free>>20, s.Total>>20, s.Reserve()>>20)
}

// IsFull reports whether an error says that there is no space.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// retryEvery is how often a write that found no space is tried again.
const retryEvery = 200 * time.Millisecond

// Writer repeats writes that find no space until they find some. The zero value
// is ready. It may be used by several goroutines.
type Writer struct {
	// OnWait, if set, is called when a write begins to wait and none did before.
	OnWait func()

	waiting atomic.Int64
	stopped atomic.Bool
	refused atomic.Bool
}

// Waiting returns how many writes are waiting for space.
func (w *Writer) Waiting() int { return int(w.waiting.Load()) }

// Stop lets waiting writes fail, now and later.
func (w *Writer) Stop() { w.stopped.Store(true) }

// Stopped reports whether writes fail rather than wait.
func (w *Writer) Stopped() bool { return w.stopped.Load() }

// Refused reports whether a write has failed for lack of space after Stop.
func (w *Writer) Refused() bool { return w.refused.Load() }

// Do runs an operation that has no effect when there is no space for it.
func (w *Writer) Do(op func() error) error {
	err := op()
	if !IsFull(err) {
		return err
	}
	if w.waiting.Add(1) == 1 && w.OnWait != nil {
		w.OnWait()
	}
	defer w.waiting.Add(-1)
	for IsFull(err) && !w.stopped.Load() {
		time.Sleep(retryEvery)
		err = op()
	}
	if IsFull(err) {
		w.refused.Store(true)
	}
	return err
}

// Write runs a write that may write a part of p before it finds no space.
func (w *Writer) Write(p []byte, write func(p []byte, done int) (int, error)) (int, error) {
	done := 0
	err := w.Do(func() error {
		n, err := write(p[done:], done)
		done += n
		return err
	})
	return done, err
}
