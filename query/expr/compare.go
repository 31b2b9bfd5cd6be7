package expr

import (
	"strings"

	"github.com/tidemark-db/tidemark/sm/types"
)

// comparison returns the implementation of a comparison operator, or nil for
// operators of other kinds or over types that have no order here.
func comparison(op string, left, right *types.Type) evalFunc {
	test := orderTest(op)
	if test == nil {
		return nil
	}
	compare := comparer(left, right)
	if compare == nil {
		return nil
	}
	if left.Kind == types.KindInt && right.Kind == types.KindInt && left != types.XID8Type && left != types.XIDType {
		return intComparison(op)
	}
	return func(c *Ctx, args []datum) (datum, error) {
		n, err := compare(c, args[0], args[1])
		return types.Bool(test(n)), err
	}
}

func orderTest(op string) func(int) bool {
	switch op {
	case "=":
		return func(n int) bool { return n == 0 }
	case "<>":
		return func(n int) bool { return n != 0 }
	case "<":
		return func(n int) bool { return n < 0 }
	case "<=":
		return func(n int) bool { return n <= 0 }
	case ">":
		return func(n int) bool { return n > 0 }
	case ">=":
		return func(n int) bool { return n >= 0 }
	}
	return nil
}

type compareFunc func(c *Ctx, a, b datum) (int, error)

// comparer returns how values of two types are ordered; nil when they are
// not.
func comparer(left, right *types.Type) compareFunc {
	if left == types.JSONType || right == types.JSONType {
		return nil
	}
	switch {
	case left == types.BPCharType && right == types.BPCharType:
		return func(_ *Ctx, a, b datum) (int, error) {
			return strings.Compare(types.TrimBPChar(a.Str()), types.TrimBPChar(b.Str())), nil
		}
	case left == types.XIDType && right == types.Int4Type:
		return func(_ *Ctx, a, b datum) (int, error) {
			return types.Compare(a, types.Int(int64(uint32(b.Int())))), nil
		}
	case isDateTime(left) && isDateTime(right) && left != right:
		return compareDateTimes(left, right)
	case left == types.XID8Type && right == types.XID8Type:
		return func(_ *Ctx, a, b datum) (int, error) {
			return types.Compare(types.LSN(uint64(a.Int())), types.LSN(uint64(b.Int()))), nil
		}
	case left.Kind != right.Kind:
		return nil
	}
	return func(_ *Ctx, a, b datum) (int, error) { return types.Compare(a, b), nil }
}

func isDateTime(t *types.Type) bool {
	return t == types.DateType || t == types.TimestampType || t == types.TimestampTZType
}

// compareDateTimes compares across date, timestamp and timestamptz. A date or
// timestamp that is out of the other's range still has its place in the order.
func compareDateTimes(left, right *types.Type) compareFunc {
	zoned := left == types.TimestampTZType || right == types.TimestampTZType
	return func(c *Ctx, a, b datum) (int, error) {
		x := widenDateTime(c, left, a, zoned)
		y := widenDateTime(c, right, b, zoned)
		return types.Compare(types.Int(x), types.Int(y)), nil
	}
}

// widenDateTime returns a value as a timestamp, or as a timestamptz if zoned;
// what does not fit goes to the end just inside infinity.
func widenDateTime(c *Ctx, t *types.Type, d datum, zoned bool) int64 {
	if t == types.TimestampTZType {
		return d.Timestamp()
	}
	ts := int64(0)
	if t == types.DateType {
		switch days := d.Date(); {
		case days == types.DateInfinity:
			return types.TimestampInfinity
		case days == types.DateNegInfinity:
			return types.TimestampNegInfinity
		case int64(days) > types.EndTimestamp/types.MicrosPerDay:
			return types.TimestampInfinity - 1
		default:
			ts = int64(days) * types.MicrosPerDay
		}
	} else {
		ts = d.Timestamp()
	}
	if !zoned {
		return ts
	}
	utc, err := types.LocalToUTC(ts, location(c))
	if err != nil {
		if ts < 0 {
			return types.TimestampNegInfinity + 1
		}
		return types.TimestampInfinity - 1
	}
	return utc
}

// Comparer returns the three-way comparison of two types, as ORDER BY and
// merge joins need it, or false when the types have no order (json). bpchar
// ignores trailing blanks; NULL must be handled by the caller.
func Comparer(left, right *types.Type) (func(c *Ctx, a, b types.Datum) (int, error), bool) {
	f := comparer(left, right)
	return f, f != nil
}
