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
	return tailAt(t, p.addr, args...)
}

func tailAt(t *testing.T, addr string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := cluster.Binary()
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(addr)
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

// startTail starts a tail that follows, and returns its lines as they come.
func startTail(t *testing.T, p *process, args ...string) (*exec.Cmd, <-chan []byte) {
	t.Helper()
	cmd := tailCommand(t, p, args...)
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
	return cmd, lines
}

// TestTailFollows sees changes as they come, each once.
func TestTailFollows(t *testing.T) {
	p := startProcess(t, t.TempDir())
	conn := p.connect(t)
	_, err := execute(t.Context(), conn, "CREATE TABLE a (id int PRIMARY KEY)")
	require.NoError(t, err)

	cmd, lines := startTail(t, p, "--follow", "--table", "a")
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

// TestTailSlot follows a slot while the server and the tail itself are killed again
// and again. Every row is printed, in order, and what comes twice does so with the
// same LSN.
func TestTailSlot(t *testing.T) {
	dir := t.TempDir()
	p, err := cluster.Launch("start", "--data", dir, "--sql", "127.0.0.1:0", "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, p.AwaitAddr(startTimeout))
	addr := p.Addr
	t.Cleanup(func() { p.Kill() })
	server := &process{Process: p, addr: addr}
	write := func(id int) {
		conn, err := dial(t.Context(), addr)
		require.NoError(t, err)
		_, err = execute(t.Context(), conn, fmt.Sprintf("INSERT INTO a VALUES (%d)", id))
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	}
	_, err = execute(t.Context(), server.connect(t), "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int)")
	require.NoError(t, err)
	cmd, lines := startTail(t, server, "--slot", "s", "--create", "--table", "a")
	require.Eventually(t, func() bool {
		rows, err := execute(t.Context(), server.connect(t), "SELECT active FROM tidemark.slots")
		return err == nil && len(rows) == 1 && rows[0][0] == "t"
	}, streamPatience, 50*time.Millisecond)

	seen := map[string]int{} // LSN: id
	last := -1
	await := func(id int) {
		t.Helper()
		for last < id {
			select {
			case line, ok := <-lines:
				require.True(t, ok, "the tail has ended")
				l := parseTail(t, line)
				got := int(l.After["id"].(float64))
				if before, again := seen[l.LSN]; again {
					require.Equal(t, before, got)
					continue
				}
				require.Equal(t, last+1, got, "in order, and none is missed")
				seen[l.LSN], last = got, got
			case <-time.After(streamPatience):
				require.Failf(t, "no line came", "after %d", last)
			}
		}
	}
	id := 0
	for round := range 3 {
		for range 5 {
			write(id)
			await(id)
			id++
		}
		write(id) // it may be printed before what comes now, or after
		switch round {
		case 0: // the tail connects again
			p.Kill()
			p, err = cluster.Launch("start", "--data", dir, "--sql", addr, "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0")
			require.NoError(t, err)
			require.NoError(t, p.AwaitAddr(startTimeout))
		case 1:
			require.NoError(t, cmd.Process.Kill())
			for line := range lines { // it may have acknowledged what it had printed
				l := parseTail(t, line)
				seen[l.LSN] = int(l.After["id"].(float64))
				last = max(last, seen[l.LSN])
			}
			require.Error(t, cmd.Wait(), "killed")
			cmd, lines = startTail(t, server, "--slot", "s", "--table", "a")
		}
		await(id)
		id++
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	for line := range lines {
		t.Errorf("unexpected line %s", line)
	}
	require.NoError(t, cmd.Wait(), "interrupted, it ends well")
	held, err := execute(t.Context(), server.connect(t), "SELECT 1 FROM tidemark.slots WHERE active")
	require.NoError(t, err)
	require.Empty(t, held, "the slot is free at once")
	_, err = execute(t.Context(), server.connect(t), "SELECT pg_create_logical_replication_slot('other', 'pgoutput')")
	require.NoError(t, err)
	out, err := tailCommand(t, server, "--slot", "other").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "has pgoutput")
}
