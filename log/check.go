package log

import "math"

// Digest is a 128-bit digest of a state.
type Digest [16]byte

// MaxVoters bounds the replicas that vote on one check.
const MaxVoters = 64

// Check asks replicas for the digest of their state at the entry's place.
type Check struct {
	// Scan asks for a digest of everything that is stored, read back from disk,
	// and not only for the one that is kept while entries are applied.
	Scan bool
	// Voters are the replicas whose majority decides, as the proposer knew them.
	Voters []ReplicaID
}

// Vote is one replica's digest.
type Vote struct {
	// Check is the index of the check's entry.
	Check   Index
	Replica ReplicaID
	Digest  Digest
}

// checkFields and voteFields count the fields in format version 1.
const (
	checkFields = 2
	voteFields  = 3
)

func (c *Check) encode(w *writer) {
	if c == nil {
		w.none()
		return
	}
	w.array(checkFields)
	w.uint(boolUint(c.Scan))
	w.array(len(c.Voters))
	for _, v := range c.Voters {
		w.uint(uint64(v))
	}
}

func decodeCheck(r *reader) *Check {
	if r.isNone() {
		return nil
	}
	c := &Check{}
	r.fields(checkFields)
	c.Scan = r.uint(1) == 1
	c.Voters = list(r, 1, func(id *ReplicaID, r *reader) { *id = ReplicaID(r.uint(math.MaxUint64)) })
	return c
}

func (v *Vote) encode(w *writer) {
	if v == nil {
		w.none()
		return
	}
	w.array(voteFields)
	w.uint(uint64(v.Check))
	w.uint(uint64(v.Replica))
	w.bytes(v.Digest[:])
}

func decodeVote(r *reader) *Vote {
	if r.isNone() {
		return nil
	}
	v := &Vote{}
	r.fields(voteFields)
	v.Check, v.Replica = Index(r.uint(math.MaxUint64)), ReplicaID(r.uint(math.MaxUint64))
	r.fixed(v.Digest[:])
	return v
}
