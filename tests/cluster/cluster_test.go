package cluster_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/cluster"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := cluster.RemoveBinary(); err != nil {
		fmt.Fprintln(os.Stderr, err) // a temporary directory stays
	}
	os.Exit(code)
}

// patience is how long what has to happen may take, and quiet how long a test
// watches that something does not.
const (
	patience = 20 * time.Second
	quiet    = 200 * time.Millisecond
)

// echo answers every byte with itself.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c) // until the client goes
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// ask sends a byte and waits for the answer.
func ask(c net.Conn, wait time.Duration) error {
	if _, err := c.Write([]byte{7}); err != nil {
		return err
	}
	return answer(c, wait)
}

func answer(c net.Conn, wait time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

func TestProxy(t *testing.T) {
	p, err := cluster.NewProxy("127.0.0.1:0", echo(t))
	require.NoError(t, err)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.Addr())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	c := dial()
	require.NoError(t, ask(c, patience))

	p.Stall()
	require.ErrorIs(t, ask(c, quiet), os.ErrDeadlineExceeded, "nothing comes through")
	late := dial()
	require.ErrorIs(t, ask(late, quiet), os.ErrDeadlineExceeded)
	p.Heal()
	require.NoError(t, answer(c, patience), "it was sent, and arrives late")
	require.NoError(t, answer(late, patience))

	p.Cut()
	require.NotErrorIs(t, answer(c, patience), os.ErrDeadlineExceeded, "the connection is broken")
	require.Error(t, ask(dial(), patience), "there is no new one")
	p.Heal()
	c = dial()
	require.NoError(t, ask(c, patience))
	require.NoError(t, p.Close())
	require.Error(t, answer(c, patience))
}

// TestProxyHangsUp: that one end is done with writing reaches the other one, and
// nothing is lost before.
func TestProxyHangsUp(t *testing.T) {
	p, err := cluster.NewProxy("127.0.0.1:0", echo(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	c, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	const size = 1 << 20
	go func() {
		_, _ = c.Write(make([]byte, size)) // what arrives is counted
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	n, err := io.Copy(io.Discard, c)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
}

// TestOneNode: a server under the harness survives what is done to it.
func TestOneNode(t *testing.T) {
	c := cluster.Start(t, 1)
	sql := func(q string) (string, error) {
		conn, err := cluster.Dial(t.Context(), c.Addrs(1).SQL)
		if err != nil {
			return "", err
		}
		defer conn.Close(t.Context())
		results, err := conn.Exec(t.Context(), q).ReadAll()
		if err != nil || len(results[0].Rows) == 0 {
			return "", err
		}
		return string(results[0].Rows[0][0]), nil
	}
	_, err := sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
	require.NoError(t, err)
	require.NoError(t, c.Kill(1))
	require.Error(t, c.Kill(1))
	require.Empty(t, c.SQLAddrs())
	require.NoError(t, c.Start(t.Context(), 1))
	got, err := sql("SELECT n FROM t")
	require.NoError(t, err)
	require.Equal(t, "1", got)

	require.NoError(t, c.Pause(1))
	require.Empty(t, c.SQLAddrs())
	answered := make(chan error, 1)
	go func() {
		_, err := sql("SELECT n FROM t")
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("a paused server answers: %v", err)
	case <-time.After(quiet):
	}
	require.NoError(t, c.Resume(1))
	require.NoError(t, <-answered)

	require.NoError(t, c.Stop(1))
	require.NoError(t, c.Wipe(1))
	require.NoError(t, c.Start(t.Context(), 1))
	require.Error(t, c.Wipe(1), "it runs")
	_, err = sql("SELECT n FROM t")
	require.ErrorContains(t, err, "does not exist")
}
