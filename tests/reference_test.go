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
	p, err := newPostgres(initdb, postgres)
	if err == nil {
		err = p.start()
	}
	return p.url(), p.remove, err
}

// postgresServer is a PostgreSQL on a socket in a directory of its own.
type postgresServer struct {
	program, dir string
	run          func(name string, args ...string) *exec.Cmd
	args         []string // further ones of each start
	server       *exec.Cmd
}

// newPostgres makes an empty cluster, with which nothing runs yet. What is returned
// is to be removed also after an error.
func newPostgres(initdb, postgres string) (*postgresServer, error) {
	p := &postgresServer{program: postgres, run: exec.Command}
	var err error
	if p.dir, err = os.MkdirTemp("", "tidemark-postgres-"); err != nil {
		return p, err
	}
	if os.Getuid() == 0 { // by whom PostgreSQL refuses to be run
		if out, err := exec.Command("chown", "postgres", p.dir).CombinedOutput(); err != nil {
			return p, fmt.Errorf("%w: %s", err, out)
		}
		p.run = func(name string, args ...string) *exec.Cmd {
			return exec.Command("setpriv", append([]string{"--reuid=postgres", "--regid=postgres", "--init-groups", "--inh-caps=-all", name}, args...)...)
		}
	}
	if out, err := p.run(initdb, "-D", p.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		return p, fmt.Errorf("%w: %s", err, out)
	}
	return p, nil
}

func (p *postgresServer) data() string { return filepath.Join(p.dir, "data") }

func (p *postgresServer) url() string { return "host=" + p.dir + " user=postgres dbname=postgres" }

func (p *postgresServer) start() error {
	p.server = p.run(p.program, append([]string{"-D", p.data(), "-k", p.dir, "-c", "listen_addresses=", "-c", "fsync=off"}, p.args...)...)
	return p.server.Start()
}

// crash is an immediate shutdown, of the children as well.
func (p *postgresServer) crash() {
	if p.server != nil {
		_ = p.server.Process.Signal(syscall.SIGQUIT)
		_ = p.server.Wait() // which tells of the signal
		p.server = nil
	}
}

// remove ends the server and removes what it had.
func (p *postgresServer) remove() {
	p.crash()
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}
