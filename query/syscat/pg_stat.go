package syscat

import (
	"time"

	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

func settingsRows(c *Context, _ idRange, w *writer) error {
	for _, s := range c.Session.Settings() {
		source := "default"
		if s.Value != s.Boot {
			source = "session"
		}
		w.begin()
		w.set("name", str(s.Name))
		w.set("setting", str(s.Value))
		w.set("unit", strOrNull(s.Unit))
		w.set("category", str(s.Category))
		w.set("short_desc", str(s.Description))
		w.set("context", str(s.Context))
		w.set("vartype", str(s.Type))
		w.set("source", str(source))
		w.set("boot_val", str(s.Boot))
		w.set("reset_val", str(s.Boot))
		w.set("pending_restart", types.Bool(false))
		if !w.end() {
			break
		}
	}
	return nil
}

func activityRows(c *Context, _ idRange, w *writer) error {
	for _, a := range c.Session.Activity() {
		w.begin()
		w.set("datid", num(c.databaseID()))
		w.set("datname", str(c.database()))
		w.set("pid", num(a.PID))
		w.set("usesysid", num(roleID(a.User)))
		w.set("usename", str(a.User))
		w.set("application_name", str(a.Application))
		w.set("client_addr", strOrNull(a.Address))
		w.set("backend_start", a.BackendStart)
		w.set("xact_start", a.XactStart)
		w.set("query_start", a.QueryStart)
		w.set("state", strOrNull(a.State))
		w.set("query", str(a.Query))
		w.set("backend_type", str("client backend"))
		if !w.end() {
			break
		}
	}
	return nil
}

// timezoneRows lists the zones with what they are at the session's now().
func timezoneRows(c *Context, _ idRange, w *writer) error {
	now := types.TimestampToTime(c.Session.Formatter().Now)
	for _, name := range types.ZoneNames() {
		loc, err := types.LoadLocation(name)
		if err != nil {
			continue // a file of the zone database that is no zone
		}
		at := now.In(loc)
		abbrev, seconds := at.Zone()
		offset := types.Interval{Micros: int64(seconds) * time.Second.Microseconds()}
		if !w.send(str(name), str(abbrev), types.IntervalDatum(offset), types.Bool(at.IsDST())) {
			break
		}
	}
	return nil
}

// which says whose tables a statistics view is about.
type which uint8

const (
	allTables which = iota
	systemTables
	userTables
)

// statRelations calls f for the tables that a statistics view is about.
func statRelations(c *Context, tables which, f func(relation) bool) {
	if tables != userTables {
		for _, t := range All() {
			if !t.View && !f(virtualRelation(t)) {
				return
			}
		}
	}
	if tables == systemTables {
		return
	}
	for t := range storedTables(c.Catalog, everyID) {
		if !f(tableRelation(t)) {
			return
		}
	}
}

func setStat(c *Context, w *writer, r *relation) {
	w.begin()
	w.set("relid", num(r.id))
	w.set("schemaname", str(c.info().schemaName(r.schema)))
	w.set("relname", str(r.name))
}

// statTableRows knows how many rows a table has. The other counters are NULL:
// nothing counts them.
func statTableRows(tables which) rowsFunc {
	return func(c *Context, _ idRange, w *writer) error {
		return c.withTxn(w.t, func(txn *sm.Txn) error {
			statRelations(c, tables, func(r relation) bool {
				setStat(c, w, &r)
				if r.table != nil {
					w.set("n_live_tup", num(txn.RowCount(r.table)))
				}
				return w.end()
			})
			return nil
		})
	}
}

// statioRows names the tables; nothing counts blocks, so the counters are NULL.
func statioRows(tables which) rowsFunc {
	return func(c *Context, _ idRange, w *writer) error {
		statRelations(c, tables, func(r relation) bool {
			setStat(c, w, &r)
			return w.end()
		})
		return nil
	}
}

// statIndexRows names the indexes; nothing counts their scans.
func statIndexRows(tables which) rowsFunc {
	return func(c *Context, _ idRange, w *writer) error {
		statRelations(c, tables, func(r relation) bool {
			if r.table == nil {
				return true
			}
			for i := range r.table.Indexes {
				setStat(c, w, &r)
				w.set("indexrelid", num(catalog.ID(r.table.Indexes[i].ID)))
				w.set("indexrelname", str(r.table.Indexes[i].Name))
				if !w.end() {
					return false
				}
			}
			return true
		})
		return nil
	}
}
