package syscat

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// OpName is what consumers are told that a change has done.
func OpName(op sm.Op) string { return opNames[op] }

var opNames = map[sm.Op]string{sm.OpInsert: "insert", sm.OpUpdate: "update", sm.OpDelete: "delete", sm.OpTruncate: "truncate",
	sm.OpMessage: "message"}

// TableJSON makes jsonb of the rows of one table as it was at one time.
type TableJSON struct {
	table *catalog.Table
	// Live are the columns that are not dropped.
	Live   []catalog.ColumnNum
	toJSON []func(*expr.Ctx, []types.Datum) (types.Datum, error) // by column; nil for dropped ones
}

// NewTableJSON returns what makes jsonb of a table's rows.
func NewTableJSON(table *catalog.Table) (*TableJSON, error) {
	t := &TableJSON{table: table, toJSON: make([]func(*expr.Ctx, []types.Datum) (types.Datum, error), len(table.Columns))}
	for i := range table.Columns {
		col := &table.Columns[i]
		if col.Dropped {
			continue
		}
		typ, ok := types.ByOID(col.Type)
		if !ok {
			return nil, sqlstate.New(sqlstate.DataCorrupted, "column \"%s\" has an unknown type %d", col.Name, col.Type)
		}
		f, err := expr.ResolveFunc("to_jsonb", []*types.Type{typ}, false)
		if err != nil {
			return nil, err
		}
		t.toJSON[i] = f.Func.Eval
		t.Live = append(t.Live, col.Num)
	}
	return t, nil
}

// Object makes a jsonb object of some columns of a row.
func (t *TableJSON) Object(ctx *expr.Ctx, row []types.Datum, columns []catalog.ColumnNum) (types.Datum, error) {
	fields := make([]types.JSONField, 0, len(columns))
	for _, n := range columns {
		value := &types.JSON{Kind: types.JSONNull}
		if d := row[n-1]; !d.IsNull() {
			j, err := t.toJSON[n-1](ctx, []types.Datum{d})
			if err != nil {
				return types.NullDatum, err
			}
			value = j.JSONB()
		}
		fields = append(fields, types.JSONField{Key: t.table.Columns[n-1].Name, Value: value})
	}
	return types.JSONB(types.NewJSONObject(fields)), nil
}
