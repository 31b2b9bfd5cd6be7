package query

import (
	"context"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// transaction is an interactive transaction. Its statements run ahead on a view
// and an overlay of their own; COMMIT puts them into the log, where they are
// executed again and their answers compared with those the client was shown.
type transaction struct {
	explicit   bool // BEGIN; otherwise it ends with the Sync or the query string
	failed     bool
	readOnly   bool
	isolation  string
	began      int64
	current    []log.DrawnValue // the session's sequence values at the beginning
	seed       log.Seed
	before     settings // of the session, for ROLLBACK
	view       *sm.View // nil until the first statement that reads
	txn        *sm.Txn
	statements []log.Statement
	// first and latest are what the settings meant at the first statement that
	// was put down and at the last one.
	first, latest *exec.Meaning
	touched       []catalog.ID // tables that what was put down depends on
	steps         int64        // rows that queries looked at which may have to be validated
	spent         *exec.Steps  // by statements that write, of the budget
	writes        bool
	repeats       bool // it shows what another one with its key has shown
	traced        bool // the client knows its number
	// unportable says what was done whose answer may differ between machines, so
	// that it cannot be validated; such a transaction may not write.
	unportable string
	savepoints []sessionSavepoint
	portals    int           // how many have had their rows computed
	stages     []log.StageID // chunks of COPY in the log already
	loads      txLoads       // large COPYs whose rows are staged
	seqs       *txSequences
	keys       *exec.Constraints
}

// sessionSavepoint is a savepoint of a running transaction.
type sessionSavepoint struct {
	name     string
	mark     sm.Mark
	settings settings
	keys     exec.ConstraintsMark
	at       int // in the transaction's statements
	portals  int
	readOnly bool
}

// begin starts a transaction.
func (s *Session) begin(explicit bool, m plan.TransactionModes) error {
	tx := &transaction{explicit: explicit, began: s.e.now(), seed: s.e.cfg.Seed(), before: s.settings, current: s.drawn(), keys: exec.NewConstraints()}
	level, _ := s.settings.get("default_transaction_isolation")
	readOnly, _ := s.settings.get("default_transaction_read_only")
	tx.isolation, tx.readOnly = level, readOnly == "on"
	tx.seqs = &txSequences{s: s, tx: tx}
	tx.spent = &exec.Steps{Limit: s.budget.Steps}
	s.tx = tx
	return s.modes(m)
}

// modes applies the modes of BEGIN or SET TRANSACTION.
func (s *Session) modes(m plan.TransactionModes) error {
	tx := s.tx
	if m.Isolation != "" {
		if tx.txn != nil && m.Isolation != tx.isolation {
			return sqlstate.New(sqlstate.ActiveSQLTransaction, "SET TRANSACTION ISOLATION LEVEL must be called before any query")
		}
		tx.isolation = m.Isolation
	}
	if m.ReadOnly != nil {
		if !*m.ReadOnly && tx.readOnly && tx.txn != nil {
			return sqlstate.New(sqlstate.ActiveSQLTransaction, "transaction read-write mode must be set before any query")
		}
		tx.readOnly = *m.ReadOnly
	}
	return nil
}

// present is the state that the next statement sees: the transaction's view, which
// is opened at its first statement; READ COMMITTED moves on at each later one.
func (s *Session) present(ctx context.Context) error {
	if s.tx.txn != nil {
		return s.advance(ctx)
	}
	return s.snapshot(ctx)
}

// snapshot opens the transaction's view.
func (s *Session) snapshot(ctx context.Context) error {
	tx := s.tx
	if tx.txn != nil {
		return nil
	}
	v, err := s.readView(ctx)
	if err == nil {
		v, err = s.repeat(v)
	}
	if err != nil {
		return err
	}
	tx.view = v
	tx.txn = v.Begin()
	tx.txn.SetBudget(s.budget)
	return nil
}

// release lets go of the transaction's view.
func (tx *transaction) release() {
	if tx.txn != nil {
		tx.txn.Close()
		tx.view.Close()
		tx.txn, tx.view = nil, nil
	}
}

// dropTransaction ends the transaction without committing it.
func (s *Session) dropTransaction() {
	tx := s.tx
	if tx == nil {
		return
	}
	s.endPortals()
	tx.release()
	s.tx = nil
	s.unstage(append(tx.stages, tx.loads.stages()...))
}

// rollback ends the transaction and takes its settings back.
func (s *Session) rollback(w ResultWriter) error {
	before := s.tx.before
	s.undoPortals(s.tx, 0)
	s.dropTransaction()
	return s.useSettings(w, before)
}

// endLocal drops SET LOCAL at the end of a transaction.
func (s *Session) endLocal(w ResultWriter) error {
	if len(s.settings.local) == 0 {
		return nil
	}
	return s.useSettings(w, settings{session: s.settings.session})
}

// commit ends the transaction; when it has written, by an entry of the log. The
// transaction is over whatever comes of it.
func (s *Session) commit(ctx context.Context, w ResultWriter) error {
	tx := s.tx
	if !tx.writes {
		s.dropTransaction()
		return s.endLocal(w)
	}
	if tx.unportable != "" {
		err := sqlstate.New(sqlstate.FeatureNotSupported, "%s is not supported in a transaction that writes", tx.unportable).
			WithDetail("Its result may differ between replicas, so what the client saw cannot be validated.").
			WithHint("Run the query outside the transaction.")
		_ = s.rollback(w)
		return err
	}
	res, err := s.appendTransaction(ctx)
	if err == nil && res.Err != nil {
		err = sm.ErrorOf(res.Err)
	}
	if err != nil {
		_ = s.rollback(w)
		return err
	}
	tx.stages, tx.loads = nil, nil // the entry has consumed them
	s.dropTransaction()
	if err := s.endLocal(w); err != nil {
		return err
	}
	return s.committed(w, res)
}

// savepoint, releaseSavepoint and rollbackTo run ahead and are put down to be
// replayed.
func (s *Session) savepoint(ctx context.Context, name string) error {
	if err := s.snapshot(ctx); err != nil {
		return err
	}
	tx := s.tx
	tx.savepoints = append(tx.savepoints, sessionSavepoint{name, tx.txn.Savepoint(), s.settings, tx.keys.Savepoint(), len(tx.statements), tx.portals, tx.readOnly})
	s.put(log.Statement{Action: log.ActionSavepoint, Text: name})
	return nil
}

func (tx *transaction) find(name string) (int, error) {
	for i := len(tx.savepoints) - 1; i >= 0; i-- {
		if tx.savepoints[i].name == name {
			return i, nil
		}
	}
	return 0, sqlstate.New(sqlstate.InvalidSavepoint, "savepoint \"%s\" does not exist", name)
}

func (s *Session) releaseSavepoint(name string) error {
	tx := s.tx
	i, err := tx.find(name)
	if err != nil {
		return err
	}
	tx.savepoints = tx.savepoints[:i]
	s.put(log.Statement{Action: log.ActionRelease, Text: name})
	return nil
}

func (s *Session) rollbackTo(w ResultWriter, name string) error {
	tx := s.tx
	i, err := tx.find(name)
	if err != nil {
		return err
	}
	sp := tx.savepoints[i]
	tx.savepoints = tx.savepoints[:i+1]
	s.undoPortals(tx, sp.portals)
	tx.txn.RollbackTo(sp.mark)
	tx.keys.RollbackTo(sp.keys)
	tx.failed, tx.readOnly = false, sp.readOnly
	s.dropLoads(sp.at)
	s.put(log.Statement{Action: log.ActionRollbackTo, Text: name})
	return s.useSettings(w, sp.settings)
}

// failedError is the answer to statements in a failed transaction.
func failedError() error {
	return sqlstate.New(sqlstate.InFailedSQLTransaction, "current transaction is aborted, commands ignored until end of transaction block")
}
