package log

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Offset is a position in one database's log, counted in bytes of its change
// log. It is not the Raft index. Zero is before everything.
type Offset uint64

// Alignment is what the first offset of a transaction is a multiple of.
const Alignment Offset = 8

// FirstOffset is where the first transaction of a new log begins. It is not
// zero because clients take 0/0 for "no position".
const FirstOffset Offset = 1 << 24

// HistoryBytes returns how many bytes of the change log lie after floor, and before
// end.
func HistoryBytes(floor, end Offset) uint64 {
	floor = max(floor, FirstOffset-1)
	return uint64(max(end, floor) - floor)
}

// String prints o as PostgreSQL prints an LSN.
func (o Offset) String() string {
	b := strconv.AppendUint(make([]byte, 0, 17), uint64(o>>32), 16)
	b = append(b, '/')
	return string(bytes.ToUpper(strconv.AppendUint(b, uint64(uint32(o)), 16)))
}

// ParseOffset reads what String prints, in either case.
func ParseOffset(s string) (Offset, error) {
	hi, lo, ok := strings.Cut(s, "/")
	if !ok || len(hi) == 0 || len(hi) > 8 || len(lo) == 0 || len(lo) > 8 {
		return 0, fmt.Errorf("invalid offset %q", s)
	}
	h, err := strconv.ParseUint(hi, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("invalid offset %q", s)
	}
	l, err := strconv.ParseUint(lo, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("invalid offset %q", s)
	}
	return Offset(h<<32 | l), nil
}

// Next returns where the transaction after one that ended at end may begin:
// at or after end+1, aligned.
func Next(end Offset) Offset { return (end + 1 + Alignment - 1) / Alignment * Alignment }
