package pgwire

import (
	"bytes"
	"encoding/binary"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Types of the messages that clients send.
const (
	msgBind         = 'B'
	msgClose        = 'C'
	msgCopyData     = 'd'
	msgCopyDone     = 'c'
	msgCopyFail     = 'f'
	msgDescribe     = 'D'
	msgExecute      = 'E'
	msgFlush        = 'H'
	msgFunctionCall = 'F'
	msgParse        = 'P'
	msgQuery        = 'Q'
	msgSync         = 'S'
	msgTerminate    = 'X'
)

// Types of the messages that the server sends.
const (
	msgBackendKeyData       = 'K'
	msgBindComplete         = '2'
	msgCloseComplete        = '3'
	msgCommandComplete      = 'C'
	msgCopyInResponse       = 'G'
	msgCopyOutResponse      = 'H'
	msgDataRow              = 'D'
	msgEmptyQuery           = 'I'
	msgErrorResponse        = 'E'
	msgNegotiateVersion     = 'v'
	msgNoData               = 'n'
	msgNoticeResponse       = 'N'
	msgParameterDescription = 't'
	msgParameterStatus      = 'S'
	msgParseComplete        = '1'
	msgPortalSuspended      = 's'
	msgReadyForQuery        = 'Z'
	msgRowDescription       = 'T'
)

// Formats of parameters and results.
const (
	formatText   = 0
	formatBinary = 1
)

// body takes a message apart. pgproto3's decoders do the same but trust what
// they read: five bytes make them panic and six make them allocate 2 GiB, which
// is why nothing from a client reaches them. A read past the end sets bad, so
// that callers check once, at the end.
type body struct {
	rest []byte
	bad  bool
}

// cstring returns the bytes up to the next NUL.
func (b *body) cstring() []byte {
	i := bytes.IndexByte(b.rest, 0)
	if i < 0 {
		b.fail()
		return nil
	}
	s := b.rest[:i]
	b.rest = b.rest[i+1:]
	return s
}

func (b *body) byte() byte {
	p := b.take(1)
	if p == nil {
		return 0
	}
	return p[0]
}

func (b *body) int16() int16 {
	p := b.take(2)
	if p == nil {
		return 0
	}
	return int16(binary.BigEndian.Uint16(p))
}

func (b *body) int32() int32 {
	p := b.take(4)
	if p == nil {
		return 0
	}
	return int32(binary.BigEndian.Uint32(p))
}

// count reads a 16-bit number of items of at least size bytes each, so that
// nobody allocates for more items than the message can hold.
func (b *body) count(size int) int {
	n := int(uint16(b.int16()))
	if n*size > len(b.rest) {
		b.fail()
		return 0
	}
	return n
}

// take returns the next n bytes, never nil unless the message is too short.
func (b *body) take(n int) []byte {
	if n < 0 || n > len(b.rest) || b.bad {
		b.fail()
		return nil
	}
	p := b.rest[:n:n]
	b.rest = b.rest[n:]
	return p
}

func (b *body) fail() { b.bad, b.rest = true, nil }

// end is the error of a message that was too short or has something left over.
func (b *body) end() error {
	if b.bad {
		return sqlstate.New(sqlstate.ProtocolViolation, "insufficient data left in message")
	}
	if len(b.rest) > 0 {
		return sqlstate.New(sqlstate.ProtocolViolation, "invalid message format")
	}
	return nil
}

// text decodes a body that is one C string: Query and CopyFail.
func text(src []byte) ([]byte, error) {
	b := body{rest: src}
	s := b.cstring()
	return s, b.end()
}

// parseMessage is a decoded Parse. Byte slices here and below point into the
// message; the other slices are reused by the next decode.
type parseMessage struct {
	name, sql []byte
	oids      []types.OID
}

func (m *parseMessage) decode(src []byte) error {
	b := body{rest: src}
	m.name = b.cstring()
	m.sql = b.cstring()
	n := b.count(4)
	m.oids = reuse(m.oids, n)
	for range n {
		m.oids = append(m.oids, types.OID(b.int32()))
	}
	return b.end()
}

// bindMessage is a decoded Bind.
type bindMessage struct {
	portal, statement           []byte
	params                      [][]byte
	paramFormats, resultFormats []int16
}

func (m *bindMessage) decode(src []byte) error {
	b := body{rest: src}
	m.portal = b.cstring()
	m.statement = b.cstring()
	m.paramFormats = b.formats(m.paramFormats)
	n := b.count(4)
	m.params = reuse(m.params, n)
	for range n {
		length := b.int32()
		if length == -1 {
			m.params = append(m.params, nil)
			continue
		}
		m.params = append(m.params, b.take(int(length)))
	}
	m.resultFormats = b.formats(m.resultFormats)
	if err := b.end(); err != nil {
		return err
	}
	if f := len(m.paramFormats); f > 1 && f != n {
		return sqlstate.New(sqlstate.ProtocolViolation, "bind message has %d parameter formats but %d parameters", f, n)
	}
	if err := checkFormats(m.paramFormats); err != nil {
		return err
	}
	return checkFormats(m.resultFormats)
}

func (b *body) formats(dst []int16) []int16 {
	n := b.count(2)
	dst = reuse(dst, n)
	for range n {
		dst = append(dst, b.int16())
	}
	return dst
}

func checkFormats(formats []int16) error {
	for _, f := range formats {
		if f != formatText && f != formatBinary {
			return sqlstate.New(sqlstate.InvalidParameterValue, "unsupported format code: %d", f)
		}
	}
	return nil
}

// reuse returns an empty slice with room for n items.
func reuse[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, 0, n)
	}
	return s[:0]
}

// trim returns a slice for reuse, or nil in place of an unusually big one.
func trim[T any](s []T) []T {
	if cap(s) > maxKeptParams {
		return nil
	}
	return s[:0]
}

// executeMessage is a decoded Execute.
type executeMessage struct {
	portal  []byte
	maxRows int // 0 is all
}

func (m *executeMessage) decode(src []byte) error {
	b := body{rest: src}
	m.portal = b.cstring()
	m.maxRows = max(int(b.int32()), 0)
	return b.end()
}

// Kinds of things that Describe and Close name.
const (
	targetStatement = 'S'
	targetPortal    = 'P'
)

// targetMessage is a decoded Describe or Close.
type targetMessage struct {
	kind byte
	name []byte
}

// decode takes the message's name for the error, DESCRIBE or CLOSE.
func (m *targetMessage) decode(src []byte, message string) error {
	b := body{rest: src}
	m.kind = b.byte()
	m.name = b.cstring()
	if err := b.end(); err != nil {
		return err
	}
	if m.kind != targetStatement && m.kind != targetPortal {
		return sqlstate.New(sqlstate.ProtocolViolation, "invalid %s message subtype %d", message, m.kind)
	}
	return nil
}
