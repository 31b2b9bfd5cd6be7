package raftlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tidemark-db/tidemark/log"
)

// record is what has to be known about a replica before its engine is started
// and can say so itself. It is written before the replica's first start.
type record struct {
	// Joined says that the replica was added to a group that ran already. Such a
	// replica begins as a learner each time, until its log says that it votes.
	Joined bool `json:"joined"`

	// Alone says that nobody else has ever been a member of the group.
	Alone bool `json:"alone"`
}

// recordPath is where a replica's record is.
func (h *Host) recordPath(id log.ID, replica log.ReplicaID) string {
	return filepath.Join(h.fs.root, fmt.Sprintf("replica-%d-%d.json", id, replica))
}

func (h *Host) readRecord(id log.ID, replica log.ReplicaID) (record, error) {
	path := h.recordPath(id, replica)
	var r record
	b, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return r, nil
}

func (h *Host) writeRecord(id log.ID, replica log.ReplicaID, r record) error {
	return WriteJSON(h.recordPath(id, replica), r)
}

// removeRecord forgets a replica whose data is gone.
func (h *Host) removeRecord(id log.ID, replica log.ReplicaID) error {
	err := os.Remove(h.recordPath(id, replica))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, syncDir(h.fs.root))
}

// WriteJSON replaces a file by the JSON of v, atomically and durably.
func WriteJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
