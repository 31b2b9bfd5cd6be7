package raftlog

import (
	"encoding/binary"
	"sync"
)

// Dragonboat's store writes and syncs a record of its own whenever a group's
// commit index moves while nothing is appended, which is once for each entry when
// there is one client. Raft does not need that: the commit index is learned again
// from the leader, and only the term and the vote must not be forgotten. So a
// sync is left out if all that was written since the last one are such records.
// They are made durable together with what is written next, and with a WAL's end,
// which is a chunk of its own: only the last WAL may break off.
//
// The store cannot be told so from outside. What it writes can be read, though:
// Pebble's WAL is a sequence of chunks, each of which holds, if it is a whole
// record, one batch of keys and values. Whatever looks different from what is
// expected here is synced as before.

// walSuffix ends the names of Pebble's WALs.
const walSuffix = ".log"

// Layout of a chunk: checksum, size of the record, kind, number of the file.
const (
	chunkSizeAt = 4
	chunkKindAt = 6
	chunkHeader = 11
	chunkWhole  = 5 // kind of a chunk that is a whole record of a file that is used again
)

// Layout of a batch: sequence number, count of operations, operations.
const (
	batchHeader = 12
	batchSet    = 1
)

// Layout of the key under which Dragonboat keeps the state of a replica: a mark,
// the shard and the replica.
const (
	stateMark    = "\x02\x02\x00\x00"
	stateKeySize = 20
)

// Fields of the state, as in protocol buffers.
const (
	termField   = 1 << 3
	voteField   = 2 << 3
	commitField = 3 << 3
)

// ballot is what a replica must not forget.
type ballot struct{ term, vote uint64 }

// ballots knows the terms and votes that were written last.
type ballots struct {
	mu   sync.Mutex
	last map[[stateKeySize]byte]ballot
}

// unchanged says whether a piece of a WAL holds nothing but commit indexes that
// moved. It notes the ballots it sees.
func (b *ballots) unchanged(wal []byte) bool {
	same := len(wal) > 0
	for len(wal) > 0 {
		if len(wal) < chunkHeader || wal[chunkKindAt] != chunkWhole {
			return false
		}
		end := chunkHeader + int(binary.LittleEndian.Uint16(wal[chunkSizeAt:]))
		if len(wal) < end || !b.unchangedBatch(wal[chunkHeader:end]) {
			same = false
		}
		wal = wal[min(end, len(wal)):]
	}
	return same
}

// unchangedBatch is unchanged for one batch.
func (b *ballots) unchangedBatch(batch []byte) bool {
	if len(batch) <= batchHeader {
		return false
	}
	for batch = batch[batchHeader:]; len(batch) > 0; {
		if batch[0] != batchSet {
			return false
		}
		key, rest, ok := sized(batch[1:])
		if !ok || len(key) != stateKeySize || string(key[:len(stateMark)]) != stateMark {
			return false
		}
		state, rest, ok := sized(rest)
		if !ok || !b.same([stateKeySize]byte(key), state) {
			return false
		}
		batch = rest
	}
	return true
}

// same notes the ballot of a state and says whether it is the one before.
func (b *ballots) same(key [stateKeySize]byte, state []byte) bool {
	var is ballot
	var commit uint64
	for _, f := range []struct {
		mark  byte
		value *uint64
	}{{termField, &is.term}, {voteField, &is.vote}, {commitField, &commit}} {
		if len(state) == 0 || state[0] != f.mark {
			return false
		}
		v, n := binary.Uvarint(state[1:])
		if n <= 0 {
			return false
		}
		*f.value, state = v, state[1+n:]
	}
	if len(state) > 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	was, known := b.last[key]
	if b.last == nil {
		b.last = map[[stateKeySize]byte]ballot{}
	}
	b.last[key] = is
	return known && was == is
}

// sized cuts off what begins with its size.
func sized(b []byte) (part, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	end := n + int(size)
	return b[n:end], b[end:], true
}
