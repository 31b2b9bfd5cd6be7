package tidemark

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/raftlog"
)

// localStateFile is the file in the data directory that says what the node must
// know before any log can be read.
const localStateFile = "cluster.json"

// addresses are how a node is reached, each host:port.
type addresses struct {
	SQL  string `json:"sql"`
	Raft string `json:"raft"`
	HTTP string `json:"http"`
}

// peer is a node as others know it. Incarnation grows whenever its addresses
// change, so that old news can be told from new.
type peer struct {
	Node        log.NodeID `json:"node"`
	Incarnation uint64     `json:"incarnation"`
	addresses
}

// localReplica is a replica that this node has. Members and Join are how its
// group is started the first time; the group's own log knows better afterwards.
type localReplica struct {
	Log     log.ID                       `json:"log"`
	Replica log.ReplicaID                `json:"replica"`
	Members map[log.ReplicaID]log.NodeID `json:"members,omitempty"`
	Join    bool                         `json:"join,omitempty"`
	// Removing says that its files are being removed.
	Removing bool `json:"removing,omitempty"`
}

// localContents is what the file holds.
type localContents struct {
	Incarnation uint64         `json:"incarnation"`
	Addresses   addresses      `json:"addresses"`
	Replicas    []localReplica `json:"replicas"`
	Peers       []peer         `json:"peers"`
}

// localState keeps the file. Every change is durable when it returns.
type localState struct {
	path string

	mu       sync.Mutex
	contents localContents
}

// loadLocalState reads the file; without one the contents are empty.
func loadLocalState(dir string) (*localState, error) {
	l := &localState{path: filepath.Join(dir, localStateFile)}
	b, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &l.contents); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", l.path, err)
	}
	return l, nil
}

// get returns a copy of the contents.
func (l *localState) get() localContents {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.contents
	c.Replicas = slices.Clone(c.Replicas)
	c.Peers = slices.Clone(c.Peers)
	return c
}

// change changes the contents and writes them.
func (l *localState) change(f func(*localContents)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.contents
	next.Replicas = slices.Clone(next.Replicas)
	next.Peers = slices.Clone(next.Peers)
	f(&next)
	if err := raftlog.WriteJSON(l.path, &next); err != nil {
		return fmt.Errorf("write %s: %w", l.path, err)
	}
	l.contents = next
	return nil
}

// replica returns what is on record of this node's replica of a log.
func (l *localState) replica(id log.ID) (localReplica, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.contents.Replicas, func(r localReplica) bool { return r.Log == id })
	if i < 0 {
		return localReplica{}, false
	}
	return l.contents.Replicas[i], true
}

// put adds a replica or replaces what is on record of it.
func (l *localState) put(r localReplica) error {
	return l.change(func(c *localContents) {
		c.Replicas = slices.DeleteFunc(c.Replicas, func(o localReplica) bool { return o.Log == r.Log })
		c.Replicas = append(c.Replicas, r)
	})
}

// drop forgets a replica.
func (l *localState) drop(id log.ID) error {
	return l.change(func(c *localContents) {
		c.Replicas = slices.DeleteFunc(c.Replicas, func(o localReplica) bool { return o.Log == id })
	})
}
