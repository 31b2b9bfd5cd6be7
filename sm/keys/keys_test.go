package keys_test

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/types"
)

func samples() []keys.Key {
	return []keys.Key{
		{Space: keys.Meta, Body: []byte("state")},
		{Space: keys.Descriptors, ID: 16384, Version: 1 << 24, Versioned: true},
		{Space: keys.Rows, Storage: 1, Body: []byte{0x80}, Version: 5, Versioned: true},
		{Space: keys.Rows, Storage: 1, Body: []byte{}, Version: keys.MaxVersion, Versioned: true},
		{Space: keys.Entries, Storage: 1 << 31, Body: []byte("a\x00b\x09"), Version: 0, Versioned: true},
		{Space: keys.Changes, Offset: 1<<24 + 7},
		{Space: keys.Commands, Offset: 1 << 40, Seq: 3},
		{Space: keys.Sequences, ID: 9, Version: 9, Versioned: true},
		{Space: keys.Staged, Stage: log.StageID{1, 2, 3}, Chunk: 17},
		{Space: keys.Loads, Load: 7},
		{Space: keys.LoadChanges, Load: 7, Offset: 1 << 33},
		{Space: keys.Applied, Place: 1 << 40},
		{Space: keys.Sums, Storage: 77},
		{Space: keys.Outcomes, Body: []byte("korder-17")},
		{Space: keys.Expiries, Time: 1 << 50, Body: keys.AppendOutcome(nil, 'k', "order-17")},
	}
}

func TestDecodeReversesAppend(t *testing.T) {
	for _, k := range samples() {
		b := k.Append(nil)
		require.NoError(t, keys.Validate(b))
		got, err := keys.Decode(b)
		require.NoError(t, err, keys.Describe(b))
		require.Equal(t, k.Append(nil), got.Append(nil))
		require.NotContains(t, keys.Describe(b), "malformed")
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, b := range [][]byte{nil, {0}, {3}, {3, 1}, {0x33, 0}, {5, 1, 0}, {2, 0, 0, 0, 1, 0, 1, 2, 3, 4}, bytes.Repeat([]byte{9}, 9)} {
		_, err := keys.Decode(b)
		require.ErrorIs(t, err, keys.ErrMalformed, "%x", b)
	}
	_, err := keys.Version(keys.AppendChange(nil, 7))
	require.ErrorIs(t, err, keys.ErrMalformed)
}

// TestComparer checks what Pebble asks of a comparer on random keys, those with
// bodies that are prefixes of each other included.
func TestComparer(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	type logical struct {
		prefix []byte
		v      log.Offset
	}
	var all []logical
	for range 400 {
		body := []byte{byte(keys.Rows), 0, 0, 0, 1}
		for range rnd.IntN(4) {
			body = append(body, byte(rnd.IntN(3))*uint8(1+rnd.IntN(127)))
		}
		all = append(all, logical{keys.Terminate(body), log.Offset(rnd.IntN(4))})
	}
	encode := func(l logical) []byte { return keys.AppendVersion(slices.Clone(l.prefix), l.v) }
	c := keys.Comparer
	for _, a := range all {
		ka := encode(a)
		require.Equal(t, len(a.prefix), c.Split(ka))
		require.Equal(t, len(a.prefix), c.Split(a.prefix), "a prefix is a key without suffix")
		require.Zero(t, c.Split(ka[len(a.prefix):]), "a suffix is a key without prefix")
		require.Negative(t, c.Compare(a.prefix, ka))
		next := c.ImmediateSuccessor(nil, a.prefix)
		require.Equal(t, len(next), c.Split(next))
		require.Negative(t, c.Compare(ka, next))
		require.LessOrEqual(t, c.Compare(ka, c.Successor(nil, ka)), 0)
		for _, b := range all {
			kb := encode(b)
			want := bytes.Compare(a.prefix, b.prefix)
			if want == 0 {
				want = -cmp.Compare(a.v, b.v) // newest first
			}
			require.Equal(t, want, c.Compare(ka, kb))
			require.Equal(t, want == 0, c.Equal(ka, kb))
			if bytes.Equal(a.prefix, b.prefix) {
				require.Equal(t, want, c.ComparePointSuffixes(ka[len(a.prefix):], kb[len(b.prefix):]))
			}
			if c.AbbreviatedKey(ka) < c.AbbreviatedKey(kb) {
				require.Negative(t, want)
			}
			if want < 0 {
				sep := c.Separator(nil, ka, kb)
				require.LessOrEqual(t, c.Compare(ka, sep), 0)
				require.Negative(t, c.Compare(sep, kb))
			}
		}
	}
}

// TestBounds: a terminated partial body is before, and its PrefixEnd after,
// every key that begins with it.
func TestBounds(t *testing.T) {
	partial := keys.AppendStorage(nil, keys.Rows, 7)
	lo, hi := keys.Terminate(slices.Clone(partial)), keys.Terminate(keys.PrefixEnd(partial))
	for _, tail := range [][]byte{nil, {0}, {0, 0}, {0xff, 0xff}, {9}} {
		k := keys.AppendVersion(keys.Terminate(append(slices.Clone(partial), tail...)), 3)
		require.LessOrEqual(t, keys.Compare(lo, k), 0)
		require.Negative(t, keys.Compare(k, hi))
	}
	other := keys.AppendVersion(keys.Terminate(keys.AppendStorage(nil, keys.Rows, 8)), 3)
	require.LessOrEqual(t, keys.Compare(hi, other), 0)
	require.Nil(t, keys.PrefixEnd([]byte{0xff, 0xff}))
	require.Equal(t, []byte{1, 3}, keys.PrefixEnd([]byte{1, 2, 0xff}))
	require.Negative(t, keys.Compare(keys.AppendMeta(nil, "zzz"), keys.SpaceStart(keys.Descriptors)))
}

func TestColumnOrder(t *testing.T) {
	values := []types.Datum{types.Int(-5), types.Int(0), types.Int(7)}
	for _, desc := range []bool{false, true} {
		for _, first := range []bool{false, true} {
			c := &catalog.IndexColumn{Column: 1, Type: types.Int8Type.OID, Descending: desc, NullsFirst: first}
			want := slices.Clone(values)
			if desc {
				slices.Reverse(want)
			}
			if first {
				want = append([]types.Datum{types.NullDatum}, want...)
			} else {
				want = append(want, types.NullDatum)
			}
			var last []byte
			for _, d := range want {
				k := keys.AppendColumn(nil, d, c)
				require.Negative(t, bytes.Compare(last, k), "descending %v, nulls first %v", desc, first)
				last = k
			}
		}
	}
	c := &catalog.IndexColumn{Column: 1, Type: types.BPCharType.OID}
	require.Equal(t, keys.AppendColumn(nil, types.String("a"), c), keys.AppendColumn(nil, types.String("a  "), c))
}

func FuzzDecode(f *testing.F) {
	for _, k := range samples() {
		f.Add(k.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := keys.Split(b)
		require.LessOrEqual(t, n, len(b))
		require.Zero(t, keys.Compare(b, b))
		_ = keys.Describe(b)
		k, err := keys.Decode(b)
		if err != nil {
			return
		}
		require.Equal(t, b, k.Append(nil), "a key has one form")
	})
}
