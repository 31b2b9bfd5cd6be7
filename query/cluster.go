package query

import (
	"context"

	"github.com/tidemark-db/tidemark/compaction"
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Cluster is what sessions need of the cluster that their node is part of. The
// calls that change something are side effects outside of the session's own log:
// they are made once, between transactions, and return when the change is as good
// as done or ctx has ended. Their errors hold a *sqlstate.Error.
type Cluster interface {
	// CreateDatabase makes a database and its log. Errors: 42P04.
	CreateDatabase(ctx context.Context, o CreateDatabase) error
	// DropDatabase removes a database, with force also one that has sessions.
	// Errors: 3D000, 55006.
	DropDatabase(ctx context.Context, name string, force bool) error
	// RenameDatabase gives a database another name. Errors: 3D000, 42P04, 55006.
	RenameDatabase(ctx context.Context, name, to string) error
	// SetReplicas sets how many replicas a database is to have. Errors: 3D000, 22023.
	SetReplicas(ctx context.Context, database string, n int) error
	// SetRetention changes how much history a database retains. change may be
	// called more than once. Errors: 3D000.
	SetRetention(ctx context.Context, database string, change func(*compaction.Policy)) error

	// Databases, Nodes and Replicas are what this node knows, in a stable order.
	// They do not wait. The slices are the caller's.
	Databases() []DatabaseInfo
	Nodes() []NodeInfo
	Replicas() []ReplicaInfo

	// JoinNode takes a node in. The answer, in JSON, is for the node that joins.
	JoinNode(ctx context.Context, j JoinNode) (answer []byte, err error)
	// DrainNode moves everything away from a node, UndrainNode lets it have
	// replicas again, RemoveNode takes a node out for good, and ReplaceNode does
	// so for a node that is lost, once others have what it had. A change that
	// would lose a majority is refused. Errors: 42704, 55000.
	DrainNode(ctx context.Context, node string) error
	UndrainNode(ctx context.Context, node string) error
	RemoveNode(ctx context.Context, node string) error
	ReplaceNode(ctx context.Context, node string) error

	// HolderAlive asks the owner's node whether that process still runs. It is
	// false also when the node does not answer before ctx ends.
	HolderAlive(ctx context.Context, owner log.Owner) bool

	// CheckDatabase has every replica of a database look at all it stores.
	CheckDatabase(ctx context.Context, database string) ([]CheckReport, error)
}

// CreateDatabase is what CREATE DATABASE asks for.
type CreateDatabase struct {
	Name  string
	Owner string
	// Replicas is how many replicas are wanted; 0 is the cluster's default.
	Replicas int
	// NoConnections: nobody may connect to it (ALLOW_CONNECTIONS false).
	NoConnections bool
}

// JoinNode is what a node says of itself when it asks to be taken in; its JSON is
// the argument of tidemark.join_node().
type JoinNode struct {
	// Cluster is the one that the node belongs to; empty: it has none yet.
	Cluster  string     `json:"cluster,omitempty"`
	Node     log.NodeID `json:"node"`
	SQLAddr  string     `json:"sql"`
	RaftAddr string     `json:"raft"`
	HTTPAddr string     `json:"http"`
	Version  string     `json:"version,omitempty"`
}

// What a cluster knows of its parts is what system views show.
type (
	DatabaseInfo = syscat.DatabaseInfo
	NodeInfo     = syscat.NodeInfo
	NodeState    = syscat.NodeState
	ReplicaInfo  = syscat.ReplicaInfo
	ReplicaRole  = syscat.ReplicaRole
	SlotInfo     = syscat.SlotInfo
)

// The states of a node.
const (
	NodeActive   = syscat.NodeActive
	NodeDraining = syscat.NodeDraining
	NodeRemoved  = syscat.NodeRemoved
)

// The roles of a replica.
const (
	RoleLeader   = syscat.RoleLeader
	RoleFollower = syscat.RoleFollower
	RoleLearner  = syscat.RoleLearner
	RoleLeaving  = syscat.RoleLeaving
)

// The OIDs of databases. Those of the first databases are PostgreSQL's; a log's
// number is never used again, so neither is the OID made of it.
const (
	postgresLog     log.ID    = 2
	postgresOID     types.OID = 5
	databaseOIDBase types.OID = 16384
)

// DatabaseOID is the OID of the database that a log makes.
func DatabaseOID(id log.ID) types.OID {
	if id == postgresLog {
		return postgresOID
	}
	return databaseOIDBase + types.OID(id)
}

// CheckReport is a row of tidemark.check(): what a replica has found in itself.
type CheckReport struct {
	Node    log.NodeID
	Replica log.ReplicaID
	// Offset is where the replica was, Checksum that of its state there, in hex.
	Offset   log.Offset
	Checksum string
	Rows     int64 // rows and index entries it has looked at
	// Problem is empty when there is none.
	Problem string
}
