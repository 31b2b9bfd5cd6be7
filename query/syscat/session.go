package syscat

import (
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Session is what virtual tables show of the server around them. In apply it
// answers from the entry: what is not in the entry is not asked there.
type Session interface {
	Database() string
	User() string // current_user
	Settings() []Setting
	Activity() []Activity
	Databases() []DatabaseInfo
	Nodes() []NodeInfo
	Replicas() []ReplicaInfo
	Slots() []SlotInfo
	Formatter() *types.Format
	Status() Status
	Senders() []Sender
}

// Sender is a stream to a consumer of logical replication. The times are in
// microseconds since 2000-01-01 UTC; Replied is 0 when the consumer has said nothing.
type Sender struct {
	PID                         int32
	User, Application, Address  string
	State                       string
	Began, Replied              int64
	Sent, Write, Flush, Applied log.Offset
}

// Setting is a row of pg_settings.
type Setting struct {
	Name, Value, Unit, Category, Description, Context, Type, Boot string
}

// Activity is a row of pg_stat_activity.
type Activity struct {
	PID                                 int32
	User, Application, Address, State   string
	Query                               string
	BackendStart, XactStart, QueryStart types.Datum
}

// Status is the row of tidemark.status. Position is the replica's, LogID the
// number of the log; Halted says why the log is halted on this node and is empty
// when it is not; Token is the session's last; Loads are the large transactions
// that are not committed.
type Status struct {
	LogID    log.ID
	Position sm.Position
	Halted   string
	Leads    bool // this node leads the log
	Token    string
	Loads    []sm.LoadInfo
}

const (
	// superuser owns everything; its OID is PostgreSQL's.
	superuser    = "postgres"
	superuserOID = 10

	// defaultDatabase is the database that is meant when there is no session.
	defaultDatabase = "postgres"
)
