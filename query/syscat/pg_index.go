package syscat

import (
	"strings"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Bits of indoption.
const (
	indexDescending = 1
	indexNullsFirst = 2
)

func indexRows(c *Context, r idRange, w *writer) error {
	for t := range storedTables(c.Catalog, r) {
		for i := range t.Indexes {
			w.begin()
			setIndex(w, t, &t.Indexes[i])
			if !w.end() {
				return nil
			}
		}
	}
	return nil
}

func setIndex(w *writer, t *catalog.Table, ix *catalog.Index) {
	var key []catalog.ColumnNum
	var collations, classes, options []catalog.ID
	var exprs []string
	for _, k := range ix.Columns {
		key = append(key, k.Column)
		if k.Column == 0 {
			exprs = append(exprs, k.Expr)
		}
		collations = append(collations, catalog.ID(factOf(k.Type).collation))
		classes = append(classes, opclassOf(k.Type))
		option := catalog.ID(0)
		if k.Descending {
			option |= indexDescending
		}
		if k.NullsFirst {
			option |= indexNullsFirst
		}
		options = append(options, option)
	}
	key = append(key, ix.Include...)
	w.set("indexrelid", num(ix.ID))
	w.set("indrelid", num(t.ID))
	w.set("indnatts", num(len(key)))
	w.set("indnkeyatts", num(len(ix.Columns)))
	w.set("indisunique", types.Bool(ix.Unique || ix.Primary))
	w.set("indnullsnotdistinct", types.Bool(ix.NullsNotDistinct))
	w.set("indisprimary", types.Bool(ix.Primary))
	w.set("indisreplident", types.Bool(t.Identity() == catalog.IdentityIndex && t.ReplicaIndex == ix.ID))
	for _, col := range []string{"indimmediate", "indisvalid", "indisready", "indislive"} {
		w.set(col, types.Bool(true))
	}
	w.set("indkey", vector(types.Int2VectorType, key))
	w.set("indcollation", vector(types.OIDVectorType, collations))
	w.set("indclass", vector(types.OIDVectorType, classes))
	w.set("indoption", vector(types.Int2VectorType, options))
	w.set("indexprs", strOrNull(strings.Join(exprs, ", ")))
	w.set("indpred", strOrNull(ix.Predicate))
}
