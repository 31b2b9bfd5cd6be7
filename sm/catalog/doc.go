// Package catalog owns the descriptors of schema objects (schemas, tables,
// indexes, sequences) and the immutable Catalog that holds a consistent set of
// them. Descriptors are data, never SQL text: expressions in them are kept in
// a canonical text that is bound again, but names and types are resolved. It
// never reads or writes storage (package sm does) and never parses SQL (query
// does).
package catalog
