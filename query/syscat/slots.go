package syscat

import (
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/types"
)

// SlotInfo is a row of pg_replication_slots and tidemark.slots.
type SlotInfo struct {
	sm.Slot
	// Node is the one of its holder; empty when there is none or it is not known.
	Node log.NodeID
	// LagBytes is how much of the log is not acknowledged, Lag since when.
	LagBytes uint64
	Lag      time.Duration
	// Safe is how much more may be written before the slot no longer holds back
	// what it needs, in bytes; it is meaningless unless Limited.
	Limited bool
	Safe    int64
}

// slotColumns are those of tidemark.slots.
var slotColumns = []Column{
	{Name: "name", Type: types.TextType},
	{Name: "plugin", Type: types.TextType},
	{Name: "database", Type: types.TextType},
	{Name: "temporary", Type: types.BoolType},
	{Name: "active", Type: types.BoolType},
	{Name: "node", Type: types.TextType},    // of the holder, NULL: none
	{Name: "session", Type: types.Int4Type}, // its process id there
	{Name: "confirmed_lsn", Type: types.LSNType},
	{Name: "lag_bytes", Type: types.Int8Type},
	{Name: "lag", Type: types.IntervalType},
	{Name: "created", Type: types.TimestampTZType},
	{Name: "acknowledged_at", Type: types.TimestampTZType}, // NULL: never
	{Name: "invalid", Type: types.TextType},                // why it is of no use any more, or NULL
}

func slotRows(c *Context, _ offsetRange, w *writer) error {
	for _, s := range c.Session.Slots() {
		w.begin()
		w.set("name", str(s.Name))
		w.set("plugin", str(s.Plugin))
		w.set("database", str(c.database()))
		w.set("temporary", types.Bool(s.Temporary))
		w.set("active", types.Bool(s.Active))
		if s.Active {
			w.set("node", strOrNull(string(s.Node)))
			w.set("session", num(s.Session))
		}
		w.set("confirmed_lsn", lsn(s.Confirmed))
		w.set("lag_bytes", types.Int(int64(s.LagBytes)))
		w.set("lag", interval(s.Lag))
		w.set("created", types.Timestamp(s.Created))
		if s.Acknowledged != 0 {
			w.set("acknowledged_at", types.Timestamp(s.Acknowledged))
		}
		w.set("invalid", strOrNull(s.Invalid))
		if !w.end() {
			break
		}
	}
	return nil
}

// replicationSlotRows are those of pg_replication_slots. What is not acknowledged
// is retained, so restart_lsn is confirmed_flush_lsn; no rows are kept for a
// transaction's sake, so the columns about that are NULL.
func replicationSlotRows(c *Context, _ idRange, w *writer) error {
	for _, s := range c.Session.Slots() {
		w.begin()
		w.set("slot_name", str(s.Name))
		w.set("plugin", str(s.Plugin))
		w.set("slot_type", str("logical"))
		w.set("datoid", num(c.databaseID()))
		w.set("database", str(c.database()))
		w.set("temporary", types.Bool(s.Temporary))
		w.set("active", types.Bool(s.Active))
		if s.Active {
			w.set("active_pid", num(s.Session))
		}
		status := "lost"
		if s.Invalid == "" {
			status = "reserved"
			w.set("restart_lsn", lsn(s.Confirmed))
			if s.Limited {
				w.set("safe_wal_size", types.Int(max(s.Safe, 0)))
			}
			if s.Limited && s.Safe < 0 {
				status = "unreserved" // the next time that the floor is raised
			}
		}
		w.set("wal_status", str(status))
		w.set("confirmed_flush_lsn", lsn(s.Confirmed))
		w.set("two_phase", types.Bool(false))
		if !w.end() {
			break
		}
	}
	return nil
}
