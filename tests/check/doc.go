// Package check judges histories: what clients sent, what they were shown and
// when. It knows nothing of SQL and connects to nothing.
//
// A History is of transactions that read lists and append to them, each value
// appended once at most. Two judges look at it, and neither trusts the other:
//
//   - Cycles works as Elle does. It takes nothing but what clients saw: the lists
//     give the order of versions, that gives which transaction depends on which,
//     and a cycle of dependencies and of real time is an anomaly.
//   - Witness takes the log's word for the order of commits and replays the
//     acknowledged transactions in it. Every read must be explained by the state
//     at its transaction's place, and real time must agree with the offsets.
//
// Replay is the part of a witness that the simulation shares: one transaction
// with its savepoints, explained again by some state of a model.
package check
