package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/cluster"
)

// tailLine is a line that tidemark tail prints.
type tailLine struct {
	LSN       string         `json:"lsn"`
	CommitLSN string         `json:"commit_lsn"`
	Schema    string         `json:"schema"`
	Table     string         `json:"table"`
	Op        string         `json:"op"`
	Before    map[string]any `json:"before"`
	After     map[string]any `json:"after"`
	Prefix    string         `json:"prefix"`
	Content   string         `json:"content"`
}

// tail runs tidemark tail to its end.
func tail(t *testing.T, p *process, args ...string) []tailLine {
	t.Helper()
	out, err := tailCommand(t, p, args...).Output()
	require.NoError(t, err)
	var lines []tailLine
	for line := range bytes.Lines(out) {
		lines = append(lines, parseTail(t, line))
	}
	return lines
}

func tailCommand(t *testing.T, p *process, args ...string) *exec.Cmd {
	t.Helper()
	path, err := cluster.Binary()
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(p.addr)
	require.NoError(t, err)
	return exec.CommandContext(t.Context(), path, append([]string{"tail", "--host", host, "--port", port}, args...)...)
}

func parseTail(t *testing.T, line []byte) tailLine {
	t.Helper()
	var l tailLine
	require.NoError(t, json.Unmarshal(line, &l), "%s", line)
	return l
}

// TestTail follows a history and resumes in the middle of it.
func TestTail(t *testing.T) {
	p := startProcess(t, t.TempDir())
	conn := p.connect(t)
	for _, sql := range []string{
		"CREATE TABLE a (id int PRIMARY KEY, v text)",
		"CREATE TABLE b (id int PRIMARY KEY)",
		"BEGIN; INSERT INTO a VALUES (1, 'one'), (2, '<two>'); INSERT INTO b VALUES (1); COMMIT",
		"UPDATE a SET v = NULL WHERE id = 1",
		"DELETE FROM a WHERE id = 2",
		`SELECT pg_logical_emit_message(false, 'p', '\xff'::bytea)`,
	} {
		_, err := execute(t.Context(), conn, sql)
		require.NoError(t, err, sql)
	}

	all := tail(t, p)
	var got []string
	for _, l := range all {
		if l.Op == "message" {
			require.Empty(t, l.Table)
			got = append(got, fmt.Sprint(l.Op, " ", l.Prefix, " ", l.Content))
			continue
		}
		got = append(got, fmt.Sprint(l.Table, " ", l.Op, " ", l.Before, " ", l.After))
	}
	require.Equal(t, []string{
		`message tidemark.ddl {"tag":"CREATE TABLE","sql":"CREATE TABLE a (id int PRIMARY KEY, v text)","search_path":["tester","public"]}`,
		`message tidemark.ddl {"tag":"CREATE TABLE","sql":"CREATE TABLE b (id int PRIMARY KEY)","search_path":["tester","public"]}`,
		"a insert map[] map[id:1 v:one]",
		"a insert map[] map[id:2 v:<two>]",
		"b insert map[] map[id:1]",
		"a update map[id:1 v:one] map[id:1 v:<nil>]",
		"a delete map[id:2 v:<two>] map[]",
		`message p \xff`,
	}, got)
	require.Equal(t, all[2].CommitLSN, all[4].CommitLSN, "one transaction")
	require.NotEqual(t, all[4].CommitLSN, all[5].CommitLSN)

	for i := range all {
		require.Equal(t, all[i+1:], append([]tailLine{}, tail(t, p, "--from", all[i].LSN)...), "resumed behind line %d", i)
	}
	require.Len(t, tail(t, p, "--table", "b"), 1)
	require.Len(t, tail(t, p, "--table", "public.a"), 4)
	require.Empty(t, tail(t, p, "--table", "other.a"))
}

// TestTailFollows sees changes as they come, each once.
func TestTailFollows(t *testing.T) {
	p := startProcess(t, t.TempDir())
	conn := p.connect(t)
	_, err := execute(t.Context(), conn, "CREATE TABLE a (id int PRIMARY KEY)")
	require.NoError(t, err)

	cmd := tailCommand(t, p, "--follow")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- bytes.Clone(s.Bytes())
		}
	}()
	select {
	case line := <-lines:
		require.Equal(t, "message", parseTail(t, line).Op)
	case <-time.After(10 * time.Second):
		t.Fatal("no line came")
	}
	for i := range 5 {
		_, err := execute(t.Context(), conn, fmt.Sprintf("INSERT INTO a VALUES (%d)", i))
		require.NoError(t, err)
		select {
		case line := <-lines:
			require.EqualValues(t, i, parseTail(t, line).After["id"])
		case <-time.After(10 * time.Second):
			t.Fatal("no line came")
		}
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	for line := range lines {
		t.Errorf("unexpected line %s", line)
	}
	require.NoError(t, cmd.Wait(), "interrupted, it ends well")
}
