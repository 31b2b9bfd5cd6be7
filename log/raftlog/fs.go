package raftlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/lni/vfs"

	"github.com/tidemark-db/tidemark/log/diskspace"
)

// virtualRoot is the directory that Dragonboat believes to live in. It stores
// absolute paths, and below its directory one named after the host; both would
// tie the data to one place. diskFS maps virtualRoot/<any host>/… to the real
// directory, so that a data directory can be moved, copied and mounted into
// another container.
const virtualRoot = "/tidemark-raft"

// diskFS is Dragonboat's file system: the real one, below another root, with a
// count of syncs.
//
// Dragonboat accepts a foreign file system only in the wrapping of its error
// injection, and with that it swallows panics of the threads that write the log:
// a failed write would leave a node that is dead and does not know it. So a
// failed write ends the process here, at its source. Only a write that finds no
// space waits for some: nothing of it is lost, and space may be made.
type diskFS struct {
	vfs.FS
	root    string // real directory
	host    string // name of this host
	syncs   atomic.Uint64
	started atomic.Bool // until then errors are returned by OpenHost
	space   diskspace.Writer
	written atomic.Uint64 // bytes
	ballots ballots

	// fault stands for the disk in tests: it is asked before each write and sync.
	fault atomic.Pointer[func() error]
}

// broken returns what a test says about the disk.
func (d *diskFS) broken() error {
	if fault := d.fault.Load(); fault != nil {
		return (*fault)()
	}
	return nil
}

// wrapped returns d in the form that Dragonboat accepts.
func (d *diskFS) wrapped() *vfs.ErrorFS { return vfs.Wrap(d, noErrors{}) }

// noErrors injects none.
type noErrors struct{}

func (noErrors) MaybeError(vfs.Op) error { return nil }

// check passes a write's error on, or ends the process over it.
func (d *diskFS) check(err error) error {
	if err != nil && d.started.Load() && !(diskspace.IsFull(err) && d.space.Stopped()) {
		die(fmt.Sprintf("writing the Raft log failed: %v", err))
	}
	return err
}

func newDiskFS(disk vfs.FS, root, host string) *diskFS {
	return &diskFS{FS: disk, root: root, host: host}
}

// real maps a path below virtualRoot to the real one.
func (d *diskFS) real(name string) string {
	rest, ok := strings.CutPrefix(filepath.Clean(name), virtualRoot)
	if !ok {
		return name
	}
	rest = strings.TrimPrefix(rest, string(filepath.Separator))
	host, below, deeper := strings.Cut(rest, string(filepath.Separator))
	if !deeper && host != d.host {
		below = host // a file beside the host's directory
	}
	return filepath.Join(d.root, below)
}

// open opens a file for writing and counts its syncs.
func (d *diskFS) open(name string, how func() (vfs.File, error)) (file vfs.File, err error) {
	err = d.space.Do(func() error {
		file, err = how()
		return err
	})
	if d.check(err) != nil {
		return nil, err
	}
	return newDiskFile(name, file, d), nil
}

func (d *diskFS) Create(name string) (vfs.File, error) {
	return d.open(name, func() (vfs.File, error) { return d.FS.Create(d.real(name)) })
}

func (d *diskFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.FS.Open(d.real(name), opts...)
}

func (d *diskFS) OpenDir(name string) (vfs.File, error) { return d.FS.OpenDir(d.real(name)) }

func (d *diskFS) OpenForAppend(name string) (vfs.File, error) {
	return d.open(name, func() (vfs.File, error) { return d.FS.OpenForAppend(d.real(name)) })
}

func (d *diskFS) ReuseForWrite(oldname, newname string) (vfs.File, error) {
	return d.open(newname, func() (vfs.File, error) { return d.FS.ReuseForWrite(d.real(oldname), d.real(newname)) })
}

func (d *diskFS) Link(oldname, newname string) error {
	return d.space.Do(func() error { return d.FS.Link(d.real(oldname), d.real(newname)) })
}

func (d *diskFS) Rename(oldname, newname string) error {
	return d.space.Do(func() error { return d.FS.Rename(d.real(oldname), d.real(newname)) })
}

func (d *diskFS) Remove(name string) error    { return d.FS.Remove(d.real(name)) }
func (d *diskFS) RemoveAll(name string) error { return d.FS.RemoveAll(d.real(name)) }

func (d *diskFS) MkdirAll(dir string, perm os.FileMode) error {
	return d.space.Do(func() error { return d.FS.MkdirAll(d.real(dir), perm) })
}

// Lock leaves out the lock on the whole directory: the host holds it already.
func (d *diskFS) Lock(name string) (io.Closer, error) {
	if filepath.Dir(name) == virtualRoot {
		return io.NopCloser(nil), nil
	}
	return d.FS.Lock(d.real(name))
}

func (d *diskFS) List(dir string) ([]string, error)            { return d.FS.List(d.real(dir)) }
func (d *diskFS) Stat(name string) (os.FileInfo, error)        { return d.FS.Stat(d.real(name)) }
func (d *diskFS) GetDiskUsage(p string) (vfs.DiskUsage, error) { return d.FS.GetDiskUsage(d.real(p)) }

// makeDir makes a directory with its parents, so that a loss of power leaves none
// of them out: new ones are made durable where they stand.
func makeDir(disk vfs.FS, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var stands []string
	for d := dir; d != filepath.Dir(d); d = filepath.Dir(d) {
		if _, err := disk.Stat(d); err == nil {
			break
		}
		stands = append(stands, filepath.Dir(d))
	}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range stands {
		f, err := disk.OpenDir(d)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// diskFile is a file opened for writing. It hides the descriptor, because
// Dragonboat's store would otherwise sync behind its back, uncounted.
type diskFile struct {
	vfs.File
	fs *diskFS
	fd uintptr // of the File; 0 for none

	// What was written since the last sync: anything, in a WAL something that can
	// wait for the next sync. Its writer uses a WAL from one goroutine at a time.
	wal, dirty, lazy bool
}

func newDiskFile(name string, f vfs.File, fs *diskFS) *diskFile {
	d := &diskFile{File: f, fs: fs, wal: strings.HasSuffix(name, walSuffix), dirty: true}
	if os, ok := f.(interface{ Fd() uintptr }); ok {
		d.fd = os.Fd()
	}
	return d
}

// Write implements io.Writer.
func (f *diskFile) Write(p []byte) (int, error) {
	f.note(p)
	n, err := f.fs.space.Write(p, func(p []byte, _ int) (int, error) {
		if err := f.fs.broken(); err != nil {
			return 0, err
		}
		return f.File.Write(p)
	})
	f.fs.written.Add(uint64(n))
	return n, f.fs.check(err)
}

// WriteAt implements io.WriterAt.
func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	f.note(nil)
	n, err := f.fs.space.Write(p, func(p []byte, done int) (int, error) {
		if err := f.fs.broken(); err != nil {
			return 0, err
		}
		return f.File.WriteAt(p, off+int64(done))
	})
	f.fs.written.Add(uint64(n))
	return n, f.fs.check(err)
}

// Sync makes the file's contents durable. The count rises after success only. It
// never waits for space: after a failed sync nobody knows what is in the file.
func (f *diskFile) Sync() error {
	if f.lazy && !f.dirty {
		return nil
	}
	err := f.fs.broken()
	if err == nil {
		err = f.syncData()
	}
	if f.fs.check(err) != nil {
		return err
	}
	if f.wal {
		f.lazy, f.dirty = false, false
	}
	f.fs.syncs.Add(1)
	return nil
}

// note looks at what is about to be written at the end of a WAL; nil means
// elsewhere.
func (f *diskFile) note(p []byte) {
	if !f.wal {
		return
	}
	if f.fs.ballots.unchanged(p) {
		f.lazy = true
	} else {
		f.dirty = true
	}
}
