package sm

import (
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Executor runs the statements of an entry. It is called once for each entry
// of KindCommand and KindTransaction, from one goroutine at a time.
//
// An error that is or wraps a *sqlstate.Error is the recorded outcome of the
// entry: everything the transaction did is rolled back and the next entry goes
// on. Any other error, or a panic, halts this log on this node.
//
// Result.Offset, and Result.Err when an error is returned, are filled in by sm.
type Executor interface {
	Execute(txn *Txn, e *log.Entry) (log.Result, error)
}

// IndexEvaluator computes the keys of indexes that sm cannot compute itself:
// those with expression columns and partial ones. It is called for no others.
// It must be deterministic. Its key has one datum for each index column;
// include says whether the row belongs in the index at all. An error that is a
// *sqlstate.Error fails the statement.
type IndexEvaluator interface {
	IndexKey(c *catalog.Catalog, t *catalog.Table, ix *catalog.Index, row []types.Datum) (key []types.Datum, include bool, err error)
}
