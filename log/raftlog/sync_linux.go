package raftlog

import (
	"errors"

	"golang.org/x/sys/unix"
)

// syncData skips what the contents do not depend on, such as the time of the
// last change.
func (f *diskFile) syncData() error {
	if f.fd == 0 {
		return f.File.Sync()
	}
	for {
		err := unix.Fdatasync(int(f.fd))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
