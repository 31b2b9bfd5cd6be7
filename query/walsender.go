package query

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/logical"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

const (
	// streamBatch is how many bytes are sent in one piece to a consumer that is
	// behind. Nothing of the store is held while they are written.
	streamBatch = 128 << 10
	// pollEvery is how many records are read between two looks at the clock and at
	// what the consumer says.
	pollEvery = 1024
	// skippedEvery is how often a consumer is told how far it is while everything
	// is passed over.
	skippedEvery = time.Second
	// streamReleaseTimeout bounds how long the end of a stream waits for the last
	// acknowledgement to be in the log.
	streamReleaseTimeout = 5 * time.Second
)

// The messages of a stream, and the length of what precedes data.
const (
	walData       = 'w'
	walKeepalive  = 'k'
	walDataHeader = 25
)

// walSender sends the changes that a slot is to deliver to one consumer. Its own
// goroutine, the session's, reads the log and sends; another one reads what the
// consumer says; a third one notices when the slot is taken away.
type walSender struct {
	s       *Session
	held    *HeldSlot
	both    CopyBoth
	stream  *logical.Stream
	receipt logical.Receipts
	stats   senderStats

	header  [walDataHeader]byte // of the message being sent; the time in it is that of the last look at the clock
	queued  int                 // bytes that are to be written
	told    log.Offset          // the end that the last keepalive carried
	steps   int
	lastOut time.Time // when the consumer was told last how far it is
	asked   time.Time // when it was asked for a reply, if none has come since

	mu      sync.Mutex
	wake    context.CancelFunc // ends the wait under way
	ended   bool               // the consumer, or the loss of the slot, has ended the stream
	endErr  error              // why; nil when the consumer asked for it
	wanted  bool               // the consumer wants to know at once how far it is
	replied time.Time          // when it was heard last
}

// prepare makes the stream, with nothing sent yet.
func (w *walSender) prepare(ctx context.Context, c *logical.StartReplication) error {
	// A node that is behind must not tell the consumer that it has everything.
	if err := w.s.confirm(ctx); err != nil {
		return err
	}
	slot := w.held.Slot()
	from := max(slot.Confirmed, c.Start)
	stream, err := logical.NewStream(logical.StreamConfig{
		Replica: w.s.e.cfg.Replica, From: from, Plugin: slot.Plugin, Options: c.Options, Format: w.s.format, Sink: w.send,
	})
	if err != nil {
		return err
	}
	w.stream = stream
	w.header[0] = walData
	w.replied = time.Now()
	w.stats.slot = slot.Name
	w.receipt.Whole(slot.Confirmed)
	w.stats.sent.Store(uint64(slot.Confirmed))
	return nil
}

// run streams until the consumer or something else ends it. It returns nil when the
// consumer has said that it wants no more.
func (w *walSender) run(ctx context.Context, c CopyBothWriter) error {
	var err error
	if w.both, err = c.CopyBoth(); err != nil {
		return err
	}
	w.s.setSender(&w.stats)
	defer w.s.setSender(nil)
	defer w.stream.Park()
	var others sync.WaitGroup
	over := make(chan struct{})
	others.Go(w.listen)
	others.Go(func() { w.watch(over) })
	err = w.loop(ctx)
	close(over)
	w.both.Stop()
	others.Wait()
	w.both.Resume()
	return err
}

// release lets go of the slot, also when the client is gone already.
func (w *walSender) release() error {
	ctx, cancel := context.WithTimeout(context.Background(), streamReleaseTimeout)
	defer cancel()
	return w.held.Release(ctx)
}

// loop sends what there is, and waits for more.
func (w *walSender) loop(ctx context.Context) error {
	w.clock()
	for {
		step, sent, err := w.stream.Next()
		if err != nil {
			return appendError(err)
		}
		switch step {
		case logical.CaughtUp:
			if err := w.idle(ctx); err != nil {
				return err
			}
		case logical.Commit:
			w.passed(sent)
		}
		if w.steps++; w.queued < streamBatch && w.steps%pollEvery != 0 && step != logical.CaughtUp {
			continue
		}
		if err := w.breathe(); err != nil {
			return err
		}
		if over, err := w.over(ctx); over {
			return err
		}
	}
}

// send is the stream's sink.
func (w *walSender) send(at log.Offset, message []byte) error {
	binary.BigEndian.PutUint64(w.header[1:], uint64(at))
	binary.BigEndian.PutUint64(w.header[9:], uint64(at))
	w.queued = w.both.Queue(w.header[:], message)
	w.receipt.Message(at, len(message))
	return nil
}

// passed notes that a transaction has been sent or passed over. The consumer is told
// of either with the next keepalive.
func (w *walSender) passed(sent bool) {
	end := w.stream.Position()
	if sent {
		w.receipt.Whole(end)
	}
	w.stats.sent.Store(uint64(end))
}

// clock looks at the time, for the messages that are sent next.
func (w *walSender) clock() time.Time {
	binary.BigEndian.PutUint64(w.header[17:], uint64(w.s.e.now()))
	return time.Now()
}

// keepalive tells the consumer that it has everything before the stream's position.
func (w *walSender) keepalive(reply bool) {
	end := w.stream.Position()
	w.receipt.Whole(end)
	w.told, w.lastOut = end, w.clock()
	var b [18]byte
	b[0] = walKeepalive
	binary.BigEndian.PutUint64(b[1:], uint64(end))
	copy(b[9:17], w.header[17:])
	if reply {
		b[17] = 1
		w.asked = w.lastOut
	}
	w.queued = w.both.Queue(b[:], nil)
}

// breathe writes what is queued, after a look at what the consumer has said and at
// the time.
func (w *walSender) breathe() error {
	now := w.clock()
	if err := w.attend(now); err != nil {
		return err
	}
	if w.told < w.stream.Position() && now.Sub(w.lastOut) >= skippedEvery {
		w.keepalive(false)
	}
	if w.queued == 0 {
		return nil
	}
	w.stream.Park()
	w.queued = 0
	return w.both.Flush()
}

// attend answers a consumer that wants to know how far it is, asks one that has been
// silent for half of wal_sender_timeout, and gives one up that has been for all of
// it.
func (w *walSender) attend(now time.Time) error {
	w.mu.Lock()
	wanted, replied := w.wanted, w.replied
	w.wanted = false
	w.mu.Unlock()
	if timeout := w.s.duration(settingSenderTimeout); timeout > 0 {
		silent := now.Sub(replied)
		if silent < timeout/2 {
			w.asked = time.Time{}
		}
		switch {
		case silent >= timeout && !w.asked.IsZero() && now.Sub(w.asked) >= timeout/2:
			err := sqlstate.New(sqlstate.ConnectionFailure, "terminating walsender process due to replication timeout")
			err.Severity = "FATAL"
			return err
		case silent >= timeout/2 && w.asked.IsZero():
			w.keepalive(true)
			wanted = false
		}
	}
	if wanted {
		w.keepalive(false)
	}
	return nil
}

// idle is what there is to do when everything has been sent: the consumer is told,
// and then something is waited for.
func (w *walSender) idle(ctx context.Context) error {
	w.stats.caught.Store(true)
	if w.told < w.stream.Position() {
		w.keepalive(false)
	}
	if err := w.breathe(); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, w.patience())
	defer cancel()
	if !w.sleeping(cancel) {
		return nil
	}
	err := w.stream.Wait(wait)
	w.sleeping(nil)
	if err != nil && wait.Err() == nil {
		return appendError(err)
	}
	return nil
}

// patience is for how long nothing has to be done.
func (w *walSender) patience() time.Duration {
	timeout := w.s.duration(settingSenderTimeout)
	if timeout <= 0 {
		return time.Hour
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	due := w.replied
	if w.asked.After(due) {
		due = w.asked
	}
	return max(time.Until(due.Add(timeout/2)), time.Millisecond)
}

// sleeping notes how to end the wait that is about to begin; it reports false when
// there is something to do already.
func (w *walSender) sleeping(wake context.CancelFunc) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wake = wake
	return !w.ended && !w.wanted
}

// over reports whether the stream is at its end, and why.
func (w *walSender) over(ctx context.Context) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended:
		return true, w.endErr
	case ctx.Err() != nil:
		return true, exec.Canceled(ctx)
	}
	return false, nil
}

// end ends the stream, if nothing else has before.
func (w *walSender) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.ended, w.endErr = true, err
	if w.wake != nil {
		w.wake()
	}
}

// watch ends the stream when the slot is lost.
func (w *walSender) watch(over <-chan struct{}) {
	select {
	case <-w.held.Lost():
		w.end(w.held.Err())
	case <-over:
	}
}

// listen reads what the consumer says until there is nothing more to read.
func (w *walSender) listen() {
	for {
		b, err := w.both.Next()
		switch {
		case errors.Is(err, ErrCopyStopped):
			return
		case errors.Is(err, io.EOF):
			w.end(nil)
			return
		case err == nil:
			err = w.hear(b)
		}
		if err != nil {
			w.end(err)
			return
		}
	}
}

// statusLength is the length of a consumer's status message.
const statusLength = 34

// hear takes in a message of the consumer's.
func (w *walSender) hear(b []byte) error {
	if len(b) == 0 {
		return sqlstate.New(sqlstate.ProtocolViolation, "invalid standby message")
	}
	reply := false
	switch {
	case b[0] == 'r' && len(b) == statusLength:
		reply = b[33] != 0
		at := func(i int) uint64 { return binary.BigEndian.Uint64(b[i:]) }
		w.stats.heard(at(1), at(9), at(17), w.s.e.now())
		if end, ok := w.receipt.Accept(log.Offset(at(9))); ok {
			w.held.Acknowledge(end)
		}
	case b[0] == 'h':
	default:
		return sqlstate.New(sqlstate.ProtocolViolation, "unexpected message type \"%s\"", string(rune(b[0])))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replied = time.Now()
	if reply {
		w.wanted = true
		if w.wake != nil {
			w.wake()
		}
	}
	return nil
}
