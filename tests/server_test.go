package tests

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/cluster"
)

func TestMain(m *testing.M) {
	code := m.Run()
	stopReference()
	if err := cluster.RemoveBinary(); err != nil {
		fmt.Fprintln(os.Stderr, err) // a temporary directory stays
	}
	os.Exit(code)
}

// process is a running server: the real program, with its data in dir.
type process struct {
	*cluster.Process
	addr string // host:port for SQL
}

// startTimeout is for how long a server may take until it says how to connect.
const startTimeout = 20 * time.Second

// stopTimeout is for how long a server may take to stop in order.
const stopTimeout = 60 * time.Second

// startProcess starts a server and waits until it says how to connect.
func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	p, err := launch(t, dir)
	require.NoError(t, err)
	return p
}

// launch is startProcess for goroutines that are not the test's.
func launch(t *testing.T, dir string) (*process, error) {
	p, err := cluster.Launch("start", "--data", dir, "--sql", "127.0.0.1:0", "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t.Cleanup(p.Kill)
	if err := p.AwaitAddr(startTimeout); err != nil {
		return nil, err
	}
	return &process{Process: p, addr: p.Addr}, nil
}

// kill ends the server as a crash would.
func (p *process) kill() { p.Kill() }

// stop ends the server as an operator would.
func (p *process) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Stop(stopTimeout))
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
	return cluster.Dial(ctx, addr)
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
