package pgwire

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// errTerminate is how a connection ends whose client said goodbye, or never
// wanted more than to cancel something.
var errTerminate = errors.New("client terminated the connection")

// conn is one client connection. One goroutine reads its messages, calls its
// session and writes the answers; the other goroutines that touch it use only
// what is atomic or guarded: interrupt, terminate and the watcher's clocks.
type conn struct {
	srv *Server
	raw net.Conn // as accepted; deadlines and disconnect checks go here
	nc  net.Conn // raw, or TLS over it

	in      frameReader
	out     output
	results results
	stmt    statementContext
	session Session // nil until the client is authenticated

	ctx    context.Context
	cancel context.CancelCauseFunc
	cause  atomic.Pointer[sqlstate.Error] // why the server ends the connection

	processID int32
	secret    uint32
	idle      atomic.Int64 // since when the connection waits for a message; 0 when it does not

	skip    bool // an error happened: ignore messages until Sync
	readErr error
	names   map[string]string

	// Decoded messages, reused.
	parseMsg   parseMessage
	bindMsg    bindMessage
	executeMsg executeMessage
	targetMsg  targetMessage
}

func newConn(srv *Server, nc net.Conn) *conn {
	c := &conn{srv: srv, raw: nc, nc: nc}
	c.in = newFrameReader(nc, &srv.budget)
	c.out = output{dst: nc, clock: &srv.clock}
	c.results = results{c: c}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.stmt.init(c.ctx)
	return c
}

// serve runs the connection until its end.
func (c *conn) serve() {
	defer c.close()
	defer func() {
		if p := recover(); p != nil {
			c.panicked(p)
		}
	}()
	if err := c.handshake(); err != nil {
		c.goodbye(err)
		return
	}
	c.goodbye(c.loop())
}

// loop handles messages; it returns why the connection ends.
func (c *conn) loop() error {
	for {
		if cause := c.cause.Load(); cause != nil {
			return cause
		}
		c.idle.Store(c.srv.clock.now())
		typ, body, err := c.in.next()
		c.idle.Store(0)
		if err != nil {
			return c.readFailed(err)
		}
		if err := c.dispatch(typ, body); err != nil {
			return err
		}
		if c.in.held > 0 {
			c.forget()
		}
	}
}

// forget drops the decoded messages, which would keep a big read buffer alive
// after the reader has given it up.
func (c *conn) forget() {
	c.parseMsg = parseMessage{}
	c.bindMsg = bindMessage{}
	c.executeMsg = executeMessage{}
	c.targetMsg = targetMessage{}
}

// readFailed notes that nothing more can be read and says why: because the
// server is ending the connection, because the client broke the protocol
// (both *sqlstate.Error), or because it went away.
func (c *conn) readFailed(err error) error {
	switch {
	case c.cause.Load() != nil:
		err = c.cause.Load()
	case errors.Is(err, os.ErrDeadlineExceeded) && c.session == nil:
		err = fatal(sqlstate.QueryCanceled, "canceling authentication due to timeout")
	}
	c.readErr = err
	return err
}

// interrupted returns the cause if the running statement was cancelled.
func (c *conn) interrupted() error { return c.stmt.cause() }

// terminate makes the connection end with the given cause: at once if it is
// idle, by cancelling the statement if it runs one. Any goroutine may call it.
func (c *conn) terminate(cause *sqlstate.Error) {
	end := *cause
	end.Severity = severityFatal
	if !c.cause.CompareAndSwap(nil, &end) {
		return
	}
	c.cancel(&end)
	// Deadlines fail only on a connection that is closed already.
	_ = c.raw.SetReadDeadline(time.Unix(1, 0))
	_ = c.raw.SetWriteDeadline(time.Now().Add(shutdownWriteGrace))
}

// sendError tells the client that a statement failed. It returns an error if
// the connection ends with it: then goodbye tells the client instead.
func (c *conn) sendError(err error) error {
	switch {
	case c.out.err != nil:
		return c.out.err
	case c.cause.Load() != nil:
		return c.cause.Load()
	case c.readErr != nil:
		return c.readErr
	}
	e := c.publicError(err)
	if e.Severity == severityFatal || e.Severity == severityPanic {
		return e
	}
	c.out.errorResponse(e)
	return c.out.spill()
}

// publicError is what the client is shown for err.
func (c *conn) publicError(err error) *sqlstate.Error {
	var e *sqlstate.Error
	if errors.As(err, &e) {
		return e
	}
	if cause := c.interrupted(); cause != nil && errors.Is(err, context.Canceled) {
		return sqlstate.As(cause)
	}
	c.srv.log.Error("statement failed with an internal error", "pid", c.processID, "err", err)
	return sqlstate.As(err)
}

// goodbye ends the conversation: with a FATAL error if the client is there to
// read it.
func (c *conn) goodbye(err error) {
	var e *sqlstate.Error
	if !errors.As(err, &e) {
		c.srv.log.Debug("client disconnected", "pid", c.processID, "remote", c.remote(), "reason", err)
		_ = c.out.flush() // the client may have half-closed and still read
		return
	}
	c.srv.log.Info("closing connection", "pid", c.processID, "remote", c.remote(), "code", string(e.Code), "reason", e.Message)
	c.out.errorResponse(e)
	if c.out.flush() == nil && c.cause.Load() == nil {
		c.linger()
	}
}

// linger reads on for a while after the last word. Closing a socket with
// unread data resets it, and then the client may never see why.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if c.raw.SetReadDeadline(time.Now().Add(lingerTime)) != nil || c.cause.Load() != nil {
		return
	}
	// What is discarded, and how that ends, is of no interest.
	_, _ = io.CopyN(io.Discard, c.nc, lingerBytes)
}

// panicked ends this connection, and nothing else, after a panic.
func (c *conn) panicked(p any) {
	c.srv.log.Error("panic in a connection", "pid", c.processID, "remote", c.remote(), "panic", p, "stack", string(debug.Stack()))
	c.goodbye(fatal(sqlstate.InternalError, "internal error: the connection is closed").
		WithHint("The server's log has the details."))
}

// close releases everything the connection holds.
func (c *conn) close() {
	defer c.srv.remove(c)
	defer func() {
		if p := recover(); p != nil {
			c.srv.log.Error("panic while closing a session", "pid", c.processID, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	// An error of Close would only say that the client closed first.
	_ = c.nc.Close()
	c.in.close()
	c.out.buf = nil
	c.stmt.close()
	c.cancel(nil)
	if c.session != nil {
		c.session.Close()
	}
}

func (c *conn) remote() string {
	if a, ok := c.raw.RemoteAddr().(*net.TCPAddr); ok {
		return a.String()
	}
	return ""
}
