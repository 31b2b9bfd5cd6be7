package syscat_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func fixtureContext(t testing.TB) *syscat.Context { return contextOf(t, replicaOf(t, nil), fixture()) }

// Every relation has the columns of PostgreSQL's, and its rows have values of
// the types of the columns.
func TestRowsFitTheirColumns(t *testing.T) {
	data, err := os.ReadFile("data/relations.txt")
	require.NoError(t, err)
	c := fixtureContext(t)
	seen := 0
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		seen++
		w := strings.Fields(line)
		v := syscat.Lookup(w[0], w[1])
		require.NotNil(t, v, w[1])
		require.Equal(t, w[2], oid(v.ID))
		require.Same(t, v, syscat.ByID(v.ID))
		require.Equal(t, w[3] == "v", v.View)
		require.Len(t, v.Columns, len(w)-4)
		for i, col := range w[4:] {
			name, typ, _ := strings.Cut(strings.TrimSuffix(col, "!"), ":")
			require.Equal(t, name, v.Columns[i].Name)
			require.Equal(t, typ, v.Columns[i].Type.Name)
		}
	}
	require.Len(t, syscat.All(), seen+8, "and those of schema tidemark")
	for _, v := range syscat.All() {
		for _, row := range read(t, c, v, syscat.Range{}) {
			require.Len(t, row, len(v.Columns), v.Name)
			for i, d := range row {
				col := v.Columns[i]
				if d.IsNull() {
					require.False(t, col.NotNull, "%s.%s is NULL", v.Name, col.Name)
					continue
				}
				require.Equal(t, col.Type.Kind, d.Kind(), "%s.%s", v.Name, col.Name)
				if d.Kind() == types.KindArray && col.Type.Elem != nil {
					require.Same(t, col.Type.Elem, d.Array().Elem, "%s.%s", v.Name, col.Name)
				}
			}
		}
	}
}

// A reader that wants no more gets no more.
func TestRowsStop(t *testing.T) {
	c := fixtureContext(t)
	for _, v := range syscat.All() {
		n := 0
		require.NoError(t, v.Rows(c, syscat.Range{}, func([]types.Datum) bool { n++; return n < 2 }))
		require.LessOrEqual(t, n, 2, v.Name)
	}
}

// The rows of a range are among all rows, and none of the range is left out.
func TestPushedRange(t *testing.T) {
	c := fixtureContext(t)
	ids := []int64{0, 1, 11, 23, 1259, 2200, 15900, int64(aID), int64(aKey), int64(bID), int64(bText), int64(seqID), 1 << 40}
	for _, v := range syscat.All() {
		if v.Pushed < 0 || v.Columns[v.Pushed].Type == types.LSNType {
			continue
		}
		full := read(t, c, v, syscat.Range{})
		for _, id := range ids {
			d := types.Int(id)
			for _, r := range []syscat.Range{{Lo: d, Hi: d, LoIncl: true, HiIncl: true}, {Lo: d}, {Hi: d, HiIncl: true}, {Hi: d}, {Lo: d, LoIncl: true}} {
				inside := func(rows [][]types.Datum) (out [][]types.Datum) {
					for _, row := range rows {
						x := row[v.Pushed].Int()
						if (r.Lo.IsNull() || x > id || x == id && r.LoIncl) && (r.Hi.IsNull() || x < id || x == id && r.HiIncl) {
							out = append(out, row)
						}
					}
					return out
				}
				require.Equal(t, lines(v, inside(full)), lines(v, inside(read(t, c, v, r))), "%s at %d", v.Name, id)
			}
		}
	}
	// One table's columns do not cost a walk over everybody's.
	one := types.Int(int64(aID))
	require.Len(t, read(t, c, lookup(t, "pg_attribute"), syscat.Range{Lo: one, Hi: one, LoIncl: true, HiIncl: true}), 5)
}

// What one catalog refers to is in the other.
func TestReferences(t *testing.T) {
	c := fixtureContext(t)
	for _, ref := range []struct{ from, column, to, key string }{
		{"pg_class", "relnamespace", "pg_namespace", "oid"},
		{"pg_class", "relam", "pg_am", "oid"},
		{"pg_class", "relowner", "pg_roles", "oid"},
		{"pg_attribute", "attrelid", "pg_class", "oid"},
		{"pg_attribute", "atttypid", "pg_type", "oid"},
		{"pg_attribute", "attcollation", "pg_collation", "oid"},
		{"pg_attrdef", "adrelid", "pg_class", "oid"},
		{"pg_index", "indexrelid", "pg_class", "oid"},
		{"pg_index", "indrelid", "pg_class", "oid"},
		{"pg_constraint", "conrelid", "pg_class", "oid"},
		{"pg_constraint", "conindid", "pg_class", "oid"},
		{"pg_constraint", "confrelid", "pg_class", "oid"},
		{"pg_type", "typnamespace", "pg_namespace", "oid"},
		{"pg_type", "typelem", "pg_type", "oid"},
		{"pg_type", "typarray", "pg_type", "oid"},
		{"pg_type", "typinput", "pg_proc", "oid"},
		{"pg_type", "typoutput", "pg_proc", "oid"},
		{"pg_type", "typreceive", "pg_proc", "oid"},
		{"pg_type", "typsend", "pg_proc", "oid"},
		{"pg_type", "typmodin", "pg_proc", "oid"},
		{"pg_proc", "prolang", "pg_language", "oid"},
		{"pg_operator", "oprcode", "pg_proc", "oid"},
		{"pg_operator", "oprleft", "pg_type", "oid"},
		{"pg_operator", "oprresult", "pg_type", "oid"},
		{"pg_cast", "castsource", "pg_type", "oid"},
		{"pg_cast", "casttarget", "pg_type", "oid"},
		{"pg_cast", "castfunc", "pg_proc", "oid"},
		{"pg_aggregate", "aggfnoid", "pg_proc", "oid"},
		{"pg_am", "amhandler", "pg_proc", "oid"},
		{"pg_opclass", "opcfamily", "pg_opfamily", "oid"},
		{"pg_opclass", "opcintype", "pg_type", "oid"},
		{"pg_amop", "amopfamily", "pg_opfamily", "oid"},
		{"pg_amop", "amopopr", "pg_operator", "oid"},
		{"pg_amproc", "amprocfamily", "pg_opfamily", "oid"},
		{"pg_amproc", "amproc", "pg_proc", "oid"},
		{"pg_sequence", "seqrelid", "pg_class", "oid"},
		{"pg_database", "datdba", "pg_roles", "oid"},
		{"pg_database", "dattablespace", "pg_tablespace", "oid"},
		{"pg_description", "classoid", "pg_class", "oid"},
		{"pg_depend", "classid", "pg_class", "oid"},
	} {
		known := map[string]bool{"0": true}
		for _, row := range texts(t, c, ref.to, "", "", ref.key) {
			known[row[0]] = true
		}
		for _, row := range texts(t, c, ref.from, "", "", ref.column) {
			require.True(t, known[row[0]] || row[0] == "-", "%s.%s = %s is not in %s", ref.from, ref.column, row[0], ref.to)
		}
	}
}

func TestOIDsAreUnique(t *testing.T) {
	c := fixtureContext(t)
	for _, name := range []string{"pg_class", "pg_type", "pg_proc", "pg_operator", "pg_namespace", "pg_constraint", "pg_attrdef", "pg_authid"} {
		seen := map[string]bool{}
		for _, row := range texts(t, c, name, "", "", "oid") {
			require.False(t, seen[row[0]], "%s %s", name, row[0])
			seen[row[0]] = true
		}
		require.NotEmpty(t, seen)
	}
}

// Relations about this node, and the log, are not read where a statement
// writes; catalogs are.
func TestInApply(t *testing.T) {
	c := &syscat.Context{Catalog: fixture(), SearchPath: []string{"public"}}
	refused := map[string]bool{}
	for _, v := range syscat.All() {
		err := v.Rows(c, syscat.Range{}, func([]types.Datum) bool { return true })
		if err != nil {
			require.Equal(t, sqlstate.FeatureNotSupported, sqlstate.CodeOf(err), v.Name)
			require.Contains(t, err.Error(), v.Schema+"."+v.Name+" cannot be read in a statement that writes")
			require.True(t, v.Local || v.Name == "pg_sequences", v.Name)
			refused[v.Name] = true
		}
	}
	for _, name := range []string{"log", "changes", "status", "pg_settings", "pg_stat_activity", "pg_timezone_names", "pg_stat_user_tables"} {
		require.True(t, refused[name], name)
	}
	for _, name := range []string{"pg_class", "pg_attribute", "pg_type", "columns", "tables"} {
		require.False(t, refused[name], name)
	}
}

func TestSequenceTable(t *testing.T) {
	seq := &catalog.Sequence{ID: 20000, Schema: catalog.PublicID, Name: "s", Type: types.Int8Type.OID, Start: 5, Increment: 5, Min: 1, Max: 100, Cache: 1}
	r := replicaOf(t, nil,
		func(x *sm.Txn) error { x.PutDescriptor(seq); return nil },
		func(x *sm.Txn) error { _, err := x.SequenceNext(seq, 2); return err })
	c := contextOf(t, r, nil)
	v := syscat.SequenceTable(seq)
	require.Equal(t, -1, v.Pushed)
	require.Equal(t, [][]types.Datum{{types.Int(10), types.Int(0), types.Bool(true)}}, read(t, c, v, syscat.Range{}))
	require.Equal(t, [][]string{{"public", "s", "bigint", "5", "5", "10"}},
		texts(t, c, "pg_sequences", "", "", "schemaname", "sequencename", "data_type", "start_value", "increment_by", "last_value"))
	ci := syscat.NewCatalogInfo(c.Catalog, nil, "postgres", "bob")
	_, _, err := ci.Call("pg_sequence_last_value", []types.Datum{id(20000)})
	require.Equal(t, sqlstate.FeatureNotSupported, sqlstate.CodeOf(err))
	ci.Txn = c.View.Begin()
	defer ci.Txn.Close()
	require.Equal(t, "10", call(t, ci, "pg_sequence_last_value", id(20000)))
	d, _, err := ci.Call("pg_sequence_parameters", []types.Datum{id(20000)})
	require.NoError(t, err)
	require.Equal(t, "(5,1,100,5,f,1,20)", types.RecordType.Text(types.DefaultFormat(), d))
	err = v.Rows(&syscat.Context{Catalog: c.Catalog}, syscat.Range{}, func([]types.Datum) bool { return true })
	require.Equal(t, sqlstate.FeatureNotSupported, sqlstate.CodeOf(err))
}

func BenchmarkRows(b *testing.B) {
	c := fixtureContext(b)
	for _, name := range []string{"pg_attribute", "pg_proc", "pg_class", "pg_type", "columns"} {
		v := lookup(b, name)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = v.Rows(c, syscat.Range{}, func([]types.Datum) bool { return true })
			}
		})
	}
}
