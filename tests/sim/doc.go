// Package sim is the deterministic simulation of the whole below the wire: real
// sessions, the real executor and real replicas over one simulated log, on one
// goroutine, from one seed. Replicas differ in batch cuts, crash, restart and
// are restored from each other; sessions are interleaved, fail and lose their
// answers. It has no code but tests and nothing imports it.
//
//	go test ./tests/sim                       a small run
//	TIDEMARK_SIM=full go test ./tests/sim     50,000 commands and 100 crashes at least
//	go test ./tests/sim -sim.duration=8h      until the time is up
//	go test ./tests/sim -sim.seed=N           the run that printed N
//
// A client whose answer was lost leaves it at that (the model knows what really
// happened), or had an idempotency key and tries again.
//
// The stores flush and compact on goroutines of their own, so what a crash
// leaves on a simulated disk may differ between runs of one seed; what the log
// says does not.
package sim
