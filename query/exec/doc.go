// Package exec runs plans. It compiles a plan once into operators and closures
// that hold no state, and runs them any number of times, over a speculative
// transaction for a session or over the transaction of a log entry that is
// being applied; it is the sm.Executor. Everything it does in apply is
// deterministic: no clock, no randomness but the entry's seed, no goroutines,
// and rows always in an order that only the data decide. It never parses text
// (package plan does), never talks to a client and never opens a transaction.
//
// Rows are pulled one at a time. A row belongs to the operator that yields it
// and is valid until its next one; what it points to may be kept. Operators that
// hold rows copy them and account for the memory.
package exec
