package sm

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemark-db/tidemark/log/diskspace"
)

// flushPoll is how often flush looks whether it waits in vain.
const flushPoll = 20 * time.Millisecond

// flush makes everything durable that is in db. It waits for space, unless the
// replica is being closed: Pebble would try for ever.
func (r *Replica) flush(db *pebble.DB) error {
	flushed, err := db.AsyncFlush()
	if err != nil {
		return err
	}
	poll := time.NewTicker(flushPoll)
	defer poll.Stop()
	for {
		select {
		case <-flushed:
			return nil
		case <-poll.C:
			if r.space.Refused() {
				return fmt.Errorf("flush: %w", syscall.ENOSPC)
			}
		}
	}
}

// spaceFS is a file system whose writes wait for space when there is none. Pebble
// would try again at once and for ever, or end the process, depending on the
// file. Meanwhile what is in memory stays there, and reads go on.
//
// Only writes wait: after a failed sync nobody knows what is in the file.
type spaceFS struct {
	vfs.FS
	space *diskspace.Writer
}

// Unwrap lets Pebble find the file system below.
func (s *spaceFS) Unwrap() vfs.FS { return s.FS }

func (s *spaceFS) open(how func() (vfs.File, error)) (f vfs.File, err error) {
	err = s.space.Do(func() error {
		f, err = how()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &spaceFile{File: f, space: s.space}, nil
}

// Create implements vfs.FS.
func (s *spaceFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.open(func() (vfs.File, error) { return s.FS.Create(name, c) })
}

// OpenReadWrite implements vfs.FS.
func (s *spaceFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return s.open(func() (vfs.File, error) { return s.FS.OpenReadWrite(name, c, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (s *spaceFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.open(func() (vfs.File, error) { return s.FS.ReuseForWrite(oldname, newname, c) })
}

// Link implements vfs.FS.
func (s *spaceFS) Link(oldname, newname string) error {
	return s.space.Do(func() error { return s.FS.Link(oldname, newname) })
}

// Rename implements vfs.FS.
func (s *spaceFS) Rename(oldname, newname string) error {
	return s.space.Do(func() error { return s.FS.Rename(oldname, newname) })
}

// MkdirAll implements vfs.FS.
func (s *spaceFS) MkdirAll(dir string, perm os.FileMode) error {
	return s.space.Do(func() error { return s.FS.MkdirAll(dir, perm) })
}

// spaceFile is a file that is open for writing.
type spaceFile struct {
	vfs.File
	space *diskspace.Writer
}

// Write implements vfs.File.
func (f *spaceFile) Write(p []byte) (int, error) {
	return f.space.Write(p, func(p []byte, _ int) (int, error) { return f.File.Write(p) })
}

// WriteAt implements vfs.File.
func (f *spaceFile) WriteAt(p []byte, off int64) (int, error) {
	return f.space.Write(p, func(p []byte, done int) (int, error) { return f.File.WriteAt(p, off+int64(done)) })
}

// Preallocate implements vfs.File. It is a favour: the write that finds no space
// will wait for it.
func (f *spaceFile) Preallocate(offset, length int64) error {
	if err := f.File.Preallocate(offset, length); !diskspace.IsFull(err) {
		return err
	}
	return nil
}
