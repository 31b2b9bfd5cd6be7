// Package raftlog owns the replicated, durable log: it is the only code that
// imports Dragonboat, and it turns a Raft group into a log.Log. It never decodes
// an entry and knows no SQL; the root package opens one Host a process and one
// Shard a database.
//
// What Dragonboat makes everybody careful about is gathered here:
//
//   - Any error from the state machine ends the process. A halted state machine
//     (log.ErrHalted) must not: its entries are answered with a mark, and no
//     snapshot is recorded until it runs again (machine.go).
//   - A state machine that reports less than the last snapshot panics at boot:
//     checked before the start (stored.go).
//   - Files carry the host's name and absolute paths: a data directory could not
//     be moved or copied. A file system in between hides both (fs.go).
//   - Members of a group are named by address, and an inconsistent address ends
//     the process: here they are nodes, with an address book (address.go).
//   - A replica must start as what it was first, learner or voter, and keeps its
//     timing until it is started again (record.go, group.go).
//   - Proposals that find a queue full were not appended and are tried again.
//     Those that find no answer may have been; they are proposed again too, and
//     the state machine must recognise what comes twice (pursue.go).
package raftlog
