// Package consume has consumers of changes, as users write them: they stream from a
// slot, note what they receive, acknowledge it in one way or another, crash, and go
// on through another node.
//
// A Change is the same whichever way it came: pgoutput in text or in binary form,
// test_decoding, or a row of tidemark.changes. Tables rebuilds tables from changes.
// A Consumer keeps what it received as deliveries for the judge of streams in
// package check. Reference reads the whole of tidemark.changes, which is what the
// others are compared with.
package consume
