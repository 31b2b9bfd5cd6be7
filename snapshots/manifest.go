package snapshots

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tidemark-db/tidemark/log"
)

// Manifest says what a stream holds.
type Manifest struct {
	Log      log.ID
	Epoch    log.Epoch
	Offset   log.Offset // the last commit
	End      log.Offset
	Index    log.Index // the last entry applied
	Checksum [16]byte  // of the state
	Files    []File
}

// File is one file of the store.
type File struct {
	Name string // without directory
	Size int64  // in bytes
}

// Limits of a manifest. A stream comes from another node, so its numbers are
// checked before anything is allocated.
const (
	maxManifestBytes = 64 << 20
	maxFiles         = 1 << 20
)

// ErrCorrupt is wrapped by what Read returns for a stream that is not what Write
// wrote.
var ErrCorrupt = errors.New("snapshot stream is corrupt")

func (m *Manifest) encode() ([]byte, error) {
	b, err := msgpack.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("snapshots: manifest: %w", err)
	}
	if len(b) > maxManifestBytes {
		return nil, fmt.Errorf("snapshots: manifest of %d bytes is too large", len(b))
	}
	return b, nil
}

func decodeManifest(b []byte) (*Manifest, error) {
	m := &Manifest{}
	if err := msgpack.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", ErrCorrupt, err)
	}
	if len(m.Files) > maxFiles {
		return nil, fmt.Errorf("%w: %d files", ErrCorrupt, len(m.Files))
	}
	seen := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		if f.Name == "" || f.Name != path.Base(f.Name) || strings.ContainsAny(f.Name, `/\`+"\x00") || f.Name == "." || f.Name == ".." {
			return nil, fmt.Errorf("%w: file name %q", ErrCorrupt, f.Name)
		}
		if f.Size < 0 || seen[f.Name] {
			return nil, fmt.Errorf("%w: file %q", ErrCorrupt, f.Name)
		}
		seen[f.Name] = true
	}
	return m, nil
}
