package sm

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// sum is a 128-bit number to which the hashes of a state's parts are added and
// from which they are subtracted, so that the order in which a state was
// reached does not matter.
type sum struct{ hi, lo uint64 }

func (s *sum) add(x sum) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, x.lo, 0)
	s.hi, _ = bits.Add64(s.hi, x.hi, carry)
}

func (s *sum) sub(x sum) {
	var borrow uint64
	s.lo, borrow = bits.Sub64(s.lo, x.lo, 0)
	s.hi, _ = bits.Sub64(s.hi, x.hi, borrow)
}

func (s sum) checksum() (c Checksum) {
	binary.BigEndian.PutUint64(c[:8], s.hi)
	binary.BigEndian.PutUint64(c[8:], s.lo)
	return c
}

// The seeds of the two lanes. They are part of what replicas compare: never
// change them.
const (
	laneSeedLow  = 0x9e3779b97f4a7c15
	laneSeedHigh = 0xc2b2ae3d27d4eb4f
)

// hasher computes the hash of one part of the state from its key prefix and its
// value. It is kept so that nothing is allocated for a row.
type hasher struct{ low, high xxhash.Digest }

func (h *hasher) of(key, value []byte) sum {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(key)))
	h.low.ResetWithSeed(laneSeedLow)
	h.high.ResetWithSeed(laneSeedHigh)
	for _, d := range [...]*xxhash.Digest{&h.low, &h.high} {
		// A Digest's Write never fails.
		_, _ = d.Write(n[:])
		_, _ = d.Write(key)
		_, _ = d.Write(value)
	}
	return sum{hi: h.high.Sum64(), lo: h.low.Sum64()}
}

// String prints c in hexadecimal.
func (c Checksum) String() string { return hex.EncodeToString(c[:]) }

// storageSum is what is kept about the rows of one key space.
type storageSum struct {
	rows int64
	sum  sum
}

func (s *storageSum) add(x storageSum) {
	s.rows += x.rows
	s.sum.add(x.sum)
}

const storageSumBytes = 24

func (s storageSum) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.rows))
	dst = binary.BigEndian.AppendUint64(dst, s.sum.hi)
	return binary.BigEndian.AppendUint64(dst, s.sum.lo)
}

func decodeStorageSum(b []byte) (s storageSum, ok bool) {
	if len(b) != storageSumBytes {
		return s, false
	}
	s.rows = int64(binary.BigEndian.Uint64(b))
	s.sum = sum{hi: binary.BigEndian.Uint64(b[8:]), lo: binary.BigEndian.Uint64(b[16:])}
	return s, true
}
