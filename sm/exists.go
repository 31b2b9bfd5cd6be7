package sm

import (
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// HasKey reports whether a row of tbl has the key of row in ix, which must be
// unique. Only the columns of ix count in row; a key with a NULL is found only
// where NULLs are not distinct.
func (t *Txn) HasKey(tbl *catalog.Table, ix *catalog.Index, row []types.Datum) (bool, error) {
	key, ok, err := t.holder(tbl, ix, row)
	if err != nil || !ok || !ix.Primary {
		return ok, err
	}
	t.prefixBuf = appendRowPrefix(t.prefixBuf[:0], tbl, key)
	var found Row
	return t.read(t.prefixBuf, &found)
}
