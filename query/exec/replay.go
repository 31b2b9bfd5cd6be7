package exec

import (
	"bytes"
	"context"
	"errors"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Point is an open savepoint of a transaction that has been executed again.
type Point struct {
	Name string
	Mark sm.Mark
	Keys ConstraintsMark
}

// Rerun executes what a running transaction has done so far again, on a newer
// view than that of e.Snapshot, and returns its open savepoints, oldest first, and
// its deferred constraints. The error is that of Conflict when an answer would be
// another one now.
func (x *Executor) Rerun(ctx context.Context, txn *sm.Txn, e *log.Entry) ([]Point, *Constraints, error) {
	m, err := x.read(e.Settings, e.Role)
	if err != nil {
		return nil, nil, err
	}
	// The cache of meanings belongs to apply.
	alone := &Executor{Plans: x.Plans, Database: x.Database}
	r := alone.newRun(txn, e, m)
	r.cancel = ctx
	points, err := r.replay()
	return points, r.keys, err
}

// replay executes an interactive transaction again at its place in the log and
// compares every answer with what the client was shown. It returns the
// savepoints that are still open.
func (r *entryRun) replay() ([]Point, error) {
	var points []Point
	seen := newFootprint(r.txn, r.entry.Snapshot)
	for i := range r.entry.Statements {
		st := &r.entry.Statements[i]
		if err := r.use(st.Settings); err != nil {
			return nil, err
		}
		switch st.Action {
		case log.ActionSavepoint:
			points = append(points, Point{st.Text, r.txn.Savepoint(), r.keys.Savepoint()})
			continue
		case log.ActionRelease, log.ActionRollbackTo:
			k := findPoint(points, st.Text)
			if k < 0 {
				return nil, sqlstate.New(sqlstate.InvalidSavepoint, "savepoint \"%s\" does not exist", st.Text)
			}
			if st.Action == log.ActionRollbackTo {
				r.txn.RollbackTo(points[k].Mark)
				r.keys.RollbackTo(points[k].Keys)
				points = points[:k+1]
			} else {
				points = points[:k]
			}
			continue
		}
		digest, err := r.again(i, seen)
		if err != nil {
			return nil, err
		}
		if digest != nil && !bytes.Equal(digest, st.Digest) {
			return nil, Conflict(i)
		}
	}
	return points, nil
}

// use makes settings those of the statements to come; none leaves them.
func (r *entryRun) use(settings []log.Setting) error {
	if len(settings) == 0 {
		return nil
	}
	m, err := r.x.read(settings, r.entry.Role)
	if err != nil {
		return err
	}
	r.meaning, r.session = m, NewEntrySession(r.entry, m, r.txn, r.session.Traced())
	return nil
}

func findPoint(points []Point, name string) int {
	for k := len(points) - 1; k >= 0; k-- {
		if points[k].Name == name {
			return k
		}
	}
	return -1
}

// Conflict is the error of a transaction that was shown something which is not
// so at its place in the log.
func Conflict(statement int) error {
	return sqlstate.New(sqlstate.SerializationFailure, "could not serialize access due to concurrent update").
		WithDetail("What statement %d of the transaction was shown has been changed by another transaction.", statement+1).
		WithHint("The transaction might succeed if retried.")
}

// again executes statement i of an interactive transaction and returns the
// digest of its outcome; nil when nothing it could see has changed, so that its
// outcome is known to be the same.
//
// Only what writes spends the budget of steps: whether a query has to be
// executed at all may differ between replicas.
func (r *entryRun) again(i int, seen *footprint) ([]byte, error) {
	st := &r.entry.Statements[i]
	mark, keys := r.txn.Savepoint(), r.keys.Savepoint()
	r.seqs.feed = st.Drawn
	prog, rt, err := r.prepare(i, false)
	var n int64
	var d *Digest
	if err == nil {
		q := prog.Statement
		if q.ReadOnly() && st.Copy == nil {
			if same, known := seen.unchanged(prog, rt); known {
				if !same {
					return nil, Conflict(i)
				}
				return nil, nil
			}
		} else {
			// Before the statement is bound: what this looks at is not the same on
			// every replica.
			seen.wrote(prog, seen.changed(prog, rt))
			r.bound(prog, rt)
		}
		d = NewDigest(q.Ordered)
		n, err = r.run(prog, rt, st, func(row []types.Datum) error { d.Row(row); return nil })
	} else {
		seen.all = true // what it would have written cannot be said
	}
	if err != nil {
		var e *sqlstate.Error
		if !errors.As(err, &e) {
			return nil, err
		}
		r.txn.RollbackTo(mark)
		r.keys.RollbackTo(keys)
		if r.cancel != nil && r.cancel.Err() != nil {
			return nil, e
		}
		if e.Code == sqlstate.ProgramLimitExceeded && len(st.Digest) > 0 && !bytes.Equal(ErrorDigest(e), st.Digest) {
			return nil, e // to try again would not help
		}
		return ErrorDigest(e), nil
	}
	return d.Sum(Tag(prog.Statement, n)), nil
}
