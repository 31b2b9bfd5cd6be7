package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/memlog"
)

// fault is what a link does to the next append.
type fault int

const (
	noFault     fault = iota
	refuse            // nothing is appended
	loseEntry         // the entry is lost and nobody knows
	loseAnswer        // the entry is appended and nobody knows
	faultsCount       // how many there are
)

// link is the log as an engine sees it: it refuses entries and loses answers,
// and remembers for the model what really happened.
type link struct {
	w     *world
	inner *memlog.Replica
	dead  bool // the node has crashed

	mu    sync.Mutex
	turn  sync.Cond
	chunk map[log.StageID]int // the next one expected

	next fault
	// last is the outcome of the last entry of a client, nil when it was not
	// appended; hit is the fault it met.
	last *log.Result
	kind log.Kind
	hit  fault
}

var errDead = fmt.Errorf("%w: the node has crashed", log.ErrClosed)

// Append implements log.Log. Chunks of a COPY are sent by goroutines, so they
// are brought back into their order here.
func (l *link) Append(ctx context.Context, data []byte) ([]byte, error) {
	e, err := log.DecodeEntry(data)
	if err != nil {
		return nil, l.w.fail(fmt.Errorf("a session made an entry that cannot be decoded: %w", err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Kind == log.KindStage {
		for l.chunk[e.Stage.ID] < e.Stage.Chunk {
			l.turn.Wait()
		}
		if l.chunk == nil {
			l.chunk = map[log.StageID]int{}
		}
		l.chunk[e.Stage.ID]++
		l.turn.Broadcast()
		l.w.count.staged++
	}
	if l.dead {
		return nil, errDead
	}
	client := e.Kind == log.KindCommand || e.Kind == log.KindTransaction
	f := noFault
	if client {
		f, l.next = l.next, noFault
		l.last, l.hit, l.kind = nil, f, e.Kind
	}
	switch f {
	case refuse:
		l.w.count.refused++
		return nil, log.ErrBusy
	case loseEntry:
		l.w.count.lost++
		return nil, fmt.Errorf("%w: lost", log.ErrUnknownOutcome)
	}
	answer, err := l.inner.Append(ctx, data)
	if err != nil {
		return nil, l.w.fail(fmt.Errorf("append: %w", err))
	}
	res, err := log.DecodeResult(answer)
	if err != nil {
		return nil, l.w.fail(fmt.Errorf("an answer cannot be decoded: %w", err))
	}
	if client {
		l.last = res
		if res.Err == nil {
			l.w.commits++
			l.w.count.committed++
		} else {
			l.w.count.failed++
			if res.Err.Code == "XX000" {
				return nil, l.w.fail(fmt.Errorf("internal error in apply: %v: %.2000s", res.Err.Fields, texts(e)))
			}
		}
	}
	if f == loseAnswer {
		l.w.count.lost++
		return nil, fmt.Errorf("%w: answer lost", log.ErrUnknownOutcome)
	}
	return answer, nil
}

// texts are the statements of an entry.
func texts(e *log.Entry) string {
	s := ""
	for i := range e.Statements {
		s += e.Statements[i].Text + ";\n"
	}
	return s
}

// ReadIndex implements log.Log.
func (l *link) ReadIndex(ctx context.Context) error {
	if l.dead {
		return errDead
	}
	if err := l.inner.ReadIndex(ctx); err != nil {
		return l.w.fail(fmt.Errorf("read index: %w", err))
	}
	return nil
}

// Close implements log.Log.
func (l *link) Close() error { return errors.New("sim: an engine closes no log") }
