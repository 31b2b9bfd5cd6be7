package tests

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// binaryDir is where the program was built, if a test needed it.
var binaryDir string

// binary builds the program once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tidemark-test-")
	if err != nil {
		return "", err
	}
	binaryDir = dir
	path := filepath.Join(dir, "tidemark")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/tidemark")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})

func TestMain(m *testing.M) {
	code := m.Run()
	stopReference()
	if binaryDir != "" {
		_ = os.RemoveAll(binaryDir) // a temporary directory
	}
	os.Exit(code)
}

// process is a running server: the real program, with its data in dir.
type process struct {
	cmd    *exec.Cmd
	addr   string // host:port for SQL
	output *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var connectLine = regexp.MustCompile(`psql -h (\S+) -p (\S+) postgres`)

// startTimeout is for how long a server may take until it says how to connect.
const startTimeout = 20 * time.Second

// startProcess starts a server and waits until it says how to connect.
func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	p, err := launch(t, dir)
	require.NoError(t, err)
	return p
}

// launch is startProcess for goroutines that are not the test's.
func launch(t *testing.T, dir string) (*process, error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	p := &process{output: &lockedBuffer{}}
	p.cmd = exec.Command(path, "start", "--data", dir, "--sql", "127.0.0.1:0", "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0")
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() { p.kill() })
	for until := time.Now().Add(startTimeout); ; time.Sleep(5 * time.Millisecond) {
		if m := connectLine.FindStringSubmatch(p.output.String()); m != nil {
			p.addr = net.JoinHostPort(m[1], m[2])
			return p, nil
		}
		if time.Now().After(until) {
			return nil, fmt.Errorf("the server did not start: %s", p.output)
		}
	}
}

// kill ends the server as a crash would.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill() // it may have ended already
		_ = p.cmd.Wait()         // by the signal
	}
}

// stop ends the server as an operator would.
func (p *process) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.cmd.Wait(), p.output)
}

// connect opens a connection that the test closes.
func (p *process) connect(t *testing.T) *pgconn.PgConn {
	t.Helper()
	conn, err := dial(t.Context(), p.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func dial(ctx context.Context, addr string) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, "postgres://tester@"+addr+"/postgres?sslmode=disable")
}

// execute runs statements and returns the rows of the last one, as text.
func execute(ctx context.Context, conn *pgconn.PgConn, sql string) ([][]string, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, values := range results[len(results)-1].Rows {
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = string(v)
		}
		rows = append(rows, row)
	}
	return rows, nil
}
