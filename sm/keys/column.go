package keys

import (
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// AppendColumn appends the order-preserving form of one index column's value.
// types.AppendKey puts NULLs last in ascending and first in descending order,
// as PostgreSQL does unless told otherwise; the other two orders get a marker
// byte before each value. Blanks at the end of a bpchar mean nothing and are
// left out.
func AppendColumn(dst []byte, d types.Datum, c *catalog.IndexColumn) []byte {
	if c.Type == types.BPCharType.OID && !d.IsNull() {
		d = types.String(types.TrimBPChar(d.Str()))
	}
	if c.NullsFirst == c.Descending {
		return types.AppendKey(dst, d, c.Descending)
	}
	isNull, marker := d.IsNull(), byte(0)
	if isNull != c.NullsFirst {
		marker = 1
	}
	dst = append(dst, marker)
	if isNull {
		return dst
	}
	return types.AppendKey(dst, d, c.Descending)
}

// AppendIndex appends the stored form of values as the leading columns of ix.
// With fewer values than columns it is a bound: it sorts before every key that
// begins with those values, and PrefixEnd of it sorts after them.
func AppendIndex(dst []byte, ix *catalog.Index, values []types.Datum) []byte {
	for i := range values {
		dst = AppendColumn(dst, values[i], &ix.Columns[i])
	}
	return dst
}

// PrefixEnd returns the least key after every key that begins with prefix, or
// nil when there is none.
func PrefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := append([]byte(nil), prefix[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}
