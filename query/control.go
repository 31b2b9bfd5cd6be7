package query

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// control runs a command that the session handles itself. describe says that
// the client is told the columns of what it answers.
func (s *Session) control(ctx context.Context, c plan.Command, w ResultWriter, describe bool) error {
	switch c := c.(type) {
	case *plan.Begin, *plan.Commit, *plan.Rollback, *plan.Savepoint, *plan.Release, *plan.RollbackTo, *plan.SetTransaction:
		return s.transactionControl(ctx, c, w)
	case *plan.SetSnapshot:
		return s.setSnapshot(ctx, c, w)
	case *plan.SetVariable:
		return s.setVariable(c, w)
	case *plan.ResetAll:
		if err := s.useSettings(w, settings{}); err != nil {
			return err
		}
		return w.CommandComplete("RESET")
	case *plan.Show:
		return s.show(c, w, describe)
	case *plan.Prepare:
		return s.prepareSQL(ctx, c, w)
	case *plan.Execute:
		return s.executeSQL(ctx, c, w, describe)
	case *plan.Deallocate:
		return s.deallocate(c, w)
	case *plan.DeclareCursor:
		return s.declare(ctx, c, w)
	case *plan.Fetch:
		return s.fetch(c, w, describe)
	case *plan.CloseCursor:
		return s.closeCursor(c, w)
	case *plan.Copy:
		return s.copy(ctx, c, w)
	case *plan.Explain:
		return s.explain(ctx, c, w, describe)
	case *plan.Discard:
		return s.discard(c, w)
	case *plan.Wait:
		if s.tx != nil && s.tx.txn != nil {
			return sqlstate.New(sqlstate.ActiveSQLTransaction, "WAIT FOR must be called before any query of a transaction")
		}
		return s.wait(ctx, c, w, describe)
	case *plan.Accepted:
		return s.accepted(ctx, c, w)
	case *plan.CreateDatabase, *plan.DropDatabase, *plan.RenameDatabase, *plan.SetReplicas, *plan.SetRetention:
		return s.databaseCommand(ctx, c, w)
	}
	return fmt.Errorf("query: no code for %T", c)
}

func (s *Session) transactionControl(ctx context.Context, c plan.Command, w ResultWriter) error {
	switch c := c.(type) {
	case *plan.Begin:
		return s.beginBlock(c, w)
	case *plan.Commit:
		return s.commitBlock(ctx, c, w)
	case *plan.Rollback:
		return s.rollbackBlock(c, w)
	case *plan.SetTransaction:
		return s.setTransaction(c, w)
	}
	if s.tx == nil || !s.tx.explicit {
		name := map[bool]string{true: "SAVEPOINT", false: "ROLLBACK TO SAVEPOINT"}
		_, isSavepoint := c.(*plan.Savepoint)
		if _, isRelease := c.(*plan.Release); isRelease {
			return sqlstate.New(sqlstate.NoActiveSQLTransaction, "RELEASE SAVEPOINT can only be used in transaction blocks")
		}
		return sqlstate.New(sqlstate.NoActiveSQLTransaction, "%s can only be used in transaction blocks", name[isSavepoint])
	}
	switch c := c.(type) {
	case *plan.Savepoint:
		if err := s.savepoint(ctx, c.Name); err != nil {
			return err
		}
		return w.CommandComplete("SAVEPOINT")
	case *plan.Release:
		if err := s.releaseSavepoint(c.Name); err != nil {
			return err
		}
		return w.CommandComplete("RELEASE")
	case *plan.RollbackTo:
		if err := s.rollbackTo(w, c.Name); err != nil {
			return err
		}
	}
	return w.CommandComplete("ROLLBACK")
}

func (s *Session) beginBlock(c *plan.Begin, w ResultWriter) error {
	switch {
	case s.tx == nil:
		if err := s.begin(true, c.Modes); err != nil {
			s.dropTransaction()
			return err
		}
	case s.tx.explicit:
		n := sqlstate.New(sqlstate.ActiveSQLTransaction, "there is already a transaction in progress")
		n.Severity = "WARNING"
		if err := w.Notice(n); err != nil {
			return err
		}
	default:
		s.tx.explicit = true // the implicit block becomes an explicit one
		if err := s.modes(c.Modes); err != nil {
			return err
		}
	}
	if c.Start {
		return w.CommandComplete("START TRANSACTION")
	}
	return w.CommandComplete("BEGIN")
}

func (s *Session) commitBlock(ctx context.Context, c *plan.Commit, w ResultWriter) error {
	if s.tx == nil || !s.tx.explicit {
		if c.Chain {
			return sqlstate.New(sqlstate.NoActiveSQLTransaction, "COMMIT AND CHAIN can only be used in transaction blocks")
		}
		if err := noTransaction(w); err != nil {
			return err
		}
		if s.tx != nil {
			if err := s.commit(ctx, w); err != nil {
				return err
			}
		}
		return w.CommandComplete("COMMIT")
	}
	modes := s.tx.chained()
	if s.tx.failed {
		return s.rollbackBlock(&plan.Rollback{Chain: c.Chain}, w)
	}
	if err := s.commit(ctx, w); err != nil {
		return err
	}
	if c.Chain {
		if err := s.begin(true, modes); err != nil {
			return err
		}
	}
	return w.CommandComplete("COMMIT")
}

// chained are the modes that AND CHAIN hands on.
func (tx *transaction) chained() plan.TransactionModes {
	readOnly := tx.readOnly
	return plan.TransactionModes{Isolation: tx.isolation, ReadOnly: &readOnly}
}

func (s *Session) rollbackBlock(c *plan.Rollback, w ResultWriter) error {
	if s.tx == nil {
		if c.Chain {
			return sqlstate.New(sqlstate.NoActiveSQLTransaction, "ROLLBACK AND CHAIN can only be used in transaction blocks")
		}
		if err := noTransaction(w); err != nil {
			return err
		}
		return w.CommandComplete("ROLLBACK")
	}
	modes := s.tx.chained()
	if err := s.rollback(w); err != nil {
		return err
	}
	if c.Chain {
		if err := s.begin(true, modes); err != nil {
			return err
		}
	}
	return w.CommandComplete("ROLLBACK")
}

func (s *Session) setTransaction(c *plan.SetTransaction, w ResultWriter) error {
	if c.Session {
		next := s.settings
		var err error
		if c.Modes.Isolation != "" {
			if next, err = next.with("default_transaction_isolation", c.Modes.Isolation, false, false); err != nil {
				return err
			}
		}
		if c.Modes.ReadOnly != nil {
			value := onOff(*c.Modes.ReadOnly)
			if next, err = next.with("default_transaction_read_only", value, false, false); err != nil {
				return err
			}
		}
		if err := s.useSettings(w, next); err != nil {
			return err
		}
		return w.CommandComplete("SET")
	}
	if s.tx == nil || !s.tx.explicit {
		n := sqlstate.New(sqlstate.NoActiveSQLTransaction, "SET TRANSACTION can only be used in transaction blocks")
		n.Severity = "WARNING"
		if err := w.Notice(n); err != nil {
			return err
		}
		return w.CommandComplete("SET")
	}
	if err := s.modes(c.Modes); err != nil {
		return err
	}
	return w.CommandComplete("SET")
}

func (s *Session) setVariable(c *plan.SetVariable, w ResultWriter) error {
	value := strings.Join(c.Values, ", ")
	name := strings.ToLower(c.Name)
	tag := "SET"
	switch {
	case name == "transaction_isolation" || name == "transaction_read_only":
		if err := s.setTransactionVariable(name, value, c.Default, w); err != nil {
			return err
		}
		return w.CommandComplete(tag)
	case name == "search_path" && !c.Default:
		value = quoteList(c.Values)
	case name == settingReadAfter && value != "":
		if _, _, err := s.target(value); err != nil {
			return err
		}
	case name == "timezone" && (strings.EqualFold(value, "local") || strings.EqualFold(value, "default")):
		c = &plan.SetVariable{Name: c.Name, Default: true, Local: c.Local, Reset: c.Reset}
	case name == "session_authorization" || name == "role":
		return s.setRole(c, name, value, w)
	}
	if c.Local && (s.tx == nil || !s.tx.explicit) {
		n := sqlstate.New(sqlstate.NoActiveSQLTransaction, "SET LOCAL can only be used in transaction blocks")
		n.Severity = "WARNING"
		if err := w.Notice(n); err != nil {
			return err
		}
		return w.CommandComplete(tag)
	}
	if err := s.set(w, c.Name, value, c.Local, c.Default); err != nil {
		return err
	}
	if c.Reset {
		tag = "RESET"
	}
	return w.CommandComplete(tag)
}

// setRole accepts the role one has; changing it needs roles, which are not there
// yet.
func (s *Session) setRole(c *plan.SetVariable, name, value string, w ResultWriter) error {
	if c.Reset {
		return w.CommandComplete("RESET")
	}
	if c.Default || value == s.start.User || strings.EqualFold(value, "none") || strings.EqualFold(value, "default") {
		return w.CommandComplete("SET")
	}
	return sqlstate.New(sqlstate.FeatureNotSupported, "SET %s is not supported", strings.ToUpper(strings.ReplaceAll(name, "_", " ")))
}

// setTransactionVariable is SET transaction_isolation and its like.
func (s *Session) setTransactionVariable(name, value string, reset bool, w ResultWriter) error {
	if s.tx == nil || reset {
		return nil
	}
	v, err := variables[name].normalize(value)
	if err != nil {
		return err
	}
	if name == "transaction_isolation" {
		return s.modes(plan.TransactionModes{Isolation: v})
	}
	on := v == "on"
	return s.modes(plan.TransactionModes{ReadOnly: &on})
}

// quoteList writes names as search_path keeps them.
func quoteList(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		simple := n != "" && strings.IndexFunc(n, func(r rune) bool {
			return !(r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9')
		}) < 0
		if simple {
			out[i] = n
		} else {
			out[i] = `"` + strings.ReplaceAll(n, `"`, `""`) + `"`
		}
	}
	return strings.Join(out, ", ")
}

func (s *Session) show(c *plan.Show, w ResultWriter, describe bool) error {
	if c.Name == "all" {
		return s.showAll(w, describe)
	}
	value, ok := s.setting(c.Name)
	if !ok {
		return sqlstate.New(sqlstate.UndefinedObject, "unrecognized configuration parameter \"%s\"", c.Name)
	}
	return sendText(w, describe, showName(c.Name), value, "SHOW")
}

func showName(name string) string {
	if v, ok := variables[strings.ToLower(name)]; ok {
		return v.name
	}
	return name
}

// setting returns a setting as SHOW does, those of the transaction included.
func (s *Session) setting(name string) (string, bool) {
	switch strings.ToLower(name) {
	case settingToken:
		if s.token.Log == 0 {
			return "", true
		}
		return s.token.String(), true
	case settingStandby:
		return onOff(!s.e.cfg.Leads()), true
	case plan.SettingHistoryRetention, plan.SettingHistorySize, plan.SettingMaxSlotLag:
		return showRetention(strings.ToLower(name), s.e.policy()), true
	case plan.SettingReplicas:
		d, ok := s.e.info()
		return strconv.Itoa(d.Replicas), ok
	case "transaction_isolation":
		if s.tx != nil {
			return s.tx.isolation, true
		}
		return s.settings.get("default_transaction_isolation")
	case "transaction_read_only":
		if s.tx != nil {
			return onOff(s.tx.readOnly), true
		}
		return s.settings.get("default_transaction_read_only")
	case "session_authorization":
		return s.start.User, true
	case "role":
		return "none", true
	}
	return s.settings.get(name)
}

// discard is DISCARD; ALL is what a connection pool sends between clients.
func (s *Session) discard(c *plan.Discard, w ResultWriter) error {
	if c.What == "ALL" {
		if s.tx != nil && s.tx.explicit {
			return sqlstate.New(sqlstate.ActiveSQLTransaction, "DISCARD ALL cannot run inside a transaction block")
		}
		s.closePortals(func(*portal) bool { return true })
		clear(s.prepared)
		if err := s.useSettings(w, settings{}); err != nil {
			return err
		}
	}
	if c.What == "ALL" || c.What == "SEQUENCES" {
		clear(s.current)
		s.order = nil
	}
	if c.What == "ALL" || c.What == "PLANS" {
		for _, p := range s.prepared {
			p.program = nil
		}
	}
	return w.CommandComplete("DISCARD " + c.What)
}

// accepted runs a statement that has nothing to do here but whose tables must
// exist.
func (s *Session) accepted(ctx context.Context, c *plan.Accepted, w ResultWriter) error {
	if err := s.alone(c, false); err != nil {
		return err
	}
	if c.Tag == "LOCK TABLE" && (s.tx == nil || !s.tx.explicit) {
		return sqlstate.New(sqlstate.NoActiveSQLTransaction, "LOCK TABLE can only be used in transaction blocks")
	}
	if len(c.Tables) > 0 && s.tx == nil {
		if err := s.confirm(ctx); err != nil {
			return err
		}
	}
	cat := s.catalog()
	for _, n := range c.Tables {
		if !plan.RelationExists(cat, s.searchPath(), n) {
			name := n.Name
			if n.Schema != "" {
				name = n.Schema + "." + name
			}
			return sqlstate.New(sqlstate.UndefinedTable, "relation \"%s\" does not exist", name)
		}
	}
	return w.CommandComplete(c.Tag)
}

// searchPath are the schemas looked through for names, pg_catalog included.
func (s *Session) searchPath() []string {
	if slices.Contains(s.meaning.SearchPath, "pg_catalog") {
		return s.meaning.SearchPath
	}
	return append([]string{"pg_catalog"}, s.meaning.SearchPath...)
}
