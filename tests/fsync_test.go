package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/cluster"
)

// TestAcknowledgedIsSynced counts: whatever is acknowledged has been preceded by
// an fsync of the Raft log that came after it was sent.
func TestAcknowledgedIsSynced(t *testing.T) {
	n := startNode(t, t.TempDir())
	c := newClient(t, n.SQLAddr())
	c.exec("CREATE TABLE t (w int, n int)")
	for i := range 200 {
		before := n.LogSyncs()
		switch i % 3 {
		case 0:
			require.NoError(t, write(t, c, 1, i))
		case 1:
			c.exec(fmt.Sprintf("INSERT INTO t VALUES (1, %d)", i))
		case 2:
			c.exec("BEGIN", fmt.Sprintf("INSERT INTO t VALUES (1, %d)", i))
			before = n.LogSyncs()
			c.exec("COMMIT")
		}
		require.Greater(t, n.LogSyncs(), before, "write %d was acknowledged without an fsync", i)
	}
	before := n.LogSyncs()
	for range 200 {
		c.exec("SELECT count(*) FROM t")
	}
	require.Less(t, n.LogSyncs()-before, uint64(20), "reads sync nothing")
}

// TestStraceSeesTheSync watches the system calls of the real program: between
// the arrival of a statement and the answer to it there is an fsync.
func TestStraceSeesTheSync(t *testing.T) {
	strace := tool(t, "strace") // without it, the counter of TestAcknowledgedIsSynced says the same
	p := startProcess(t, t.TempDir())
	c := newClient(t, p.addr)
	c.exec("CREATE TABLE t (w int, n int)")
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-qq", "-s", "64", "-e", "trace=fsync,fdatasync,sync_file_range,read,write", "-o", trace, "-p", strconv.Itoa(p.Cmd.Process.Pid))
	stderr := &cluster.Buffer{}
	cmd.Stderr = stderr
	require.NoError(t, cmd.Start())
	stop := func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(os.Interrupt) // it may have ended
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	attached := func() bool {
		c.exec("SELECT 'probe'")
		b, err := os.ReadFile(trace)
		return err == nil && strings.Contains(string(b), "probe")
	}
	for i := 0; !attached(); i++ {
		if i > 2000 || cmd.ProcessState != nil {
			stop()
			t.Skipf("strace cannot attach here: %s", stderr)
		}
	}
	const writes = 20
	for i := range writes {
		c.exec(fmt.Sprintf("INSERT INTO t VALUES (1, %d) /* traced */", i))
	}
	stop()
	b, err := os.ReadFile(trace)
	require.NoError(t, err)
	arrived, answered := regexp.MustCompile(`read.*INSERT INTO t|resumed>.*INSERT INTO t`), regexp.MustCompile(`write\(\d+, "[^"]*INSERT 0 1`)
	synced := regexp.MustCompile(`(fsync|fdatasync|sync_file_range)(\(\d+.*| resumed>.*)= 0`)
	waiting, syncs, seen := false, 0, 0
	for line := range strings.Lines(string(b)) {
		switch {
		case arrived.MatchString(line):
			waiting, syncs = true, 0
		case synced.MatchString(line):
			syncs++
		case answered.MatchString(line) && waiting:
			require.Positive(t, syncs, "answered without an fsync: %s", line)
			waiting = false
			seen++
		}
	}
	t.Logf("%d of %d answers seen in the trace, each behind an fsync", seen, writes)
	require.Greater(t, seen, writes/2)
}

// TestTailSyncsItsFile watches a consumer that writes to a file: no position is
// acknowledged before the lines up to there are on the disk.
func TestTailSyncsItsFile(t *testing.T) {
	strace := tool(t, "strace") // nothing else shows what a process asks of its output
	p := startProcess(t, t.TempDir())
	c := newClient(t, p.addr)
	c.exec("CREATE TABLE t (n int)", "SELECT pg_create_logical_replication_slot('s', 'tidemark_json')")
	trace := filepath.Join(t.TempDir(), "trace")
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer func() { require.NoError(t, out.Close()) }()
	tail := tailCommand(t, p, "--slot", "s")
	cmd := exec.CommandContext(t.Context(), strace, append([]string{"-f", "-qq", "-e", "trace=fsync,write", "-o", trace}, tail.Args...)...)
	cmd.Stdout, cmd.Stderr = out, &cluster.Buffer{}
	require.NoError(t, cmd.Start())
	const rows = 20
	for i := range rows {
		c.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		require.Eventually(t, func() bool {
			b, err := os.ReadFile(out.Name())
			return err == nil && strings.Count(string(b), "\n") == i+1
		}, streamPatience, time.Millisecond, "%s", cmd.Stderr)
	}
	traced := func() string {
		b, err := os.ReadFile(trace)
		require.NoError(t, err)
		return string(b)
	}
	pid, err := strconv.Atoi(strings.Fields(traced())[0])
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGINT)) // strace itself takes no notice
	require.NoError(t, cmd.Wait(), "interrupted, it acknowledges and ends well")

	line, acknowledged := regexp.MustCompile(`write\(1, `), regexp.MustCompile(`write\(\d+, "d\\0\\0\\0&r`)
	synced := regexp.MustCompile(`(fsync\(1\)|fsync resumed>\)) += 0`)
	pending, lines, seen := false, 0, 0
	for call := range strings.Lines(traced()) {
		switch {
		case line.MatchString(call):
			pending = true
			lines++
		case synced.MatchString(call):
			pending = false
		case acknowledged.MatchString(call):
			require.False(t, pending, "acknowledged without an fsync: %s", call)
			seen++
		}
	}
	t.Logf("%d writes of lines and %d acknowledgements seen in the trace", lines, seen)
	require.Positive(t, lines)
	require.Positive(t, seen)
}
