package expr

import (
	"strings"

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
		clusterFunc(JoinNodeName, types.JSONType),
		clusterFunc(DrainNodeName, types.VoidType),
		clusterFunc(UndrainNodeName, types.VoidType),
		clusterFunc(RemoveNodeName, types.VoidType),
		clusterFunc(ReplaceNodeName, types.VoidType),
		checkFunc(),
		checkFunc(types.TextType),
		{Name: "ack", Args: []*types.Type{types.TextType, types.LSNType}, Ret: types.LSNType, Volatility: Volatile, Strict: true, Eval: callSession(AckName)},
		waitForSlot(types.TextType),
		waitForSlot(types.TextType, types.LSNType),
		waitForSlot(types.TextType, types.LSNType, types.IntervalType),
		subscribeFunc(),
	}
}

// The functions that change the cluster, and the one that has a database look at all
// that it has stored. They have effects outside of the log: the session lets them run
// only where nothing runs twice.
const (
	JoinNodeName    = OwnSchema + ".join_node"
	DrainNodeName   = OwnSchema + ".drain_node"
	UndrainNodeName = OwnSchema + ".undrain_node"
	RemoveNodeName  = OwnSchema + ".remove_node"
	ReplaceNodeName = OwnSchema + ".replace_node"
	CheckName       = OwnSchema + ".check"
)

// AckName is the function by which a transaction acknowledges what it is the answer
// to; WaitForSlotName waits for a slot's consumer.
const (
	AckName         = OwnSchema + ".ack"
	WaitForSlotName = OwnSchema + ".wait_for_slot"
)

func waitForSlot(args ...*types.Type) *Func {
	return &Func{Name: "wait_for_slot", Args: args, Ret: types.BoolType, Volatility: Volatile, Strict: true, Eval: callSession(WaitForSlotName)}
}

func clusterFunc(name string, ret *types.Type) *Func {
	return &Func{Name: strings.TrimPrefix(name, OwnSchema+"."), Args: []*types.Type{types.TextType}, Ret: ret, Volatility: Volatile,
		Strict: true, Eval: callSession(name)}
}

func checkFunc(args ...*types.Type) *Func {
	return &Func{Name: "check", Args: args, Ret: types.RecordType, Volatility: Volatile, Strict: true, RetSet: true, Set: check,
		OutNames: []string{"node", "replica", "lsn", "checksum", "rows", "problem"},
		OutTypes: []*types.Type{types.TextType, types.Int8Type, types.LSNType, types.TextType, types.Int8Type, types.TextType}}
}

// check yields a row for each replica; the session answers with a row of them.
func check(c *Ctx, args []datum) (RowIter, error) {
	d, err := callSession(CheckName)(c, args)
	if err != nil {
		return nil, err
	}
	it := &sliceIter{}
	for _, row := range d.Tuple().Fields {
		it.rows = append(it.rows, row.Tuple().Fields)
	}
	return it, nil
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
