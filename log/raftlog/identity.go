package raftlog

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tidemark-db/tidemark/log"
)

// FormatVersion is the version of the data directory's layout. A directory of
// another version is refused.
const FormatVersion = 2

const (
	identityFile = "node.json"
	lockFile     = "LOCK"
	raftDir      = "raft"
)

// Identity says which node a data directory belongs to.
type Identity struct {
	Format int `json:"format"`

	// NodeID is what the groups call the node. It goes with the directory; where
	// the node listens may change with each start.
	NodeID log.NodeID `json:"node_id"`

	// Cluster names the nodes that belong together. Nodes of another cluster are
	// not listened to: groups have the same numbers in every cluster, and an
	// address may have belonged to another one before. Empty is a cluster too.
	Cluster string `json:"cluster,omitempty"`

	// Joins says that the cluster was there before the node: such a node may not
	// begin it.
	Joins bool `json:"joins,omitempty"`

	// Hostname is the host that wrote here last.
	Hostname string `json:"hostname"`
}

// loadIdentity reads the directory's identity, or gives it one of a cluster. An
// empty cluster is whatever the directory says.
func loadIdentity(dir, cluster string, joins bool) (*Identity, error) {
	if cluster != "" && !isUUID(cluster) {
		return nil, fmt.Errorf("%q is no cluster's id", cluster)
	}
	path := filepath.Join(dir, identityFile)
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("hostname: %w", err)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createIdentity(path, host, cluster, joins)
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
	if !isUUID(string(id.NodeID)) {
		return nil, fmt.Errorf("%s is damaged: it names no node", path)
	}
	if cluster != "" && cluster != id.Cluster {
		return nil, fmt.Errorf("data directory %s belongs to cluster %q, not to %s", dir, id.Cluster, cluster)
	}
	if id.Hostname != host {
		if err := adoptHost(dir); err != nil {
			return nil, err
		}
		id.Hostname = host
		return id, WriteJSON(path, id)
	}
	return id, nil
}

func createIdentity(path, host, cluster string, joins bool) (*Identity, error) {
	if entries, err := os.ReadDir(filepath.Join(filepath.Dir(path), raftDir)); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is missing, yet there is a Raft log beside it", path)
	}
	id := &Identity{Format: FormatVersion, NodeID: log.NodeID(NewUUID()), Cluster: cluster, Joins: joins, Hostname: host}
	return id, WriteJSON(path, id)
}

// deployment is the cluster as the engine marks its messages with; zero is its
// default.
func (id *Identity) deployment() uint64 {
	if id.Cluster == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(id.Cluster))
	return max(binary.BigEndian.Uint64(sum[:]), 2) // one is the default's
}

// IsNew reports whether no node has ever run in a data directory.
func IsNew(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// NewUUID draws a random UUID, version 4: a name for a node or a cluster.
func NewUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// uuidForm is the one form of a UUID that is used as a name.
var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func isUUID(s string) bool { return uuidForm.MatchString(s) }

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
