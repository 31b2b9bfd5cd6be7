package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark"
)

// buffer is an output that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// run runs a command line to its end.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err buffer
	p := &program{stdout: &out, stderr: &err}
	code = p.main(t.Context(), args)
	return code, out.String(), err.String()
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"", exitOK, "Commands:", ""},
		{"help", exitOK, "tail", ""},
		{"--help", exitOK, "Commands:", ""},
		{"help start", exitOK, "-data", ""},
		{"help nothing", exitUsage, "", `no command "nothing"`},
		{"version", exitOK, "tidemark " + tidemark.Version, ""},
		{"--version", exitOK, "tidemark " + tidemark.Version, ""},
		{"version now", exitUsage, "", `unexpected argument "now"`},
		{"nothing", exitUsage, "", `no command "nothing"`},
		{"start -h", exitOK, "", "-sql"},
		{"start --nothing", exitUsage, "", "flag provided but not defined"},
		{"start --via 127.0.0.1:1", exitUsage, "", "want ADDRESS=OTHER"},
		{"start --log-format xml", exitUsage, "", "want text, json or auto"},
		{"start --sql 0.0.0.0:1", exitFailure, "", "other machines"},
		{"tail --from here", exitUsage, "", "want an LSN"},
		{"tail --url nonsense", exitUsage, "", "nonsense"},
		{"tail extra", exitUsage, "", "unexpected argument"},
		{"tail --port 1", exitFailure, "", "connection refused"},
	} {
		code, stdout, stderr := run(t, strings.Fields(c.args)...)
		require.Equal(t, c.code, code, "%s\n%s%s", c.args, stdout, stderr)
		require.Contains(t, stdout, c.stdout, c.args)
		require.Contains(t, stderr, c.stderr, c.args)
	}
}

// TestStart runs a node, connects and stops it.
func TestStart(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, logs buffer
	p := &program{stdout: &out, stderr: &logs}
	ended := make(chan int, 1)
	go func() {
		ended <- p.main(ctx, []string{"start", "--data", t.TempDir(), "--sql", "127.0.0.1:0", "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0"})
	}()
	command := regexp.MustCompile(`psql -h (\S+) -p (\S+) postgres`)
	require.Eventually(t, func() bool { return command.MatchString(out.String()) }, 10*time.Second, 5*time.Millisecond)
	m := command.FindStringSubmatch(out.String())
	conn, err := net.Dial("tcp", net.JoinHostPort(m[1], m[2]))
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	stop()
	require.Equal(t, exitOK, <-ended)
	for line := range strings.Lines(logs.String()) {
		var message struct{ Level, Msg string }
		require.NoError(t, json.Unmarshal([]byte(line), &message), "JSON when it is no terminal: %s", line)
		require.Equal(t, "INFO", message.Level, line)
	}
	require.Contains(t, logs.String(), "node stopped")
}
