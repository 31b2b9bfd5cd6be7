// Package tests holds the tests that look at the whole: which package may import
// which, what code that applies the log may call, and nodes as users run them. It
// has no code of its own and nothing imports it.
//
// Folder check has the judges of histories, folder workload what clients do to
// servers that may be killed, folder sim the deterministic simulation.
package tests
