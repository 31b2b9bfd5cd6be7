package raftlog

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/vfs"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tidemark-db/tidemark/log"
)

const testLog log.ID = 2

func openHost(t testing.TB, cfg HostConfig) *Host {
	t.Helper()
	if cfg.RaftAddr == "" {
		cfg.RaftAddr = "127.0.0.1:0"
	}
	h, err := OpenHost(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

func openShard(t testing.TB, h *Host, state log.StateMachine) *Shard {
	t.Helper()
	s, err := h.OpenShard(testLog, state, ShardOptions{})
	require.NoError(t, err)
	require.NoError(t, s.Ready(t.Context()))
	return s
}

func appendOne(t testing.TB, s *Shard, data string) uint32 {
	t.Helper()
	b, err := s.Append(t.Context(), []byte(data))
	require.NoError(t, err)
	return binary.BigEndian.Uint32(b)
}

// waitSnapshot waits until a snapshot is on record.
func waitSnapshot(t testing.TB, dir string) {
	t.Helper()
	require.Eventually(t, func() bool {
		index, err := storedSnapshot(vfs.Default, filepath.Join(dir, raftDir), testLog, 1)
		return err == nil && index > 0
	}, 10*time.Second, 10*time.Millisecond)
}

func TestAppendAndRestart(t *testing.T) {
	dir := t.TempDir()
	state := &toy{}
	for round := range 3 {
		h := openHost(t, HostConfig{Dir: dir})
		s := openShard(t, h, state)
		require.Equal(t, round*20, state.count(), "everything acknowledged is applied again")
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for j := range 5 {
					appendOne(t, s, fmt.Sprintf("%d/%d/%d", round, i, j))
				}
			})
		}
		wg.Wait()
		require.NoError(t, s.ReadIndex(t.Context()))
		require.Equal(t, (round+1)*20, state.count())
		require.NoError(t, h.Close())
		_, err := s.Append(t.Context(), []byte("late"))
		require.ErrorIs(t, err, log.ErrClosed)
		require.ErrorIs(t, s.ReadIndex(t.Context()), log.ErrClosed)
		if round == 1 {
			require.NoError(t, state.Sync()) // the last round starts in the middle
		}
		state = state.reopened()
	}
}

// TestSyncedBeforeApplied shows that an entry is durable in the Raft log before
// it is applied, hence before it is acknowledged.
func TestSyncedBeforeApplied(t *testing.T) {
	h := openHost(t, HostConfig{Dir: t.TempDir()})
	before := uint64(0)
	state := &toy{onApply: func(e log.Committed) {
		if h.Syncs() <= before {
			t.Errorf("entry %d applied without a sync since it was appended", e.Index)
		}
	}}
	s := openShard(t, h, state)
	for i := range 50 {
		before = h.Syncs()
		appendOne(t, s, fmt.Sprint(i))
		require.Greater(t, h.Syncs(), before)
	}
}

func TestCloseOneShard(t *testing.T) {
	h := openHost(t, HostConfig{Dir: t.TempDir()})
	state := &toy{}
	s := openShard(t, h, state)
	other, err := h.OpenShard(3, &toy{}, ShardOptions{})
	require.NoError(t, err)
	require.NoError(t, other.Ready(t.Context()))
	_, err = h.OpenShard(testLog, &toy{}, ShardOptions{})
	require.ErrorContains(t, err, "open already")
	appendOne(t, s, "a")
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err = s.Append(t.Context(), []byte("late"))
	require.ErrorIs(t, err, log.ErrClosed)
	appendOne(t, other, "still here")

	s = openShard(t, h, state)
	require.EqualValues(t, 2, appendOne(t, s, "b"))
}

func TestCloseDuringAppends(t *testing.T) {
	h := openHost(t, HostConfig{Dir: t.TempDir()})
	s := openShard(t, h, &toy{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				if _, err := s.Append(t.Context(), []byte("x")); err != nil {
					if !isAny(err, log.ErrClosed) {
						t.Errorf("unexpected: %v", err)
					}
					return
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	require.NoError(t, h.Close())
	wg.Wait()
}

func TestLimits(t *testing.T) {
	h := openHost(t, HostConfig{Dir: t.TempDir()})
	s := openShard(t, h, &toy{})
	_, err := s.Append(t.Context(), make([]byte, log.MaxEntryBytes+1))
	require.ErrorIs(t, err, log.ErrTooLarge)
	_, err = s.Append(t.Context(), make([]byte, log.MaxEntryBytes))
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Append(gone, []byte("x"))
	require.ErrorIs(t, err, log.ErrBusy, "nothing was sent, so the outcome is known")
	require.ErrorIs(t, err, context.Canceled)
}

func TestTimeoutLeavesTheOutcomeOpen(t *testing.T) {
	block := make(chan struct{})
	state := &toy{onApply: func(log.Committed) { <-block }}
	h := openHost(t, HostConfig{Dir: t.TempDir()})
	s := openShard(t, h, state)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := s.Append(ctx, []byte("x"))
	require.ErrorIs(t, err, log.ErrUnknownOutcome)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(block)
	// The toy does not recognise an entry that comes again.
	require.Eventually(t, func() bool { return state.count() >= 1 }, 20*time.Second, time.Millisecond)
}

func TestDirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	h := openHost(t, HostConfig{Dir: dir})
	_, err := OpenHost(HostConfig{Dir: dir, RaftAddr: "127.0.0.1:0"})
	require.ErrorContains(t, err, fmt.Sprintf("in use by process %d", os.Getpid()))
	require.NoError(t, h.Close())
	openHost(t, HostConfig{Dir: dir})
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dir := t.TempDir()
	_, err = OpenHost(HostConfig{Dir: dir, RaftAddr: l.Addr().String()})
	require.ErrorContains(t, err, "address already in use")
	openHost(t, HostConfig{Dir: dir})
}

func TestRefusesSettingsFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("dragonboat-hard-settings.json", []byte("{}"), 0o600))
	_, err := OpenHost(HostConfig{Dir: t.TempDir(), RaftAddr: "127.0.0.1:0"})
	require.ErrorContains(t, err, "dragonboat-hard-settings.json")
}

func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	h := openHost(t, HostConfig{Dir: dir})
	first := h.Identity()
	require.NoError(t, h.Close())
	h = openHost(t, HostConfig{Dir: dir})
	require.Equal(t, first, h.Identity(), "the identity stays, also when listening on another port")
	require.NoError(t, h.Close())

	path := filepath.Join(dir, identityFile)
	stored, err := os.ReadFile(path)
	require.NoError(t, err)
	for change, want := range map[string]string{
		strings.Replace(string(stored), `"format": 2`, `"format": 1`, 1): "format version 1",
		"{": "damaged",
		strings.Replace(string(stored), string(first.NodeID), "x", 1): "damaged",
	} {
		require.NoError(t, os.WriteFile(path, []byte(change), 0o600))
		_, err = OpenHost(HostConfig{Dir: dir, RaftAddr: "127.0.0.1:0"})
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, os.Remove(path))
	_, err = OpenHost(HostConfig{Dir: dir, RaftAddr: "127.0.0.1:0"})
	require.ErrorContains(t, err, "is missing")
}

// TestDirectoryMoves opens a data directory at another path and, as far as the
// files say, on another host; snapshots are in it, whose paths are stored.
func TestDirectoryMoves(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "here")
	h := openHost(t, HostConfig{Dir: dir, SnapshotEntries: 20})
	state := &toy{}
	s := openShard(t, h, state)
	for i := range 60 {
		appendOne(t, s, fmt.Sprint(i))
	}
	waitSnapshot(t, dir)
	require.NoError(t, h.Close())
	require.NoDirExists(t, virtualRoot)

	moved := filepath.Join(filepath.Dir(dir), "there")
	require.NoError(t, os.Rename(dir, moved))
	id := h.Identity()
	id.Hostname = "another-host"
	b, err := json.Marshal(id)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(moved, identityFile), b, 0o600))

	h = openHost(t, HostConfig{Dir: moved, SnapshotEntries: 20})
	state = state.reopened()
	s = openShard(t, h, state)
	require.EqualValues(t, 61, appendOne(t, s, "more"))
	for i := range 40 {
		appendOne(t, s, fmt.Sprint(i))
	}
	require.EqualValues(t, 102, appendOne(t, s, "more"))
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, host, h.Identity().Hostname)
}

func TestPathsIgnoreTheHost(t *testing.T) {
	d := newDiskFS(vfs.Default, "/data/raft", "host-b")
	require.Equal(t, "/data/raft/0001/x.log", d.real(virtualRoot+"/host-a/0001/x.log"))
	require.Equal(t, "/data/raft/0001/x.log", d.real(virtualRoot+"/host-b/0001/x.log"))
	require.Equal(t, "/data/raft", d.real(virtualRoot+"/host-b"))
	require.Equal(t, "/data/raft/NODE.ID", d.real(virtualRoot+"/NODE.ID"))
	require.Equal(t, "/data/raft", d.real(virtualRoot))
	require.Equal(t, "/etc/x", d.real("/etc/x"))
}

// TestTablesAndLogMustFit opens logs over state machines that are not theirs.
func TestTablesAndLogMustFit(t *testing.T) {
	dir := t.TempDir()
	h := openHost(t, HostConfig{Dir: dir, SnapshotEntries: 20})
	state := &toy{}
	s := openShard(t, h, state)
	for i := range 60 {
		appendOne(t, s, fmt.Sprint(i))
	}
	waitSnapshot(t, dir)
	require.NoError(t, h.Close())
	index, err := storedSnapshot(vfs.Default, filepath.Join(dir, raftDir), testLog, 1) // there may have been more since
	require.NoError(t, err)

	h = openHost(t, HostConfig{Dir: dir})
	_, err = h.OpenShard(testLog, &toy{}, ShardOptions{})
	require.ErrorContains(t, err, fmt.Sprintf("the tables are at index 0, but the log begins after index %d", index))
	_, err = h.OpenShard(9, &toy{state: toyState{Applied: 5}}, ShardOptions{})
	require.ErrorContains(t, err, "there is no log")
	state = state.reopened()
	openShard(t, h, state)
	require.Equal(t, 60, state.count())
}

// TestHalt halts the state machine and asks for snapshots: the process lives, no
// snapshot is recorded, and after a restart the entries come again.
func TestHalt(t *testing.T) {
	dir := t.TempDir()
	h := openHost(t, HostConfig{Dir: dir, SnapshotEntries: 1000})
	state := &toy{}
	s := openShard(t, h, state)
	haltAndSnapshot(t, h, s, state)
	stored, err := storedSnapshot(vfs.Default, filepath.Join(dir, raftDir), testLog, 1)
	require.NoError(t, err)
	require.Zero(t, stored)
	require.NoError(t, h.Close())

	state = state.reopened()
	require.EqualValues(t, 1, state.count())
	h = openHost(t, HostConfig{Dir: dir})
	s, err = h.OpenShard(testLog, state, ShardOptions{})
	require.NoError(t, err)
	require.NoError(t, s.Ready(t.Context()))
	require.ErrorIs(t, state.Halted(), log.ErrHalted, "the poison came again")
	require.Equal(t, 1, state.count())
}

func haltAndSnapshot(t *testing.T, h *Host, s *Shard, state *toy) {
	appendOne(t, s, "a")
	answer, err := s.Append(t.Context(), []byte("poison"))
	require.NoError(t, err)
	require.Equal(t, "refused", string(answer))
	require.ErrorIs(t, state.Halted(), log.ErrHalted)
	_, err = s.Append(t.Context(), []byte("b"))
	require.ErrorIs(t, err, log.ErrHalted)
	require.NotErrorIs(t, err, log.ErrUnknownOutcome)
	require.NoError(t, s.ReadIndex(t.Context()), "alone, its state is the newest there is")

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = h.node.SyncRequestSnapshot(ctx, uint64(testLog), dragonboat.SnapshotOption{})
	require.Error(t, err)
	_, err = h.node.SyncRequestSnapshot(ctx, uint64(testLog), dragonboat.SnapshotOption{Exported: true, ExportPath: t.TempDir()})
	require.Error(t, err)
	require.Equal(t, 1, state.count())
	require.EqualValues(t, state.Applied(), state.reopened().Applied(), "what was applied is durable")
}

// TestHaltSurvivesPeriodicSync runs a halted state machine in a process of its
// own whose engine syncs every 50 ms instead of every three minutes.
func TestHaltSurvivesPeriodicSync(t *testing.T) {
	const child = "RAFTLOG_HALT_CHILD"
	if os.Getenv(child) != "" {
		require.NoError(t, os.Remove("dragonboat-soft-settings.json"))
		h := openHost(t, HostConfig{Dir: "data"})
		state := &toy{}
		s := openShard(t, h, state)
		haltAndSnapshot(t, h, s, state)
		periodic.Store(0)
		require.Eventually(t, func() bool {
			_, err := s.pursue(t.Context(), time.Second, func(timeout time.Duration) (*dragonboat.RequestState, error) {
				return h.node.Propose(s.session, []byte("as if from another node"), timeout)
			})
			return err == nil && periodic.Load() >= 3
		}, 10*time.Second, 10*time.Millisecond)
		haltAgain, err := storedSnapshot(vfs.Default, filepath.Join("data", raftDir), testLog, 1)
		require.NoError(t, err)
		require.Zero(t, haltAgain)
		return
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dragonboat-soft-settings.json"), []byte(`{"SyncTaskInterval": 50}`), 0o600))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHaltSurvivesPeriodicSync$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "PASS")
}

// TestNoQuorum asks a group whose other members never came.
func TestNoQuorum(t *testing.T) {
	h := openHost(t, HostConfig{Dir: t.TempDir()})
	members := map[log.ReplicaID]log.NodeID{1: h.Identity().NodeID, 2: log.NodeID(NewUUID()), 3: log.NodeID(NewUUID())}
	s, err := h.OpenShard(testLog, &toy{}, ShardOptions{Members: members})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = s.Append(ctx, []byte("x"))
	require.True(t, isAny(err, log.ErrBusy, log.ErrUnknownOutcome), "%v", err)
	require.ErrorIs(t, s.ReadIndex(ctx), context.DeadlineExceeded)
	require.ErrorIs(t, s.Ready(ctx), context.DeadlineExceeded)
	_, _, ok := s.Leader()
	require.False(t, ok)
}

// TestWriteErrorEndsTheProcess fills the log's directory in a process of its own:
// its disk fails, and it must not survive that.
func TestWriteErrorEndsTheProcess(t *testing.T) {
	const child = "RAFTLOG_WRITE_ERROR_CHILD"
	if os.Getenv(child) != "" {
		h := openHost(t, HostConfig{Dir: os.Getenv(child)})
		s := openShard(t, h, &toy{})
		appendOne(t, s, "acknowledged")
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}))
		signal.Ignore(unix.SIGXFSZ)
		for range 100 {
			if _, err := s.Append(t.Context(), make([]byte, 100<<10)); err != nil {
				t.Fatalf("the process outlived the error: %v", err)
			}
		}
		t.Fatal("no error")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriteErrorEndsTheProcess$")
	cmd.Env = append(os.Environ(), child+"="+dir)
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "panic: raftlog: writing the Raft log failed")

	h := openHost(t, HostConfig{Dir: dir})
	state := &toy{}
	openShard(t, h, state)
	require.Equal(t, "acknowledged", state.state.Entries[0])
}

// TestEngineAnswers asks the watchdog's question of an engine at work, and of one
// whose quorum never came: it says so, and that is an answer too.
func TestEngineAnswers(t *testing.T) {
	h := openHost(t, HostConfig{Dir: t.TempDir()})
	s := openShard(t, h, &toy{})
	require.True(t, s.answers(s.watchPatience))
	members := map[log.ReplicaID]log.NodeID{1: h.Identity().NodeID, 2: log.NodeID(NewUUID()), 3: log.NodeID(NewUUID())}
	lonely, err := h.OpenShard(3, &toy{}, ShardOptions{Members: members})
	require.NoError(t, err)
	require.True(t, lonely.answers(lonely.watchPatience))
}
