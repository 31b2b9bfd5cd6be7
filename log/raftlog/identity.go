package raftlog

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// FormatVersion is the version of the data directory's layout. A directory of
// another version is refused.
const FormatVersion = 1

const (
	identityFile = "node.json"
	lockFile     = "LOCK"
	raftDir      = "raft"
)

// Identity says which node a data directory belongs to.
type Identity struct {
	Format int    `json:"format"`
	NodeID string `json:"node_id"`

	// RaftAddress is the address under which the node's groups know it. It stays
	// what it was at first, even when the node listens elsewhere later.
	RaftAddress string `json:"raft_address"`

	// Hostname is the host that wrote here last.
	Hostname string `json:"hostname"`
}

// loadIdentity reads the directory's identity, or gives it one.
func loadIdentity(dir, raftAddr string) (*Identity, error) {
	path := filepath.Join(dir, identityFile)
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("hostname: %w", err)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createIdentity(path, raftAddr, host)
	}
	if err != nil {
		return nil, err
	}
	id := &Identity{}
	if err := json.Unmarshal(b, id); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if id.Format != FormatVersion {
		return nil, fmt.Errorf("data directory %s has format version %d, this program knows version %d only", dir, id.Format, FormatVersion)
	}
	if id.NodeID == "" || id.RaftAddress == "" {
		return nil, fmt.Errorf("%s is damaged: it names no node", path)
	}
	if id.Hostname != host {
		if err := adoptHost(dir); err != nil {
			return nil, err
		}
		id.Hostname = host
		return id, writeIdentity(path, id)
	}
	return id, nil
}

func createIdentity(path, raftAddr, host string) (*Identity, error) {
	if entries, err := os.ReadDir(filepath.Join(filepath.Dir(path), raftDir)); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is missing, yet there is a Raft log beside it", path)
	}
	var node [16]byte
	rand.Read(node[:]) // never fails
	id := &Identity{Format: FormatVersion, NodeID: hex.EncodeToString(node[:]), RaftAddress: raftAddr, Hostname: host}
	return id, writeIdentity(path, id)
}

// writeIdentity replaces the file atomically and durably.
func writeIdentity(path string, id *Identity) error {
	b, err := json.MarshalIndent(id, "", "  ")
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

// hostFile is where Dragonboat notes the host's name and refuses any other. Its
// other contents are constants of this package, so it may be made anew.
const hostFile = "dragonboat.ds"

// adoptHost lets the Raft log be opened under another host name.
func adoptHost(dir string) error {
	err := os.Remove(filepath.Join(dir, raftDir, hostFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("adopt the data directory of another host: %w", err)
	}
	return nil
}

// checkSettings refuses Dragonboat's settings files: they would change constants
// that the log on disk was written with.
func checkSettings() error {
	found, err := filepath.Glob("dragonboat-*-settings.json")
	if err != nil || len(found) == 0 {
		return err
	}
	return fmt.Errorf("remove %s from the working directory: it would change how the log on disk is read", strings.Join(found, ", "))
}
