package exec

import (
	"bytes"
	"fmt"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// This file runs large transactions: those whose rows come in chunks, each an
// entry of its own, and become visible by one more entry.

// chunk inserts the rows of a chunk. Its statement says what they are rows of.
func (r *entryRun) chunk() error {
	s := r.entry.Stage
	prog, rt, err := r.prepare(0, true)
	if err != nil {
		return err
	}
	if prog.insert == nil || prog.insert.conflict != nil || prog.insert.returning != nil {
		return sqlstate.New(sqlstate.InternalError, "the statement of a chunk must be a plain COPY or INSERT")
	}
	it := r.txn.StagedRows(&log.CopyData{Rows: s.Rows})
	n, err := guard(func() (int64, error) {
		return prog.CopyIn(rt, func() ([]byte, error) {
			if it.Next() {
				return it.Row(), nil
			}
			return nil, it.Err()
		})
	})
	if err != nil {
		return copyContext(err, prog, s.Load.Line, n)
	}
	return nil
}

// copyContext adds where in the client's data the row is that came after n others
// of a chunk which begins at line; 0 means that there is no such place.
func copyContext(err error, prog *Program, line, n int64) error {
	e := sqlstate.As(err)
	if line == 0 || e.Where != "" || e.Code == sqlstate.InternalError {
		return err
	}
	at := *e
	at.Where = fmt.Sprintf("COPY %s, line %d", prog.insert.table.Name, line+n)
	return &at
}

// adopt makes the rows that a statement's chunks have brought the transaction's
// own.
func (r *entryRun) adopt(prog *Program, rt *Runtime, st *log.Statement) (int64, error) {
	if prog.insert == nil {
		return 0, sqlstate.New(sqlstate.InternalError, "only COPY and INSERT can have rows in chunks")
	}
	if st.Digest != nil && r.entry.Kind == log.KindCommand {
		same, err := r.sameSource(prog, rt, st.Digest)
		if err != nil {
			return 0, err
		}
		if !same {
			return 0, SourceChanged()
		}
	}
	if r.txn.Speculative() {
		return r.txn.Attach(st.Copy.Stage)
	}
	return r.txn.Adopt(st.Copy, prog.insert.table)
}

// SourceChanged is the error of an INSERT … SELECT whose query would answer
// otherwise at its place in the log than it did when its rows were staged.
func SourceChanged() *sqlstate.Error {
	return sqlstate.New(sqlstate.SerializationFailure, "could not serialize access due to concurrent update").
		WithDetail("What the query of the INSERT has read was changed while its rows were being inserted.").
		WithHint("The transaction might succeed if retried.")
}

// sameSource reports whether the query of an INSERT still yields the rows that
// were staged. It is executed again only when a table that it reads may have
// changed since: whoever is told "may have" without need executes it and finds
// the same rows.
func (r *entryRun) sameSource(prog *Program, rt *Runtime, digest []byte) (bool, error) {
	// With other definitions its names may mean other tables.
	changed := r.txn.Catalog().Version() > r.entry.Snapshot
	for _, id := range SourceTables(prog.Statement) {
		changed = changed || r.txn.TableChangedSince(id, r.entry.Snapshot)
	}
	if !changed {
		return true, nil
	}
	rt.Steps = nil // whether it is executed may differ between replicas
	d := NewDigest(false)
	_, err := guard(func() (int64, error) {
		return 0, prog.Source(rt, func(row []types.Datum) error { d.Row(row); return nil })
	})
	if err != nil {
		return false, err
	}
	return bytes.Equal(d.Sum(""), digest), nil
}

// SourceTables lists the tables that the query of an INSERT reads.
func SourceTables(st *plan.Statement) []catalog.ID {
	var out []catalog.ID
	st.EachNode(func(n plan.Node) {
		if sc, ok := n.(*plan.Scan); ok {
			out = append(out, sc.Table.ID)
		}
	})
	return out
}

// Source runs the query of an INSERT alone. Each row has a value for every target
// column, as CopyIn takes them, and is valid during the call.
func (p *Program) Source(rt *Runtime, sink Sink) error {
	if n := len(rt.Expr.Params); n < len(p.Statement.Params) {
		return sqlstate.New(sqlstate.UndefinedParameter, "there is no parameter $%d", n+1)
	}
	cur, err := p.insert.in.open(rt, &frame{rt: rt})
	if err != nil {
		return err
	}
	defer cur.close()
	row := make([]types.Datum, len(p.insert.targets))
	for {
		src, err := cur.next()
		if src == nil || err != nil {
			return err
		}
		for i, at := range p.insert.from {
			row[i] = src[at]
		}
		if err := rt.tick(); err != nil {
			return err
		}
		if err := sink(row); err != nil {
			return err
		}
	}
}
