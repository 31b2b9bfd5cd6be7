package query

import (
	"context"

	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// commands parses a query string, or finds that done.
func (e *Engine) commands(sql string) ([]plan.Command, error) {
	if cmds, ok := e.scripts.Get(sql); ok {
		return cmds, nil
	}
	sts, err := parser.Parse(sql)
	if err != nil {
		return nil, err
	}
	cmds := make([]plan.Command, len(sts))
	for i, st := range sts {
		if cmds[i], err = plan.Classify(st); err != nil {
			return nil, err
		}
	}
	if len(sql) <= maxCachedScript {
		e.scripts.Add(sql, cmds)
	}
	return cmds, nil
}

// maxCachedScript is the longest query string that is kept parsed.
const maxCachedScript = 16 << 10

// SimpleQuery runs all statements of a query string. Outside a transaction block
// the string is one transaction: one entry of the log where that can be.
func (s *Session) SimpleQuery(ctx context.Context, sql string, w ResultWriter) error {
	s.busy(sql)
	defer s.idle()
	defer s.follow(w)
	if s.replication != noReplication {
		// A stream may last for ever: statement_timeout is not for it.
		done, err := s.replicationCommand(ctx, sql, w)
		if err != nil {
			s.failTransaction()
		}
		if done {
			return err
		}
	}
	ctx, cancel := s.timed(ctx)
	defer cancel()
	s.dropUnnamed()
	s.hint = leadingHint(sql)
	defer func() { s.hint = "" }()
	cmds, err := s.e.commands(sql)
	if err != nil {
		s.failTransaction()
		return err
	}
	if len(cmds) == 0 {
		return w.EmptyQuery()
	}
	err = s.script(ctx, cmds, w)
	if err != nil {
		s.failTransaction()
	}
	return err
}

// failTransaction marks an explicit transaction failed and drops an implicit one.
func (s *Session) failTransaction() {
	switch {
	case s.tx == nil:
	case s.tx.explicit:
		s.tx.failed = true
	default:
		_ = s.rollback(nil)
	}
}

// script runs the statements of a query string.
func (s *Session) script(ctx context.Context, cmds []plan.Command, w ResultWriter) error {
	if s.tx == nil && len(cmds) > 1 {
		if sts, ok := oneEntry(cmds); ok {
			if readOnly, _ := s.settings.get("default_transaction_read_only"); readOnly != "on" {
				return s.single(ctx, sts, w)
			}
		}
	}
	for i, c := range cmds {
		if ctx.Err() != nil {
			return exec.Canceled(ctx)
		}
		if s.tx == nil && len(cmds) > 1 && i < len(cmds)-1 && opensImplicit(c) {
			if err := s.begin(false, plan.TransactionModes{}); err != nil {
				return err
			}
		}
		if err := s.alone(c, len(cmds) > 1); err != nil && (s.tx == nil || !s.tx.failed) {
			return err
		}
		if err := s.command(ctx, c, w); err != nil {
			return err
		}
	}
	if s.tx != nil && !s.tx.explicit {
		return s.commit(ctx, w)
	}
	return nil
}

// oneEntry reports whether the statements of a string may be executed as one
// entry at its place in the log: all run on tables, and some may write.
func oneEntry(cmds []plan.Command) ([]*statement, bool) {
	var sts []*statement
	writes := false
	for _, c := range cmds {
		q, ok := c.(*plan.Query)
		if !ok {
			return nil, false
		}
		writes = writes || !q.Select()
		sts = append(sts, &statement{query: q, describe: true})
	}
	return sts, writes
}

// opensImplicit reports whether a statement begins the implicit transaction of a
// string of several.
func opensImplicit(c plan.Command) bool {
	switch c.(type) {
	case *plan.Query, *plan.Copy, *plan.Execute, *plan.DeclareCursor:
		return true
	}
	return false
}

// command runs one statement of a query string.
func (s *Session) command(ctx context.Context, c plan.Command, w ResultWriter) error {
	if s.tx != nil && s.tx.failed && !endsFailure(c) {
		return failedError()
	}
	if q, ok := c.(*plan.Query); ok {
		return s.query(ctx, &statement{query: q, describe: true}, w)
	}
	return s.control(ctx, c, w, true)
}

// query runs a statement on tables, in the transaction or on its own.
func (s *Session) query(ctx context.Context, st *statement, w ResultWriter) error {
	if prog := s.subscription(st); prog != nil {
		return s.runLive(ctx, st, prog, w)
	}
	if s.tx != nil {
		return s.inTransaction(ctx, st, w)
	}
	return s.autocommit(ctx, st, w)
}

// endsFailure reports whether a statement is allowed in a failed transaction.
func endsFailure(c plan.Command) bool {
	switch c.(type) {
	case *plan.Commit, *plan.Rollback, *plan.RollbackTo:
		return true
	}
	return false
}

// noTransaction is the warning for COMMIT and ROLLBACK outside a block.
func noTransaction(w ResultWriter) error {
	n := sqlstate.New(sqlstate.NoActiveSQLTransaction, "there is no transaction in progress")
	n.Severity = "WARNING"
	return w.Notice(n)
}
