// Package expr owns the library of SQL functions, operators, casts and
// aggregates: which one a name and argument types mean (PostgreSQL's rules,
// chapter 10 of its manual) and what it computes. It never parses, never
// touches storage, and knows catalogs, sequences and sessions only through the
// small interfaces in ctx.go. The binder (query/plan) resolves, the executor
// (query/exec) calls what was resolved.
//
// # How it is put together
//
// signatures.txt holds what PostgreSQL 15's pg_proc, pg_operator and pg_cast
// say of every function over the types we have: OID, argument and result
// types, volatility, strictness. The Go files hold what the functions compute,
// in maps keyed by name or by name and argument types. registry.go joins the
// two. A signature without an implementation still takes part in overload
// resolution, because leaving it out would make other calls resolve
// differently than PostgreSQL's; calling it is 0A000.
package expr
