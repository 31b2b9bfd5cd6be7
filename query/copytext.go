package query

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
	"unsafe"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// maxCopyRow bounds one row of COPY data.
const maxCopyRow = 16 << 20

// textRows reads COPY's text format.
type textRows struct {
	s    *Session
	src  *byteSource
	cols []plan.ResultColumn
	spec *plan.CopySpec
	pos  int // consumed bytes of src.buf
	line int
	done bool
}

// nextLine returns the next line without its end; ok is false at the end.
func (r *textRows) nextLine() (line []byte, ok bool, err error) {
	from := r.pos
	for {
		if i := bytes.IndexByte(r.src.buf[from:], '\n'); i >= 0 {
			line = r.src.buf[r.pos : from+i]
			r.pos = from + i + 1
			break
		}
		if r.pos > 0 {
			r.src.buf = append(r.src.buf[:0], r.src.buf[r.pos:]...)
			r.pos = 0
		}
		if from = len(r.src.buf); from > maxCopyRow {
			return nil, false, sqlstate.New(sqlstate.ProgramLimitExceeded, "a row of COPY data may have at most %d MB", maxCopyRow>>20)
		}
		more, err := r.src.fill()
		if err != nil {
			return nil, false, err
		}
		if !more {
			if len(r.src.buf) == 0 {
				return nil, false, nil
			}
			line, r.src.buf = r.src.buf, nil
			break
		}
	}
	r.line++
	return bytes.TrimSuffix(line, []byte{'\r'}), true, nil
}

// fail adds where in the data an error happened.
func (r *textRows) fail(err error, column string, value []byte) error {
	e := *sqlstate.As(err)
	e.Where = fmt.Sprintf("COPY %s, line %d", r.spec.Table.Name, r.line)
	if column != "" {
		e.Where += fmt.Sprintf(", column %s: \"%s\"", column, value)
	}
	return &e
}

// at implements rowSource.
func (r *textRows) at() int64 { return int64(r.line) }

func (r *textRows) row(dst []types.Datum) (bool, error) {
	if r.done {
		return false, nil
	}
	line, ok, err := r.nextLine()
	if !ok || err != nil {
		return false, err
	}
	if r.line == 1 && r.spec.Header {
		if line, ok, err = r.nextLine(); !ok || err != nil {
			return false, err
		}
	}
	if string(line) == `\.` {
		r.done = true
		return false, r.drain()
	}
	if !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0 {
		return false, r.fail(notUTF8(line), "", nil)
	}
	delim := r.spec.Delimiter[0]
	for i := range r.cols {
		field, rest, more := cutField(line, delim)
		if !more && i < len(r.cols)-1 {
			return false, r.fail(sqlstate.New(sqlstate.BadCopyFileFormat, "missing data for column \"%s\"", r.cols[i+1].Name), "", nil)
		}
		if more && i == len(r.cols)-1 {
			return false, r.fail(sqlstate.New(sqlstate.BadCopyFileFormat, "extra data after last expected column"), "", nil)
		}
		line = rest
		if string(field) == *r.spec.Null {
			continue
		}
		value := unescape(field)
		if len(value) != len(field) && (!utf8.Valid(value) || bytes.IndexByte(value, 0) >= 0) {
			return false, r.fail(notUTF8(value), r.cols[i].Name, field) // an escape can spell any byte
		}
		if dst[i], err = r.s.copyValue(&r.cols[i], value); err != nil {
			return false, r.fail(err, r.cols[i].Name, field)
		}
	}
	return true, nil
}

// drain reads what comes after the end marker.
func (r *textRows) drain() error {
	for {
		r.src.buf = r.src.buf[:0]
		more, err := r.src.fill()
		if !more || err != nil {
			return err
		}
	}
}

// cutField cuts a line at the first delimiter that is not escaped.
func cutField(line []byte, delim byte) (field, rest []byte, more bool) {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case delim:
			return line[:i], line[i+1:], true
		}
	}
	return line, nil, false
}

// unescape resolves the backslash sequences of the text format.
func unescape(b []byte) []byte {
	i := bytes.IndexByte(b, '\\')
	if i < 0 {
		return b
	}
	out := append([]byte(nil), b[:i]...)
	for ; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		i++
		switch c := b[i]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'v':
			out = append(out, '\v')
		case '0', '1', '2', '3', '4', '5', '6', '7':
			v, n := int(c-'0'), 1
			for n < 3 && i+1 < len(b) && b[i+1] >= '0' && b[i+1] <= '7' {
				i++
				n++
				v = v*8 + int(b[i]-'0')
			}
			out = append(out, byte(v))
		case 'x':
			v, n := 0, 0
			for n < 2 && i+1 < len(b) && hexDigit(b[i+1]) >= 0 {
				i++
				n++
				v = v*16 + hexDigit(b[i])
			}
			if n == 0 {
				out = append(out, 'x')
			} else {
				out = append(out, byte(v))
			}
		default:
			out = append(out, c)
		}
	}
	return out
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// copyValue reads one value in text form for a column. The value must not keep
// b: it is stored at once.
func (s *Session) copyValue(c *plan.ResultColumn, b []byte) (types.Datum, error) {
	text := unsafe.String(unsafe.SliceData(b), len(b))
	d, err := c.Type.Parse(s.format, text, types.NoTypmod)
	if err != nil || c.Typmod == types.NoTypmod {
		return d, err
	}
	ec := expr.Ctx{Format: s.format}
	return expr.ApplyTypmod(&ec, c.Type, c.Typmod, d, false)
}

// binaryRows reads COPY's binary format.
type binaryRows struct {
	s     *Session
	src   *byteSource
	cols  []plan.ResultColumn
	begun bool
	n     int
}

// binarySignature begins COPY data in binary format.
const binarySignature = "PGCOPY\n\xff\r\n\x00"

func (r *binaryRows) bad(format string, args ...any) error {
	return sqlstate.New(sqlstate.BadCopyFileFormat, format, args...)
}

// take consumes n bytes, valid until the next call.
func (r *binaryRows) take(n int) ([]byte, error) {
	if n > maxCopyRow {
		return nil, r.bad("invalid field size")
	}
	ok, err := r.src.need(n)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, r.bad("unexpected EOF in COPY data")
	}
	b := r.src.buf[:n]
	r.src.buf = r.src.buf[n:]
	return b, nil
}

func (r *binaryRows) header() error {
	b, err := r.take(len(binarySignature))
	if err != nil || string(b) != binarySignature {
		if err != nil {
			return err
		}
		return r.bad("COPY file signature not recognized")
	}
	if b, err = r.take(8); err != nil {
		return r.bad("invalid COPY file header (missing flags)")
	}
	if flags := binary.BigEndian.Uint32(b); flags>>16 != 0 {
		return r.bad("unrecognized critical flags in COPY file header")
	}
	_, err = r.take(int(binary.BigEndian.Uint32(b[4:])))
	return err
}

// at implements rowSource.
func (r *binaryRows) at() int64 { return int64(r.n) }

func (r *binaryRows) row(dst []types.Datum) (bool, error) {
	if !r.begun {
		if err := r.header(); err != nil {
			return false, err
		}
		r.begun = true
	}
	if ok, err := r.src.need(1); !ok || err != nil {
		return false, err // no trailer: accepted, as PostgreSQL does
	}
	b, err := r.take(2)
	if err != nil {
		return false, err
	}
	n := int(int16(binary.BigEndian.Uint16(b)))
	if n == -1 {
		for {
			r.src.buf = nil
			if more, err := r.src.fill(); !more || err != nil {
				return false, err
			}
		}
	}
	r.n++
	if n != len(r.cols) {
		return false, r.bad("row field count is %d, expected %d", n, len(r.cols))
	}
	for i := range r.cols {
		if dst[i], err = r.field(&r.cols[i]); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (r *binaryRows) field(c *plan.ResultColumn) (types.Datum, error) {
	b, err := r.take(4)
	if err != nil {
		return types.NullDatum, err
	}
	size := int(int32(binary.BigEndian.Uint32(b)))
	if size == -1 {
		return types.NullDatum, nil
	}
	if size < 0 {
		return types.NullDatum, r.bad("invalid field size")
	}
	if b, err = r.take(size); err != nil {
		return types.NullDatum, err
	}
	d, err := c.Type.ParseBinary(r.s.format, append([]byte(nil), b...), types.NoTypmod)
	if err != nil || c.Typmod == types.NoTypmod {
		return d, err
	}
	ec := expr.Ctx{Format: r.s.format}
	return expr.ApplyTypmod(&ec, c.Type, c.Typmod, d, false)
}
