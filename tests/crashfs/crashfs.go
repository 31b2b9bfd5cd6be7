// Package crashfs owns the file system in memory that the tests of crashes run on:
// what a crash would leave of it can be copied at any moment, also in the middle
// of the work of others. It never touches a disk. The tests of sm, log/raftlog and
// tests/sim use it.
package crashfs

import (
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is Pebble's file system in memory, of which some operations take the lock
// that keeps a copy out a second time while they hold it. A copy that asks for it
// in between waits for them and they for it, for ever; so those operations and
// copies exclude each other here before they come to it.
type FS struct {
	*vfs.MemFS
	copying sync.RWMutex
}

// New returns an empty one.
func New() *FS { return &FS{MemFS: vfs.NewCrashableMem()} }

// CrashClone returns what a crash now would leave.
func (f *FS) CrashClone(cfg vfs.CrashCloneCfg) *FS {
	f.copying.Lock()
	defer f.copying.Unlock()
	return &FS{MemFS: f.MemFS.CrashClone(cfg)}
}

// Link implements vfs.FS.
func (f *FS) Link(oldname, newname string) error {
	f.copying.RLock()
	defer f.copying.RUnlock()
	return f.MemFS.Link(oldname, newname)
}

// Lock implements vfs.FS.
func (f *FS) Lock(name string) (io.Closer, error) {
	f.copying.RLock()
	defer f.copying.RUnlock()
	return f.MemFS.Lock(name)
}

// ReuseForWrite implements vfs.FS.
func (f *FS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.copying.RLock()
	defer f.copying.RUnlock()
	return f.MemFS.ReuseForWrite(oldname, newname, c)
}
