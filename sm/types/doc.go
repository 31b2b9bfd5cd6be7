// Package types owns SQL values: the Datum that holds one, the Type that says
// what it means, and every codec between them and bytes (PostgreSQL's text and
// binary formats, the stored row format). It never touches storage, names of
// tables, sessions or clocks. sm and query call it; it calls nothing of ours
// but sm/sqlstate.
package types
