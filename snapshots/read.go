package snapshots

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemark-db/tidemark/log"
)

// writeCategory is how Pebble's file systems account what Read writes.
const writeCategory = vfs.WriteCategoryUnspecified

// Read restores a stream into dir, which must exist and be empty. When it
// returns without error every byte has been verified and is durable, names
// included. Otherwise the content of dir is worthless.
func Read(r io.Reader, fs vfs.FS, dir string, stop <-chan struct{}) (*Manifest, error) {
	m, err := ReadManifest(r)
	if err != nil {
		return nil, err
	}
	total := xxhash.New()
	for _, f := range m.Files {
		if err := readFile(r, fs, fs.PathJoin(dir, f.Name), f.Size, total, stop); err != nil {
			return nil, fmt.Errorf("snapshots: file %s: %w", f.Name, err)
		}
	}
	if err := readTrailer(r, total.Sum64()); err != nil {
		return nil, err
	}
	d, err := fs.OpenDir(dir)
	if err != nil {
		return nil, fmt.Errorf("snapshots: %w", err)
	}
	return m, errors.Join(d.Sync(), d.Close())
}

// ReadManifest reads a stream up to the end of its manifest.
func ReadManifest(r io.Reader) (*Manifest, error) {
	var head [len(magicHead) + 6]byte
	if err := readFull(r, head[:]); err != nil {
		return nil, err
	}
	if string(head[:len(magicHead)]) != magicHead {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrCorrupt)
	}
	if v := binary.BigEndian.Uint16(head[len(magicHead):]); v != format {
		return nil, fmt.Errorf("snapshots: stream has format %d, this program knows %d", v, format)
	}
	n := binary.BigEndian.Uint32(head[len(magicHead)+2:])
	if n > maxManifestBytes {
		return nil, fmt.Errorf("%w: manifest of %d bytes", ErrCorrupt, n)
	}
	// Grown as bytes arrive: the length is not verified yet.
	b, err := io.ReadAll(io.LimitReader(r, int64(n)+4))
	if err != nil {
		return nil, fmt.Errorf("snapshots: read: %w", err)
	}
	if len(b) != int(n)+4 {
		return nil, fmt.Errorf("%w: it ends in the manifest", ErrCorrupt)
	}
	if crc32.Checksum(b[:n], castagnoli) != binary.BigEndian.Uint32(b[n:]) {
		return nil, fmt.Errorf("%w: checksum of the manifest", ErrCorrupt)
	}
	return decodeManifest(b[:n])
}

func readFile(r io.Reader, fs vfs.FS, name string, size int64, total *xxhash.Digest, stop <-chan struct{}) (err error) {
	f, err := fs.Create(name, writeCategory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, min(size, chunkBytes))
	for left := size; left > 0; {
		if stopped(stop) {
			return log.ErrStopped
		}
		var head [8]byte
		if err := readFull(r, head[:]); err != nil {
			return err
		}
		n := int64(binary.BigEndian.Uint32(head[:]))
		if n != min(left, chunkBytes) {
			return fmt.Errorf("%w: chunk of %d bytes", ErrCorrupt, n)
		}
		if err := readFull(r, buf[:n]); err != nil {
			return err
		}
		if crc32.Checksum(buf[:n], castagnoli) != binary.BigEndian.Uint32(head[4:]) {
			return fmt.Errorf("%w: checksum of a chunk", ErrCorrupt)
		}
		_, _ = total.Write(buf[:n]) // never fails
		if _, err := f.Write(buf[:n]); err != nil {
			return err
		}
		left -= n
	}
	return f.Sync()
}

func readTrailer(r io.Reader, sum uint64) error {
	var tail [12 + len(magicTail)]byte
	if err := readFull(r, tail[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(tail[:]) != 0 || string(tail[12:]) != magicTail {
		return fmt.Errorf("%w: it does not end as one", ErrCorrupt)
	}
	if binary.BigEndian.Uint64(tail[4:]) != sum {
		return fmt.Errorf("%w: checksum of the content", ErrCorrupt)
	}
	return nil
}

// readFull reads len(b) bytes; a stream that ends early is corrupt.
func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends early", ErrCorrupt)
	}
	if err != nil {
		return fmt.Errorf("snapshots: read: %w", err)
	}
	return nil
}
