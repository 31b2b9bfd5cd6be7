package tests

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// referenceVariable names a PostgreSQL 15 to compare with, as a connection URL.
// Without it the tests start one.
const referenceVariable = "TIDEMARK_REFERENCE"

// reference returns the URL of a PostgreSQL server, which the test may use as it
// likes.
func reference(t *testing.T) string {
	if url := os.Getenv(referenceVariable); url != "" {
		return url
	}
	initdb, postgres := tool(t, "initdb"), tool(t, "postgres")
	dir, err := os.MkdirTemp("", "tidemark-reference-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	run := func(args ...string) *exec.Cmd { return exec.Command(args[0], args[1:]...) }
	if os.Getuid() == 0 { // which PostgreSQL refuses to be run by
		require.NoError(t, exec.Command("chown", "postgres", dir).Run())
		run = func(args ...string) *exec.Cmd {
			return exec.Command(tool(t, "setpriv"), append([]string{"--reuid=postgres", "--regid=postgres", "--init-groups", "--inh-caps=-all"}, args...)...)
		}
	}
	out, err := run(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput()
	require.NoError(t, err, "%s", out)
	// On a socket in a directory of its own it needs no port.
	server := run(postgres, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "deadlock_timeout=10s")
	log := &lockedBuffer{}
	server.Stdout, server.Stderr = log, log
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // immediate shutdown, with its children
		_ = server.Wait()
	})
	url := "host=" + dir + " user=postgres dbname=postgres"
	require.Eventually(t, func() bool {
		conn, err := pgconn.Connect(t.Context(), url)
		if err != nil {
			return false
		}
		version := conn.ParameterStatus("server_version")
		_ = conn.Close(context.Background())
		require.True(t, strings.HasPrefix(version, "15."), "the reference is PostgreSQL 15, not %s", version)
		return true
	}, startTimeout, 50*time.Millisecond, "PostgreSQL does not answer: %s", log)
	return url
}
