package query

import (
	"context"
	"math"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/logical"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// maxSlotChanges bounds, in bytes, what one call of a function that shows a slot's
// changes returns.
const maxSlotChanges = 64 << 20

// slotReader is one of the functions that show a slot's changes.
type slotReader struct {
	consume bool // what was shown is acknowledged
	binary  bool
}

var slotReaders = map[string]slotReader{
	"pg_logical_slot_get_changes":         {true, false},
	"pg_logical_slot_peek_changes":        {false, false},
	"pg_logical_slot_get_binary_changes":  {true, true},
	"pg_logical_slot_peek_binary_changes": {false, true},
}

// CallSet implements expr.SetSource.
func (i sessionInfo) CallSet(name string, args []types.Datum) (expr.RowIter, bool, error) {
	if name == expr.SubscribeName {
		rows, err := i.s.subscribe(args)
		return rows, true, err
	}
	f, ok := slotReaders[name]
	if !ok {
		return nil, false, nil
	}
	rows, err := i.s.slotChanges(i.s.running, name, f, args)
	if err != nil {
		return nil, true, err
	}
	return rows, true, nil
}

// slotRows are the rows of one call.
type slotRows struct {
	rows  [][]types.Datum
	bytes int
	at    log.Offset
	next  int
}

// Next implements expr.RowIter.
func (r *slotRows) Next() ([]types.Datum, bool, error) {
	if r.next == len(r.rows) {
		return nil, false, nil
	}
	r.next++
	return r.rows[r.next-1], true, nil
}

// slotChanges is pg_logical_slot_get_changes() and its siblings: whole transactions,
// in order, until there are enough changes. As in PostgreSQL, what is consumed is so
// at once and stays so after ROLLBACK.
func (s *Session) slotChanges(ctx context.Context, name string, f slotReader, args []types.Datum) (*slotRows, error) {
	options, err := slotOptions(args)
	if err != nil {
		return nil, err
	}
	if err := s.confirm(ctx); err != nil {
		return nil, err
	}
	held, err := s.e.AcquireSlot(ctx, args[0].Str(), s.start.ProcessID)
	if err != nil {
		return nil, err
	}
	rows, end, err := s.collectChanges(ctx, name, f, args, options, held)
	if err == nil && f.consume {
		held.Acknowledge(end)
	}
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), streamReleaseTimeout)
	defer cancel()
	if released := held.Release(release); err == nil {
		err = released
	}
	return rows, err
}

// slotOptions checks the arguments, and returns the options among them.
func slotOptions(args []types.Datum) ([]logical.Option, error) {
	switch {
	case args[0].IsNull():
		return nil, sqlstate.New(sqlstate.NullValueNotAllowed, "slot name must not be null")
	case args[3].IsNull():
		return nil, sqlstate.New(sqlstate.NullValueNotAllowed, "options array must not be null")
	}
	elems := args[3].Array().Elems
	if len(elems)%2 != 0 {
		return nil, sqlstate.New(sqlstate.InvalidParameterValue, "array must have even number of elements")
	}
	var out []logical.Option
	for i := 0; i < len(elems); i += 2 {
		if elems[i].IsNull() || elems[i+1].IsNull() {
			return nil, sqlstate.New(sqlstate.InvalidParameterValue, "array must not contain nulls")
		}
		out = append(out, logical.Option{Name: elems[i].Str(), Value: elems[i+1].Str(), Set: true})
	}
	return out, nil
}

// collectChanges reads the changes of a slot, and returns the end of what was read.
func (s *Session) collectChanges(ctx context.Context, name string, f slotReader, args []types.Datum, options []logical.Option, held *HeldSlot) (*slotRows, log.Offset, error) {
	rows := &slotRows{}
	slot := held.Slot()
	var stream *logical.Stream
	c := logical.StreamConfig{Replica: s.e.cfg.Replica, From: slot.Confirmed, Plugin: slot.Plugin, Options: options, Format: s.format}
	c.Sink = func(at log.Offset, message []byte) error {
		return rows.add(at, stream.TransactionID(), message, f.binary)
	}
	limit := int64(math.MaxInt64)
	if !args[1].IsNull() {
		c.Until = log.Offset(args[1].LSN())
	}
	if !args[2].IsNull() {
		limit = args[2].Int()
	}
	stream, err := logical.NewStream(c)
	if err != nil {
		return nil, 0, err
	}
	defer stream.Park()
	if stream.Binary() && !f.binary {
		return nil, 0, sqlstate.New(sqlstate.FeatureNotSupported,
			"logical decoding output plugin \"%s\" produces binary output, but function \"%s(name,pg_lsn,integer,text[])\" expects textual data", slot.Plugin, name)
	}
	for step := 0; ; step++ {
		if step%pollEvery == 0 && ctx.Err() != nil {
			return nil, 0, exec.Canceled(ctx)
		}
		did, _, err := stream.Next()
		if err != nil {
			return nil, 0, appendError(err)
		}
		if did == logical.CaughtUp || did == logical.Commit && int64(len(rows.rows)) >= limit {
			return rows, stream.Position(), nil
		}
	}
}

// add adds a message. One without a position is shown at that of the one before.
func (r *slotRows) add(at log.Offset, xid uint32, message []byte, binary bool) error {
	if r.bytes += len(message); r.bytes > maxSlotChanges {
		return sqlstate.New(sqlstate.ProgramLimitExceeded, "the changes of the slot are more than %d MB", maxSlotChanges>>20).
			WithHint("Ask for fewer with upto_nchanges or upto_lsn, or stream them.")
	}
	if at != 0 {
		r.at = at
	}
	data := types.Bytes(append([]byte{}, message...))
	if !binary {
		data = types.String(string(message))
	}
	r.rows = append(r.rows, []types.Datum{types.LSN(uint64(r.at)), types.Int(int64(xid)), data})
	return nil
}
