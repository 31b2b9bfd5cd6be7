package logical

import (
	"context"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// Step is what a ChangeReader has come to.
type Step uint8

// The steps: a transaction's begin, each of its changes, its commit. CaughtUp says
// that there is nothing more at this time.
const (
	CaughtUp Step = iota
	Begin
	Change
	Commit
)

// parkAfter is how many records are read through one view at most. A view holds
// back what the store would else let go, so it is given up now and then even when
// nobody has to be waited for.
const parkAfter = 8192

// ChangeReader reads the committed transactions of a replica in their order, each
// whole, from a position on. What it holds does not grow with transactions or with
// how far it is behind: one record at a time, and between calls of Park and Next no
// view at all.
//
// It belongs to one goroutine.
type ChangeReader struct {
	replica *sm.Replica

	view    *sm.View
	txns    *sm.TxnIter
	changes *sm.ChangeIter
	pending bool // changes stands on a record that has not been returned
	records int  // read through the view

	passed log.Offset // all transactions up to this commit offset have been returned
	inside bool       // header's transaction has begun and not yet come to its commit
	header sm.TxnHeader
	at     log.Offset // of the last change returned

	catalog   *catalog.Catalog
	catalogAt log.Offset // the commit that catalog is of
}

// NewChangeReader returns a reader of the transactions whose commit offset is from
// or greater.
func NewChangeReader(r *sm.Replica, from log.Offset) *ChangeReader {
	return &ChangeReader{replica: r, passed: max(from, 1) - 1}
}

// Next goes one step on. After an error the reader is of no more use.
func (r *ChangeReader) Next() (Step, error) {
	if r.records >= parkAfter {
		r.Park()
	}
	if r.view == nil {
		if err := r.open(); err != nil {
			return CaughtUp, err
		}
	}
	r.records++
	if r.inside {
		return r.nextChange()
	}
	for !r.txns.Next() {
		if err := r.txns.Err(); err != nil {
			return CaughtUp, err
		}
		seen := r.view.Offset()
		r.Park()
		if r.replica.Position().Offset <= seen {
			return CaughtUp, nil
		}
		if err := r.open(); err != nil {
			return CaughtUp, err
		}
	}
	r.header, r.inside = r.txns.Header(), true
	return Begin, nil
}

// open opens a view and what is read through it, where the reader stands.
func (r *ChangeReader) open() error {
	v, err := r.replica.View()
	if err != nil {
		return err
	}
	if floor := r.replica.Position().Floor; r.passed < floor {
		v.Close()
		return NotRetained(r.passed, floor)
	}
	r.view = v
	if r.inside {
		// Its header has been returned; the next one is the one behind it.
		r.txns = v.Transactions(r.header.Commit)
	} else {
		r.txns = v.Transactions(r.passed)
	}
	return nil
}

// NotRetained is the error of who wants to read from a position below the floor.
func NotRetained(after, floor log.Offset) error {
	return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "the changes after %s are no longer retained", after).
		WithDetail("The oldest position that can be read from is %s.", floor)
}

// nextChange moves to the next change of the transaction, or to its commit.
func (r *ChangeReader) nextChange() (Step, error) {
	if r.changes == nil && r.header.Changes > 0 {
		r.changes, r.pending = r.view.Changes(max(r.at, r.header.Start-1)), false
	}
	if r.changes != nil {
		ok := r.pending || r.changes.Next()
		r.pending = ok
		if !ok && r.changes.Err() != nil {
			return CaughtUp, r.changes.Err()
		}
		if c := r.changes.Change(); ok && c.Offset < r.header.Commit {
			r.pending, r.at = false, c.Offset
			return Change, nil
		}
	}
	r.inside, r.passed, r.at = false, r.header.Commit, r.header.Commit
	return Commit, nil
}

// Header returns the transaction that the reader is in, or whose commit it has come
// to.
func (r *ChangeReader) Header() *sm.TxnHeader { return &r.header }

// Change returns the change that Next has come to. Next reuses it, but not its
// slices.
func (r *ChangeReader) Change() *sm.Change { return r.changes.Change() }

// Catalog returns the catalog as of the transaction's commit.
func (r *ChangeReader) Catalog() (*catalog.Catalog, error) {
	if r.catalog != nil && r.catalogAt == r.header.Commit {
		return r.catalog, nil
	}
	c, err := r.catalogOf(r.header.Commit)
	if err == nil {
		r.catalog, r.catalogAt = c, r.header.Commit
	}
	return c, err
}

// CatalogBefore returns the catalog as of the commit before the transaction.
func (r *ChangeReader) CatalogBefore() (*catalog.Catalog, error) { return r.catalogOf(r.header.Prev) }

func (r *ChangeReader) catalogOf(off log.Offset) (*catalog.Catalog, error) {
	if r.view == nil {
		if err := r.open(); err != nil {
			return nil, err
		}
	}
	if c := r.view.Catalog(); c.Version() <= off {
		return c, nil
	}
	return r.view.CatalogAt(off)
}

// Position is the end of what has been returned: every transaction that has not yet
// come to its commit here commits at this offset or later.
func (r *ChangeReader) Position() log.Offset { return r.passed + 1 }

// Park lets go of the view. The reader goes on with a new one.
func (r *ChangeReader) Park() {
	if r.view == nil {
		return
	}
	if r.changes != nil {
		r.changes.Close()
	}
	r.txns.Close()
	r.view.Close()
	r.view, r.txns, r.changes, r.pending, r.records = nil, nil, nil, false, 0
}

// Wait returns when there is a transaction that has not been returned. It holds no
// view meanwhile.
func (r *ChangeReader) Wait(ctx context.Context) error {
	r.Park()
	return r.replica.Wait(ctx, r.Position())
}
