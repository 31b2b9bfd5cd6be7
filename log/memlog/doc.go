// Package memlog owns a log that lives in the memory of one process: one order
// of entries that several replicas apply, each at its own pace. It exists for
// tests and the simulation, where it stands in for log/raftlog and misbehaves
// on purpose: batches are cut at random places, indexes have gaps, replicas lag,
// restart and are restored from each other, all from one seed. It never decodes
// an entry and stores nothing.
//
// A Cluster is driven step by step on one goroutine (Append, Step, Restart,
// Restore: the same seed gives the same run), or started, and then every replica
// has a goroutine of its own and serves as the log.Log of a server.
package memlog
