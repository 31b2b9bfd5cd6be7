//go:build unix

package diskspace

import "golang.org/x/sys/unix"

// Of returns the space of the file system that a directory is on, as far as this
// process may use it.
func Of(dir string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Space{}, err
	}
	block := uint64(st.Bsize)
	return Space{Free: uint64(st.Bavail) * block, Total: uint64(st.Blocks) * block}, nil
}
