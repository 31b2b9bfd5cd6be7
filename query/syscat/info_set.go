package syscat

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/types"
)

// noRows is a set-returning function's empty answer.
type noRows struct{}

// Next implements expr.RowIter.
func (noRows) Next() ([]types.Datum, bool, error) { return nil, false, nil }

// CallSet implements expr.SetSource.
func (ci *CatalogInfo) CallSet(name string, args []types.Datum) (expr.RowIter, bool, error) {
	switch name {
	case "pg_partition_ancestors", "pg_partition_tree":
		return noRows{}, true, nil // no table is a partition
	case "pg_get_publication_tables":
		rows, err := ci.publicationTables(args[0].Str())
		return rows, true, err
	}
	return nil, false, nil
}
