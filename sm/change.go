package sm

import (
	"encoding/binary"
	"fmt"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// Op is what a change did.
type Op uint8

// The operations. Numbers are stored.
const (
	OpInsert   Op = 1
	OpUpdate   Op = 2
	OpDelete   Op = 3
	OpTruncate Op = 4
)

// opLoad marks, in the change log, the place of a load's changes, which are in a
// space of their own.
const opLoad Op = 5

// OpMessage is a message for consumers, which belongs to no table.
const OpMessage Op = 6

// appendLoadMarker appends the record at the place of a load's changes:
//
//	op · uvarint load · uvarint bytes
func appendLoadMarker(dst []byte, l *load) []byte {
	dst = binary.AppendUvarint(append(dst, byte(opLoad)), uint64(l.id))
	return binary.AppendUvarint(dst, uint64(l.bytes))
}

// decodeLoadMarker reads what appendLoadMarker wrote; ok is false for a change.
func decodeLoadMarker(b []byte) (id keys.LoadID, size log.Offset, ok bool, err error) {
	if len(b) == 0 || b[0] != byte(opLoad) {
		return 0, 0, false, nil
	}
	r := fieldReader{b: b[1:]}
	id, size = keys.LoadID(r.uint()), log.Offset(r.uint())
	if r.bad {
		return 0, 0, false, fmt.Errorf("%w: place of a load %x", errCorrupt, b)
	}
	return id, size, true, nil
}

// Change is one change of one row, the truncation of a table, or a message.
type Change struct {
	Offset  log.Offset
	Table   catalog.ID
	Storage catalog.StorageID // the key space the row was in
	Op      Op
	Key     []byte // the row's key in its storage; for an update the old one
	// Before and After are rows in stored form (types.AppendRow), nil where
	// there is none. Decode them with DecodeStored and the catalog at the
	// transaction's commit offset.
	Before, After []byte
	// Truncation is how a table was truncated.
	Truncation Truncation

	// Transactional, Prefix and Content are a message's, which has nothing else but
	// its Offset. One that is not Transactional was emitted outside of transactions,
	// or survived one that was rolled back.
	Transactional bool
	Prefix        string
	Content       []byte
}

// Truncation is what a TRUNCATE said beside the tables.
type Truncation struct {
	Cascade         bool // also the tables that refer to them, which are changes of their own
	RestartIdentity bool // also the sequences that the tables own
}

// The bits of a truncation in its record.
const (
	truncateCascade  = 1 << 0
	truncateIdentity = 1 << 1
)

// appendTruncation appends what follows the head of a truncation's change record:
// nothing, or one byte.
func appendTruncation(dst []byte, how Truncation) []byte {
	bits := byte(0)
	if how.Cascade {
		bits |= truncateCascade
	}
	if how.RestartIdentity {
		bits |= truncateIdentity
	}
	if bits == 0 {
		return dst
	}
	return append(dst, bits)
}

// decodeTruncation reads what appendTruncation wrote.
func decodeTruncation(b []byte) (how Truncation, ok bool) {
	if len(b) == 0 {
		return how, true
	}
	if len(b) > 1 || b[0]&^(truncateCascade|truncateIdentity) != 0 {
		return how, false
	}
	return Truncation{Cascade: b[0]&truncateCascade != 0, RestartIdentity: b[0]&truncateIdentity != 0}, true
}

// appendChangeHead appends a change record without its After, which is all that
// follows:
//
//	op · uvarint table · uvarint storage · uvarint length, key · uvarint length, before · after
func appendChangeHead(dst []byte, op Op, table catalog.ID, storage catalog.StorageID, key, before []byte) []byte {
	dst = binary.AppendUvarint(append(dst, byte(op)), uint64(table))
	dst = binary.AppendUvarint(dst, uint64(storage))
	dst = append(binary.AppendUvarint(dst, uint64(len(key))), key...)
	return append(binary.AppendUvarint(dst, uint64(len(before))), before...)
}

// decodeChange reads a change record; the slices in it refer to b.
func decodeChange(b []byte, c *Change) error {
	if len(b) > 0 && Op(b[0]) == OpMessage {
		return decodeMessage(b, c)
	}
	c.Transactional, c.Prefix, c.Content, c.Truncation = false, "", nil, Truncation{}
	if len(b) == 0 || b[0] < byte(OpInsert) || b[0] > byte(OpTruncate) {
		return fmt.Errorf("%w: change %x", errCorrupt, b[:min(len(b), 8)])
	}
	c.Op = Op(b[0])
	r := fieldReader{b: b[1:]}
	c.Table = catalog.ID(r.uint())
	c.Storage = catalog.StorageID(r.uint())
	c.Key = r.bytes()
	c.Before = r.bytes()
	c.After = r.b
	if c.Op == OpTruncate {
		var ok bool
		c.Truncation, ok = decodeTruncation(c.After)
		c.After, r.bad = nil, r.bad || !ok
	}
	if r.bad {
		return fmt.Errorf("%w: change %x", errCorrupt, b[:min(len(b), 8)])
	}
	if len(c.Before) == 0 {
		c.Before = nil
	}
	if len(c.After) == 0 {
		c.After = nil
	}
	return nil
}

// fieldReader reads numbers and byte strings; bad is set when they are cut
// short.
type fieldReader struct {
	b   []byte
	bad bool
}

func (r *fieldReader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *fieldReader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// TxnHeader describes one committed transaction.
type TxnHeader struct {
	// Start is the offset of the first change, Commit comes after the last one,
	// End is Commit+1. Prev is the commit offset of the transaction before.
	Start, Commit, End, Prev log.Offset
	// Time is the log time.
	Time int64
	// Changes counts the changes.
	Changes int64
}

// commandHead begins the record of a command:
//
//	format · flags · uvarint time · uvarint rows changed
//	[committed: uvarint start · uvarint prev · uvarint changes]
//	[failed: uvarint length, log.Result with the failure]
//	the entry
type commandHead struct {
	TxnHeader
	rows    int64
	failure []byte
	failed  bool
}

const (
	commandFormat = 1
	commandFailed = 1 << 0
)

func (h *commandHead) append(dst []byte) []byte {
	flags := byte(0)
	if h.failed {
		flags = commandFailed
	}
	dst = binary.AppendUvarint(append(dst, commandFormat, flags), uint64(h.Time))
	dst = binary.AppendUvarint(dst, uint64(h.rows))
	if h.failed {
		return append(binary.AppendUvarint(dst, uint64(len(h.failure))), h.failure...)
	}
	dst = binary.AppendUvarint(dst, uint64(h.Start))
	dst = binary.AppendUvarint(dst, uint64(h.Prev))
	return binary.AppendUvarint(dst, uint64(h.Changes))
}

// decode reads a command record up to the entry, which it returns.
func (h *commandHead) decode(b []byte, at log.Offset) (entry []byte, err error) {
	if len(b) < 2 || b[0] != commandFormat || b[1]&^commandFailed != 0 {
		return nil, fmt.Errorf("%w: command %x", errCorrupt, b[:min(len(b), 8)])
	}
	*h = commandHead{failed: b[1]&commandFailed != 0}
	r := fieldReader{b: b[2:]}
	h.Time = int64(r.uint())
	h.rows = int64(r.uint())
	if h.failed {
		h.failure = r.bytes()
	} else {
		h.Start = log.Offset(r.uint())
		h.Prev = log.Offset(r.uint())
		h.Changes = int64(r.uint())
		h.Commit, h.End = at, at+1
	}
	if r.bad {
		return nil, fmt.Errorf("%w: command %x", errCorrupt, b[:min(len(b), 8)])
	}
	return r.b, nil
}
