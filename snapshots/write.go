package snapshots

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemark-db/tidemark/log"
)

const (
	magicHead = "TIDESNAP"
	magicTail = "PANSEDIT"
	format    = 1

	// chunkBytes is the length of a chunk, but for a file's last one.
	chunkBytes = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Write writes the files of dir, which must hold no directories and not change,
// to w. m.Files is filled in. It returns log.ErrStopped when stop is closed before
// the end.
func Write(w io.Writer, fs vfs.FS, dir string, m Manifest, stop <-chan struct{}) error {
	var err error
	if m.Files, err = list(fs, dir); err != nil {
		return err
	}
	head, err := m.encode()
	if err != nil {
		return err
	}
	b := binary.BigEndian.AppendUint16([]byte(magicHead), format)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(head))), head...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(head, castagnoli))
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("snapshots: write: %w", err)
	}
	total := xxhash.New()
	for _, f := range m.Files {
		if err := writeFile(w, fs, fs.PathJoin(dir, f.Name), f.Size, total, stop); err != nil {
			return fmt.Errorf("snapshots: file %s: %w", f.Name, err)
		}
	}
	tail := binary.BigEndian.AppendUint64(make([]byte, 4), total.Sum64())
	if _, err := w.Write(append(tail, magicTail...)); err != nil {
		return fmt.Errorf("snapshots: write: %w", err)
	}
	return nil
}

func list(fs vfs.FS, dir string) ([]File, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("snapshots: %w", err)
	}
	slices.Sort(names)
	var files []File
	for _, name := range names {
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err != nil {
			return nil, fmt.Errorf("snapshots: %w", err)
		}
		if info.IsDir() {
			return nil, fmt.Errorf("snapshots: %s is a directory", name)
		}
		files = append(files, File{Name: name, Size: info.Size()})
	}
	return files, nil
}

func writeFile(w io.Writer, fs vfs.FS, name string, size int64, total *xxhash.Digest, stop <-chan struct{}) (err error) {
	f, err := fs.Open(name, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	const head = 8
	buf := make([]byte, head+int(min(size, chunkBytes)))
	for left := size; left > 0; {
		if stopped(stop) {
			return log.ErrStopped
		}
		n := int(min(left, chunkBytes))
		chunk := buf[head : head+n]
		if _, err := io.ReadFull(f, chunk); err != nil {
			return err
		}
		binary.BigEndian.PutUint32(buf, uint32(n))
		binary.BigEndian.PutUint32(buf[4:], crc32.Checksum(chunk, castagnoli))
		_, _ = total.Write(chunk) // never fails
		if _, err := w.Write(buf[:head+n]); err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
