package log

// NodeID names a node of a cluster for good: UUID text in lower case. Its
// addresses may change.
type NodeID string

// ReplicaID numbers a replica in its group, from 1. A number is never used
// again, also when the same node hosts a replica of the log a second time.
type ReplicaID uint64
