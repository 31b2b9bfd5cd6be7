package syscat_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

const tableID catalog.ID = 20000

// stored is a table with a column of most kinds of values.
func stored() *catalog.Table {
	return &catalog.Table{ID: tableID, Schema: catalog.PublicID, Name: "t", Storage: 1,
		Columns: []catalog.Column{
			{Num: 1, Name: "id", Type: types.Int8Type.OID, Typmod: -1, NotNull: true},
			{Num: 2, Name: "n", Type: types.NumericType.OID, Typmod: -1},
			{Num: 3, Name: "at", Type: types.TimestampTZType.OID, Typmod: -1},
			{Num: 4, Name: "doc", Type: types.JSONType.OID, Typmod: -1},
			{Num: 5, Name: "tags", Type: types.TextArrayType.OID, Typmod: -1},
		},
		Indexes: []catalog.Index{{ID: tableID + 1, Name: "t_pkey", Storage: 1, Primary: true, Unique: true,
			Columns: []catalog.IndexColumn{{Column: 1, Type: types.Int8Type.OID}}}},
	}
}

func value(t testing.TB, typ *types.Type, s string) types.Datum {
	d, err := typ.Parse(types.DefaultFormat(), s, types.NoTypmod)
	require.NoError(t, err)
	return d
}

func rowOf(t testing.TB, id int64) []types.Datum {
	return []types.Datum{types.Int(id), value(t, types.NumericType, "1.50"), value(t, types.TimestampTZType, "2026-01-02 03:04:05+00"),
		types.String(`{"b" : 1, "a":[1,2]}`), value(t, types.TextArrayType, "{x,NULL}")}
}

const rowJSON = `"n": 1.50, "at": "2026-01-02T03:04:05+00:00", "id": %, "doc": {"a": [1, 2], "b": 1}, "tags": ["x", null]`

// history applies: create; two inserts; an update and a delete; a failure;
// a column renamed and truncate; a table that comes and goes.
func history(t testing.TB) *sm.Replica {
	param := func(typ *types.Type, d types.Datum) log.Param {
		return log.Param{Type: uint32(typ.OID), Value: types.AppendDatum(nil, d)}
	}
	entries := []*log.Entry{
		{Statements: []log.Statement{{Text: "CREATE TABLE t()"}}},
		{Role: "ann", Application: "psql", ClientAddr: "10.0.0.1", IdempotencyKey: "k1",
			Statements: []log.Statement{{Text: "INSERT INTO t VALUES ($1), ($2)", Params: []log.Param{param(types.Int8Type, types.Int(1)), param(types.TextType, types.NullDatum)}}}},
		{Kind: log.KindTransaction, Statements: []log.Statement{{Text: "UPDATE t", Params: []log.Param{param(types.ByteaType, types.Bytes([]byte{1, 255}))}},
			{Action: log.ActionSavepoint, Text: "My point"}, {Text: "DELETE FROM t"}}},
		{Statements: []log.Statement{{Text: "SELECT 1/0"}}},
		{Statements: []log.Statement{{Text: "ALTER TABLE t RENAME n TO m"}, {Text: "TRUNCATE t"}}},
		{Statements: []log.Statement{{Text: "DO it"}}},
	}
	for i, e := range entries {
		e.Semantics, e.Time = log.CurrentSemantics, int64(i+1)*1_000_000
		if e.Kind == 0 {
			e.Kind = log.KindCommand
		}
	}
	tbl := stored()
	get := func(x *sm.Txn, id int64) *sm.Row {
		row, ok, err := x.Get(tbl, keys.AppendIndex(nil, tbl.PrimaryKey(), []types.Datum{types.Int(id)}), nil)
		require.NoError(t, err)
		require.True(t, ok)
		return row.Clone()
	}
	renamed := stored()
	renamed.Columns[1].Name = "m"
	return replicaOf(t, entries,
		func(x *sm.Txn) error { x.PutDescriptor(tbl); return nil },
		func(x *sm.Txn) error {
			require.NoError(t, x.Insert(tbl, rowOf(t, 1)))
			return x.Insert(tbl, rowOf(t, 2))
		},
		func(x *sm.Txn) error {
			require.NoError(t, x.Update(tbl, get(x, 1), rowOf(t, 3)))
			return x.Delete(tbl, get(x, 2))
		},
		func(*sm.Txn) error { return sqlstate.New(sqlstate.DivisionByZero, "division by zero") },
		func(x *sm.Txn) error {
			x.PutDescriptor(renamed)
			require.NoError(t, x.Insert(renamed, rowOf(t, 9)))
			return x.Truncate(renamed, sm.Truncation{})
		},
		func(x *sm.Txn) error {
			short := stored()
			short.ID, short.Name, short.Storage = tableID+10, "short", x.NewStorage()
			short.Indexes = nil
			x.PutDescriptor(short)
			require.NoError(t, x.Insert(short, rowOf(t, 1)))
			x.DeleteDescriptor(short.ID)
			return nil
		})
}

func withID(id string) string {
	out := ""
	for _, r := range rowJSON {
		if r == '%' {
			out += id
			continue
		}
		out += string(r)
	}
	return "{" + out + "}"
}

func TestChanges(t *testing.T) {
	c := contextOf(t, history(t), nil)
	// jsonb orders keys by length, then bytes.
	one, two, three := withJSON(t, "1"), withJSON(t, "2"), withJSON(t, "3")
	got := texts(t, c, "changes", "", "", "seq", "schema_name", "table_name", "op", "key", "before", "after")
	require.Equal(t, [][]string{
		{"1", "public", "t", "insert", `{"id": 1}`, "NULL", one},
		{"2", "public", "t", "insert", `{"id": 2}`, "NULL", two},
		{"1", "public", "t", "update", `{"id": 1}`, one, three},
		{"2", "public", "t", "delete", `{"id": 2}`, two, "NULL"},
	}, got[:4])
	require.Equal(t, "NULL", got[len(got)-1][2], "a table that was dropped in the same transaction")
	rest := got[4 : len(got)-1]
	require.NotEmpty(t, rest)
	require.Equal(t, []string{"truncate", "NULL", "NULL", "NULL"}, rest[len(rest)-1][3:])
	if len(rest) > 1 {
		require.Contains(t, rest[0][6], `"m": 1.50`, "the column's name at the time")
	}
	offsets := texts(t, c, "changes", "", "", "lsn", "commit_lsn", "log_time")
	require.Equal(t, offsets[0][1], offsets[1][1])
	require.NotEqual(t, offsets[1][1], offsets[2][1])
	require.Less(t, offsets[1][0], offsets[1][1])
	require.Equal(t, "2000-01-01 00:00:02+00", offsets[0][2])
}

// withJSON is how a row of rowOf prints as jsonb.
func withJSON(t testing.TB, id string) string {
	return types.JSONBType.Text(types.DefaultFormat(), value(t, types.JSONBType, withID(id)))
}

// A range reads exactly its part, also from the middle of a transaction.
func TestChangesPushedRange(t *testing.T) {
	c := contextOf(t, history(t), nil)
	v := lookup(t, "changes")
	require.Equal(t, "lsn", v.Columns[v.Pushed].Name)
	full := read(t, c, v, syscat.Range{})
	for i, row := range full {
		require.Equal(t, lines(v, full[i+1:]), lines(v, read(t, c, v, syscat.Range{Lo: row[0]})))
		require.Equal(t, lines(v, full[i:]), lines(v, read(t, c, v, syscat.Range{Lo: row[0], LoIncl: true})))
		require.Equal(t, lines(v, full[:i]), lines(v, read(t, c, v, syscat.Range{Hi: row[0]})))
		require.Equal(t, lines(v, full[:i+1]), lines(v, read(t, c, v, syscat.Range{Hi: row[0], HiIncl: true})))
	}
	require.Empty(t, read(t, c, v, syscat.Range{Lo: types.LSN(1<<64 - 1)}))
	require.Empty(t, read(t, c, v, syscat.Range{Hi: types.LSN(0)}))
}

func TestLog(t *testing.T) {
	c := contextOf(t, history(t), nil)
	rows := texts(t, c, "log", "", "", "kind", "role", "application_name", "client_addr", "command", "params", "rows_changed", "sqlstate", "message",
		"idempotency_key", "seq")
	require.Len(t, rows, 6)
	require.Equal(t, []string{"command", "ann", "psql", "10.0.0.1", "INSERT INTO t VALUES ($1), ($2)", `["1", null]`, "2", "NULL", "NULL", "k1", "0"}, rows[1])
	require.Equal(t, []string{"transaction", "NULL", "", "NULL", "UPDATE t;\nSAVEPOINT \"My point\";\nDELETE FROM t", `[["\\x01ff"], [], []]`, "2",
		"NULL", "NULL", "NULL", "0"}, rows[2])
	require.Equal(t, []string{"command", "NULL", "", "NULL", "SELECT 1/0", "NULL", "0", "22012", "division by zero", "NULL", "1"}, rows[3])
	at := texts(t, c, "log", "", "", "lsn", "token", "log_time", "database")
	require.Equal(t, at[2][0], at[3][0], "a failure is where the last commit is")
	require.Equal(t, "7.1."+at[2][0], at[2][1])
	require.Equal(t, "NULL", at[3][1])
	require.Equal(t, []string{"2000-01-01 00:00:03+00", "postgres"}, at[2][2:])

	v := lookup(t, "log")
	full := read(t, c, v, syscat.Range{})
	require.Len(t, read(t, c, v, syscat.Range{Lo: full[2][0]}), 2, "what comes after the third commit")
	require.Len(t, read(t, c, v, syscat.Range{Lo: full[2][0], LoIncl: true}), 4)
	require.Len(t, read(t, c, v, syscat.Range{Hi: full[1][0], HiIncl: true}), 2)
}

func TestStatus(t *testing.T) {
	r := history(t)
	c := contextOf(t, r, nil)
	rows := texts(t, c, "status", "", "", "database", "log_id", "epoch", "applied_lsn", "halted", "token")
	require.Equal(t, [][]string{{"postgres", "7", "1", r.Position().Offset.String(), "NULL", "7.1.0/1000000"}}, rows)
	require.Len(t, texts(t, c, "status", "", "", "checksum")[0][0], 32)
}

// Reading everything, and reading what is new when there is nothing new.
func BenchmarkChanges(b *testing.B) {
	const rows = 20_000
	tbl := stored()
	r := replicaOf(b, nil, func(x *sm.Txn) error {
		x.PutDescriptor(tbl)
		for i := range rows {
			if err := x.Insert(tbl, rowOf(b, int64(i))); err != nil {
				return err
			}
		}
		return nil
	})
	c := contextOf(b, r, nil)
	v := lookup(b, "changes")
	drop := func([]types.Datum) bool { return true }
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, v.Rows(c, syscat.Range{}, drop))
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, v.Rows(c, syscat.Range{Lo: types.LSN(uint64(r.Position().Offset))}, drop))
		}
	})
}
