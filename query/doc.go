// Package query owns sessions: prepared statements, portals, transactions and
// settings of one client, and the engine they share. A session decides whether
// a statement only reads, which it runs on a view of its own choosing, or
// writes, which it turns into an entry of the log; packages parser, plan and
// exec do the rest. It never applies the log (exec does, called by sm) and never
// speaks the wire protocol (pgwire does, and calls the sessions made here).
package query
