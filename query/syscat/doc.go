// Package syscat owns the relations that are computed rather than stored: the
// PostgreSQL system catalogs, information_schema, and Tidemark's own views of
// its log. Each is an ordinary virtual table: a list of columns and a function
// that yields rows from the live catalog or the log; the ordinary planner and
// executor do the rest. It also owns CatalogInfo, the functions that read the
// catalog (pg_get_indexdef, format_type …) and the names behind regclass and
// its siblings. It never looks at the text of a query and never writes. Package
// plan resolves names here, package exec reads the rows, package query makes
// the Context and the CatalogInfo.
//
// Facts about PostgreSQL itself (column lists, pg_type, pg_proc, operator
// classes, key words) are in data/, read from a running PostgreSQL 15.
package syscat
