package pgwire

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgproto3/v2"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// copyBoth is the query.CopyBoth of one replication stream. While it lasts there
// are two goroutines that use the connection: one reads, the session's own writes.
// They share nothing but what is atomic; what the reader leaves behind in the
// connection, the session's goroutine looks at after the reader has returned.
type copyBoth struct {
	c       *conn
	stopped atomic.Bool
	err     error // how reading ended
}

var _ query.CopyBothWriter = (*results)(nil)

// CopyBoth implements query.CopyBothWriter.
func (w *results) CopyBoth() (query.CopyBoth, error) {
	w.c.out.message(&pgproto3.CopyBothResponse{})
	if err := w.c.out.flush(); err != nil {
		return nil, err
	}
	return &copyBoth{c: w.c}, nil
}

// Queue implements query.CopyBoth.
func (b *copyBoth) Queue(head, body []byte) int {
	o := &b.c.out
	start := o.begin(msgCopyData)
	o.buf = append(append(o.buf, head...), body...)
	o.finish(start)
	return len(o.buf)
}

// Flush implements query.CopyBoth.
func (b *copyBoth) Flush() error { return b.c.out.flush() }

// Done implements query.CopyBoth.
func (b *copyBoth) Done() error {
	b.c.out.empty(msgCopyDone)
	return b.c.out.flush()
}

// Next implements query.CopyReader.
func (b *copyBoth) Next() ([]byte, error) {
	for b.err == nil {
		typ, body, err := b.c.in.next()
		switch {
		case err != nil && b.stopped.Load() && errors.Is(err, os.ErrDeadlineExceeded) && b.c.cause.Load() == nil:
			b.err = query.ErrCopyStopped
		case err != nil:
			b.err = b.c.readFailed(err)
		case typ == msgCopyData:
			b.alive()
			return body, nil
		case typ == msgCopyDone:
			b.err = io.EOF
		case typ == msgTerminate:
			b.err = b.c.readFailed(errTerminate)
		case typ == msgFlush || typ == msgSync:
		case typ == msgCopyFail:
			b.err = copyFailed(body)
		default:
			b.err = fatal(sqlstate.ProtocolViolation, "invalid standby message type \"%s\"", string(rune(typ)))
		}
	}
	return nil, b.err
}

// alive notes that a client that takes its time to read is still there: the write
// timeout begins anew.
func (b *copyBoth) alive() {
	o := &b.c.out
	if since := o.since.Load(); since != 0 {
		o.since.CompareAndSwap(since, o.clock.now())
	}
}

// Stop implements query.CopyBoth.
func (b *copyBoth) Stop() {
	b.stopped.Store(true)
	_ = b.c.raw.SetReadDeadline(time.Unix(1, 0)) // fails only if it is closed already
}

// Resume implements query.CopyBoth.
func (b *copyBoth) Resume() {
	_ = b.c.raw.SetReadDeadline(time.Time{}) // likewise
	if b.c.cause.Load() != nil {
		_ = b.c.raw.SetReadDeadline(time.Unix(1, 0)) // terminate came before, and its deadline is overwritten
	}
}
