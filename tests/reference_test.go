package tests

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// referenceVariable names a PostgreSQL 15 to compare with, as a connection string.
// Without it the tests start one.
const referenceVariable = "TIDEMARK_REFERENCE"

// referenceServer is the PostgreSQL that the tests have started.
var referenceServer struct {
	once sync.Once
	url  string
	err  error
	stop func()
}

// reference returns the connection string of a PostgreSQL 15, which the test may
// use as it likes.
func reference(t *testing.T) string {
	t.Helper()
	url := os.Getenv(referenceVariable)
	if url == "" {
		initdb, postgres := tool(t, "initdb"), tool(t, "postgres")
		r := &referenceServer
		r.once.Do(func() { r.url, r.stop, r.err = startReference(initdb, postgres) })
		require.NoError(t, r.err)
		url = r.url
	}
	version := ""
	require.Eventually(t, func() bool {
		conn, err := pgconn.Connect(t.Context(), url)
		if err != nil {
			return false
		}
		version = conn.ParameterStatus("server_version")
		_ = conn.Close(context.Background()) // it has said what was asked
		return true
	}, startTimeout, 50*time.Millisecond, "PostgreSQL does not answer")
	require.True(t, strings.HasPrefix(version, "15."), "the reference is PostgreSQL 15, not %s", version)
	return url
}

// stopReference ends the server that reference has started, if it has.
func stopReference() {
	if stop := referenceServer.stop; stop != nil {
		stop()
	}
}

// startReference starts a server on a socket in a directory of its own, so that it
// needs no port.
func startReference(initdb, postgres string) (url string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "tidemark-reference-")
	if err != nil {
		return "", nil, err
	}
	stop = func() { _ = os.RemoveAll(dir) }
	run := exec.Command
	if os.Getuid() == 0 { // by whom PostgreSQL refuses to be run
		if out, err := exec.Command("chown", "postgres", dir).CombinedOutput(); err != nil {
			return "", stop, fmt.Errorf("%w: %s", err, out)
		}
		run = func(name string, args ...string) *exec.Cmd {
			return exec.Command("setpriv", append([]string{"--reuid=postgres", "--regid=postgres", "--init-groups", "--inh-caps=-all", name}, args...)...)
		}
	}
	data := filepath.Join(dir, "data")
	if out, err := run(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		return "", stop, fmt.Errorf("%w: %s", err, out)
	}
	server := run(postgres, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	if err := server.Start(); err != nil {
		return "", stop, err
	}
	stop = func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // immediate shutdown, with its children
		_ = server.Wait()                          // which tells of the signal
		_ = os.RemoveAll(dir)
	}
	return "host=" + dir + " user=postgres dbname=postgres", stop, nil
}
