// Package parser turns SQL text into PostgreSQL's raw syntax trees. It owns what
// must happen before the grammar sees the text: refusing NUL and bad UTF-8,
// capping size and nesting, cutting a string into its statements, and the few
// statements of Tidemark's own. It never looks at a catalog. Packages plan and
// query call it; the grammar itself is the multigres port of PostgreSQL's.
package parser
