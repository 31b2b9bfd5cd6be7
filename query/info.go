package query

import (
	"strings"
	"time"

	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// sessionInfo is what functions and system views see of a session. It is its own
// type so that these methods are not part of what pgwire calls.
type sessionInfo struct{ s *Session }

// Setting implements expr.SessionInfo.
func (i sessionInfo) Setting(name string) (string, bool) { return i.s.setting(name) }

// SetSetting implements expr.SessionInfo.
func (i sessionInfo) SetSetting(name, value string, local bool) error {
	if local && i.s.tx == nil {
		return nil
	}
	return i.s.set(nil, name, value, local, false)
}

// Call implements expr.SessionInfo.
func (i sessionInfo) Call(name string, args []types.Datum) (types.Datum, bool, error) {
	if d, ok := i.identity(name, args); ok {
		return d, true, nil
	}
	if d, ok := i.position(name); ok {
		return d, true, nil
	}
	if d, ok, err := i.transaction(name, args); ok {
		return d, true, err
	}
	if d, ok, err := i.cluster(name, args); ok {
		return d, true, err
	}
	if d, ok, err := i.slot(name, args); ok {
		return d, true, err
	}
	switch name {
	case expr.OutcomeName:
		d, err := i.s.outcomeOf(args[0].Str())
		return d, true, err
	case "pg_sleep":
		d, err := i.sleep(args[0].Float())
		return d, true, err
	case "pg_cancel_backend", "pg_terminate_backend":
		if len(args) == 0 || args[0].IsNull() {
			return types.NullDatum, true, nil
		}
		found := i.s.e.byPID(int32(args[0].Int()), func(t *Session) {
			stop := t.start.Cancel
			if name == "pg_terminate_backend" {
				stop = t.start.Terminate
			}
			if stop != nil {
				stop(nil)
			}
		})
		return types.Bool(found), true, nil
	}
	return types.NullDatum, false, nil
}

// sleep waits, unless the statement is cancelled.
func (i sessionInfo) sleep(seconds float64) (types.Datum, error) {
	timer := time.NewTimer(time.Duration(max(0, seconds) * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return types.Void, nil
	case <-i.s.running.Done():
		return types.NullDatum, exec.Canceled(i.s.running)
	}
}

// identity answers who and where the session is.
func (i sessionInfo) identity(name string, args []types.Datum) (types.Datum, bool) {
	s := i.s
	switch name {
	case "current_user", "session_user", "getpgusername":
		return types.String(s.start.User), true
	case "current_database":
		return types.String(s.start.Database), true
	case "current_schema":
		for _, n := range s.meaning.SearchPath {
			if s.catalog().SchemaByName(n) != nil {
				return types.String(n), true
			}
		}
		return types.NullDatum, true
	case "current_schemas":
		var out []types.Datum
		path := s.meaning.SearchPath
		if len(args) == 1 && !args[0].IsNull() && args[0].Bool() {
			path = s.searchPath()
		}
		cat := s.catalog()
		for _, n := range path {
			if cat.SchemaByName(n) != nil {
				out = append(out, types.String(n))
			}
		}
		return types.ArrayDatum(types.NewArray(types.NameType, out)), true
	case "version":
		return types.String(exec.VersionText), true
	case "pg_backend_pid":
		return types.Int(int64(s.start.ProcessID)), true
	case "pg_postmaster_start_time", "pg_conf_load_time":
		return types.Timestamp(s.e.started), true
	case "current_query":
		return types.String(s.snapshotStatus().query), true
	case "pg_trigger_depth":
		return types.Int(0), true
	case "pg_my_temp_schema":
		return types.Int(0), true
	case "pg_is_other_temp_schema", "pg_jit_available", "row_security_active":
		return types.Bool(false), true
	}
	return types.NullDatum, false
}

// position answers where the log is. There is one history and every node has it,
// so what a standby has received and replayed is what this node has applied. A node
// that does not lead passes for a standby, although it takes writes.
func (i sessionInfo) position(name string) (types.Datum, bool) {
	switch name {
	case "pg_current_wal_lsn", "pg_current_wal_insert_lsn", "pg_current_wal_flush_lsn",
		"pg_last_wal_replay_lsn", "pg_last_wal_receive_lsn":
		return types.LSN(uint64(i.s.e.cfg.Replica.Position().Offset)), true
	case "pg_last_xact_replay_timestamp":
		return types.Timestamp(i.s.e.cfg.Replica.Position().Time), true
	case "pg_is_in_recovery":
		return types.Bool(!i.s.e.cfg.Leads()), true
	}
	return types.NullDatum, false
}

// Database implements syscat.Session.
func (i sessionInfo) Database() string { return i.s.start.Database }

// Databases implements syscat.Session.
func (i sessionInfo) Databases() []DatabaseInfo { return i.s.e.databases() }

// Nodes implements syscat.Session.
func (i sessionInfo) Nodes() []NodeInfo {
	if c := i.s.e.cfg.Cluster; c != nil {
		return c.Nodes()
	}
	return nil
}

// Replicas implements syscat.Session.
func (i sessionInfo) Replicas() []ReplicaInfo {
	if c := i.s.e.cfg.Cluster; c != nil {
		return c.Replicas()
	}
	return nil
}

// Slots implements syscat.Session.
func (i sessionInfo) Slots() []SlotInfo { return i.s.e.Slots() }

// User implements syscat.Session.
func (i sessionInfo) User() string { return i.s.start.User }

// Settings implements syscat.Session.
func (i sessionInfo) Settings() []syscat.Setting { return settingRows(i.s.setting) }

// Formatter implements syscat.Session.
func (i sessionInfo) Formatter() *types.Format { return i.s.format }

// Status implements syscat.Session.
func (i sessionInfo) Status() syscat.Status {
	st := syscat.Status{LogID: i.s.e.cfg.LogID, Leads: i.s.e.cfg.Leads(), Position: i.s.e.cfg.Replica.Position(), Loads: i.s.e.cfg.Replica.Loads()}
	if err := i.s.e.cfg.Replica.Halted(); err != nil {
		st.Halted = err.Error()
	}
	if i.s.token.Log != 0 {
		st.Token = i.s.token.String()
	}
	return st
}

// Activity implements syscat.Session.
func (i sessionInfo) Activity() []syscat.Activity {
	e := i.s.e
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []syscat.Activity
	for t := range e.sessions {
		st := t.snapshotStatus()
		a := syscat.Activity{PID: t.start.ProcessID, User: t.start.User, Application: st.application, Address: t.start.RemoteAddr,
			State: st.state, Query: st.query, BackendStart: types.Timestamp(st.began)}
		if st.queryStart != 0 {
			a.QueryStart = types.Timestamp(st.queryStart)
		}
		if st.xactStart != 0 {
			a.XactStart = types.Timestamp(st.xactStart)
		}
		out = append(out, a)
	}
	return out
}

func (s *Session) snapshotStatus() activity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// showAllColumns are the columns of SHOW ALL.
var showAllColumns = []Column{textColumn("name"), textColumn("setting"), textColumn("description")}

// showAll is SHOW ALL.
func (s *Session) showAll(w ResultWriter, describe bool) error {
	if describe {
		if err := w.RowDescription(showAllColumns); err != nil {
			return err
		}
	}
	for i := range variableList {
		v := &variableList[i]
		value, _ := s.setting(v.name)
		if err := w.Row([]types.Datum{types.String(v.name), types.String(value), types.String(v.desc)}); err != nil {
			return err
		}
	}
	return w.CommandComplete("SHOW")
}

// notUTF8 is the error for bytes that are no text.
func notUTF8(b []byte) error {
	if strings.IndexByte(string(b), 0) >= 0 {
		return sqlstate.New(sqlstate.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0x00")
	}
	return sqlstate.New(sqlstate.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\"")
}
