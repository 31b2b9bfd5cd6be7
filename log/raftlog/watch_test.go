package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/diskspace"
)

const watchChild = "RAFTLOG_WATCH_CHILD"

// watchedFor is for how long the watchdog's test lets a process live that must
// not be ended: longer than any patience with others.
const watchedFor = 8 * time.Second

// leavesWithin is when a process with a bad disk must be gone: five seconds, and
// as many again for a slow machine.
const leavesWithin = 10 * time.Second

// TestWatchChild is the process that TestWatchdog watches.
func TestWatchChild(t *testing.T) {
	mode := os.Getenv(watchChild)
	if mode == "" {
		return
	}
	h := openHost(t, HostConfig{Dir: t.TempDir()})
	members := map[log.ReplicaID]log.NodeID{1: h.Identity().NodeID}
	if mode != "alone" {
		members[2], members[3] = log.NodeID(NewUUID()), log.NodeID(NewUUID())
	}
	s, err := h.OpenShard(testLog, &toy{}, ShardOptions{Members: members})
	require.NoError(t, err)
	if mode == "alone" {
		require.NoError(t, s.Ready(t.Context()))
	}
	var space atomic.Bool
	fault := func() error {
		switch mode {
		case "fails":
			return unix.EIO
		case "full":
			if space.Load() {
				return nil
			}
			return unix.ENOSPC
		case "stopped":
			return nil
		}
		select {} // it hangs
	}
	h.fs.fault.Store(&fault)
	fmt.Println("ready")
	time.Sleep(watchedFor)
	space.Store(true)
	fmt.Println("alive")
	os.Exit(0) // the disk does not let the host be closed
}

// TestWatchdog breaks the disks of processes: who has others leaves, who is alone
// or waits for space stays, and so does who was stopped.
func TestWatchdog(t *testing.T) {
	for mode, reason := range map[string]string{
		"hangs": "has not answered", "fails": "fail", "alone": "", "full": "", "stopped": "",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWatchChild$")
			cmd.Env = append(os.Environ(), watchChild+"="+mode)
			out := &lines{seen: make(chan struct{})}
			cmd.Stdout, cmd.Stderr = out, out
			require.NoError(t, cmd.Start())
			<-out.seen
			began := time.Now()
			if mode == "stopped" {
				require.NoError(t, cmd.Process.Signal(unix.SIGSTOP))
				time.Sleep(2 * probePatience)
				require.NoError(t, cmd.Process.Signal(unix.SIGCONT))
			}
			err := cmd.Wait()
			if reason == "" {
				require.NoError(t, err, "%s", out)
				require.Contains(t, out.String(), "alive")
				return
			}
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Contains(t, out.String(), "panic: raftlog: ")
			require.Contains(t, out.String(), reason)
			require.Less(t, time.Since(began), leavesWithin)
		})
	}
}

// lines is a process's output; seen is closed when there is some.
type lines struct {
	text bytes.Buffer
	seen chan struct{}
	once atomic.Bool
}

func (l *lines) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("ready")) && !l.once.Swap(true) {
		close(l.seen)
	}
	return l.text.Write(p)
}

func (l *lines) String() string { return l.text.String() }

// TestFullDisk refuses appends while there is little space, and reads go on.
func TestFullDisk(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 30)
	h := openHost(t, HostConfig{Dir: t.TempDir(), space: func(string) (diskspace.Space, error) {
		return diskspace.Space{Free: free.Load(), Total: 8 << 30}, nil
	}})
	s := openShard(t, h, &toy{})
	appendOne(t, s, "a")
	free.Store(1<<30 - 1)
	require.Eventually(t, func() bool { return h.DiskFull() != nil }, patience, time.Millisecond)
	_, err := s.Append(t.Context(), []byte("b"))
	require.ErrorIs(t, err, log.ErrDiskFull)
	require.ErrorContains(t, err, "1023 MB of 8192 MB are free, 1024 MB are kept back")
	require.NoError(t, s.ReadIndex(t.Context()))
	_, err = s.Append(log.FreesSpace(t.Context()), []byte("what makes room"))
	require.NoError(t, err)
	free.Store(2 << 30)
	require.Eventually(t, func() bool { return h.DiskFull() == nil }, patience, time.Millisecond)
	require.EqualValues(t, 3, appendOne(t, s, "b"))
}

// TestWritesWaitForSpace lets the log's files find no space, now and then in the
// middle of a write: nothing is lost, and nobody dies.
func TestWritesWaitForSpace(t *testing.T) {
	dir := t.TempDir()
	h := openHost(t, HostConfig{Dir: dir})
	state := &toy{}
	s := openShard(t, h, state)
	var full atomic.Bool
	fault := func() error {
		if full.Load() {
			return unix.ENOSPC
		}
		return nil
	}
	h.fs.fault.Store(&fault)
	for i := range 3 {
		full.Store(true)
		done := make(chan error, 1)
		go func() {
			_, err := s.Append(t.Context(), fmt.Appendf(nil, "%d", i))
			done <- err
		}()
		require.Eventually(t, func() bool { return h.fs.space.Waiting() > 0 }, patience, time.Millisecond)
		full.Store(false)
		require.NoError(t, <-done)
	}
	require.NoError(t, h.Close())
	h = openHost(t, HostConfig{Dir: dir})
	openShard(t, h, state.reopened())
}

// smallDisk mounts a file system of 64 MB.
func smallDisk(t *testing.T) string {
	if _, err := exec.LookPath("mount"); err != nil || os.Getuid() != 0 {
		t.Skip("needs mount, and the right to use it")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("mount: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
}

// TestSmallDisk fills a disk with the log itself: appends are refused before it is
// full.
func TestSmallDisk(t *testing.T) {
	dir := smallDisk(t)
	h := openHost(t, HostConfig{Dir: dir, SnapshotEntries: 1_000_000})
	s := openShard(t, h, &toy{})
	data := make([]byte, 64<<10)
	var err error
	for range 2000 {
		if _, err = s.Append(t.Context(), data); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, log.ErrDiskFull)
	require.NoError(t, s.ReadIndex(t.Context()))
	left, err := diskspace.Of(dir)
	require.NoError(t, err)
	require.Positive(t, left.Free)
}

// TestDiskFilledByOthers lets somebody else take the rest of a disk in the middle
// of appends.
func TestDiskFilledByOthers(t *testing.T) {
	dir := smallDisk(t)
	data := make([]byte, 64<<10)
	plenty := func(string) (diskspace.Space, error) { return diskspace.Space{Free: 1 << 40, Total: 1 << 40}, nil }
	h := openHost(t, HostConfig{Dir: dir, SnapshotEntries: 1_000_000, space: plenty})
	state := &toy{}
	s := openShard(t, h, state)
	filler := dir + "/filler"
	f, err := os.Create(filler)
	require.NoError(t, err)
	for err == nil {
		_, err = f.Write(data)
	}
	require.ErrorIs(t, err, unix.ENOSPC)
	before := state.count()
	done := make(chan error, 1)
	go func() {
		var failed error
		for n := 0; n < 40; {
			_, err := s.Append(t.Context(), data)
			switch {
			case err == nil:
				n++
			case errors.Is(err, log.ErrDiskFull):
				time.Sleep(10 * time.Millisecond) // another write waits
			default:
				failed = errors.Join(failed, err)
				n++
			}
		}
		done <- failed
	}()
	require.Eventually(t, func() bool { return h.fs.space.Waiting() > 0 }, patience, time.Millisecond)
	require.NoError(t, os.Remove(filler))
	require.NoError(t, f.Close())
	require.NoError(t, <-done)
	require.Equal(t, before+40, state.count())
}
