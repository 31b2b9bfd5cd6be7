// Package tests holds the tests that look at the whole: which package may import
// which, what code that applies the log may call, and nodes as users run them. It
// has no code of its own and nothing imports it.
package tests
