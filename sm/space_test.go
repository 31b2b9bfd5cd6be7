package sm_test

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// fullFS is a disk that may be full: then half of a write finds room.
type fullFS struct {
	vfs.FS
	full    atomic.Bool
	refused atomic.Int64
}

type fullFile struct {
	vfs.File
	fs *fullFS
}

func (f *fullFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if f.full.Load() {
		f.refused.Add(1)
		return nil, syscall.ENOSPC
	}
	file, err := f.FS.Create(name, c)
	return &fullFile{file, f}, err
}

func (f *fullFile) Write(p []byte) (int, error) {
	if !f.fs.full.Load() {
		return f.File.Write(p)
	}
	f.fs.refused.Add(1)
	n, err := f.File.Write(p[:len(p)/2])
	if err == nil {
		err = syscall.ENOSPC
	}
	return n, err
}

// TestFullDisk lets the tables find no space: entries are applied and read as
// long as there is memory, and what waits is written once there is space.
func TestFullDisk(t *testing.T) {
	disk := &fullFS{FS: vfs.NewMem()}
	r := open(t, disk)
	must(t, r, "create a", "insert a 0 x 0")
	require.NoError(t, r.Sync())
	for round := range 3 {
		disk.full.Store(true)
		must(t, r, fmt.Sprintf("insert a %d x %d", round+1, round+1))
		before := disk.refused.Load()
		done := make(chan error, 1)
		go func() { done <- r.Sync() }()
		require.Eventually(t, func() bool { return disk.refused.Load() > before }, time.Minute, time.Millisecond)
		require.Len(t, latest(t, r, "a"), round+2)
		select {
		case err := <-done:
			t.Fatalf("synced to a full disk: %v", err)
		default:
		}
		disk.full.Store(false)
		require.NoError(t, <-done)
	}
	must(t, r, "insert a 9 lost 9")
	want := latest(t, r, "a")
	require.NoError(t, r.Close())
	r = open(t, disk)
	require.Equal(t, want, latest(t, r, "a"))

	must(t, r, "insert a 10 x 10")
	disk.full.Store(true)
	require.ErrorIs(t, r.Close(), syscall.ENOSPC, "it does not wait to be closed")
	disk.full.Store(false)
	r = open(t, disk)
	require.Equal(t, want, latest(t, r, "a"), "what the log has will come again")
}
