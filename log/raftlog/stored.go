package raftlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/lni/dragonboat/v4/raftpb"
	"github.com/lni/vfs"

	"github.com/tidemark-db/tidemark/log"
)

// storedSnapshot returns the index that the state machine of a replica must have
// reached according to the snapshots recorded for it below root; 0 without any.
// Dragonboat makes the same comparison, but by a panic.
func storedSnapshot(disk vfs.FS, root string, id log.ID, replica log.ReplicaID) (log.Index, error) {
	group := fmt.Sprintf("snapshot-%d-%d", id, replica)
	dirs := []string{root}
	for _, pattern := range []string{"*", "snapshot-part-*", group, "snapshot-????????????????"} {
		var err error
		if dirs, err = matching(disk, dirs, pattern); err != nil {
			return 0, err
		}
	}
	var last log.Index
	for _, dir := range dirs {
		index, err := snapshotIn(disk, dir)
		if err != nil {
			return 0, err
		}
		last = max(last, index)
	}
	return last, nil
}

// matching returns the directories in dirs whose names match.
func matching(disk vfs.FS, dirs []string, pattern string) ([]string, error) {
	var out []string
	for _, dir := range dirs {
		names, err := disk.List(dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			ok, err := path.Match(pattern, name)
			if err != nil {
				return nil, err
			}
			full := disk.PathJoin(dir, name)
			if info, err := disk.Stat(full); ok && err == nil && info.IsDir() {
				out = append(out, full)
			}
		}
	}
	return out, nil
}

// snapshotIn returns the index that the snapshot in dir relies on; 0 when it
// brings its own contents, or has not been recorded.
func snapshotIn(disk vfs.FS, dir string) (log.Index, error) {
	// A snapshot that still has its message has not been recorded yet.
	if _, err := disk.Stat(disk.PathJoin(dir, "dragonboat.snapshot.message")); err == nil {
		return 0, nil
	}
	file := disk.PathJoin(dir, "snapshot.metadata")
	f, err := disk.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	const checksum = 8 // bytes in front of the message
	var ss raftpb.Snapshot
	if len(b) < checksum {
		return 0, fmt.Errorf("%s is damaged", file)
	}
	if err := ss.Unmarshal(b[checksum:]); err != nil {
		return 0, fmt.Errorf("%s is damaged: %w", file, err)
	}
	// Only a snapshot without contents relies on the state machine's own files;
	// one that came from another node will be restored.
	if !ss.Dummy {
		return 0, nil
	}
	return log.Index(ss.OnDiskIndex), nil
}
