package syscat

import (
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// sequenceFuncs are about sequences.
var sequenceFuncs = map[string]infoFunc{
	"pg_get_serial_sequence": serialSequence,
	"pg_sequence_parameters": sequenceParameters,
	"pg_sequence_last_value": sequenceLastValue,
}

// serialSequence is pg_get_serial_sequence(table, column): the column's name is
// not an identifier, so it is taken as it is.
func serialSequence(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
	rel, err := ci.findRelation(args[0].Str())
	if err != nil {
		return types.NullDatum, err
	}
	for _, a := range rel.attributes() {
		if a.name != args[1].Str() || a.dropped {
			continue
		}
		if a.column == nil {
			return types.NullDatum, nil
		}
		seq, ok := relationByID(ci.catalog, a.column.Sequence)
		if !ok {
			return types.NullDatum, nil
		}
		return str(ci.fullName(&seq)), nil
	}
	return types.NullDatum, sqlstate.New(sqlstate.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", args[1].Str(), rel.name)
}

var sequenceParameterNames = []string{"start_value", "minimum_value", "maximum_value", "increment", "cycle_option", "cache_size", "data_type"}

func sequenceParameters(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
	s := ci.catalog.Sequence(oidArg(args[0]))
	if s == nil {
		return types.NullDatum, sqlstate.New(sqlstate.UndefinedTable, "could not open relation with OID %d", args[0].Int())
	}
	whole := types.Int8Type
	return types.TupleDatum(&types.Tuple{
		Types:  []*types.Type{whole, whole, whole, whole, types.BoolType, whole, types.OIDType},
		Names:  sequenceParameterNames,
		Fields: []types.Datum{num(s.Start), num(s.Min), num(s.Max), num(s.Increment), types.Bool(s.Cycle), num(s.Cache), num(s.Type)},
	}), nil
}

func sequenceLastValue(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
	s := ci.catalog.Sequence(oidArg(args[0]))
	if s == nil {
		return types.NullDatum, sqlstate.New(sqlstate.UndefinedTable, "could not open relation with OID %d", args[0].Int())
	}
	if ci.Txn == nil {
		return types.NullDatum, sqlstate.New(sqlstate.FeatureNotSupported, "pg_sequence_last_value is not supported here")
	}
	last, called, err := ci.Txn.SequenceState(s)
	if err != nil || !called {
		return types.NullDatum, err
	}
	return num(last), nil
}
