// Package compaction owns how much of a log's history is retained: the policy of
// a database, the floor that follows from it, and the driver that proposes it to
// the log. It knows neither tables nor replicas: what it has to be told it is told
// in offsets, and what is below the floor others delete.
package compaction
