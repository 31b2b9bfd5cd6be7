package pgwire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const shutdownText = "ErrorResponse S=FATAL V=FATAL C=57P01 M=terminating connection due to administrator command"

func shutdown(t *testing.T, s *testServer, timeout time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.Shutdown(ctx)
}

// waitRunning waits until n statements of the fake block.
func (s *testServer) waitRunning(t testing.TB, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return s.stats.running.Load() == n }, clientTimeout, time.Millisecond)
}

// waitConnections waits until n connections of any state are left.
func (s *testServer) waitConnections(t testing.TB, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.conns) == n && s.pending.Len() == len(s.waiting)
	}, clientTimeout, time.Millisecond)
}

func TestShutdownTellsIdleAndRunningClients(t *testing.T) {
	s := startServer(t, nil)
	idle, running, copying, silent := connect(t, s), connect(t, s), connect(t, s), dial(t, s)
	running.send(&pgproto3.Query{String: "wait"})
	copying.send(&pgproto3.Query{String: "copyin"})
	s.waitRunning(t, 2)
	s.waitConnections(t, 4)
	require.NoError(t, shutdown(t, s, clientTimeout))
	require.Equal(t, []string{shutdownText, "close"}, idle.until("close"))
	require.Equal(t, []string{shutdownText, "close"}, running.until("close"))
	require.Equal(t, []string{"CopyInResponse [0 0 2 0 0 0 0]", shutdownText, "close"}, copying.until("close"))
	require.Equal(t, []string{shutdownText, "close"}, silent.until("close"))

	_, err := net.Dial("tcp", s.addr)
	require.Error(t, err, "it listens no more")
	require.ErrorIs(t, s.Serve(newPipeListener()), ErrServerClosed)
}

func TestShutdownGivesUpOnAStubbornStatement(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	c.send(&pgproto3.Query{String: "stubborn"})
	s.waitRunning(t, 1)
	err := shutdown(t, s, 100*time.Millisecond)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "1 connections did not end in time")
	close(s.stats.release)
}

func TestConnectionCap(t *testing.T) {
	s := startServer(t, func(c *Config) { c.MaxConnections = 2 })
	a, _ := connect(t, s), connect(t, s)
	require.Equal(t, 2, s.Connections())
	c := dial(t, s)
	c.send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u"}})
	got := c.until("close")
	require.Contains(t, got, "ErrorResponse S=FATAL V=FATAL C=53300 M=sorry, too many clients already")
	c.conn.Close()
	a.send(&pgproto3.Terminate{})
	a.until("close")
	s.waitConnections(t, 1)
	connect(t, s)
}

func TestAuthenticationTimeout(t *testing.T) {
	s := startServer(t, func(c *Config) { c.AuthTimeout = 200 * time.Millisecond })
	silent, partial := dial(t, s), dial(t, s)
	partial.raw([]byte{0, 0, 0, 50, 0, 3})
	want := []string{"ErrorResponse S=FATAL V=FATAL C=57014 M=canceling authentication due to timeout", "close"}
	require.Equal(t, want, silent.until("close"))
	require.Equal(t, want, partial.until("close"))
	c := connect(t, s)
	time.Sleep(250 * time.Millisecond)
	c.send(&pgproto3.Query{String: "rows 0"}) // the deadline is gone once it is authenticated
	c.until("ReadyForQuery")
}

func TestIdleTimeout(t *testing.T) {
	s := startServer(t, func(c *Config) { c.IdleTimeout = 40 * time.Millisecond })
	c := connect(t, s)
	require.Equal(t, []string{"ErrorResponse S=FATAL V=FATAL C=57P05 M=terminating connection due to idle-session timeout", "close"}, c.until("close"))
}

func TestOldestSilentConnectionMakesRoom(t *testing.T) {
	s := startServer(t, func(c *Config) { c.MaxPending = 3 })
	oldest := dial(t, s)
	s.waitConnections(t, 1)
	for range 2 {
		dial(t, s)
	}
	s.waitConnections(t, 3)
	c := connect(t, s)
	require.Equal(t, []string{"ErrorResponse S=FATAL V=FATAL C=53300 M=too many connections are waiting to be authenticated", "close"}, oldest.until("close"))
	c.send(&pgproto3.Query{String: "rows 0"})
	c.until("ReadyForQuery")
}

func TestPanicEndsOnlyItsConnection(t *testing.T) {
	s := startServer(t, nil)
	other := connect(t, s)
	for _, sql := range []string{"panic", "midrow"} {
		c := connect(t, s)
		c.send(&pgproto3.Query{String: "rows 1; " + sql})
		got := c.until("close")
		require.Equal(t, "ErrorResponse S=FATAL V=FATAL C=XX000 M=internal error: the connection is closed H=The server's log has the details.", got[len(got)-2])
		require.NotContains(t, got[len(got)-3], "DataRow", "nothing of the row that panicked was sent")
		c.conn.Close()
		s.waitConnections(t, 1)
	}
	other.send(&pgproto3.Query{String: "rows 0"})
	other.until("ReadyForQuery")
}

func TestTerminateAndCancelHooks(t *testing.T) {
	hooks := make(chan queryHooks, 1)
	s := startServer(t, func(c *Config) { c.Sessions = spyOnHooks(c.Sessions, hooks) })
	c := connect(t, s)
	h := <-hooks
	h.cancel(nil) // idle: nothing happens
	c.send(&pgproto3.Query{String: "wait"})
	s.waitRunning(t, 1)
	h.cancel(nil)
	require.Contains(t, c.until("ReadyForQuery")[0], "C=57014 M=canceling statement due to user request")
	h.terminate(nil)
	require.Equal(t, []string{shutdownText, "close"}, c.until("close"))
}

func TestOtherHostsAreRefused(t *testing.T) {
	s := startServer(t, nil)
	ours, theirs := net.Pipe()
	s.ServeConn(remoteConn{theirs, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}})
	c := newWireClient(t, ours)
	c.send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u", "database": "d"}})
	got := c.until("close")
	require.Len(t, got, 2)
	require.True(t, strings.HasPrefix(got[0], `ErrorResponse S=FATAL V=FATAL C=28000 M=connection from 192.0.2.1:5 by user "u" to database "d" is not permitted`), got[0])

	require.True(t, local(&net.TCPAddr{IP: net.IPv6loopback}))
	require.True(t, local(&net.TCPAddr{IP: net.ParseIP("::ffff:127.0.0.2")}))
	require.True(t, local(&net.UnixAddr{}))
	require.False(t, local(&net.TCPAddr{IP: net.IPv6unspecified}))
	require.False(t, local(&net.TCPAddr{}))
}

func TestTLS(t *testing.T) {
	s := startServer(t, func(c *Config) { c.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}} })
	plain := dial(t, s)
	plain.raw(startup(codeSSL, ""))
	b, err := plain.r.ReadByte()
	require.NoError(t, err)
	require.Equal(t, byte('S'), b)
	c := newWireClient(t, tls.Client(plain.conn, &tls.Config{InsecureSkipVerify: true}))
	c.send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u"}})
	c.until("ReadyForQuery")
	c.send(&pgproto3.Query{String: "rows 3"})
	require.Len(t, c.until("ReadyForQuery"), 6)
	require.NoError(t, shutdown(t, s, clientTimeout))
	require.Equal(t, []string{shutdownText, "close"}, c.until("close"))
}

func TestAcceptErrorsAreSurvived(t *testing.T) {
	s := startServer(t, nil)
	ln := newPipeListener()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	ln.errs <- errors.New("too many open files")
	ours, theirs := net.Pipe()
	ln.conns <- theirs
	c := newWireClient(t, ours)
	c.send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u"}})
	c.until("ReadyForQuery")
	ln.errs <- net.ErrClosed
	require.ErrorIs(t, <-served, net.ErrClosed)
}

// pipeListener accepts what a test gives it.
type pipeListener struct {
	conns chan net.Conn
	errs  chan error
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), errs: make(chan error)}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.errs:
		return nil, err
	}
}
func (l *pipeListener) Close() error   { return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// remoteConn claims to come from elsewhere.
type remoteConn struct {
	net.Conn
	addr net.Addr
}

func (c remoteConn) RemoteAddr() net.Addr { return c.addr }

func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
