package tidemark

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/log"
)

// replicaStatus is what a node says of one of its replicas.
type replicaStatus struct {
	Log     log.ID        `json:"log"`
	Replica log.ReplicaID `json:"replica"`
	Leader  log.ReplicaID `json:"leader,omitempty"` // 0: not known
	Term    uint64        `json:"term,omitempty"`
	Index   log.Index     `json:"index"`
	Offset  log.Offset    `json:"offset"`
	End     log.Offset    `json:"end"`
	// LogTime is that of the last applied entry, in microseconds since 2000-01-01 UTC.
	LogTime  int64 `json:"log_time"`
	Sessions int   `json:"sessions,omitempty"`
	// Process names the database's engine, for those who ask whether it runs still.
	Process uint64 `json:"process,omitempty"`
	Halted  string `json:"halted,omitempty"`
	// Fenced: its state is not what the majority's is; it must be built anew.
	Fenced bool `json:"fenced,omitempty"`
}

// nodeStatus is what nodes tell each other.
type nodeStatus struct {
	Cluster string `json:"cluster"`
	peer
	Version  string          `json:"version"`
	DiskFree int64           `json:"disk_free"`
	DiskFull bool            `json:"disk_full,omitempty"`
	Replicas []replicaStatus `json:"replicas"`
	// Peers are the other nodes as this one knows them: news of addresses spreads
	// without the meta database, which may need them to work.
	Peers []peer `json:"peers"`
}

// replica returns what the node says of its replica of a log.
func (s *nodeStatus) replica(id log.ID) (replicaStatus, bool) {
	for _, r := range s.Replicas {
		if r.Log == id {
			return r, true
		}
	}
	return replicaStatus{}, false
}

// liveFor is for how long a node counts as alive after it was heard.
const liveFor = 3 * time.Second

// heard is a status and when it came, by this node's monotonic clock.
type heard struct {
	status *nodeStatus
	at     time.Time
}

// statusBoard keeps the newest status of every other node.
type statusBoard struct {
	now func() time.Time

	mu    sync.Mutex
	nodes map[log.NodeID]heard
}

func newStatusBoard() *statusBoard {
	return &statusBoard{now: time.Now, nodes: map[log.NodeID]heard{}}
}

// put takes a status in. An older incarnation's is late and ignored.
func (b *statusBoard) put(s *nodeStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, ok := b.nodes[s.Node]; ok && old.status.Incarnation > s.Incarnation {
		return
	}
	b.nodes[s.Node] = heard{status: s, at: b.now()}
}

// drop forgets a node.
func (b *statusBoard) drop(id log.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.nodes, id)
}

// get returns the newest status of a node and when it came; nil for none.
func (b *statusBoard) get(id log.NodeID) (*nodeStatus, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.nodes[id]
	return h.status, h.at
}

// live returns the status of the nodes that were heard lately.
func (b *statusBoard) live() map[log.NodeID]*nodeStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[log.NodeID]*nodeStatus{}
	now := b.now()
	for id, h := range b.nodes {
		if now.Sub(h.at) <= liveFor {
			out[id] = h.status
		}
	}
	return out
}

// silent says whether a node has not been heard for a while.
func (b *statusBoard) silent(id log.NodeID, for_ time.Duration) bool {
	_, at := b.get(id)
	return b.now().Sub(at) >= for_
}

// statusOfReplicas describes the open databases, in the order of their logs.
func statusOfReplicas(open map[log.ID]*database) []replicaStatus {
	out := make([]replicaStatus, 0, len(open))
	for _, id := range slices.Sorted(maps.Keys(open)) {
		out = append(out, open[id].status())
	}
	return out
}
