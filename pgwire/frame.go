package pgwire

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// frameHeader is the type byte and the length that begin every message after
// the startup packet.
const frameHeader = 5

// memoryBudget counts the bytes that the read buffers of all connections hold
// beyond what each may always have. A nil budget has no limit.
type memoryBudget struct {
	used  atomic.Int64
	limit int64
}

func (b *memoryBudget) reserve(n int64) bool {
	if b == nil {
		return true
	}
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *memoryBudget) release(n int64) {
	if b != nil {
		b.used.Add(-n)
	}
}

// frameReader cuts the byte stream of a client into messages. It never
// believes an announced length: lengths are checked against a limit for the
// type and state before anything is read, and the buffer grows only as bytes
// arrive. One read takes as many pipelined messages as there are.
type frameReader struct {
	src    io.Reader
	buf    []byte
	r, w   int // buf[r:w] is read and not yet consumed
	limit  int // cap of a message body in bytes; it depends on the state of the connection
	budget *memoryBudget
	held   int64 // bytes reserved from budget
}

func newFrameReader(src io.Reader, budget *memoryBudget) frameReader {
	return frameReader{src: src, limit: maxAuthFrame, budget: budget}
}

// buffered is the number of bytes that can be had without reading.
func (f *frameReader) buffered() int { return f.w - f.r }

// fill makes at least n bytes available in buf[r:w].
func (f *frameReader) fill(n int) error {
	for f.w-f.r < n {
		if err := f.makeRoom(n); err != nil {
			return err
		}
		m, err := f.src.Read(f.buf[f.w:])
		f.w += m
		if err != nil && f.w-f.r < n {
			if err == io.EOF && f.w > f.r {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// makeRoom sees to it that buf has space behind w, for a client that wants n
// bytes in a row. It moves what is left to the front, gives back a buffer that
// a huge message left behind, and grows a full one by doubling.
func (f *frameReader) makeRoom(n int) error {
	left := f.w - f.r
	if len(f.buf) > maxKeptRead && left < readBuffer && n < maxKeptRead {
		f.move(make([]byte, readBuffer))
		f.budget.release(f.held)
		f.held = 0
	}
	full := f.w == len(f.buf)
	switch {
	case left == 0:
		f.r, f.w = 0, 0
	case f.r > 0 && (full || f.r+n > len(f.buf)):
		f.w = copy(f.buf, f.buf[f.r:f.w])
		f.r = 0
	}
	if full && len(f.buf) < maxReadAhead && f.limit > maxAuthFrame {
		// The last read filled the buffer: the client sends more than it holds.
		f.move(make([]byte, min(max(2*len(f.buf), readBuffer), maxReadAhead)))
	}
	if f.w < len(f.buf) {
		return nil
	}
	return f.grow(n)
}

// grow doubles a full buffer, up to what a message that needs n bytes in all
// can use.
func (f *frameReader) grow(n int) error {
	size := max(2*len(f.buf), startReadBuffer)
	if size > n && n > maxReadAhead {
		size = n
	}
	if size > maxKeptRead {
		more := int64(size) - f.held
		if !f.budget.reserve(more) {
			return fatal(sqlstate.OutOfMemory, "out of memory").
				WithDetail("The messages that clients are sending at this time exceed the server's message memory.")
		}
		f.held += more
	}
	f.move(make([]byte, size))
	return nil
}

// move takes the unconsumed bytes to another buffer.
func (f *frameReader) move(buf []byte) {
	f.w = copy(buf, f.buf[f.r:f.w])
	f.r = 0
	f.buf = buf
}

// close gives the memory back.
func (f *frameReader) close() {
	f.budget.release(f.held)
	f.held, f.buf, f.r, f.w = 0, nil, 0, 0
}

// peek waits for the next message to begin and returns its type, without
// consuming anything. It invalidates the body that next returned.
func (f *frameReader) peek() (byte, error) {
	if err := f.fill(1); err != nil {
		return 0, err
	}
	return f.buf[f.r], nil
}

// next returns the next message. The body is valid until the next call of next
// or peek. A *sqlstate.Error means that the client broke the protocol in a way
// that loses the message borders: the connection must be closed.
func (f *frameReader) next() (typ byte, body []byte, err error) {
	if err := f.fill(frameHeader); err != nil {
		return 0, nil, err
	}
	typ = f.buf[f.r]
	length := int64(int32(binary.BigEndian.Uint32(f.buf[f.r+1:])))
	if err := f.check(typ, length); err != nil {
		return 0, nil, err
	}
	total := int(length) + 1
	if err := f.fill(total); err != nil {
		return 0, nil, err
	}
	body = f.buf[f.r+frameHeader : f.r+total : f.r+total]
	f.r += total
	return typ, body, nil
}

// check refuses a header before any of the body is read. length counts itself
// and the body, in bytes.
func (f *frameReader) check(typ byte, length int64) error {
	var limit int
	switch typ {
	case msgQuery, msgParse, msgBind, msgFunctionCall, msgCopyData:
		limit = f.limit
	case msgDescribe, msgExecute, msgClose, msgFlush, msgSync, msgTerminate, msgCopyDone, msgCopyFail:
		limit = min(f.limit, maxSmallFrame)
	default:
		return fatal(sqlstate.ProtocolViolation, "invalid frontend message type %d", typ)
	}
	if length < 4 {
		return fatal(sqlstate.ProtocolViolation, "invalid message length")
	}
	if length-4 <= int64(limit) {
		return nil
	}
	if typ == msgQuery || typ == msgParse {
		return fatal(sqlstate.ProgramLimitExceeded, "query is too long").
			WithDetail("The message has %d bytes, the limit is %d bytes.", length-4, limit)
	}
	return fatal(sqlstate.ProtocolViolation, "invalid message length").
		WithDetail("A message of type %q has %d bytes, the limit is %d bytes.", string(rune(typ)), length-4, limit)
}

// startup returns the body of a startup packet, which has no type byte.
func (f *frameReader) startup() ([]byte, error) {
	if err := f.fill(4); err != nil {
		return nil, err
	}
	length := int64(int32(binary.BigEndian.Uint32(f.buf[f.r:])))
	if length < 8 || length-4 > maxStartupPacket {
		return nil, fatal(sqlstate.ProtocolViolation, "invalid length of startup packet")
	}
	if err := f.fill(int(length)); err != nil {
		return nil, fmt.Errorf("startup packet: %w", err)
	}
	body := f.buf[f.r+4 : f.r+int(length)]
	f.r += int(length)
	return body, nil
}

// fatal makes an error that ends the connection.
func fatal(code sqlstate.Code, format string, args ...any) *sqlstate.Error {
	e := sqlstate.New(code, format, args...)
	e.Severity = severityFatal
	return e
}
