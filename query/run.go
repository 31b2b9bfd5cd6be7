package query

import (
	"context"
	"errors"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// statement is a statement with its parameters, ready to be run.
type statement struct {
	query  *plan.Query
	types  []*types.Type
	params []types.Datum
	// describe: the client is told the columns before the rows, as the simple
	// protocol does.
	describe bool
	// shown are the columns that the client was told of before, as the extended
	// protocol does, if told says so.
	shown []Column
	told  bool
}

// check refuses a statement whose columns are no longer those that the client was
// told of: somebody else has changed a table meanwhile.
func (st *statement) check(cols []Column) error {
	if !st.told || sameColumns(st.shown, cols) {
		return nil
	}
	return sqlstate.New(sqlstate.FeatureNotSupported, "cached plan must not change result type")
}

// timed bounds ctx by statement_timeout.
func (s *Session) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	v, _ := s.settings.get("statement_timeout")
	d, err := parser.ParseDuration(v)
	cancel := func() {}
	if err == nil && d > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, d, sqlstate.New(sqlstate.QueryCanceled, "canceling statement due to statement timeout"))
	}
	s.running = ctx
	return ctx, cancel
}

// autocommit runs one statement on its own: a query on the newest view, anything
// that writes as one entry of the log.
func (s *Session) autocommit(ctx context.Context, st *statement, w ResultWriter) error {
	now := s.e.now()
	in := exec.ContextInputs{TxnTime: now, StmtTime: now, ClockTime: s.e.now, Seed: s.e.cfg.Seed(), Sequences: sessionSequences{s}}
	v, prog, err := s.planAlone(ctx, st, in)
	if err != nil {
		return err
	}
	defer v.Close()
	if err := st.check(wireColumns(prog.Statement)); err != nil {
		return err
	}
	if prog.Statement.ReadOnly() {
		return s.runQuery(ctx, st, prog, v, in, w)
	}
	if prog.Statement.SetConstraints != nil {
		return noBlock(w, "SET CONSTRAINTS", "SET CONSTRAINTS")
	}
	if readOnly, _ := s.settings.get("default_transaction_read_only"); readOnly == "on" {
		return readOnlyError(prog.Statement)
	}
	if done, err := s.insertLarge(ctx, st, prog, w); done || err != nil {
		return err
	}
	v.Close()
	return s.single(ctx, []*statement{st}, w)
}

// planAlone plans a statement that is on its own, and returns the view that a query
// of it is to read. What writes is executed at its place in the log, so to plan it
// the state that is here will do, unless that lacks what it names.
func (s *Session) planAlone(ctx context.Context, st *statement, in exec.ContextInputs) (*sm.View, *exec.Program, error) {
	wait := s.reach
	if !st.query.Select() {
		v, err := s.e.view()
		if err != nil {
			return nil, nil, err
		}
		prog, err := s.program(st, v.Catalog(), in, false)
		if err == nil && !prog.Statement.ReadOnly() {
			return v, prog, nil
		}
		v.Close()
		if err != nil {
			wait = s.confirm
		}
	}
	if err := wait(ctx); err != nil {
		return nil, nil, err
	}
	v, err := s.e.view()
	if err != nil {
		return nil, nil, err
	}
	prog, err := s.program(st, v.Catalog(), in, false)
	if err != nil {
		v.Close()
		return nil, nil, err
	}
	return v, prog, nil
}

// noBlock answers a statement that outside a transaction block has no effect.
func noBlock(w ResultWriter, name, tag string) error {
	n := sqlstate.New(sqlstate.NoActiveSQLTransaction, "%s can only be used in transaction blocks", name)
	n.Severity = "WARNING"
	if err := w.Notice(n); err != nil {
		return err
	}
	return w.CommandComplete(tag)
}

// program plans a statement.
func (s *Session) program(st *statement, c *catalog.Catalog, in exec.ContextInputs, write bool) (*exec.Program, error) {
	return s.e.cfg.Executor.Plans.Program(exec.Request{Query: st.query, Catalog: c, Meaning: s.meaning,
		Params: st.types, Ctx: func() *expr.Ctx { return s.context(c, in) }, Write: write})
}

// runtime makes what a program runs in.
func (s *Session) runtime(ctx context.Context, st *statement, txn *sm.Txn, v *sm.View, in exec.ContextInputs, w ResultWriter) *exec.Runtime {
	ec := s.context(txn.Catalog(), in)
	ec.Params = st.params
	rt := &exec.Runtime{Txn: txn, Expr: ec, Cancel: ctx, Planner: &exec.Planner{Plans: s.e.cfg.Executor.Plans, Meaning: s.meaning},
		SearchPath: s.meaning.SearchPath, User: s.start.User,
		Virtual: &syscat.Context{Catalog: txn.Catalog(), View: v, Txn: txn, Session: sessionInfo{s}, SearchPath: s.meaning.SearchPath}}
	if s.tx != nil {
		rt.Constraints = s.tx.keys
	}
	if st.query != nil { // COPY has none, and defines nothing
		rt.Text, rt.Announces = st.query.Text(), true
	}
	if w != nil {
		rt.Notice = func(n *sqlstate.Error) { _ = w.Notice(n) }
	}
	return rt
}

// runQuery runs a query on a view and sends its rows as they come.
func (s *Session) runQuery(ctx context.Context, st *statement, prog *exec.Program, v *sm.View, in exec.ContextInputs, w ResultWriter) error {
	txn := v.Begin()
	defer txn.Close()
	if err := s.describe(st, prog, w); err != nil {
		return err
	}
	n, err := prog.Run(s.runtime(ctx, st, txn, v, in, w), w.Row)
	if err != nil {
		return err
	}
	return w.CommandComplete(exec.Tag(prog.Statement, n))
}

// describe announces a statement's rows where the protocol wants it.
func (s *Session) describe(st *statement, prog *exec.Program, w ResultWriter) error {
	cols := wireColumns(prog.Statement)
	if !st.describe || cols == nil {
		return nil
	}
	return w.RowDescription(cols)
}

// wireColumns are a statement's result columns; not nil for a query without any.
func wireColumns(st *plan.Statement) []Column {
	if len(st.Cols) == 0 && (st.Root == nil || st.Silent) {
		return nil
	}
	out := make([]Column, len(st.Cols))
	for i, c := range st.Cols {
		out[i] = Column{Name: c.Name, TableOID: types.OID(c.Table), AttNum: int16(c.Num), Type: c.Type, Typmod: c.Typmod}
	}
	return out
}

// single puts statements into the log as one entry that is executed at its place
// there, and sends what they answered.
func (s *Session) single(ctx context.Context, sts []*statement, w ResultWriter) error {
	e := s.entry(log.KindCommand)
	e.Seed = s.e.cfg.Seed()
	for _, st := range sts {
		ls, err := logStatement(st, e.Time)
		if err != nil {
			return err
		}
		e.Statements = append(e.Statements, ls)
		s.e.cfg.Executor.Plans.Remember(st.query.Text(), st.query)
		s.forgetBlocks(st.query)
	}
	return s.submit(ctx, e, sts, w)
}

// submit puts a single-shot entry into the log and sends what it answered.
func (s *Session) submit(ctx context.Context, e *log.Entry, sts []*statement, w ResultWriter) error {
	s.once(e)
	res, err := s.e.append(ctx, e)
	if err != nil {
		return err
	}
	s.used(e, res)
	return s.answer(sts, res, w)
}

// answer sends the outcome of a single-shot entry.
func (s *Session) answer(sts []*statement, res *log.Result, w ResultWriter) error {
	if res.Err != nil {
		return placed(sm.ErrorOf(res.Err), sts)
	}
	var unshown error
	for i := range res.Statements {
		o := &res.Statements[i]
		if i < len(sts) {
			unshown = sts[i].check(outcomeColumns(o))
		}
		if unshown != nil {
			// It is too late to refuse it.
			unshown = sqlstate.As(unshown).WithDetail("The transaction was committed. Its rows cannot be shown.")
			break
		}
		if err := sendOutcome(o, i < len(sts) && sts[i].describe, w); err != nil {
			return err
		}
	}
	if err := s.committed(w, res); err != nil {
		return err
	}
	return unshown
}

// outcomeColumns are the columns of what a statement answered in apply.
func outcomeColumns(o *log.Outcome) []Column {
	if len(o.Columns) == 0 {
		return nil
	}
	cols := make([]Column, len(o.Columns))
	for i, c := range o.Columns {
		t, ok := types.ByOID(types.OID(c.Type))
		if !ok {
			t = types.TextType
		}
		cols[i] = Column{Name: c.Name, TableOID: types.OID(c.Table), AttNum: c.AttNum, Type: t, Typmod: c.Typmod}
	}
	return cols
}

// placed moves the position of an error in apply, which counts from the beginning
// of a statement, to where that stands in the query string. Which of several
// statements has failed is not recorded; then there is no position.
func placed(e *sqlstate.Error, sts []*statement) error {
	switch {
	case e.Position == 0:
	case len(sts) == 1:
		e.Position += sts[0].query.Offset()
	case len(sts) > 1:
		e.Position = 0
	}
	return e
}

// sendOutcome sends what one statement answered in apply.
func sendOutcome(o *log.Outcome, describe bool, w ResultWriter) error {
	for i := range o.Notices {
		if err := w.Notice(sm.ErrorOf(&o.Notices[i])); err != nil {
			return err
		}
	}
	if len(o.Columns) > 0 {
		if describe {
			if err := w.RowDescription(outcomeColumns(o)); err != nil {
				return err
			}
		}
		row := make([]types.Datum, len(o.Columns))
		for _, b := range o.Rows {
			clear(row)
			if err := types.DecodeRow(b, nil, row); err != nil {
				return sqlstate.New(sqlstate.InternalError, "a result row cannot be decoded: %v", err)
			}
			if err := w.Row(row); err != nil {
				return err
			}
		}
	}
	return w.CommandComplete(o.Tag)
}

// logStatement is a statement as an entry carries it.
func logStatement(st *statement, now int64) (log.Statement, error) {
	ls := log.Statement{Text: st.query.Text(), Time: now}
	for i, p := range st.params {
		t := types.TextType
		if i < len(st.types) && st.types[i] != nil {
			t = st.types[i]
		}
		ls.Params = append(ls.Params, log.Param{Type: uint32(t.OID), Value: types.AppendDatum(nil, p)})
	}
	return ls, nil
}

// inTransaction runs a statement ahead in the current transaction.
func (s *Session) inTransaction(ctx context.Context, st *statement, w ResultWriter) error {
	_, err := s.ahead(ctx, st, w, func(cols []Column) (exec.Sink, error) {
		if st.describe && cols != nil {
			if err := w.RowDescription(cols); err != nil {
				return nil, err
			}
		}
		return w.Row, nil
	}, true)
	return err
}

// ahead runs a statement in the current transaction, puts it down with the digest
// of its outcome, and returns its tag. An error fails the transaction.
func (s *Session) ahead(ctx context.Context, st *statement, w ResultWriter, open func([]Column) (exec.Sink, error), complete bool) (string, error) {
	if s.tx.failed {
		return "", failedError()
	}
	if err := s.present(ctx); err != nil {
		s.tx.failed = true
		return "", err
	}
	tx := s.tx
	now := s.e.now()
	ls, err := logStatement(st, now)
	if err != nil {
		return "", err
	}
	mark, keys := tx.txn.Savepoint(), tx.keys.Savepoint()
	tx.seqs.drawn = nil
	asked := &validatedSession{sessionInfo: sessionInfo{s}}
	prog, tag, digest, err := s.attempt(ctx, st, now, w, open, asked)
	ls.Drawn = tx.seqs.drawn
	if err != nil {
		var e *sqlstate.Error
		if errors.As(err, &e) && !sm.Passing(string(e.Code)) && len(tx.savepoints) > 0 && !(tx.readCommitted() && st.query.Select()) {
			// The client may roll back to the savepoint and go on: what it saw of
			// the failure is compared as well, unless it came of a timeout or the
			// like, which says nothing of the data and does not happen twice.
			ls.Digest = exec.ErrorDigest(e)
			if prog == nil {
				s.put(ls)
			} else if err := s.depend(ls, prog.Statement, asked); err != nil {
				return "", err
			}
		}
		tx.txn.RollbackTo(mark)
		tx.keys.RollbackTo(keys)
		tx.failed = true
		return "", err
	}
	ls.Digest = digest
	if err := s.record(ls, prog.Statement, asked); err != nil {
		return "", err
	}
	if !prog.Statement.ReadOnly() {
		s.forgetBlocks(st.query)
	}
	if complete {
		return tag, w.CommandComplete(tag)
	}
	return tag, nil
}

// attempt plans and runs one statement of a transaction.
func (s *Session) attempt(ctx context.Context, st *statement, now int64, w ResultWriter,
	open func([]Column) (exec.Sink, error), asked *validatedSession) (prog *exec.Program, tag string, digest []byte, err error) {
	tx := s.tx
	in := exec.ContextInputs{TxnTime: tx.began, StmtTime: now, ClockTime: s.e.now, Seed: tx.seed, Statement: len(tx.statements), Sequences: tx.seqs, Messages: tx.seqs}
	if prog, err = s.program(st, tx.txn.Catalog(), in, !st.query.Select()); err != nil {
		return nil, "", nil, err
	}
	writes := !prog.Statement.ReadOnly()
	if tx.readOnly && (writes && prog.Statement.SetConstraints == nil || prog.Statement.RowLock != "") {
		return prog, "", nil, readOnlyError(prog.Statement)
	}
	again := writes || tx.validates(prog.Statement)
	if again {
		in.ClockTime, asked.entry = nil, s.entrySession()
	}
	switch {
	case writes:
		// What writes is executed again from its entry: here too it may only see
		// what the entry carries.
		in.Session = asked.entry
		defer func() { tx.traced = tx.traced || asked.entry.Traced() }()
	case again:
		in.Session = asked // it may be executed again
	default:
		// It is not put down and takes no number among the statements, by which
		// random numbers are told apart.
		in.Seed = s.e.cfg.Seed()
	}
	if err = st.check(wireColumns(prog.Statement)); err != nil {
		return prog, "", nil, err
	}
	sink, err := open(wireColumns(prog.Statement))
	if err != nil {
		return nil, "", nil, err
	}
	again = again && !tx.free()
	d := exec.NewDigest(prog.Statement.Ordered)
	shown := sink
	if again {
		shown = func(row []types.Datum) error {
			d.Row(row)
			return sink(row)
		}
	}
	view := tx.view
	if writes {
		view = nil // what a node or the log says of itself is not the same everywhere
	}
	rt := s.runtime(ctx, st, tx.txn, view, in, w)
	if writes && prog.Statement.DDL == nil {
		rt.Steps = tx.spent
	} else if again && !writes {
		rt.Steps = &exec.Steps{}
	}
	n, err := prog.Run(rt, shown)
	if err != nil {
		return prog, "", nil, err
	}
	if again && !writes {
		tx.steps += rt.Steps.Used()
	}
	tag = exec.Tag(prog.Statement, n)
	return prog, tag, d.Sum(tag), nil
}

func readOnlyError(st *plan.Statement) error {
	name := st.Tag
	switch {
	case st.RowLock != "":
		name = "SELECT " + st.RowLock
	case st.Root != nil:
		name = st.Writer + "()"
	}
	return sqlstate.New(sqlstate.ReadOnlySQLTransaction, "cannot execute %s in a read-only transaction", name)
}

// sendText sends one row with one text value.
func sendText(w ResultWriter, describe bool, column, value, tag string) error {
	return sendTexts(w, describe, []Column{textColumn(column)}, []string{value}, tag)
}

func textColumn(name string) Column {
	return Column{Name: name, Type: types.TextType, Typmod: types.NoTypmod}
}

// sendTexts sends one text value a row.
func sendTexts(w ResultWriter, describe bool, cols []Column, values []string, tag string) error {
	if describe {
		if err := w.RowDescription(cols); err != nil {
			return err
		}
	}
	for _, v := range values {
		if err := w.Row([]types.Datum{types.String(v)}); err != nil {
			return err
		}
	}
	return w.CommandComplete(tag)
}
