package expr

import (
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// SubscribeName is the function that yields changes as they are committed.
const SubscribeName = OwnSchema + ".subscribe"

// OutColumn is a column of a function that returns rows.
type OutColumn struct {
	Name string
	Type *types.Type
}

// ChangeColumns are the columns of tidemark.changes and of tidemark.subscribe():
// one row for each row changed, table truncated or message emitted, in the order of
// the log.
//
// seq counts the changes of a transaction from 1. key has the primary key's
// columns as they were before the change (as they are after it, for an insert);
// it is NULL for a table without a primary key. before and after have all
// columns; values are what to_jsonb() makes of them. A truncate has none of the
// three. The schema is that of the transaction's commit; table_name is NULL
// where the table had been dropped by then. The last three are a message's.
var ChangeColumns = []OutColumn{
	{"lsn", types.LSNType},
	{"commit_lsn", types.LSNType},
	{"seq", types.Int4Type},
	{"log_time", types.TimestampTZType},
	{"schema_name", types.TextType},
	{"table_name", types.TextType},
	{"op", types.TextType},
	{"key", types.JSONBType},
	{"before", types.JSONBType},
	{"after", types.JSONBType},
	{"prefix", types.TextType},
	{"content", types.ByteaType},
	{"transactional", types.BoolType},
}

// SubscribeArgs are the parameters of tidemark.subscribe(), by position.
const (
	SubscribeFrom = iota
	SubscribeTable
	SubscribeTimeout
	SubscribeProgress
	SubscribePublication
)

func subscribeFunc() *Func {
	f := &Func{Name: "subscribe", Ret: types.RecordType, Volatility: Volatile, RetSet: true, Set: subscribe,
		Args:     []*types.Type{types.LSNType, types.TextType, types.IntervalType, types.BoolType, types.TextType},
		ArgNames: []string{"from_lsn", "table_name", "timeout", "progress", "publication"},
		Defaults: []datum{null, null, types.Bool(false), null}}
	for _, c := range ChangeColumns {
		f.OutNames, f.OutTypes = append(f.OutNames, c.Name), append(f.OutTypes, c.Type)
	}
	return f
}

// subscribe asks the session, which the log has none of: what is executed at its
// place there cannot wait for what comes behind it.
func subscribe(c *Ctx, args []datum) (RowIter, error) {
	if s, ok := c.Session.(SetSource); ok {
		if rows, known, err := s.CallSet(SubscribeName, args); known || err != nil {
			return rows, err
		}
	}
	return nil, sqlstate.New(sqlstate.FeatureNotSupported, "%s() cannot be executed together with statements that write", SubscribeName)
}
