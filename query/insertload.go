package query

import (
	"context"
	"errors"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// insertAttempts is how often an INSERT … SELECT is tried whose rows are staged
// while others change what it reads.
const insertAttempts = 4

// loadTextBytes is the longest statement that is executed as a large transaction:
// each chunk has its text.
const loadTextBytes = 16 << 10

// errSmall says that an INSERT … SELECT has too few rows to stage them.
var errSmall = errors.New("query: the rows fit into one chunk")

// insertLarge runs an INSERT … SELECT of many rows on its own as a large
// transaction: the query runs here on a view, its rows are staged, and the entry
// that commits them does so if the query would still yield the same rows. done is
// false for every other statement, and for one that turns out to be small; it is
// executed at its place in the log.
func (s *Session) insertLarge(ctx context.Context, st *statement, prog *exec.Program, w ResultWriter) (done bool, err error) {
	if len(st.query.Text()) > loadTextBytes || !s.maybeLarge(prog.Statement) {
		return false, nil
	}
	for range insertAttempts {
		done, err = s.tryInsert(ctx, st, w)
		if e := (*sqlstate.Error)(nil); !errors.As(err, &e) || e.Code != sqlstate.SerializationFailure || ctx.Err() != nil {
			break
		}
	}
	return done, err
}

// maybeLarge reports whether a statement is an INSERT … SELECT that can be
// executed as a large transaction, and that may have enough rows.
func (s *Session) maybeLarge(st *plan.Statement) bool {
	ins := st.Insert
	if ins == nil || !loadable(st, false) || ins.Returning != nil || ins.Conflict != nil || ins.Draws || st.AllTables || st.Local {
		return false
	}
	if _, ok := ins.Source.(*plan.Values); ok {
		return false // its rows are in its text, which each chunk has to repeat
	}
	// Not more rows than all combinations of what is read, unless a function
	// makes them.
	rows := float64(1)
	st.EachNode(func(n plan.Node) {
		switch n := n.(type) {
		case *plan.Scan:
			rows *= max(1, float64(s.e.cfg.Replica.RowCount(n.Table)))
		case *plan.FuncScan, *plan.ProjectSet, *plan.With, *plan.VirtualScan:
			rows *= float64(s.e.cfg.ChunkRows)
		case *plan.Values:
			rows *= float64(max(1, len(n.Rows)))
		}
	})
	return rows >= float64(s.e.cfg.ChunkRows)
}

// tryInsert runs the query once and stages and commits its rows.
func (s *Session) tryInsert(ctx context.Context, st *statement, w ResultWriter) (done bool, err error) {
	if err := s.confirm(ctx); err != nil {
		return false, err
	}
	v, err := s.e.view()
	if err != nil {
		return false, err
	}
	defer v.Close()
	txn := v.Begin()
	defer txn.Close()
	e := s.entry(log.KindCommand)
	e.Seed, e.Snapshot = s.e.cfg.Seed(), v.Offset()
	in := exec.ContextInputs{TxnTime: e.Began, StmtTime: e.Time, Seed: e.Seed, Session: exec.NewEntrySession(e, s.meaning, txn, false)}
	prog, err := s.program(st, v.Catalog(), in, true)
	if err != nil {
		return false, err
	}
	ls, err := logStatement(st, e.Time)
	if err != nil {
		return false, err
	}
	s.e.cfg.Executor.Plans.Remember(st.query.Text(), st.query)
	l := s.newLoader(ctx, ls, e.Began, log.Load{Table: uint32(prog.Statement.Insert.Table.ID)})
	ls.Copy, ls.Digest, err = l.insert(prog, s.runtime(ctx, st, txn, nil, in, w))
	if errors.Is(err, errSmall) {
		return false, nil
	}
	if err != nil {
		l.abandon()
		return true, placed(sqlstate.As(err), []*statement{st})
	}
	e.Statements = []log.Statement{ls}
	s.forgetBlocks(st.query)
	s.once(e)
	res, err := s.e.append(ctx, e)
	if err == nil {
		s.used(e, res)
	}
	if err == nil && res.Err != nil {
		err = placed(sm.ErrorOf(res.Err), []*statement{st})
	}
	if err != nil {
		return true, err
	}
	return true, s.answer([]*statement{st}, res, w)
}

// insert stages the rows of the query and returns their digest. It fails with
// errSmall, and has staged nothing, when they fit into one chunk.
func (l *loader) insert(prog *exec.Program, rt *exec.Runtime) (*log.CopyData, []byte, error) {
	d := exec.NewDigest(false)
	var buf []byte
	err := prog.Source(rt, func(row []types.Datum) error {
		d.Row(row)
		buf = types.AppendRow(buf[:0], row)
		return l.add(buf, 0)
	})
	if err != nil {
		return nil, nil, err
	}
	if l.chunks == 0 {
		return nil, nil, errSmall
	}
	data, err := l.finish()
	return data, d.Sum(""), err
}
