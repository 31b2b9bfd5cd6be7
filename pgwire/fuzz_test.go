package pgwire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jackc/pgproto3/v2"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// FuzzFrames cuts random bytes into messages twice, once from whole reads and
// once byte by byte: the messages must be the same, and the buffer no bigger
// than what arrived warrants.
func FuzzFrames(f *testing.F) {
	f.Add(append(frame('Q', "select 1\x00"), frame('S', "")...))
	f.Add([]byte{'Q', 0, 0, 0, 3})
	f.Add([]byte{'B', 0x7f, 0xff, 0xff, 0xff})
	f.Add(append(frame('d', string(make([]byte, 70_000))), frame('c', "")...))
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := newFrameReader(bytes.NewReader(data), nil)
		single := newFrameReader(iotest.OneByteReader(bytes.NewReader(data)), nil)
		whole.limit, single.limit = maxFrame, maxFrame
		for {
			if _, err := whole.peek(); err != nil {
				require.Zero(t, whole.buffered())
			}
			typ, body, err := whole.next()
			typ2, body2, err2 := single.next()
			require.Equal(t, err, err2)
			require.Equal(t, typ, typ2)
			require.Equal(t, body, body2)
			require.LessOrEqual(t, len(whole.buf), max(2*len(data), maxKeptRead))
			require.LessOrEqual(t, len(single.buf), max(2*len(data), maxKeptRead))
			if err != nil {
				var e *sqlstate.Error
				require.True(t, errors.As(err, &e) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
				return
			}
		}
	})
}

// FuzzBind compares with pgproto3, which accepts everything that is well formed.
func FuzzBind(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("p\x00s\x00\x00\x01\x00\x01\x00\x02\xff\xff\xff\xff\x00\x00\x00\x01x\x00\x02\x00\x00\x00\x01"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x80\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\xff\xff"))
	var m bindMessage // reused, as a connection does
	f.Fuzz(func(t *testing.T, data []byte) {
		if m.decode(data) != nil {
			return
		}
		var want pgproto3.Bind
		require.NoError(t, want.Decode(data))
		require.Equal(t, want.DestinationPortal, string(m.portal))
		require.Equal(t, want.PreparedStatement, string(m.statement))
		require.Equal(t, len(want.Parameters), len(m.params))
		for i, p := range want.Parameters {
			require.Equal(t, p == nil, m.params[i] == nil)
			require.True(t, bytes.Equal(p, m.params[i]))
		}
		require.ElementsMatch(t, want.ParameterFormatCodes, m.paramFormats)
		require.ElementsMatch(t, want.ResultFormatCodes, m.resultFormats)
	})
}

// FuzzBodies decodes the bodies of the other messages.
func FuzzBodies(f *testing.F) {
	f.Add([]byte("name\x00select 1\x00\x00\x01\x00\x00\x00\x17"))
	f.Add([]byte("S\x00"))
	f.Add([]byte("\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p parseMessage
		if p.decode(data) == nil {
			var want pgproto3.Parse
			require.NoError(t, want.Decode(data))
			require.Equal(t, want.Query, string(p.sql))
			require.Len(t, p.oids, len(want.ParameterOIDs))
		}
		var e executeMessage
		if e.decode(data) == nil {
			require.GreaterOrEqual(t, e.maxRows, 0)
		}
		var d targetMessage
		if d.decode(data, "DESCRIBE") == nil {
			require.Contains(t, "SP", string(d.kind))
		}
		if s, err := text(data); err == nil {
			require.Len(t, s, len(data)-1)
		}
	})
}

// FuzzStartup parses startup packets.
func FuzzStartup(f *testing.F) {
	f.Add(startup(protocolMajor<<16, "user\x00u\x00options\x00-c a=b --c-d=e\\ f\x00\x00")[4:])
	f.Add(startup(protocolMajor<<16|2, "user\x00u\x00_pq_.x\x00y\x00\x00")[4:])
	f.Add(startup(codeCancel, "12345678")[4:])
	f.Add(startup(codeSSL, "")[4:])
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parseStartup(data)
		if err != nil {
			require.Equal(t, severityFatal, sqlstate.As(err).Severity)
			return
		}
		if p.code>>16 == protocolMajor {
			require.NotEmpty(t, p.params.User)
			require.NotEmpty(t, p.params.Database)
		}
	})
}

// FuzzConnection sends random bytes to an authenticated connection: whatever
// they are, the connection ends when its client does and no session panics.
func FuzzConnection(f *testing.F) {
	f.Add(frame('Q', "last; notice a; set a b\x00"))
	f.Add(append(frame('P', "\x00echo $1\x00\x00\x00"), frame('B', "\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00")...))
	f.Add(append(frame('Q', "copyin\x00"), frame('d', "x")...))
	f.Add([]byte("E\x00\x00\x00\x09\x00\x00\x00\x00\x00S\x00\x00\x00\x04"))
	s := startServer(f, nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, word := range []string{"wait", "stubborn", "panic", "midrow", "rows", "copyout"} {
			if bytes.Contains(data, []byte(word)) {
				return // what these do is up to the fake
			}
		}
		ours, theirs := net.Pipe()
		s.ServeConn(theirs)
		require.NoError(t, ours.SetDeadline(time.Now().Add(clientTimeout)))
		drained := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, ours)
			drained <- err
		}()
		out := append(startup(protocolMajor<<16, "user\x00u\x00\x00"), data...)
		_, err := ours.Write(append(out, frame(msgTerminate, "")...))
		require.True(t, err == nil || errors.Is(err, io.ErrClosedPipe), "%v", err)
		require.NoError(t, ours.Close())
		<-drained
		s.waitConnections(t, 0)
	})
}
