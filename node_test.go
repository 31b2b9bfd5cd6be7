package tidemark

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// testConfig is a node of its own, on free ports.
func testConfig(dir string) Config {
	return Config{Dir: dir, SQLAddr: "127.0.0.1:0", RaftAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0"}
}

func get(t *testing.T, n *Node, path string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + n.HTTPAddr() + path)
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(body)
}

func TestNodeLifeLeaksNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	dir := t.TempDir()
	for range 3 {
		n, err := Open(t.Context(), testConfig(dir))
		require.NoError(t, err)
		conn, err := net.Dial("tcp", n.SQLAddr())
		require.NoError(t, err)
		require.NoError(t, n.Close(t.Context()))
		require.NoError(t, n.Close(t.Context()), "a second time")
		require.NoError(t, conn.Close())
		_, err = net.Dial("tcp", n.SQLAddr())
		require.Error(t, err)
	}
	goleak.VerifyNone(t, before)
}

func TestOneProcessADirectory(t *testing.T) {
	dir := t.TempDir()
	n, err := Open(t.Context(), testConfig(dir))
	require.NoError(t, err)
	_, err = Open(t.Context(), testConfig(dir))
	require.ErrorContains(t, err, "in use by process")
	require.NoError(t, n.Close(t.Context()))
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for _, set := range []func(*Config){
		func(c *Config) { c.SQLAddr = l.Addr().String() },
		func(c *Config) { c.RaftAddr = l.Addr().String() },
		func(c *Config) { c.HTTPAddr = l.Addr().String() },
	} {
		cfg := testConfig(t.TempDir())
		set(&cfg)
		_, err := Open(t.Context(), cfg)
		require.ErrorContains(t, err, "address already in use")
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	_, err := Open(ctx, testConfig(dir))
	require.ErrorIs(t, err, context.Canceled)
	n, err := Open(t.Context(), testConfig(dir))
	require.NoError(t, err, "nothing is left behind")
	require.NoError(t, n.Close(t.Context()))
}

func TestEndpoints(t *testing.T) {
	n, err := Open(t.Context(), testConfig(t.TempDir()))
	require.NoError(t, err)
	defer n.Close(context.Background())
	code, body := get(t, n, "/healthz")
	require.Equal(t, http.StatusOK, code, body)
	code, body = get(t, n, "/readyz")
	require.Equal(t, http.StatusOK, code, body)
	code, body = get(t, n, "/metrics")
	require.Equal(t, http.StatusOK, code)
	for _, name := range []string{"tidemark_ready 1", "tidemark_raft_log_syncs_total", "tidemark_log_offset_bytes", "process_resident_memory_bytes", "dragonboat_"} {
		require.Contains(t, body, name)
	}
	code, _ = get(t, n, "/nothing")
	require.Equal(t, http.StatusNotFound, code)

	n.state.Store(&errClosing)
	code, body = get(t, n, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "shutting down")
}

// TestTablesRemoved starts a node whose tables were deleted under its log.
func TestTablesRemoved(t *testing.T) {
	dir := t.TempDir()
	n, err := Open(t.Context(), testConfig(dir))
	require.NoError(t, err)
	require.NoError(t, n.Close(t.Context()))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, databasesDir)))
	n, err = Open(t.Context(), testConfig(dir))
	require.NoError(t, err, "the log still has everything")
	require.NoError(t, n.Close(t.Context()))
}
