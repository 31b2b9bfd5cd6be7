package log

import (
	"fmt"
	"io"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// The stored form of a record is one byte, the format version, and one msgpack
// array of the fields in the order of their declaration; nested structs are
// arrays too. Arrays have a fixed length in each format version: a field that
// this code does not know could change what an entry means, so nothing may be
// skipped. Integers take their shortest form and maps are sorted, so equal
// records have equal bytes.

// ---- writing ----

// writer collects what an Encoder writes. limit bounds the buffer's growth, in
// bytes; zero means no bound.
type writer struct {
	enc   *msgpack.Encoder
	buf   []byte
	limit int
	err   error
}

// writers keeps encoders between records: making one costs more than writing
// a small entry.
var writers = sync.Pool{New: func() any {
	w := &writer{}
	w.enc = msgpack.NewEncoder(w)
	return w
}}

// Write implements io.Writer for the encoder.
func (w *writer) Write(p []byte) (int, error) {
	if w.limit > 0 && len(w.buf)+len(p) > w.limit {
		return 0, ErrTooLarge
	}
	w.buf = append(w.buf, p...)
	return len(p), nil
}

// WriteByte implements io.ByteWriter, which the encoder prefers.
func (w *writer) WriteByte(c byte) error {
	if w.limit > 0 && len(w.buf) >= w.limit {
		return ErrTooLarge
	}
	w.buf = append(w.buf, c)
	return nil
}

// appendRecord appends the version and whatever body writes to dst.
func appendRecord(dst []byte, limit int, body func(*writer)) ([]byte, error) {
	w := writers.Get().(*writer)
	w.buf, w.err, w.limit = append(dst, FormatVersion), nil, 0
	if limit > 0 {
		w.limit = len(dst) + limit
	}
	body(w)
	out, err := w.buf, w.err
	w.buf = nil // the caller's, not the pool's
	writers.Put(w)
	if err != nil {
		return dst, fmt.Errorf("encode log record: %w", err)
	}
	return out, nil
}

// note keeps the first error, so that the callers need not look at each one.
func (w *writer) note(err error) {
	if err != nil && w.err == nil {
		w.err = err
	}
}

func (w *writer) array(n int)     { w.note(w.enc.EncodeArrayLen(n)) }
func (w *writer) uint(v uint64)   { w.note(w.enc.EncodeUint(v)) }
func (w *writer) int(v int64)     { w.note(w.enc.EncodeInt(v)) }
func (w *writer) string(s string) { w.note(w.enc.EncodeString(s)) }
func (w *writer) bytes(b []byte)  { w.note(w.enc.EncodeBytes(b)) }
func (w *writer) none()           { w.note(w.enc.EncodeNil()) }

// ---- reading ----

// reader decodes one record in place. After the first error every method
// returns a zero value, so that the error is looked at once, at the end.
type reader struct {
	dec *msgpack.Decoder
	in  []byte
	off int
	err error
}

var readers = sync.Pool{New: func() any {
	r := &reader{}
	r.dec = msgpack.NewDecoder(r)
	return r
}}

// Read implements io.Reader for the decoder.
func (r *reader) Read(p []byte) (int, error) {
	if r.off >= len(r.in) {
		return 0, io.EOF
	}
	n := copy(p, r.in[r.off:])
	r.off += n
	return n, nil
}

// ReadByte implements io.ByteScanner, which keeps the decoder from buffering.
func (r *reader) ReadByte() (byte, error) {
	if r.off >= len(r.in) {
		return 0, io.EOF
	}
	c := r.in[r.off]
	r.off++
	return c, nil
}

// UnreadByte implements io.ByteScanner.
func (r *reader) UnreadByte() error {
	if r.off == 0 {
		return io.ErrNoProgress
	}
	r.off--
	return nil
}

// decodeRecord checks the version, lets body read, and insists that it read
// everything.
func decodeRecord(b []byte, body func(*reader)) error {
	if len(b) == 0 {
		return fmt.Errorf("%w: empty", ErrMalformed)
	}
	if b[0] != FormatVersion {
		return &FormatError{Version: b[0]}
	}
	r := readers.Get().(*reader)
	r.in, r.off, r.err = b, 1, nil
	body(r)
	off, err := r.off, r.err
	r.in = nil
	readers.Put(r)
	if err != nil {
		return fmt.Errorf("%w: %w at byte %d of %d", ErrMalformed, err, off, len(b))
	}
	if off != len(b) {
		return fmt.Errorf("%w: %d bytes after its end", ErrMalformed, len(b)-off)
	}
	return nil
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// note keeps the first error of the decoder.
func (r *reader) note(err error) {
	if err != nil && r.err == nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		r.err = err
	}
}

// peek returns the next code, or nil's code at the end.
func (r *reader) peek() byte {
	if r.off >= len(r.in) {
		return msgpcode.Nil
	}
	return r.in[r.off]
}

// isNone consumes a nil and says whether there was one.
func (r *reader) isNone() bool {
	if r.err != nil || r.off >= len(r.in) || r.in[r.off] != msgpcode.Nil {
		return false
	}
	r.off++
	return true
}

// fields reads the header of a nested struct of n fields.
func (r *reader) fields(n int) {
	if got := r.count(1); got != n {
		r.fail("%d fields, want %d", got, n)
	}
}

// count reads an array header. least is the fewest bytes that an element
// takes: a count that the rest of the input cannot hold is refused before
// anything is allocated for it.
func (r *reader) count(least int) int {
	if r.err != nil {
		return 0
	}
	var n int
	if c := r.peek(); msgpcode.IsFixedArray(c) { // without the decoder: nearly all are
		n = int(c & msgpcode.FixedArrayMask)
		r.off++
	} else {
		var err error
		n, err = r.dec.DecodeArrayLen()
		r.note(err)
	}
	if r.err != nil {
		return 0
	}
	if n < 0 || n > (len(r.in)-r.off)/least {
		r.fail("array of %d elements in %d bytes", n, len(r.in)-r.off)
		return 0
	}
	return n
}

// listRoom is how many elements a list has room for before any is read. A
// longer one grows as its elements come, so memory follows what was really sent
// and not what was announced.
const listRoom = 256

// list reads an array of structs, nil when it is empty. least is as in count.
func list[T any](r *reader, least int, element func(*T, *reader)) []T {
	n := r.count(least)
	if n == 0 {
		return nil
	}
	out := make([]T, 0, min(n, listRoom))
	for range n {
		var zero T
		out = append(out, zero)
		if element(&out[len(out)-1], r); r.err != nil {
			return nil
		}
	}
	return out
}

// uint reads an unsigned integer that is at most max. The decoder would take
// a float or a nil for a number, and a float's conversion depends on the CPU.
func (r *reader) uint(max uint64) uint64 {
	if r.err != nil {
		return 0
	}
	c := r.peek()
	if uint64(c) <= min(max, uint64(msgpcode.PosFixedNumHigh)) {
		r.off++
		return uint64(c)
	}
	if c > msgpcode.PosFixedNumHigh && (c < msgpcode.Uint8 || c > msgpcode.Uint64) {
		r.fail("code %#x is no unsigned integer", c)
		return 0
	}
	v, err := r.dec.DecodeUint64()
	r.note(err)
	if v > max {
		r.fail("%d is out of range", v)
		return 0
	}
	return v
}

// int reads a signed integer between min and max.
func (r *reader) int(min, max int64) int64 {
	if r.err != nil {
		return 0
	}
	c := r.peek()
	if !msgpcode.IsFixedNum(c) && (c < msgpcode.Uint8 || c > msgpcode.Int64) {
		r.fail("code %#x is no integer", c)
		return 0
	}
	big := c == msgpcode.Uint64
	v, err := r.dec.DecodeInt64()
	r.note(err)
	if v < min || v > max || (big && v < 0) {
		r.fail("%d is out of range", v)
		return 0
	}
	return v
}

// bytes returns a piece of the input, nil for nil.
func (r *reader) bytes() []byte {
	if r.err != nil {
		return nil
	}
	var n int
	if c := r.peek(); msgpcode.IsFixedString(c) {
		n = int(c & msgpcode.FixedStrMask)
		r.off++
	} else {
		var err error
		n, err = r.dec.DecodeBytesLen()
		r.note(err)
	}
	if r.err != nil || n < 0 {
		return nil
	}
	if n > len(r.in)-r.off {
		r.fail("%d bytes announced, %d left", n, len(r.in)-r.off)
		return nil
	}
	b := r.in[r.off : r.off+n : r.off+n]
	r.off += n
	return b
}

// string returns a copy: texts outlive the record in caches.
func (r *reader) string() string { return string(r.bytes()) }

// fixed reads exactly len(dst) bytes.
func (r *reader) fixed(dst []byte) {
	if b := r.bytes(); r.err == nil && copy(dst, b) != len(dst) || len(b) > len(dst) {
		r.fail("%d bytes, want %d", len(b), len(dst))
	}
}
