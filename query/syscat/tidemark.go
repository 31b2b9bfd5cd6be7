package syscat

import (
	"encoding/hex"
	"math"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// OIDs of Tidemark's own relations: below those of user objects, above those
// PostgreSQL has taken.
const (
	logID       catalog.ID = 15900
	changesID   catalog.ID = 15901
	statusID    catalog.ID = 15902
	loadsID     catalog.ID = 15903
	nodesID     catalog.ID = 15904
	replicasID  catalog.ID = 15905
	databasesID catalog.ID = 15906
	slotsID     catalog.ID = 15907
)

// defineTidemark registers the relations of schema tidemark.
func defineTidemark() {
	own := func(id catalog.ID, name string, columns []Column, rows func(c *Context, r offsetRange, w *writer) error) {
		t := &Table{ID: id, Schema: "tidemark", Name: name, View: true, Local: true, Columns: columns, Pushed: -1}
		if columns[0].Type == types.LSNType {
			t.Pushed = 0
		}
		t.Rows = func(c *Context, r Range, emit func([]types.Datum) bool) error {
			if err := c.outsideApply(t); err != nil {
				return err
			}
			return rows(c, r.offsets(), newWriter(t, emit))
		}
		register(t)
	}
	own(logID, "log", logColumns, logRows)
	own(changesID, "changes", changeColumns, changeRows)
	own(statusID, "status", statusColumns, statusRows)
	own(loadsID, "loads", loadColumns, loadRows)
	own(nodesID, "nodes", nodeColumns, nodeRows)
	own(replicasID, "replicas", replicaColumns, replicaRows)
	own(databasesID, "databases", databaseColumns, tidemarkDatabaseRows)
	own(slotsID, "slots", slotColumns, slotRows)
}

// offsetRange is a Range of log offsets: those greater than after, up to last.
type offsetRange struct{ after, last log.Offset }

func (r Range) offsets() offsetRange {
	out := offsetRange{last: math.MaxUint64}
	if r.Lo.Kind() == types.KindLSN {
		if out.after = log.Offset(r.Lo.LSN()); r.LoIncl && out.after > 0 {
			out.after--
		}
	}
	if r.Hi.Kind() == types.KindLSN {
		if out.last = log.Offset(r.Hi.LSN()); !r.HiIncl && out.last > 0 {
			out.last--
		}
	}
	return out
}

func lsn(o log.Offset) types.Datum { return types.LSN(uint64(o)) }

// statusColumns are those of tidemark.status: where this replica of the log is.
var statusColumns = []Column{
	{Name: "database", Type: types.TextType},
	{Name: "log_id", Type: types.Int8Type},
	{Name: "epoch", Type: types.Int8Type},
	{Name: "applied_lsn", Type: types.LSNType},
	{Name: "log_time", Type: types.TimestampTZType},
	{Name: "checksum", Type: types.TextType}, // of the state at applied_lsn, in hex
	{Name: "halted", Type: types.TextType},   // why the log is halted on this node, or NULL
	{Name: "token", Type: types.TextType},    // the session's last token
}

func statusRows(c *Context, _ offsetRange, w *writer) error {
	s := c.Session.Status()
	w.send(str(c.database()), types.Int(int64(s.LogID)), num(uint32(s.Position.Epoch)), lsn(s.Position.Offset),
		types.Timestamp(s.Position.Time), str(hex.EncodeToString(s.Position.Checksum[:])), strOrNull(s.Halted), strOrNull(s.Token))
	return nil
}
