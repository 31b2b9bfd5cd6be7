package sm

import "github.com/tidemark-db/tidemark/log"

// Checksum is the additive 128-bit checksum of a state: live rows, descriptors
// and sequence values. Equal states have equal checksums, however they were
// reached.
type Checksum [16]byte

// Position says how far a replica has applied its log. All fields belong to
// the same moment.
type Position struct {
	// Offset is the commit offset of the last committed transaction; End is the
	// offset just after it.
	Offset, End log.Offset
	// Index is the consensus index of the last applied entry.
	Index log.Index
	// Place is how many entries have been applied.
	Place log.Place
	// Time is the log time of the last applied entry, in microseconds since
	// 2000-01-01 UTC.
	Time int64
	// Checksum is that of the state at Offset.
	Checksum Checksum
	// Epoch is the epoch that tokens of this log carry.
	Epoch log.Epoch
	// Catalog is the offset of the last transaction that changed a descriptor.
	Catalog log.Offset
	// Semantics is what the last fence switched to.
	Semantics log.Semantics
	// Floor is the oldest offset whose history is still retained.
	Floor log.Offset
}
