package query

import (
	"context"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Emit implements expr.Messages for an interactive transaction. A transactional
// message gets into the log with the transaction; the client is told where that
// would be if nobody else committed before, so that the message comes there or
// later. Another one is put into the log at once, and stays whatever becomes of
// the transaction.
func (q *txSequences) Emit(transactional bool, prefix string, content []byte) (uint64, error) {
	var at log.Offset
	var err error
	switch {
	case len(q.recalled) > 0 && q.recalled[0].Sequence == exec.MessageDrawn:
		at = log.Offset(q.recalled[0].Value)
		q.recalled = q.recalled[1:]
	case transactional:
		at, err = q.tx.txn.EmitMessage(true, prefix, content)
	default:
		at, err = q.s.emitNow(prefix, content)
	}
	if err != nil {
		return 0, err
	}
	q.drawn = append(q.drawn, log.DrawnValue{Sequence: exec.MessageDrawn, Value: int64(at)})
	return uint64(at), nil
}

// emitNow puts a message that is not transactional into the log, by an entry of
// its own, and returns its offset.
func (s *Session) emitNow(prefix string, content []byte) (log.Offset, error) {
	e := s.entry(log.KindCommand)
	e.Statements = []log.Statement{{Text: "SELECT pg_logical_emit_message(false, $1, $2)", Time: e.Time, Params: []log.Param{
		{Type: uint32(types.TextType.OID), Value: types.AppendDatum(nil, types.String(prefix))},
		{Type: uint32(types.ByteaType.OID), Value: types.AppendDatum(nil, types.Bytes(content))},
	}}}
	res, err := s.e.append(context.Background(), e)
	if err != nil {
		return 0, err
	}
	if res.Err != nil {
		return 0, sm.ErrorOf(res.Err)
	}
	if err := s.committed(nil, res); err != nil {
		return 0, err
	}
	row := make([]types.Datum, 1)
	if len(res.Statements) == 1 && len(res.Statements[0].Rows) == 1 {
		if err := types.DecodeRow(res.Statements[0].Rows[0], nil, row); err == nil && !row[0].IsNull() {
			return log.Offset(row[0].LSN()), nil
		}
	}
	return 0, sqlstate.New(sqlstate.InternalError, "the entry of a message has no answer")
}
