package pgwire

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// relay is a client's connection that another node serves: its bytes go back and
// forth unchanged.
type relay struct {
	c        *conn
	upstream net.Conn
	addr     string
	sent     frameTracker // of what the other node sends
	said     frameTracker // of what the client sends
	finished atomic.Bool  // the client has said all that it had to say
	key      cancelKey
	keyed    bool
}

// cancelKey is what a cancel request must know. It is the other node's, so it may be
// that of a connection of this node as well.
type cancelKey struct {
	processID int32
	secret    uint32
}

// route hands the connection to another node if Config.Route says so; done says that
// it did, and the connection is at its end.
func (c *conn) route(p *startupPacket) (done bool, err error) {
	find := c.srv.cfg.Route
	if find == nil || p.params.Replication != "" && p.params.Database == "" {
		return false, nil
	}
	addr, ok := find(p.params.Database)
	if !ok {
		return false, nil
	}
	if p.hops >= maxHops {
		return true, elsewhere(p.params.Database).WithDetail("Nodes do not agree who has it.")
	}
	if err := c.srv.admitRelay(c); err != nil {
		return true, err
	}
	defer c.srv.relayEnded()
	up, addr, err := c.reach(p.params.Database, addr)
	if err != nil {
		return true, err
	}
	r := &relay{c: c, upstream: up, addr: addr}
	return true, r.run(p)
}

func elsewhere(database string) *sqlstate.Error {
	return fatal(sqlstate.CannotConnectNow, "database \"%s\" cannot be reached now", database).WithHint("Try again.")
}

// reach connects to a node that has the database. When one does not answer, Route
// may know another by then.
func (c *conn) reach(database, addr string) (net.Conn, string, error) {
	ctx, cancel := context.WithTimeout(c.ctx, relayDialTimeout)
	defer cancel()
	var failed error
	for range relayAttempts {
		up, err := dialNode(ctx, addr)
		if err == nil {
			return up, addr, nil
		}
		failed = err
		again, ok := c.srv.cfg.Route(database)
		if !ok || again == addr || ctx.Err() != nil {
			break
		}
		addr = again
	}
	if cause := c.cause.Load(); cause != nil {
		return nil, "", cause
	}
	c.srv.log.Warn("cannot hand a connection on", "database", database, "node", addr, "err", failed)
	return nil, "", elsewhere(database).WithDetail("The node that has it does not answer.")
}

func dialNode(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: nodeAliveIdle, Interval: nodeAliveInterval, Count: nodeAliveCount},
		Control:         func(_, _ string, c syscall.RawConn) error { return giveUpAfter(c, nodeGoneAfter) },
	}
	return d.DialContext(ctx, "tcp", addr)
}

// run relays until one side ends, and returns why.
func (r *relay) run(p *startupPacket) error {
	defer r.close()
	if err := r.c.raw.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(r.c.ctx, func() { _ = r.upstream.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if cause := r.c.cause.Load(); cause != nil {
		return cause // terminate came before the deadline was lifted
	}
	var client sync.WaitGroup
	client.Go(func() { r.fromClient(p) })
	err := r.toClient()
	_ = r.c.raw.SetReadDeadline(time.Unix(1, 0)) // fails only if it is closed already
	_ = r.upstream.Close()                       // wakes fromClient if it writes
	client.Wait()
	return err
}

func (r *relay) close() {
	_ = r.upstream.Close() // nothing is lost: what it sent has been passed on, or cannot be
	if r.keyed {
		r.c.srv.forgetRelay(r)
	}
}

// fromClient passes on what the client sends, first its start-up packet and what it
// has sent behind that.
func (r *relay) fromClient(p *startupPacket) {
	in := &r.c.in
	first := append(p.forwarded(), in.buf[in.r:in.w]...)
	r.said.feed(in.buf[in.r:in.w], r.hear)
	in.r, in.w = 0, 0
	if r.write(r.upstream, first) != nil {
		_ = r.upstream.Close() // toClient notices and says so
		return
	}
	buf := make([]byte, relayBuffer)
	for {
		n, err := r.c.nc.Read(buf)
		r.said.feed(buf[:n], r.hear)
		if n > 0 && r.write(r.upstream, buf[:n]) != nil {
			_ = r.upstream.Close()
			return
		}
		if err == nil {
			continue
		}
		if r.c.cause.Load() == nil {
			// It may have half-closed and still read; the other node decides, as it
			// would if the client were its own.
			r.finished.Store(true)
			if half, ok := r.upstream.(interface{ CloseWrite() error }); !ok || !errors.Is(err, io.EOF) || half.CloseWrite() != nil {
				_ = r.upstream.Close()
			}
		}
		return
	}
}

// toClient passes on what the other node sends, and returns why that has ended.
func (r *relay) toClient() error {
	buf := make([]byte, relayBuffer)
	ending := false
	for {
		if r.c.cause.Load() != nil && (ending || r.sent.between()) {
			break
		}
		n, err := r.upstream.Read(buf)
		if n > 0 {
			r.sent.feed(buf[:n], r.note)
			if failed := r.write(r.c.nc, buf[:n]); failed != nil {
				return failed
			}
		}
		if err == nil {
			continue
		}
		if r.c.cause.Load() == nil || ending || !errors.Is(err, os.ErrDeadlineExceeded) {
			return r.ended(err)
		}
		// The server is shutting down in the middle of a message, whose rest is
		// given a little time.
		ending = true
		_ = r.upstream.SetReadDeadline(time.Now().Add(shutdownWriteGrace))
		if r.finish(buf) != nil {
			return errTerminate
		}
	}
	return r.c.cause.Load() // the other node cancels what it runs when its client goes
}

// finish passes on the rest of a message.
func (r *relay) finish(buf []byte) error {
	for !r.sent.between() {
		n, err := r.upstream.Read(buf[:min(len(buf), r.sent.missing())])
		if n > 0 {
			r.sent.feed(buf[:n], r.note)
			if failed := r.write(r.c.nc, buf[:n]); failed != nil {
				return failed
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ended says what the client is told when the other node has closed the connection:
// nothing if it has been told by that node, if it wanted no more, or if it is in the
// middle of a message.
func (r *relay) ended(err error) error {
	switch {
	case !r.sent.between(), r.finished.Load(), r.sent.last == msgErrorResponse && r.sent.fatal:
		return errTerminate
	case r.c.cause.Load() != nil:
		return r.c.cause.Load()
	}
	r.c.srv.log.Warn("the node that served a client is gone", "node", r.addr, "err", err)
	return fatal(sqlstate.ConnectionFailure, "connection to the node that has the database was lost")
}

// write writes to either side; a side that does not read is given up.
func (r *relay) write(to net.Conn, b []byte) error {
	if err := to.SetWriteDeadline(time.Now().Add(r.c.srv.cfg.WriteTimeout)); err != nil {
		return err
	}
	if r.c.cause.Load() != nil { // terminate came before, and its deadline is overwritten
		if err := to.SetWriteDeadline(time.Now().Add(shutdownWriteGrace)); err != nil {
			return err
		}
	}
	_, err := to.Write(b)
	return err
}

// hear looks at a message of the client's.
func (r *relay) hear(typ byte, _ []byte) {
	if typ == msgTerminate {
		r.finished.Store(true)
	}
}

// note looks at a message of the other node's, of which it is given the beginning.
func (r *relay) note(typ byte, body []byte) {
	if typ == msgBackendKeyData && len(body) >= 8 && !r.keyed {
		r.key = cancelKey{int32(binary.BigEndian.Uint32(body)), binary.BigEndian.Uint32(body[4:])}
		r.keyed = true
		r.c.srv.rememberRelay(r)
	}
}
