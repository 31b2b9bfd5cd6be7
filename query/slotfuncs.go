package query

import (
	"context"
	"slices"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/logical"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// outputPlugins are the forms in which a slot's changes can be had.
var outputPlugins = []string{logical.PluginPgoutput, logical.PluginTestDecoding, logical.PluginJSON}

// slotFuncs are the functions that change slots, or wait for them. As in
// PostgreSQL, what they do is done at once and is not undone by ROLLBACK.
var slotFuncs = map[string]func(s *Session, ctx context.Context, args []types.Datum) (types.Datum, error){
	"pg_create_logical_replication_slot":  (*Session).createSlot,
	"pg_create_physical_replication_slot": (*Session).createPhysicalSlot,
	"pg_drop_replication_slot":            (*Session).dropSlot,
	"pg_replication_slot_advance":         (*Session).advanceSlot,
	expr.WaitForSlotName:                  (*Session).waitForSlot,
}

// slot answers the functions above.
func (i sessionInfo) slot(name string, args []types.Datum) (types.Datum, bool, error) {
	do, ok := slotFuncs[name]
	if !ok {
		return types.NullDatum, false, nil
	}
	d, err := do(i.s, i.s.running, args)
	return d, true, err
}

// checkPlugin refuses an output plugin that is not there as PostgreSQL does.
func checkPlugin(name string) error {
	if slices.Contains(outputPlugins, name) {
		return nil
	}
	return sqlstate.New(sqlstate.UndefinedFile, "could not access file \"%s\": No such file or directory", name).
		WithHint("Output plugins are pgoutput, test_decoding and tidemark_json.")
}

func (s *Session) createSlot(ctx context.Context, args []types.Datum) (types.Datum, error) {
	if s.tx != nil && s.tx.writes {
		return types.NullDatum, sqlstate.New(sqlstate.ActiveSQLTransaction,
			"cannot create logical replication slot in transaction that has performed writes")
	}
	r := SlotRequest{Name: args[0].Str(), Plugin: args[1].Str(), Temporary: args[2].Bool()}
	if err := checkPlugin(r.Plugin); err != nil {
		return types.NullDatum, err
	}
	slot, _, err := s.e.CreateSlot(ctx, r, s.start.ProcessID)
	if err != nil {
		return types.NullDatum, err
	}
	return slotAt(slot.Name, slot.Confirmed), nil
}

// slotAt is a row of a slot's name and a position.
func slotAt(name string, at log.Offset) types.Datum {
	return types.TupleDatum(&types.Tuple{Types: []*types.Type{types.NameType, types.LSNType},
		Fields: []types.Datum{types.String(name), types.LSN(uint64(at))}})
}

func (s *Session) createPhysicalSlot(context.Context, []types.Datum) (types.Datum, error) {
	return types.NullDatum, sqlstate.New(sqlstate.FeatureNotSupported, "physical replication slots are not supported").
		WithHint("A node that is to have everything joins the cluster: tidemark start --join.")
}

func (s *Session) dropSlot(ctx context.Context, args []types.Datum) (types.Datum, error) {
	return types.Void, s.e.dropSlot(ctx, args[0].Str(), false, s.start.ProcessID)
}

func (s *Session) advanceSlot(ctx context.Context, args []types.Datum) (types.Datum, error) {
	name := args[0].Str()
	at, err := s.e.advanceSlot(ctx, name, log.Offset(args[1].LSN()), s.start.ProcessID)
	if err != nil {
		return types.NullDatum, err
	}
	return slotAt(name, at), nil
}

// waitForSlot is tidemark.wait_for_slot(): whether the slot has got there in time.
func (s *Session) waitForSlot(ctx context.Context, args []types.Datum) (types.Datum, error) {
	if s.tx != nil {
		return types.NullDatum, sqlstate.New(sqlstate.ActiveSQLTransaction, "%s() cannot run inside a transaction block", expr.WaitForSlotName)
	}
	target, timeout := "", s.waitTimeout()
	if len(args) > 1 {
		target = log.Offset(args[1].LSN()).String()
	}
	if len(args) > 2 {
		timeout = waitDuration(args[2].Interval())
	}
	err := s.waitSlot(ctx, args[0].Str(), target, timeout)
	if ctx.Err() == nil && sqlstate.CodeOf(err) == sqlstate.QueryCanceled {
		return types.Bool(false), nil
	}
	return types.Bool(true), err
}

// waitMax is more than anybody waits.
const waitMax = 10 * 365 * 24 * time.Hour

// waitDuration is how long an interval is, with months of 30 days and within reason.
func waitDuration(iv types.Interval) time.Duration {
	hours := 24 * (float64(iv.Months)*types.DaysPerMonth + float64(iv.Days))
	d := hours*float64(time.Hour) + float64(iv.Micros)*float64(time.Microsecond)
	return time.Duration(min(max(d, 0), float64(waitMax)))
}
