package pgwire

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"
	"github.com/stretchr/testify/require"
)

// relayed starts a server that hands connections to database "far" to another one.
func relayed(t *testing.T, change func(*Config)) (front, back *testServer) {
	t.Helper()
	back = startServer(t, nil)
	front = startServer(t, func(c *Config) {
		c.Route = func(database string) (string, bool) { return back.addr, database == "far" }
		if change != nil {
			change(c)
		}
	})
	return front, back
}

func startFar(extra ...string) *pgproto3.StartupMessage {
	m := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u", "database": "far"}}
	for i := 0; i+1 < len(extra); i += 2 {
		m.Parameters[extra[i]] = extra[i+1]
	}
	return m
}

func connectFar(t *testing.T, s *testServer, extra ...string) *wireClient {
	t.Helper()
	c := dial(t, s)
	c.send(startFar(extra...))
	c.until("ReadyForQuery")
	return c
}

func TestRelayServesAsIfDirect(t *testing.T) {
	front, back := relayed(t, nil)
	far, direct := dial(t, front), dial(t, back)
	for _, c := range []*wireClient{far, direct} {
		c.send(startFar("application_name", "x"), &pgproto3.Query{String: "params"}, &pgproto3.Query{String: "rows 3"}) // in one piece
	}
	for range 3 {
		require.Equal(t, direct.until("ReadyForQuery"), far.until("ReadyForQuery"))
	}
	require.Equal(t, 0, front.Connections())
	require.Equal(t, 2, back.Connections())

	big := strings.Repeat("y", 3*relayBuffer)
	for _, c := range []*wireClient{far, direct} {
		c.send(&pgproto3.Parse{Query: "echo $1"}, &pgproto3.Bind{Parameters: [][]byte{[]byte(big)}}, &pgproto3.Execute{}, &pgproto3.Sync{})
		c.send(&pgproto3.Query{String: "error 22012 division"}, &pgproto3.Query{String: "copyout 2"})
	}
	for range 3 {
		require.Equal(t, direct.until("ReadyForQuery"), far.until("ReadyForQuery"))
	}
	far.send(&pgproto3.Terminate{})
	require.Equal(t, []string{"close"}, far.until("close"))
	near := connect(t, front) // other databases are served here
	near.send(&pgproto3.Query{String: "rows 0"})
	near.until("ReadyForQuery")
	require.Equal(t, 1, front.Connections())
}

func TestRelayWithTLS(t *testing.T) {
	front, _ := relayed(t, func(c *Config) { c.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}} })
	plain := dial(t, front)
	plain.raw(startup(codeSSL, ""))
	b, err := plain.r.ReadByte()
	require.NoError(t, err)
	require.Equal(t, byte('S'), b)
	c := newWireClient(t, tls.Client(plain.conn, &tls.Config{InsecureSkipVerify: true}))
	c.send(startFar(), &pgproto3.Query{String: "rows 3"})
	c.until("ReadyForQuery")
	require.Len(t, c.until("ReadyForQuery"), 6)
	require.NoError(t, shutdown(t, front, clientTimeout))
	require.Equal(t, []string{shutdownText, "close"}, c.until("close"))
}

// cancelBy sends a cancel request and waits until the server has taken it.
func cancelBy(t *testing.T, s *testServer, pid, secret uint32) {
	t.Helper()
	x := dial(t, s)
	x.raw(startup(codeCancel, string(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, pid), secret))))
	require.Equal(t, []string{"close"}, x.until("close"))
}

func TestRelayCancel(t *testing.T) {
	front, back := relayed(t, nil)
	c, other := connectFar(t, front), connect(t, front)
	require.Equal(t, c.key.ProcessID, other.key.ProcessID, "both are the first of their server")
	for _, x := range []*wireClient{c, other} {
		x.send(&pgproto3.Query{String: "wait"})
	}
	back.waitRunning(t, 1)
	front.waitRunning(t, 1)
	cancelBy(t, front, c.key.ProcessID, c.key.SecretKey+1)
	cancelBy(t, front, c.key.ProcessID+1, c.key.SecretKey)
	require.Equal(t, int64(2), back.stats.running.Load()+front.stats.running.Load(), "wrong keys")
	cancelBy(t, front, c.key.ProcessID, c.key.SecretKey)
	require.Contains(t, c.until("ReadyForQuery")[0], "C=57014")
	require.Equal(t, int64(1), front.stats.running.Load(), "another connection of that number goes on")
	cancelBy(t, front, other.key.ProcessID, other.key.SecretKey)
	require.Contains(t, other.until("ReadyForQuery")[0], "C=57014")
	c.conn.Close()
	front.waitConnections(t, 1)
	front.mu.Lock()
	defer front.mu.Unlock()
	require.Empty(t, front.relayed, "keys are forgotten")
	require.Zero(t, front.relays)
}

func TestRelayShutdown(t *testing.T) {
	front, back := relayed(t, nil)
	idle, running := connectFar(t, front), connectFar(t, front)
	running.send(&pgproto3.Query{String: "wait"})
	back.waitRunning(t, 1)
	require.NoError(t, shutdown(t, front, clientTimeout))
	require.Equal(t, []string{shutdownText, "close"}, idle.until("close"))
	require.Equal(t, []string{shutdownText, "close"}, running.until("close"))
	back.waitRunning(t, 0) // it found out that its client is gone
	back.waitConnections(t, 0)
}

func TestRelayWhenTheOtherNodeEnds(t *testing.T) {
	front, back := relayed(t, nil)
	told, fatalC := connectFar(t, front), connectFar(t, front)
	fatalC.send(&pgproto3.Query{String: "fatal 57P02 crash"})
	require.Equal(t, []string{"ErrorResponse S=FATAL V=FATAL C=57P02 M=crash", "close"}, fatalC.until("close"))
	require.NoError(t, shutdown(t, back, clientTimeout))
	require.Equal(t, []string{shutdownText, "close"}, told.until("close"), "once, as the other node has said it")

	c := dial(t, front) // and now it does not answer
	c.send(startFar())
	require.Equal(t, []string{`ErrorResponse S=FATAL V=FATAL C=57P03 M=database "far" cannot be reached now D=The node that has it does not answer. H=Try again.`, "close"}, c.until("close"))
}

// rawNode is the other node, played by a test.
type rawNode struct {
	net.Listener
	t *testing.T
}

func newRawNode(t *testing.T) *rawNode {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return &rawNode{ln, t}
}

// take accepts a connection and reads its start-up packet.
func (n *rawNode) take() (net.Conn, string) {
	nc, err := n.Accept()
	require.NoError(n.t, err)
	require.NoError(n.t, nc.SetDeadline(time.Now().Add(clientTimeout)))
	n.t.Cleanup(func() { nc.Close() })
	var head [4]byte
	_, err = io.ReadFull(nc, head[:])
	require.NoError(n.t, err)
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	_, err = io.ReadFull(nc, body)
	require.NoError(n.t, err)
	return nc, string(body[4:])
}

func TestRelayLosesTheOtherNode(t *testing.T) {
	node := newRawNode(t)
	front := startServer(t, func(c *Config) { c.Route = func(string) (string, bool) { return node.Addr().String(), true } })
	ready := append(frame('R', "\x00\x00\x00\x00"), frame('Z', "I")...)
	lost := "ErrorResponse S=FATAL V=FATAL C=08006 M=connection to the node that has the database was lost"
	for _, x := range []struct {
		name, sent string
		want       []string
	}{
		{"between messages", "", []string{lost, "close"}},
		{"behind an error", string(frame('E', "SERROR\x00C22012\x00M/\x00\x00")), []string{"ErrorResponse S=ERROR C=22012 M=/", lost, "close"}},
		{"in a header", "D\x00", nil},
		{"in a body", "D\x00\x00\x00\x40abc", nil},
	} {
		c := dial(t, front)
		c.send(startFar())
		nc, _ := node.take()
		_, err := nc.Write(append(ready, x.sent...))
		require.NoError(t, err)
		c.until("ReadyForQuery")
		require.NoError(t, nc.Close())
		if x.want == nil {
			rest, err := io.ReadAll(c.r)
			require.NoError(t, err)
			require.Equal(t, x.sent, string(rest), "%s: nothing is put into a message", x.name)
			continue
		}
		require.Equal(t, x.want, c.until("close"), x.name)
	}
}

// TestRelayShutdownFinishesAMessage waits for the rest of a message, for a while.
func TestRelayShutdownFinishesAMessage(t *testing.T) {
	node := newRawNode(t)
	for _, rest := range []string{"world", ""} {
		front := startServer(t, func(c *Config) { c.Route = func(string) (string, bool) { return node.Addr().String(), true } })
		c := dial(t, front)
		c.send(startFar())
		nc, _ := node.take()
		_, err := nc.Write([]byte("C\x00\x00\x00\x0fhello "))
		require.NoError(t, err)
		_, err = c.r.Peek(11)
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- shutdown(t, front, clientTimeout) }()
		require.Eventually(t, front.isClosed, clientTimeout, time.Millisecond)
		_, err = nc.Write([]byte(rest + string(frame('N', "more\x00"))[:0]))
		require.NoError(t, err)
		got, err := io.ReadAll(c.r)
		require.NoError(t, err)
		require.NoError(t, <-done)
		require.True(t, bytes.HasPrefix(got, []byte("C\x00\x00\x00\x0fhello "+rest)))
		require.Equal(t, rest != "", bytes.Contains(got, []byte("57P01")), "%q", got)
	}
}

func TestRelayDoesNotLoop(t *testing.T) {
	var a, b *testServer
	var asked atomic.Int64
	a = startServer(t, func(c *Config) { c.Route = func(string) (string, bool) { asked.Add(1); return b.addr, true } })
	b = startServer(t, func(c *Config) { c.Route = func(string) (string, bool) { asked.Add(1); return a.addr, true } })
	c := dial(t, a)
	c.send(startFar())
	require.Contains(t, c.until("close")[0], `C=57P03 M=database "far" cannot be reached now D=Nodes do not agree who has it.`)
	require.Equal(t, int64(maxHops+1), asked.Load())

	front, back := relayed(t, nil)
	for _, hops := range []string{"2", "99", "-1", "x", ""} {
		c := dial(t, front)
		c.send(startFar(hopsParam, hops))
		require.Contains(t, c.until("close")[0], "C=57P03", "a client that claims hops is not handed on: %q", hops)
	}
	c = connectFar(t, front, hopsParam, "1")
	c.send(&pgproto3.Query{String: "params"})
	require.Contains(t, strings.Join(c.until("ReadyForQuery"), "\n"), "u|far|[]|", "it is no setting of the session")
	require.Equal(t, 1, back.Connections())
	near := connectFar(t, back, hopsParam, "99") // who has the database serves it
	near.send(&pgproto3.Terminate{})
}

func TestRelayTriesAnotherAddress(t *testing.T) {
	back := startServer(t, nil)
	gone := newRawNode(t)
	require.NoError(t, gone.Close())
	var asked atomic.Int64
	front := startServer(t, func(c *Config) {
		c.Route = func(string) (string, bool) {
			if asked.Add(1) == 1 {
				return gone.Addr().String(), true
			}
			return back.addr, true
		}
	})
	connectFar(t, front)
	require.Equal(t, int64(2), asked.Load())
}

func TestRelaysCount(t *testing.T) {
	front, _ := relayed(t, func(c *Config) { c.MaxConnections = 2 })
	far, _ := connectFar(t, front), connect(t, front)
	c := dial(t, front)
	c.send(startFar())
	require.Contains(t, c.until("close")[0], "C=53300 M=sorry, too many clients already")
	far.conn.Close()
	front.waitConnections(t, 1)
	connectFar(t, front)
}

// TestRelayOfAClientThatDoesNotRead holds neither memory nor the other node for ever.
func TestRelayOfAClientThatDoesNotRead(t *testing.T) {
	front, back := relayed(t, func(c *Config) { c.WriteTimeout = 200 * time.Millisecond })
	c := connectFar(t, front)
	c.send(&pgproto3.Query{String: "rows 300000 1000"})
	front.waitConnections(t, 0)
	back.waitConnections(t, 0)
	gone := connectFar(t, front) // nor does one that goes away
	gone.send(&pgproto3.Query{String: "wait"})
	back.waitRunning(t, 1)
	require.NoError(t, gone.conn.Close())
	back.waitRunning(t, 0)
	front.waitConnections(t, 0)
}

// TestFrameTracker: the borders do not depend on how the stream is cut.
func TestFrameTracker(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		var stream []byte
		var want, got []string
		for range 1 + rnd.IntN(8) {
			body := bytes.Repeat([]byte{byte('a' + rnd.IntN(26))}, rnd.IntN(60))
			typ := byte('A' + rnd.IntN(26))
			stream = append(stream, frame(typ, string(body))...)
			want = append(want, string(typ)+string(body[:min(len(body), trackedBody)]))
		}
		var f frameTracker
		for rest := stream; len(rest) > 0; {
			n := 1 + rnd.IntN(min(len(rest), 40))
			f.feed(rest[:n], func(typ byte, body []byte) { got = append(got, string(typ)+string(body)) })
			rest = rest[n:]
			require.Equal(t, len(got) < len(want) && !f.between(), !f.between())
			require.Equal(t, f.between(), f.have == 0)
		}
		require.Equal(t, want, got)
		require.True(t, f.between())
		f.feed([]byte{'E', 0xff, 0xff, 0xff, 0xff, 'x'}, func(byte, []byte) {})
	}
}

// TestRelayOfHostileClients: what a client sends is the other node's affair, and
// neither server minds.
func TestRelayOfHostileClients(t *testing.T) {
	front, back := relayed(t, func(c *Config) { c.WriteTimeout = time.Second })
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 60 {
		c := dial(t, front)
		junk := make([]byte, rnd.IntN(4*relayBuffer))
		for i := range junk {
			junk[i] = byte(rnd.Uint32())
		}
		if rnd.IntN(2) == 0 { // a valid header and whatever comes behind it
			junk = append(frame("QPBEDCSHdXF"[rnd.IntN(11)], string(junk)), junk...)
		}
		start := encode(t, startFar())
		all := append(start[:len(start)-rnd.IntN(2)*rnd.IntN(len(start))], junk...)
		_, _ = c.conn.Write(all) // the other side may have closed by now
		if rnd.IntN(2) == 0 {
			_ = c.conn.(*net.TCPConn).CloseWrite() // likewise
			_, _ = io.Copy(io.Discard, c.conn)
		}
		require.NoError(t, c.conn.Close())
	}
	front.waitConnections(t, 0)
	back.waitConnections(t, 0)
	front.mu.Lock()
	require.Empty(t, front.relayed)
	require.Zero(t, front.relays)
	front.mu.Unlock()
	c := connectFar(t, front)
	c.send(&pgproto3.Query{String: "rows 1"})
	c.until("ReadyForQuery")
}
