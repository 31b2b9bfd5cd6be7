package exec

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func digestOf(ordered bool, tag string, values ...int64) []byte {
	d := NewDigest(ordered)
	for _, v := range values {
		d.Row([]types.Datum{types.Int(v), types.NullDatum})
	}
	return d.Sum(tag)
}

func TestDigest(t *testing.T) {
	require.Equal(t, digestOf(false, "SELECT 2", 1, 2), digestOf(false, "SELECT 2", 2, 1), "rows in any order")
	require.NotEqual(t, digestOf(true, "SELECT 2", 1, 2), digestOf(true, "SELECT 2", 2, 1), "the order was asked for")
	require.NotEqual(t, digestOf(false, "SELECT 2", 1, 2), digestOf(false, "SELECT 2", 1, 3))
	require.NotEqual(t, digestOf(false, "SELECT 2", 1, 1), digestOf(false, "SELECT 1", 1), "duplicates count")
	require.NotEqual(t, digestOf(false, "UPDATE 1"), digestOf(false, "UPDATE 2"))
	require.Equal(t, ErrorDigest(sqlstate.New("23505", "x")), ErrorDigest(sqlstate.New("23505", "x").WithDetail("other")))
	require.NotEqual(t, ErrorDigest(sqlstate.New("23505", "x")), ErrorDigest(sqlstate.New("23502", "x")))
	require.Len(t, digestOf(false, ""), 16)
}

func TestDatumSet(t *testing.T) {
	s := newDatumSet()
	for i := range 1000 {
		n, added := s.add([]types.Datum{types.Int(int64(i % 100)), types.NullDatum})
		require.Equal(t, i < 100, added)
		require.Equal(t, i%100, n, "numbers are in the order of adding")
	}
	require.Equal(t, -1, s.find([]types.Datum{types.Int(100), types.NullDatum}))
	require.Equal(t, 7, s.find([]types.Datum{types.Int(7), types.NullDatum}), "NULLs are equal to each other")
}

func TestSplitIdentifiers(t *testing.T) {
	require.Equal(t, []string{"$user", "public"}, SplitIdentifiers(`"$user", public`))
	require.Equal(t, []string{`a"b`, "c"}, SplitIdentifiers(`"a""b",C`))
	require.Empty(t, SplitIdentifiers(" , "))
	require.Equal(t, []string{"x"}, SplitIdentifiers(`"x`))
}
