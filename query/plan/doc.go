// Package plan turns parsed statements into plans: it resolves names against a
// catalog, types every expression as PostgreSQL does, and chooses how tables
// are read and joined. A plan depends only on the statement, the catalog, the
// settings in Env and the parameter types, never on what one node happens to
// know, because replicas that apply the same entry must run the same plan.
// It never reads a row. Package query binds statements here, package exec runs
// what comes out. Besides query/parser it is the only package that sees the
// grammar's syntax trees.
package plan
