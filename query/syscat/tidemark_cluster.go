package syscat

import (
	"net"
	"strconv"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/types"
)

// nodeColumns are those of tidemark.nodes: the nodes of the cluster as this one
// knows them.
var nodeColumns = []Column{
	{Name: "id", Type: types.TextType},
	{Name: "sql_addr", Type: types.TextType},
	{Name: "raft_addr", Type: types.TextType},
	{Name: "http_addr", Type: types.TextType},
	{Name: "state", Type: types.TextType},
	{Name: "live", Type: types.BoolType},
	{Name: "version", Type: types.TextType},
	{Name: "last_seen", Type: types.TimestampTZType}, // NULL: never
	{Name: "is_self", Type: types.BoolType},
	{Name: "leads", Type: types.Int8Type}, // databases
	{Name: "hosts", Type: types.Int8Type},
	{Name: "disk_free", Type: types.Int8Type}, // bytes, NULL: not known
}

func nodeRows(c *Context, _ offsetRange, w *writer) error {
	for _, n := range c.Session.Nodes() {
		free := types.NullDatum
		if n.DiskFree >= 0 {
			free = types.Int(n.DiskFree)
		}
		if !w.send(str(string(n.ID)), strOrNull(n.SQLAddr), strOrNull(n.RaftAddr), strOrNull(n.HTTPAddr), str(string(n.State)), types.Bool(n.Live),
			strOrNull(n.Version), timeOrNull(n.LastSeen), types.Bool(n.Self), num(n.Leading), num(n.Hosting), free) {
			break
		}
	}
	return nil
}

func timeOrNull(t time.Time) types.Datum {
	if t.IsZero() {
		return types.NullDatum
	}
	return types.Timestamp(types.TimeToTimestamp(t))
}

func interval(d time.Duration) types.Datum {
	return types.IntervalDatum(types.Interval{Micros: d.Microseconds()})
}

// replicaColumns are those of tidemark.replicas: the replicas of all databases. What a
// node has not said is NULL.
var replicaColumns = []Column{
	{Name: "database", Type: types.TextType},
	{Name: "log_id", Type: types.Int8Type},
	{Name: "node", Type: types.TextType},
	{Name: "replica", Type: types.Int8Type},
	{Name: "role", Type: types.TextType},
	{Name: "applied_lsn", Type: types.LSNType},
	{Name: "lag_bytes", Type: types.Int8Type},
	{Name: "lag", Type: types.IntervalType},
	{Name: "state", Type: types.TextType},
	{Name: "checksum", Type: types.TextType}, // whether it agrees with the others
}

func replicaRows(c *Context, _ offsetRange, w *writer) error {
	for _, r := range c.Session.Replicas() {
		w.begin()
		w.set("database", str(r.Database))
		w.set("log_id", types.Int(int64(r.Log)))
		w.set("node", str(string(r.Node)))
		w.set("replica", types.Int(int64(r.Replica)))
		w.set("role", str(string(r.Role)))
		if r.Known {
			w.set("applied_lsn", lsn(r.Applied))
			w.set("lag_bytes", types.Int(int64(r.LagBytes)))
			w.set("lag", interval(r.Lag))
		}
		w.set("state", strOrNull(r.State))
		w.set("checksum", strOrNull(r.Checksum))
		if !w.end() {
			break
		}
	}
	return nil
}

// databaseColumns are those of tidemark.databases.
var databaseColumns = []Column{
	{Name: "database", Type: types.TextType},
	{Name: "log_id", Type: types.Int8Type},
	{Name: "oid", Type: types.OIDType},
	{Name: "owner", Type: types.TextType},
	{Name: "replicas", Type: types.Int8Type}, // wanted
	{Name: "leader", Type: types.TextType},   // the node that leads, NULL: not known
	{Name: "allow_connections", Type: types.BoolType},
	{Name: "history_retention", Type: types.IntervalType}, // 0: for ever
	{Name: "history_size", Type: types.Int8Type},          // bytes, 0: without limit
	{Name: "max_slot_lag", Type: types.Int8Type},          // likewise
	{Name: "floor_lsn", Type: types.LSNType},              // the oldest that is retained; NULL: no replica is here
	{Name: "history_bytes", Type: types.Int8Type},         // of the change log from there on
}

func tidemarkDatabaseRows(c *Context, _ offsetRange, w *writer) error {
	replicas := c.Session.Replicas()
	for _, d := range c.Session.Databases() {
		leader := types.NullDatum
		for _, r := range replicas {
			if r.Log == d.Log && r.Role == RoleLeader {
				leader = str(string(r.Node))
			}
		}
		floor, history := types.NullDatum, types.NullDatum
		if d.Here {
			floor, history = lsn(d.Floor), types.Int(int64(log.HistoryBytes(d.Floor, d.End)))
		}
		if !w.send(str(d.Name), types.Int(int64(d.Log)), num(d.OID), strOrNull(d.Owner), num(d.Replicas), leader, types.Bool(!d.NoConnections),
			interval(d.Retention.Age), types.Int(int64(d.Retention.Size)), types.Int(int64(d.Retention.SlotLag)), floor, history) {
			break
		}
	}
	return nil
}

// replicationRows are those of pg_stat_replication: one for each consumer that this
// node streams to, and on the node that leads also one for each other replica of the
// database that is heard. A replica has written, synced and applied what it says it
// has applied; the Raft log is ahead of that.
func replicationRows(c *Context, r idRange, w *writer) error {
	for _, s := range c.Session.Senders() {
		w.begin()
		setSender(w, &s)
		if !w.end() {
			return nil
		}
	}
	return replicaSenderRows(c, r, w)
}

// setSender sets how far a consumer of logical replication is.
func setSender(w *writer, s *Sender) {
	w.set("pid", num(s.PID))
	w.set("usesysid", num(roleID(s.User)))
	w.set("usename", str(s.User))
	w.set("application_name", str(s.Application))
	setClient(w, s.Address)
	w.set("backend_start", types.Timestamp(s.Began))
	w.set("state", str(s.State))
	w.set("sent_lsn", lsn(s.Sent))
	w.set("sync_state", str("async"))
	w.set("sync_priority", num(0))
	if s.Replied == 0 {
		return
	}
	w.set("write_lsn", lsn(s.Write))
	w.set("flush_lsn", lsn(s.Flush))
	w.set("replay_lsn", lsn(s.Applied))
	w.set("reply_time", types.Timestamp(s.Replied))
}

// setClient sets the address of a client, host:port.
func setClient(w *writer, addr string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return
	}
	w.set("client_addr", str(host))
	if n, err := strconv.Atoi(port); err == nil {
		w.set("client_port", num(n))
	}
}

func replicaSenderRows(c *Context, _ idRange, w *writer) error {
	status := c.Session.Status()
	if !status.Leads {
		return nil
	}
	nodes := map[string]NodeInfo{}
	for _, n := range c.Session.Nodes() {
		nodes[string(n.ID)] = n
	}
	for _, r := range c.Session.Replicas() {
		node := nodes[string(r.Node)]
		if r.Log != status.LogID || node.Self || !r.Known {
			continue
		}
		w.begin()
		w.set("pid", types.Int(int64(r.Replica)))
		w.set("application_name", str(string(r.Node)))
		setClient(w, node.RaftAddr)
		setReplication(w, &r, max(status.Position.Offset, r.Applied))
		w.set("reply_time", timeOrNull(node.LastSeen))
		if !w.end() {
			break
		}
	}
	return nil
}

// setReplication sets how far a replica is; a learner does not count for a majority.
func setReplication(w *writer, r *ReplicaInfo, sent log.Offset) {
	state, sync, priority := "streaming", "quorum", 1
	if r.Role == RoleLearner {
		state, sync, priority = "catchup", "async", 0
	}
	w.set("state", str(state))
	w.set("sync_state", str(sync))
	w.set("sync_priority", num(priority))
	w.set("sent_lsn", lsn(sent))
	for _, col := range []string{"write_lsn", "flush_lsn", "replay_lsn"} {
		w.set(col, lsn(r.Applied))
	}
	if r.LagBytes > 0 { // as in PostgreSQL, there is no lag where nothing is missing
		for _, col := range []string{"write_lag", "flush_lag", "replay_lag"} {
			w.set(col, interval(r.Lag))
		}
	}
}
