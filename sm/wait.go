package sm

import (
	"container/heap"
	"context"
	"sync"

	"github.com/tidemark-db/tidemark/log"
)

// waiters are those who wait for offsets. Publishing costs one lock when nobody
// waits, and wakes only those whose offset has come.
type waiters struct {
	mu   sync.Mutex
	heap waiterHeap
	at   log.Offset
	err  error // why no further offset will come
}

type waiter struct {
	off   log.Offset
	place int // in the heap; -1 when it has left
	done  chan struct{}
	err   error
}

func (w *waiters) wait(ctx context.Context, off log.Offset) error {
	w.mu.Lock()
	if w.at >= off || w.err != nil {
		defer w.mu.Unlock()
		if w.at >= off {
			return nil
		}
		return w.err
	}
	me := &waiter{off: off, done: make(chan struct{})}
	heap.Push(&w.heap, me)
	w.mu.Unlock()
	select {
	case <-me.done:
		return me.err
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if me.place < 0 {
		return me.err // it came at the same moment
	}
	heap.Remove(&w.heap, me.place)
	return ctx.Err()
}

// reached wakes who waits for offsets up to off.
func (w *waiters) reached(off log.Offset) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = off
	for len(w.heap) > 0 && w.heap[0].off <= off {
		close(heap.Pop(&w.heap).(*waiter).done)
	}
}

// fail wakes everybody with err, and whoever comes later.
func (w *waiters) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	for len(w.heap) > 0 {
		x := heap.Pop(&w.heap).(*waiter)
		x.err = err
		close(x.done)
	}
}

// resume lets waiters in again, after a Restore has ended a halt.
func (w *waiters) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = nil
}

type waiterHeap []*waiter

func (h waiterHeap) Len() int           { return len(h) }
func (h waiterHeap) Less(i, j int) bool { return h[i].off < h[j].off }
func (h waiterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *waiterHeap) Push(x any) {
	w := x.(*waiter)
	w.place = len(*h)
	*h = append(*h, w)
}

// Pop implements heap.Interface.
func (h *waiterHeap) Pop() any {
	old := *h
	n := len(old) - 1
	w := old[n]
	old[n] = nil
	*h = old[:n]
	w.place = -1
	return w
}
