// Package sm owns the state machine of one log: the apply loop, the Pebble
// store with its versioned rows, index entries, changes and command records,
// the transactions that read and write them, and the read-only views of any
// retained offset.
//
// The flow of a write: Replica.Apply decodes each committed entry, gives it a
// Txn over an overlay shared by the whole call, and lets the Executor run its
// statements. What the transactions of one call wrote goes into one Pebble
// batch together with the position reached, so that state and position can
// never disagree. Only then is the new position published and whoever waits
// for it woken.
//
// The flow of a read: Replica.View pins an offset and the catalog of that
// offset; View.Begin gives a Txn whose reads are filtered by version. Apply is
// never blocked by a reader.
//
// sm never parses SQL, plans or evaluates an expression (package query does,
// through Executor and IndexEvaluator), never proposes an entry and never talks
// to a network. Package query and the root package call it.
//
// Everything reached from Apply is deterministic: no clock, no randomness, no
// environment, no goroutines and no order of map iteration.
package sm
