package query

import (
	"context"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// maxUnseenBytes bounds the rows of a COPY into a table that only its own
// transaction knows as it is: they are held in memory until COMMIT, and executed
// there in one piece.
const maxUnseenBytes = 256 << 20

// fill collects rows until the batch is full; all is true when there are no more.
func (r *copyReader) fill(b *rowBatch) (all bool, err error) {
	for !b.full() {
		row, err := r.next()
		if err != nil {
			return false, err
		}
		if row == nil {
			return true, nil
		}
		b.add(row, r.decoder.at())
	}
	return false, nil
}

// copyAutocommit runs COPY … FROM STDIN on its own: as one entry when it is
// small, else as a large transaction.
func (s *Session) copyAutocommit(ctx context.Context, c *plan.Copy, prog *exec.Program, rows *copyReader, w ResultWriter) error {
	e := s.entry(log.KindCommand)
	e.Seed = s.e.cfg.Seed()
	st := log.Statement{Text: c.Text, Time: e.Time}
	first := s.e.newBatch()
	all, err := rows.fill(first)
	if err != nil {
		return err
	}
	if all {
		st.Copy = &log.CopyData{Rows: first.data}
	} else {
		l := s.newLoader(ctx, st, e.Began, log.Load{Table: uint32(prog.Statement.Insert.Table.ID)})
		if st.Copy, err = l.copy(first, rows); err != nil {
			l.abandon()
			return err
		}
	}
	e.Statements = []log.Statement{st}
	return s.submit(ctx, e, nil, w)
}

// copy stages first and everything that follows.
func (l *loader) copy(first *rowBatch, rows *copyReader) (*log.CopyData, error) {
	if err := l.take(first); err != nil {
		return nil, err
	}
	for {
		row, err := rows.next()
		if err != nil {
			return nil, err
		}
		if row == nil {
			data, err := l.finish()
			if err == nil {
				rows.seal(data)
			}
			return data, err
		}
		if err := l.add(row, rows.decoder.at()); err != nil {
			return nil, err
		}
	}
}

// copyAheadLarge runs a COPY in the current transaction whose first rows alone
// are too many: as a large transaction, if the table is one that apply can know.
func (s *Session) copyAheadLarge(ctx context.Context, c *plan.Copy, prog *exec.Program, first *rowBatch, rows *copyReader, w ResultWriter) (done bool, err error) {
	tx := s.tx
	tbl := prog.Statement.Insert.Table
	fresh, ok := tx.txn.LoadTarget(tbl, tx.view.Catalog())
	// Chunks are checked against what is committed, not against what the transaction
	// has done to the table.
	if !ok || !fresh && tx.txn.Wrote(tbl) || !loadable(prog.Statement, tx.writes) {
		return false, nil
	}
	ls := log.Statement{Text: c.Text, Time: s.e.now()}
	l := s.newLoader(ctx, ls, tx.began, log.Load{Table: uint32(tbl.ID), Fresh: fresh, Beside: tx.loads.stages()})
	ls.Copy, err = l.copy(first, rows)
	if err == nil {
		_, err = tx.txn.Attach(l.id)
	}
	if err != nil {
		l.abandon()
		tx.failed = true
		return true, err
	}
	tx.loads = append(tx.loads, txLoad{stage: l.id, at: len(tx.statements)})
	tag := exec.Tag(prog.Statement, l.rows)
	ls.Digest = exec.NewDigest(false).Sum(tag)
	if err := s.record(ls, prog.Statement, &validatedSession{}); err != nil {
		return true, err
	}
	return true, w.CommandComplete(tag)
}

// loadable reports whether the foreign keys of the table that st inserts into can be
// checked chunk by chunk: not when they are checked at the end, when rows refer to
// others of the same statement, or to rows that only the transaction has (dirty).
func loadable(st *plan.Statement, dirty bool) bool {
	for _, g := range st.Guards {
		for _, ref := range g.Parents {
			if ref.Key.Deferrable || dirty || ref.Target.ID == g.Table.ID {
				return false
			}
		}
	}
	return true
}

// txLoad is a large COPY of a transaction; at is its place among the statements.
type txLoad struct {
	stage log.StageID
	at    int
}

type txLoads []txLoad

func (ls txLoads) stages() []log.StageID {
	var out []log.StageID
	for _, l := range ls {
		out = append(out, l.stage)
	}
	return out
}

// dropLoads gives up the large COPYs after the first n statements, which the
// client rolls back. Their rows are gone then, so that these statements, and those
// after them that may have seen the rows, cannot be replayed for comparison: they
// are taken out of what COMMIT will send.
func (s *Session) dropLoads(n int) {
	tx := s.tx
	for i, l := range tx.loads {
		if l.at >= n {
			s.unstage(tx.loads[i:].stages())
			tx.statements = tx.statements[:l.at]
			tx.loads = tx.loads[:i]
			if tx.latest = (&exec.Meaning{}); l.at == 0 { // the next one says its settings
				tx.first = nil
			}
			return
		}
	}
}

// unseenTooLarge is the error of a COPY beyond maxUnseenBytes.
func unseenTooLarge(t string) error {
	return sqlstate.New(sqlstate.ProgramLimitExceeded, "a COPY into a table that was created or altered in the same transaction may have at most %d MB", maxUnseenBytes>>20).
		WithDetail("Table \"%s\" is not known outside the transaction as it is now.", t).
		WithHint("Commit before the COPY.")
}
