package query

import (
	"context"
	"slices"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// touch notes the tables that a statement depends on which has been put down.
func (tx *transaction) touch(q *plan.Statement) {
	for _, id := range q.Reads {
		if !slices.Contains(tx.touched, id) {
			tx.touched = append(tx.touched, id)
		}
	}
}

// readCommitted reports whether each statement sees the newest state, and only
// writes and locking reads are validated.
func (tx *transaction) readCommitted() bool {
	return tx.isolation == "read committed" || tx.isolation == "read uncommitted"
}

// put puts a statement down, with the settings where they have changed.
func (s *Session) put(st log.Statement) { s.putWith(st, s.meaning) }

func (s *Session) putWith(st log.Statement, m *exec.Meaning) {
	tx := s.tx
	switch {
	case tx.first == nil:
		tx.first = m
	case tx.latest.Key != m.Key:
		st.Settings = m.Settings
	}
	tx.latest = m
	tx.statements = append(tx.statements, st)
}

// record puts a statement that has been run down, with what the client saw, if
// there is anything in it that COMMIT has to do or to validate. asked is what it
// has asked of the session.
func (s *Session) record(st log.Statement, q *plan.Statement, asked *validatedSession) error {
	tx := s.tx
	switch {
	case q.SetConstraints != nil:
		s.put(st)
		return nil
	case !q.ReadOnly():
		tx.writes = true
	case !tx.validates(q):
		return nil
	}
	return s.depend(st, q, asked)
}

// depend puts a statement down whose outcome COMMIT compares.
func (s *Session) depend(st log.Statement, q *plan.Statement, asked *validatedSession) error {
	tx, m := s.tx, s.meaning
	if q.ReadOnly() && len(q.Reads) > 0 && tx.unportable == "" {
		tx.unportable = unportable(q, asked)
	}
	if len(asked.settings) > 0 {
		var err error
		if m, err = exec.NewMeaning(slices.Concat(m.Settings, asked.settings), s.start.User); err != nil {
			return err
		}
	}
	tx.touch(q)
	s.putWith(st, m)
	return nil
}

// unportable says what a query of tables has done whose answer may be another one
// where COMMIT validates it; "" for nothing.
func unportable(q *plan.Statement, asked *validatedSession) string {
	switch {
	case q.Unportable != "":
		return "function " + q.Unportable + " on table data"
	case q.Local:
		return "reading a table together with a view of the server"
	case asked.foreign != "":
		return "function " + asked.foreign + " on table data"
	}
	return ""
}

// validates reports whether COMMIT has to find out if a query would still answer
// the same.
func (tx *transaction) validates(q *plan.Statement) bool {
	switch {
	case len(q.Reads) == 0 && !q.AllTables:
		return false // its answer depends on nothing that may change
	case len(q.Reads) == 0 && q.Local:
		return false // of the server itself: there is nothing to validate
	}
	return !tx.readCommitted() || q.Locking
}

// free reports whether nothing of the transaction will be validated: it cannot
// write. One that has written before it became READ ONLY is not free, nor is one
// that rolling back to a savepoint may make READ WRITE again.
func (tx *transaction) free() bool {
	return tx.readOnly && !tx.writes && len(tx.savepoints) == 0
}

// entrySession is the session as the transaction's entry will carry it.
func (s *Session) entrySession() exec.EntrySession {
	e := s.entry(log.KindTransaction)
	e.Began, e.Seed = s.tx.began, s.tx.seed
	return exec.NewEntrySession(e, s.meaning, s.tx.txn, s.tx.traced)
}

// pending is the entry of what the transaction has done so far.
func (s *Session) pending() *log.Entry {
	tx := s.tx
	e := s.entry(log.KindTransaction)
	e.Began, e.Seed, e.Snapshot, e.Statements, e.Current = tx.began, tx.seed, tx.view.Offset(), tx.statements, tx.current
	if tx.first != nil {
		e.Settings = tx.first.Settings
	}
	if tx.readCommitted() {
		e.Isolation = log.ReadCommitted
	}
	return e
}

// appendTransaction puts the transaction into the log.
func (s *Session) appendTransaction(ctx context.Context) (*log.Result, error) {
	tx := s.tx
	e := s.pending()
	if e.Budget.Steps > 0 && tx.steps > e.Budget.Steps && tx.changedSince(s.e) {
		return nil, sqlstate.New(sqlstate.ProgramLimitExceeded, "transaction looks at more than %d rows", e.Budget.Steps).
			WithDetail("Tables that it has read were changed by others, so its queries would have to be executed again in the log.").
			WithHint("Read in a transaction of its own, or raise %s.", exec.SettingMaxSteps)
	}
	s.once(e)
	if tx.repeats {
		e.Seed = log.Seed{} // that of the first attempt, which this one is not
	}
	res, err := s.e.append(ctx, e)
	if err == nil {
		s.used(e, res)
	}
	return res, err
}

// changedSince reports whether anything that was put down may depend on something
// that has changed since the transaction's view.
func (tx *transaction) changedSince(e *Engine) bool {
	at := tx.view.Offset()
	return slices.ContainsFunc(tx.touched, func(id catalog.ID) bool { return e.cfg.Replica.TableChangedSince(id, at) })
}

// redefinedSince reports whether a table has changed since the transaction's view
// whose definition the transaction itself has changed: the indexes that it has
// built, for one, are those of the rows of then.
func (tx *transaction) redefinedSince(e *Engine) bool {
	at, now := tx.view.Offset(), tx.txn.Catalog()
	if now.Draft() == 0 {
		return false
	}
	return slices.ContainsFunc(tx.view.Catalog().All(), func(d catalog.Descriptor) bool {
		t, ok := d.(*catalog.Table)
		return ok && now.Table(t.ID) != t && e.cfg.Replica.TableChangedSince(t.ID, at)
	})
}

// advance moves a READ COMMITTED transaction to the newest state before its next
// statement. Where what it has done so far depends on something that has changed,
// it is done again there, as COMMIT would: the error is 40001 when that gives
// other answers.
func (s *Session) advance(ctx context.Context) error {
	tx := s.tx
	if !tx.readCommitted() || tx.repeats {
		return nil
	}
	v, err := s.readView(ctx)
	if err != nil {
		return err
	}
	if v.Offset() == tx.view.Offset() {
		v.Close()
		return nil
	}
	old, done := tx.view, tx.txn
	if v.Catalog().Version() == old.Catalog().Version() && !tx.changedSince(s.e) && !tx.redefinedSince(s.e) {
		tx.view = v
		err = done.Rebase(v)
		old.Close()
		return err
	}
	txn := v.Begin()
	txn.SetBudget(s.budget)
	points, keys, err := s.e.cfg.Executor.Rerun(ctx, txn, s.pending())
	if err != nil {
		txn.Close()
		v.Close()
		return err
	}
	for i := range points {
		tx.savepoints[i].mark, tx.savepoints[i].keys = points[i].Mark, points[i].Keys
	}
	tx.view, tx.txn, tx.keys = v, txn, keys
	done.Close()
	old.Close()
	return nil
}
