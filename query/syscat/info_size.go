package syscat

import (
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// sizeFuncs measure relations and tell what can be done with them.
var sizeFuncs = map[string]infoFunc{
	"pg_relation_size": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if len(args) > 1 && args[1].Str() != "main" {
			return types.Int(0), nil // the other forks do not exist
		}
		return ci.size(args[0], ci.ownBytes), nil
	},
	"pg_table_size": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		return ci.size(args[0], ci.ownBytes), nil
	},
	"pg_indexes_size": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		return ci.size(args[0], ci.indexBytes), nil
	},
	"pg_total_relation_size": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		return ci.size(args[0], func(r *relation) int64 { return ci.ownBytes(r) + ci.indexBytes(r) }), nil
	},
	"pg_database_size":   databaseSize,
	"pg_tablespace_size": tablespaceSize,
	"pg_relation_filenode": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		rel, ok := relationByID(ci.catalog, oidArg(args[0]))
		if !ok || rel.kind == kindView {
			return types.NullDatum, nil
		}
		return num(rel.id), nil
	},
	"pg_relation_is_publishable": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		rel, ok := relationByID(ci.catalog, oidArg(args[0]))
		if !ok {
			return types.NullDatum, nil
		}
		return types.Bool(rel.changeable()), nil
	},
	"pg_relation_is_updatable": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if ci.catalog.Table(oidArg(args[0])) == nil {
			return types.Int(0), nil
		}
		return types.Int(changeEvents), nil
	},
	"pg_column_is_updatable": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		return types.Bool(ci.catalog.Table(oidArg(args[0])) != nil), nil
	},
	"pg_indexam_has_property": func(_ *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if oidArg(args[0]) != btreeMethod {
			return types.NullDatum, nil
		}
		return property(methodProperties, args[1]), nil
	},
	"pg_index_has_property": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if t, i := ci.catalog.IndexTable(oidArg(args[0])); t == nil || i < 0 {
			return types.NullDatum, nil
		}
		return property(indexProperties, args[1]), nil
	},
	"pg_index_column_has_property": indexColumnProperty,
}

// changeEvents is the bit set of INSERT, UPDATE and DELETE that
// pg_relation_is_updatable() answers with.
const changeEvents = 1<<2 | 1<<3 | 1<<4

// size calls f with the relation; NULL when there is none.
func (ci *CatalogInfo) size(d types.Datum, f func(*relation) int64) types.Datum {
	rel, ok := relationByID(ci.catalog, oidArg(d))
	if !ok {
		return types.NullDatum
	}
	return types.Int(f(&rel))
}

// bytes estimates what a table's rows or one of its indexes take; the primary
// key is how the rows are kept, and takes nothing itself.
func (ci *CatalogInfo) bytes(t *catalog.Table, ix *catalog.Index) int64 {
	if ci.RelationBytes == nil || ix != nil && ix.Primary {
		return 0
	}
	return ci.RelationBytes(t, ix)
}

// ownBytes is the size of a table or an index alone.
func (ci *CatalogInfo) ownBytes(r *relation) int64 {
	if r.table == nil {
		return 0
	}
	return ci.bytes(r.table, r.index)
}

// indexBytes is the size of a table's indexes.
func (ci *CatalogInfo) indexBytes(r *relation) int64 {
	if r.kind != kindTable || r.table == nil {
		return 0
	}
	total := int64(0)
	for i := range r.table.Indexes {
		total += ci.bytes(r.table, &r.table.Indexes[i])
	}
	return total
}

// What B-trees can do, by the names of PostgreSQL's index properties.
var (
	methodProperties = map[string]bool{"can_order": true, "can_unique": true, "can_multi_col": true, "can_exclude": false, "can_include": true}
	indexProperties  = map[string]bool{"clusterable": false, "index_scan": true, "bitmap_scan": false, "backward_scan": true}
)

func property(m map[string]bool, name types.Datum) types.Datum {
	v, ok := m[name.Str()]
	if !ok {
		return types.NullDatum
	}
	return types.Bool(v)
}

func indexColumnProperty(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
	t, i := ci.catalog.IndexTable(oidArg(args[0]))
	if t == nil || i < 0 {
		return types.NullDatum, nil
	}
	ix, n := &t.Indexes[i], args[1].Int()
	if n < 1 || n > int64(len(ix.Columns)+len(ix.Include)) {
		return types.NullDatum, nil
	}
	var k *catalog.IndexColumn // nil for a column that is only included
	if n <= int64(len(ix.Columns)) {
		k = &ix.Columns[n-1]
	}
	switch args[2].Str() {
	case "asc":
		return types.Bool(k != nil && !k.Descending), nil
	case "desc":
		return types.Bool(k != nil && k.Descending), nil
	case "nulls_first":
		return types.Bool(k != nil && k.NullsFirst), nil
	case "nulls_last":
		return types.Bool(k != nil && !k.NullsFirst), nil
	case "orderable", "search_array", "search_nulls":
		return types.Bool(k != nil), nil
	case "distance_orderable":
		return types.Bool(false), nil
	case "returnable":
		return types.Bool(true), nil
	}
	return types.NullDatum, nil
}
