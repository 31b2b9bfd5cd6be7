package exec

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// maxResultBytes bounds the rows that one entry may answer with. They are kept
// nowhere but travel to the proposer in one piece.
const maxResultBytes = 256 << 20

// Executor runs the statements of log entries: it is the sm.Executor.
type Executor struct {
	Plans *Plans
	// Database is the name of the database for entries that do not carry it.
	Database string
	// BeforeExecute, when set, is called with every entry; tests make it panic.
	BeforeExecute func(e *log.Entry)

	// last is the meaning of the entry before: entries mostly come with the same
	// settings. Entries are executed one at a time.
	last     *Meaning
	lastRole string
}

// meaning reads an entry's settings.
func (x *Executor) meaning(e *log.Entry) (*Meaning, error) {
	if x.last != nil && x.lastRole == e.Role && slices.Equal(x.last.Settings, e.Settings) {
		return x.last, nil
	}
	m, err := x.read(slices.Clone(e.Settings), e.Role)
	if err != nil {
		return nil, err
	}
	x.last, x.lastRole = m, e.Role
	return m, nil
}

// read reads the settings of an entry of this database.
func (x *Executor) read(settings []log.Setting, role string) (*Meaning, error) {
	m, err := NewMeaning(settings, role)
	if err == nil && m.Database == "" {
		m.Database = x.Database
	}
	return m, err
}

// entryRun is the execution of one entry.
type entryRun struct {
	x       *Executor
	txn     *sm.Txn
	entry   *log.Entry
	meaning *Meaning
	session EntrySession
	seqs    *entrySequences
	steps   *Steps
	cancel  context.Context // nil in apply, where nothing may end a statement
	keys    *Constraints
	result  log.Result
	bytes   int
}

// Execute implements sm.Executor.
func (x *Executor) Execute(txn *sm.Txn, e *log.Entry) (log.Result, error) {
	if x.BeforeExecute != nil {
		x.BeforeExecute(e)
	}
	m, err := x.meaning(e)
	if err != nil {
		return log.Result{}, err
	}
	r := x.newRun(txn, e, m)
	switch e.Kind {
	case log.KindTransaction:
		_, err = r.replay()
	case log.KindStage:
		err = r.chunk()
	default:
		err = r.command()
	}
	if err == nil {
		err = r.endTransaction()
	}
	if r.session.Traced() {
		txn.Trace()
	}
	r.result.Drawn = r.seqs.newest()
	return r.result, err
}

func (x *Executor) newRun(txn *sm.Txn, e *log.Entry, m *Meaning) *entryRun {
	return &entryRun{x: x, txn: txn, entry: e, meaning: m, seqs: newEntrySequences(txn, e),
		session: NewEntrySession(e, m, txn, false), steps: &Steps{Limit: e.Budget.Steps}, keys: NewConstraints()}
}

// command executes the statements of a single-shot entry.
func (r *entryRun) command() error {
	for i := range r.entry.Statements {
		out, err := r.statement(i)
		if err != nil {
			return err
		}
		r.result.Statements = append(r.result.Statements, out)
	}
	return nil
}

// endTransaction checks the constraints that were deferred.
func (r *entryRun) endTransaction() error {
	if len(r.keys.deferred) == 0 {
		return nil
	}
	ctx := r.context(len(r.entry.Statements), &log.Statement{Time: r.entry.Time})
	_, err := guard(func() (int64, error) {
		return 0, r.keys.EndTransaction(&Runtime{Txn: r.txn, Expr: ctx, SearchPath: r.meaning.SearchPath, User: r.entry.Role, Steps: r.steps})
	})
	return err
}

// statement executes one statement of a single-shot entry.
func (r *entryRun) statement(i int) (log.Outcome, error) {
	st := &r.entry.Statements[i]
	var out log.Outcome
	prog, rt, err := r.prepare(i, true)
	if err != nil {
		return out, err
	}
	rt.Notice = func(n *sqlstate.Error) { out.Notices = append(out.Notices, *sm.FailureOf(n)) }
	r.bound(prog, rt)
	n, err := r.run(prog, rt, st, func(row []types.Datum) error {
		b := types.AppendRow(nil, row)
		if r.bytes += len(b); r.bytes > maxResultBytes {
			return sqlstate.New(sqlstate.ProgramLimitExceeded, "the result of a statement that writes may have at most %d MB", maxResultBytes>>20)
		}
		out.Rows = append(out.Rows, b)
		return nil
	})
	if err != nil {
		return out, err
	}
	out.Tag = Tag(prog.Statement, n)
	for _, c := range prog.Statement.Cols {
		out.Columns = append(out.Columns, log.Column{Name: c.Name, Type: uint32(c.Type.OID), Typmod: c.Typmod,
			Table: uint32(c.Table), AttNum: int16(c.Num)})
	}
	if st.Copy != nil {
		out.Columns = nil
	}
	return out, nil
}

// prepare plans statement i and makes its runtime.
func (r *entryRun) prepare(i int, write bool) (*Program, *Runtime, error) {
	st := &r.entry.Statements[i]
	ctx := r.context(i, st)
	params, declared, err := decodeParams(st.Params)
	if err != nil {
		return nil, nil, err
	}
	ctx.Params = params
	rt := &Runtime{Txn: r.txn, Expr: ctx, Constraints: r.keys, Cancel: r.cancel,
		Planner: &Planner{r.x.Plans, r.meaning}, SearchPath: r.meaning.SearchPath, User: r.entry.Role, Text: st.Text,
		Virtual: &syscat.Context{Catalog: r.txn.Catalog(), Txn: r.txn, Session: r.session, SearchPath: r.meaning.SearchPath}}
	rt.Announces = r.entry.Semantics >= log.SemanticsDefinitions
	q, err := r.x.Plans.Query(st.Text)
	if err != nil && (st.Copy != nil || r.entry.Kind == log.KindStage) {
		prog, err := CopyProgram(st.Text, plan.Env{Catalog: r.txn.Catalog(), Database: r.meaning.Database,
			SearchPath: r.meaning.SearchPath, Ctx: ctx, Write: true})
		return prog, rt, err
	}
	if err != nil {
		return nil, nil, err
	}
	prog, err := r.x.Plans.Program(Request{Query: q, Catalog: r.txn.Catalog(), Meaning: r.meaning,
		Params: declared, Ctx: func() *expr.Ctx { return ctx }, Write: write || !q.Select()})
	return prog, rt, err
}

// bound makes a statement that writes spend the entry's budget of steps.
// Definitions look at whole tables and are not bounded.
func (r *entryRun) bound(prog *Program, rt *Runtime) {
	if prog.Statement.DDL == nil {
		rt.Steps = r.steps
	}
}

// run runs a program; a COPY takes its rows from the entry.
func (r *entryRun) run(prog *Program, rt *Runtime, st *log.Statement, sink Sink) (int64, error) {
	return guard(func() (int64, error) {
		if st.Copy == nil {
			return prog.Run(rt, sink)
		}
		if st.Copy.Loaded {
			return r.adopt(prog, rt, st)
		}
		it := r.txn.StagedRows(st.Copy)
		return prog.CopyIn(rt, func() ([]byte, error) {
			if it.Next() {
				return it.Row(), nil
			}
			return nil, it.Err()
		})
	})
}

// context makes what expressions of statement i may depend on.
func (r *entryRun) context(i int, st *log.Statement) *expr.Ctx {
	return NewContext(r.meaning, ContextInputs{
		TxnTime: r.entry.Began, StmtTime: st.Time, Seed: r.entry.Seed, Statement: i,
		Session: r.session, Sequences: r.seqs, Messages: entryMessages{r},
		Catalog: NewLazyCatalog(r.txn.Catalog(), r.meaning.SearchPath, r.meaning.Database, r.entry.Role, nil),
	})
}

// ContextInputs are the parts of an expression context that differ between
// statements.
type ContextInputs struct {
	TxnTime, StmtTime int64
	ClockTime         func() int64
	Seed              log.Seed
	Statement         int // its number in the transaction
	Session           expr.SessionInfo
	Sequences         expr.Sequences
	Messages          expr.Messages
	Catalog           expr.CatalogInfo
}

// NewContext makes an expression context. Random numbers come from the seed and
// the statement's number, so that a statement draws the same ones whenever it
// is executed again, whether or not those before it were.
func NewContext(m *Meaning, in ContextInputs) *expr.Ctx {
	f := expr.WithCatalog(m.Format, in.Catalog)
	f.Now = in.TxnTime
	hi := binary.LittleEndian.Uint64(in.Seed[:8])
	lo := binary.LittleEndian.Uint64(in.Seed[8:]) + uint64(in.Statement)
	return &expr.Ctx{Format: f, TxnTime: in.TxnTime, StmtTime: in.StmtTime, ClockTime: in.ClockTime,
		Seed: [2]uint64{hi, lo}, Seeded: true, Session: in.Session, Catalog: in.Catalog, Sequences: in.Sequences,
		Messages: in.Messages}
}

// decodeParams reads the typed parameters of a statement.
func decodeParams(ps []log.Param) ([]types.Datum, []*types.Type, error) {
	values := make([]types.Datum, len(ps))
	declared := make([]*types.Type, len(ps))
	for i, p := range ps {
		t, ok := types.ByOID(types.OID(p.Type))
		if !ok {
			return nil, nil, sqlstate.New(sqlstate.UndefinedObject, "parameter $%d has an unknown type (OID %d)", i+1, p.Type)
		}
		declared[i] = t
		d, rest, err := types.DecodeDatum(p.Value)
		if err != nil || len(rest) != 0 {
			return nil, nil, sqlstate.New(sqlstate.InvalidBinaryRepresentation, "parameter $%d cannot be decoded", i+1)
		}
		values[i] = d
	}
	return values, declared, nil
}

// Tag is the command tag of a statement that yielded or changed n rows.
func Tag(st *plan.Statement, n int64) string {
	switch st.Tag {
	case "SELECT", "UPDATE", "DELETE", "COPY":
		return st.Tag + " " + strconv.FormatInt(n, 10)
	case "INSERT":
		return "INSERT 0 " + strconv.FormatInt(n, 10)
	}
	return st.Tag
}
