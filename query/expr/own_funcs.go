package expr

import (
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// OwnSchema is where the functions are that PostgreSQL does not have. They are
// called by their full names only.
const OwnSchema = "tidemark"

// AssertName is what ASSERT calls.
const AssertName = OwnSchema + ".assert"

// OutcomeName is the function that tells what has become of an idempotency key.
const OutcomeName = OwnSchema + ".outcome"

// ownFuncs are the functions PostgreSQL does not have. Their OIDs follow from
// their order: new ones go to the end.
func ownFuncs() []*Func {
	return []*Func{
		{Name: "assert", Args: []*types.Type{types.BoolType}, Ret: types.BoolType, Volatility: Volatile, Eval: assert},
		{Name: "assert", Args: []*types.Type{types.BoolType, types.TextType}, Ret: types.BoolType, Volatility: Volatile, Eval: assert},
		{Name: "outcome", Args: []*types.Type{types.TextType}, Ret: types.RecordType, Volatility: Volatile, Strict: true, RetSet: true, Set: outcome,
			OutNames: []string{"status", "lsn", "token", "log_time", "sqlstate", "expires"},
			OutTypes: []*types.Type{types.TextType, types.LSNType, types.TextType, types.TimestampTZType, types.TextType, types.TimestampTZType}},
	}
}

// assert fails unless its condition is true; a condition that is NULL is not.
func assert(_ *Ctx, args []datum) (datum, error) {
	if !args[0].IsNull() && args[0].Bool() {
		return args[0], nil
	}
	msg := "assertion failed"
	if len(args) > 1 && !args[1].IsNull() {
		msg = args[1].Str()
	}
	return null, sqlstate.New(sqlstate.AssertFailure, "%s", msg)
}

// outcome is one row, whether or not the key is known.
func outcome(c *Ctx, args []datum) (RowIter, error) {
	d, err := callSession(OutcomeName)(c, args)
	if err != nil {
		return nil, err
	}
	return &sliceIter{rows: [][]datum{d.Tuple().Fields}}, nil
}
