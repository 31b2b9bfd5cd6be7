package pgwire

import (
	"encoding/binary"
	"net"
	"sync/atomic"
)

// output collects messages for the client and writes them in one piece. The
// first failed write is remembered: nothing is sent after it.
type output struct {
	dst   net.Conn
	buf   []byte
	err   error
	clock *coarseClock
	// before is called before a write, which may take as long as the client likes.
	before func()

	// since is the time at which the write under way began, 0 when there is
	// none. The watcher reads it, which is cheaper than a deadline for each write.
	since atomic.Int64
}

// begin starts a message and returns where; finish fills in its length.
func (o *output) begin(typ byte) int {
	start := len(o.buf)
	o.buf = append(o.buf, typ, 0, 0, 0, 0)
	return start
}

func (o *output) finish(start int) {
	binary.BigEndian.PutUint32(o.buf[start+1:], uint32(len(o.buf)-start-1))
}

// empty appends a message without a body.
func (o *output) empty(typ byte) { o.buf = append(o.buf, typ, 0, 0, 0, 4) }

// spill writes what there is if it has become much.
func (o *output) spill() error {
	if len(o.buf) < flushThreshold {
		return o.err
	}
	return o.flush()
}

// flush writes everything. A big buffer is written in pieces, so that the
// write timeout measures progress and not size.
func (o *output) flush() error {
	rest := o.buf
	if o.before != nil && len(rest) > 0 {
		o.before()
	}
	for len(rest) > 0 && o.err == nil {
		piece := rest[:min(len(rest), maxKeptOutput)]
		o.since.Store(o.clock.now())
		_, o.err = o.dst.Write(piece)
		o.since.Store(0)
		rest = rest[len(piece):]
	}
	o.buf = o.buf[:0]
	if cap(o.buf) > maxKeptOutput {
		o.buf = nil
	}
	return o.err
}
