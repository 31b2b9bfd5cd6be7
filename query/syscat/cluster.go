package syscat

import (
	"time"

	"github.com/tidemark-db/tidemark/compaction"
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/types"
)

// DatabaseInfo is a row of pg_database and tidemark.databases.
type DatabaseInfo struct {
	Name  string
	Log   log.ID
	OID   types.OID // the number of Log made an OID
	Owner string
	// Replicas is how many are wanted.
	Replicas      int
	NoConnections bool
	// Retention says how much history is retained.
	Retention compaction.Policy
	// Here says that this node has a replica, whose floor and end follow.
	Here       bool
	Floor, End log.Offset
	// Bytes is about what its tables take on this node; 0 when that is not known.
	Bytes int64
}

// NodeState says what a node is used for.
type NodeState string

// The states of a node.
const (
	NodeActive   NodeState = "active"
	NodeDraining NodeState = "draining"
	NodeRemoved  NodeState = "removed"
)

// NodeInfo is a row of tidemark.nodes.
type NodeInfo struct {
	ID                          log.NodeID
	Number                      uint64 // of the node as log.Owner has it
	SQLAddr, RaftAddr, HTTPAddr string
	State                       NodeState
	// Live: it has answered lately; LastSeen is when it has last, zero for never.
	Live     bool
	LastSeen time.Time
	Version  string
	Self     bool // it is the node that is asked
	// Leading and Hosting are how many databases it leads and has replicas of.
	Leading, Hosting int
	// DiskFree is in bytes; negative when it is not known.
	DiskFree int64
}

// ReplicaRole is a replica's part in its group.
type ReplicaRole string

// The roles of a replica. One that leaves is still in its group until others can
// do without it.
const (
	RoleLeader   ReplicaRole = "leader"
	RoleFollower ReplicaRole = "follower"
	RoleLearner  ReplicaRole = "learner"
	RoleLeaving  ReplicaRole = "leaving"
)

// ReplicaInfo is a row of tidemark.replicas.
type ReplicaInfo struct {
	Database string
	Log      log.ID
	Node     log.NodeID
	Replica  log.ReplicaID
	Role     ReplicaRole
	// Known: the node has said what follows; without it only the above is known.
	Known    bool
	Applied  log.Offset
	LagBytes uint64
	// Lag is the age of the newest transaction that the replica lacks; zero when
	// it lacks none.
	Lag time.Duration
	// State is free text for people, such as "running" or "halted: …"; Checksum says
	// whether the replica agrees with the others: "ok", "fenced: …", "unknown".
	State, Checksum string
}
