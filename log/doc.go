// Package log owns the vocabulary of the replicated log: offsets and tokens,
// the entries that are appended and the results of applying them, and the two
// interfaces that meet there (Log and StateMachine). It never executes a
// command, stores a table or knows SQL. Everything above calls it; it calls
// only the standard library and msgpack. log/raftlog and log/memlog implement
// Log.
package log
