package pgwire

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"
	"github.com/stretchr/testify/require"
)

// testServer is a server over the fake session on a loopback port.
type testServer struct {
	*Server
	stats *fakeStats
	addr  string
}

func startServer(t testing.TB, change func(*Config)) *testServer {
	t.Helper()
	stats := &fakeStats{release: make(chan struct{})}
	cfg := Config{Sessions: stats.factory(), Version: "test", Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	s := &testServer{Server: NewServer(cfg), stats: stats}
	ln, err := Listen(context.Background(), "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.ErrorIs(t, <-served, ErrServerClosed)
		require.Equal(t, stats.opened.Load(), stats.closed.Load(), "every session is closed once")
		require.Zero(t, s.budget.used.Load(), "the message memory is given back")
	})
	return s
}

// wireClient speaks the protocol message by message. Its reads fail after a
// while rather than hang.
type wireClient struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	key  pgproto3.BackendKeyData
}

const clientTimeout = 10 * time.Second

func dial(t testing.TB, s *testServer) *wireClient {
	t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	return newWireClient(t, nc)
}

func newWireClient(t testing.TB, nc net.Conn) *wireClient {
	require.NoError(t, nc.SetDeadline(time.Now().Add(clientTimeout)))
	t.Cleanup(func() { nc.Close() })
	return &wireClient{t: t, conn: nc, r: bufio.NewReader(nc)}
}

// connect dials and goes through the start-up as an ordinary client.
func connect(t testing.TB, s *testServer) *wireClient {
	t.Helper()
	c := dial(t, s)
	c.send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u"}})
	c.until("ReadyForQuery")
	return c
}

func encode(t testing.TB, msgs ...pgproto3.FrontendMessage) []byte {
	var buf []byte
	for _, m := range msgs {
		var err error
		buf, err = m.Encode(buf)
		require.NoError(t, err)
	}
	return buf
}

func (c *wireClient) send(msgs ...pgproto3.FrontendMessage) {
	c.t.Helper()
	c.raw(encode(c.t, msgs...))
}

func (c *wireClient) raw(b []byte) {
	c.t.Helper()
	_, err := c.conn.Write(b)
	require.NoError(c.t, err)
}

// frame builds a message with any body.
func frame(typ byte, body string) []byte {
	b := append([]byte{typ}, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[1:], uint32(len(body)+4))
	return append(b, body...)
}

func startup(code uint32, rest string) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint32(b, uint32(len(rest)+8))
	binary.BigEndian.PutUint32(b[4:], code)
	return append(b, rest...)
}

// receive reads one message; io.EOF when the server has closed.
func (c *wireClient) receive() (byte, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err := io.ReadFull(c.r, body)
	return head[0], body, err
}

// until reads messages up to the first whose name is given, "close" for the
// end of the connection, and returns them as text.
func (c *wireClient) until(name string) []string {
	c.t.Helper()
	var got []string
	for {
		typ, body, err := c.receive()
		if err == io.EOF && name == "close" {
			return append(got, "close")
		}
		require.NoError(c.t, err, "waiting for %s after %q", name, got)
		text := c.show(typ, body)
		got = append(got, text)
		if first, _, _ := strings.Cut(text, " "); first == name {
			return got
		}
	}
}

// show renders a message of the server on one line.
func (c *wireClient) show(typ byte, body []byte) string {
	decode := func(m pgproto3.BackendMessage) { require.NoError(c.t, m.Decode(body)) }
	switch typ {
	case 'R':
		return fmt.Sprintf("Authentication %d", binary.BigEndian.Uint32(body))
	case 'K':
		decode(&c.key)
		return "BackendKeyData"
	case 'S':
		name, value, _ := strings.Cut(string(body[:len(body)-1]), "\x00")
		return "ParameterStatus " + name + "=" + value
	case 'Z':
		return "ReadyForQuery " + string(body)
	case 'C':
		return "CommandComplete " + string(body[:len(body)-1])
	case 'E', 'N':
		name := map[byte]string{'E': "ErrorResponse", 'N': "NoticeResponse"}[typ]
		for _, field := range strings.Split(strings.TrimRight(string(body), "\x00"), "\x00") {
			name += " " + field[:1] + "=" + field[1:]
		}
		return name
	case 'T':
		var m pgproto3.RowDescription
		decode(&m)
		text := "RowDescription"
		for _, f := range m.Fields {
			text += fmt.Sprintf(" %s:%d:%d:%d:%d:%d:%d", f.Name, f.TableOID, f.TableAttributeNumber, f.DataTypeOID, f.DataTypeSize, f.TypeModifier, f.Format)
		}
		return text
	case 'D':
		var m pgproto3.DataRow
		decode(&m)
		text := []byte("DataRow")
		for _, v := range m.Values {
			if v == nil {
				text = append(text, " NULL"...)
			} else {
				text = fmt.Appendf(text, " %q", v)
			}
		}
		return string(text)
	case 't':
		var m pgproto3.ParameterDescription
		decode(&m)
		return fmt.Sprint("ParameterDescription ", m.ParameterOIDs)
	case 'G', 'H':
		return fmt.Sprintf("%s %v", map[byte]string{'G': "CopyInResponse", 'H': "CopyOutResponse"}[typ], body)
	case 'd':
		return fmt.Sprintf("CopyData %q", body)
	case 'v':
		return fmt.Sprintf("NegotiateProtocolVersion %q", body)
	}
	names := map[byte]string{'1': "ParseComplete", '2': "BindComplete", '3': "CloseComplete", 'I': "EmptyQueryResponse",
		'n': "NoData", 's': "PortalSuspended", 'c': "CopyDone"}
	require.Contains(c.t, names, typ, "message type %q", typ)
	return names[typ]
}
