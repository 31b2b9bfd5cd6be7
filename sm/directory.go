package sm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A replica's directory holds the store in a sub-directory, store-1 at first,
// and a pointer file that names the one in use. A restored snapshot is built in
// the next sub-directory; moving the pointer is the one step that makes it the
// store. Sub-directories that the pointer does not name are left-overs.
const (
	storePrefix = "store-"
	imagePrefix = "image-"
	// evidencePrefix is in front of the name of a store that was found wrong.
	evidencePrefix = "fenced-"
	pointerName    = "current"
	firstStore     = storePrefix + "1"
)

// writeCategory is how Pebble's file systems account what is written here.
const writeCategory = vfs.WriteCategoryUnspecified

// openCurrent opens the store that the pointer names, or a new one.
func (r *Replica) openCurrent() (*store, error) {
	dir := r.opt.Dir
	if err := makeDurable(r.fs, dir); err != nil {
		return nil, fmt.Errorf("sm: %w", err)
	}
	name, err := r.readPointer()
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = firstStore
		if err := r.writePointer(name); err != nil {
			return nil, err
		}
	}
	s, err := openStore(&r.opt, r.fs, r.cache, r.fs.PathJoin(dir, name))
	if err != nil {
		return nil, err
	}
	// Only with the store's lock held is it certain that nobody else is here.
	if err := r.removeLeftovers(name); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// makeDurable makes dir with its parents, so that a crash leaves none of them
// out: the names of new ones are synced where they stand.
func makeDurable(fs vfs.FS, dir string) error {
	var stands []string
	for d := dir; ; d = fs.PathDir(d) {
		if _, err := fs.Stat(d); err == nil {
			break
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if fs.PathDir(d) == d {
			break
		}
		stands = append(stands, fs.PathDir(d))
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range stands {
		if err := syncDir(fs, d); err != nil {
			return err
		}
	}
	return nil
}

func (r *Replica) readPointer() (string, error) {
	f, err := r.fs.Open(r.fs.PathJoin(r.opt.Dir, pointerName))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "", nil
		}
		return "", fmt.Errorf("sm: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, 64))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("sm: %w", err)
	}
	name := strings.TrimSpace(string(b))
	if _, err := storeNumber(name); err != nil {
		return "", fmt.Errorf("sm: %s names no store: %q", pointerName, name)
	}
	return name, nil
}

func storeNumber(name string) (int, error) {
	n, ok := strings.CutPrefix(name, storePrefix)
	if !ok {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(n)
}

// writePointer makes name the store in use, atomically and durably.
func (r *Replica) writePointer(name string) error {
	if err := writeDurably(r.fs, r.opt.Dir, pointerName, []byte(name+"\n")); err != nil {
		return fmt.Errorf("sm: %w", err)
	}
	return nil
}

// removeLeftovers removes stores and images that nobody uses.
func (r *Replica) removeLeftovers(current string) error {
	names, err := r.fs.List(r.opt.Dir)
	if err != nil {
		return fmt.Errorf("sm: %w", err)
	}
	for _, name := range names {
		leftover := strings.HasPrefix(name, storePrefix) && name != current || strings.HasPrefix(name, imagePrefix)
		if leftover {
			if err := r.fs.RemoveAll(r.fs.PathJoin(r.opt.Dir, name)); err != nil {
				return fmt.Errorf("sm: %w", err)
			}
		}
	}
	return nil
}

// writeDurably makes a file of dir, whole or not at all.
func writeDurably(fs vfs.FS, dir, name string, content []byte) error {
	path := fs.PathJoin(dir, name)
	temp := path + ".new"
	f, err := fs.Create(temp, writeCategory)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fs.Rename(temp, path)
	}
	if err == nil {
		err = syncDir(fs, dir)
	}
	return err
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
