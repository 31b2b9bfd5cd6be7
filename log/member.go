package log

// NodeID names a node for ever, whatever its address: a UUID in lower-case text.
type NodeID string

// ReplicaID is the number of a replica in its group, from 1. A number that was
// removed from its group never returns.
type ReplicaID uint64
