package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lni/dragonboat/v4/raftpb"

	"github.com/tidemark-db/tidemark/log"
)

// storedSnapshot returns the index that the state machine of a replica must have
// reached according to the snapshots recorded for it; 0 without any. Dragonboat
// makes the same comparison, but by a panic.
func storedSnapshot(dir string, id log.ID, replica log.ReplicaID) (log.Index, error) {
	group := fmt.Sprintf("snapshot-%d-%d", id, replica)
	files, err := filepath.Glob(filepath.Join(dir, raftDir, "*", "snapshot-part-*", group, "snapshot-????????????????", "snapshot.metadata"))
	if err != nil {
		return 0, err
	}
	var last log.Index
	for _, file := range files {
		// A snapshot that still has its message has not been recorded yet.
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), "dragonboat.snapshot.message")); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
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
		// Only a snapshot without contents relies on the state machine's own
		// files; one that came from another node will be restored.
		if ss.Dummy {
			last = max(last, log.Index(ss.OnDiskIndex))
		}
	}
	return last, nil
}
