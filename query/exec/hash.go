package exec

import "github.com/tidemark-db/tidemark/sm/types"

// datumSet is a hash table of keys, each a list of datums. Keys get numbers in
// the order in which they were added, so that whoever goes over them does so in
// an order that does not depend on the hash. NULLs are equal to each other.
type datumSet struct {
	first map[uint64]int32 // hash -> the newest key with it, plus one
	next  []int32          // the one before it with the same hash, plus one
	order [][]types.Datum
}

func newDatumSet() *datumSet { return &datumSet{first: map[uint64]int32{}} }

// hashKey combines the hashes of a key's datums.
func hashKey(key []types.Datum) uint64 {
	h := uint64(1469598103934665603)
	for _, d := range key {
		x := uint64(0x9e3779b97f4a7c15)
		if !d.IsNull() {
			x = types.Hash(d)
		}
		h = (h ^ x) * 1099511628211
		h ^= h >> 29
	}
	return h
}

func sameKey(a, b []types.Datum) bool {
	for i := range a {
		if a[i].IsNull() || b[i].IsNull() {
			if a[i].IsNull() != b[i].IsNull() {
				return false
			}
			continue
		}
		if !types.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// find returns the number of a key, or -1.
func (s *datumSet) find(key []types.Datum) int { return s.findHash(hashKey(key), key) }

func (s *datumSet) findHash(h uint64, key []types.Datum) int {
	for i := s.first[h]; i != 0; i = s.next[i-1] {
		if sameKey(s.order[i-1], key) {
			return int(i - 1)
		}
	}
	return -1
}

// add returns the number of a key, adding it when it is new; the key is kept
// without being copied.
func (s *datumSet) add(key []types.Datum) (n int, added bool) {
	h := hashKey(key)
	if n := s.findHash(h, key); n >= 0 {
		return n, false
	}
	s.order = append(s.order, key)
	s.next = append(s.next, s.first[h])
	s.first[h] = int32(len(s.order))
	return len(s.order) - 1, true
}

// has1 looks up a key of one datum.
func (s *datumSet) has1(d types.Datum) bool {
	key := [1]types.Datum{d}
	return s.find(key[:]) >= 0
}
