package keys

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// ComparerName is recorded in every store.
const ComparerName = "tidemark.v1"

// Comparer orders the keys of a store: by prefix, then newest version first.
var Comparer = &pebble.Comparer{
	Name:                 ComparerName,
	Compare:              Compare,
	Equal:                bytes.Equal,
	Split:                Split,
	ComparePointSuffixes: bytes.Compare,
	CompareRangeSuffixes: bytes.Compare,
	AbbreviatedKey:       abbreviated,
	Separator:            separator,
	Successor:            successor,
	ImmediateSuccessor:   immediateSuccessor,
	FormatKey:            func(key []byte) fmt.Formatter { return formatter(key) },
	ValidateKey:          Validate,
}

// Split returns the length of key's prefix. Bytes that are no key are taken as
// a prefix without suffix, so that it is total.
func Split(key []byte) int {
	n := len(key)
	if n == 0 {
		return 0
	}
	s := int(key[n-1])
	if s > n {
		return n
	}
	return n - s
}

// Compare orders two keys.
func Compare(a, b []byte) int {
	an, bn := Split(a), Split(b)
	if c := bytes.Compare(a[:an], b[:bn]); c != 0 {
		return c
	}
	return bytes.Compare(a[an:], b[bn:])
}

// abbreviated returns the first eight bytes of the prefix. The sentinel that
// ends a shorter prefix is zero, as is the padding.
func abbreviated(key []byte) uint64 {
	n := min(Split(key), 8)
	var v uint64
	for _, b := range key[:n] {
		v = v<<8 | uint64(b)
	}
	return v << (8 * (8 - n))
}

// separator appends a short key k with a <= k < b.
func separator(dst, a, b []byte) []byte {
	pa, pb := bare(a), bare(b)
	if pa == nil || pb == nil || bytes.Equal(pa, pb) {
		return append(dst, a...)
	}
	n := len(dst)
	dst = pebble.DefaultComparer.Separator(dst, pa, pb)
	if bytes.Equal(dst[n:], pa) {
		return append(dst[:n], a...)
	}
	return append(dst, 0)
}

// successor appends a short key k with a <= k.
func successor(dst, a []byte) []byte {
	pa := bare(a)
	if pa == nil {
		if len(a) == 0 {
			return append(dst, 0)
		}
		return append(dst, a...)
	}
	n := len(dst)
	dst = pebble.DefaultComparer.Successor(dst, pa)
	if bytes.Equal(dst[n:], pa) {
		return append(dst[:n], a...)
	}
	return append(dst, 0)
}

// immediateSuccessor appends the smallest prefix after the prefix a. Bodies may
// hold any byte, so it is a with one more zero.
func immediateSuccessor(dst, a []byte) []byte {
	return append(append(dst, a...), 0)
}

// bare returns key's prefix without its sentinel, or nil when there is nothing
// to shorten.
func bare(key []byte) []byte {
	n := Split(key)
	if n < 2 || key[n-1] != 0 {
		return nil
	}
	return key[:n-1]
}

type formatter []byte

// Format implements fmt.Formatter.
func (f formatter) Format(s fmt.State, _ rune) { fmt.Fprint(s, Describe(f)) }
