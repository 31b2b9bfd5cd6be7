package syscat_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

var _ expr.CatalogInfo = (*syscat.CatalogInfo)(nil)

func info(path ...string) *syscat.CatalogInfo {
	return syscat.NewCatalogInfo(fixture(), path, "postgres", "bob")
}

// call calls a function and prints its answer.
func call(t *testing.T, ci *syscat.CatalogInfo, name string, args ...types.Datum) string {
	d, ok, err := ci.Call(name, args)
	require.NoError(t, err, name)
	require.True(t, ok, name)
	switch d.Kind() {
	case types.KindNull:
		return "NULL"
	case types.KindBool:
		return types.BoolType.Text(types.DefaultFormat(), d)
	case types.KindInt:
		return types.Int8Type.Text(types.DefaultFormat(), d)
	case types.KindArray:
		return types.TextArrayType.Text(types.DefaultFormat(), d)
	}
	return d.Str()
}

func id(v catalog.ID) types.Datum { return types.Int(int64(v)) }

// The texts are PostgreSQL 15's for the same objects.
func TestDefinitions(t *testing.T) {
	ci := info("public")
	yes := types.Bool(true)
	for _, c := range []struct {
		want, name string
		args       []types.Datum
	}{
		{"CREATE UNIQUE INDEX pm_a_pkey ON public.pm_a USING btree (id)", "pg_get_indexdef", []types.Datum{id(aKey)}},
		{"CREATE INDEX pm_b_t ON public.pm_b USING btree (t DESC, lower(t)) INCLUDE (a_id) WHERE (t IS NOT NULL)", "pg_get_indexdef", []types.Datum{id(bText)}},
		{"CREATE INDEX pm_b_t ON pm_b USING btree (t DESC, lower(t)) INCLUDE (a_id) WHERE t IS NOT NULL", "pg_get_indexdef", []types.Datum{id(bText), types.Int(0), yes}},
		{"t", "pg_get_indexdef", []types.Datum{id(bText), types.Int(1), yes}},
		{"lower(t)", "pg_get_indexdef", []types.Datum{id(bText), types.Int(2), yes}},
		{"a_id", "pg_get_indexdef", []types.Datum{id(bText), types.Int(3), yes}},
		{"", "pg_get_indexdef", []types.Datum{id(bText), types.Int(4), yes}},
		{"NULL", "pg_get_indexdef", []types.Datum{id(aID)}},
		{"PRIMARY KEY (id)", "pg_get_constraintdef", []types.Datum{id(aKeyCon)}},
		{"CHECK ((n > (0)::numeric))", "pg_get_constraintdef", []types.Datum{id(16406)}},
		{"CHECK (n > 0::numeric)", "pg_get_constraintdef", []types.Datum{id(16406), yes}},
		{"FOREIGN KEY (a_id) REFERENCES pm_a(id) ON DELETE CASCADE", "pg_get_constraintdef", []types.Datum{id(16419), yes}},
		{"NULL", "pg_get_constraintdef", []types.Datum{id(1)}},
		{"now()", "pg_get_expr", []types.Datum{types.String("now()"), id(aID)}},
		{" SELECT 1 AS one;", "pg_get_viewdef", []types.Datum{id(viewID), yes}},
		{"(t IS NOT NULL)", "pg_get_expr", []types.Datum{types.String("(t IS NOT NULL)"), id(bID)}},
		{"t IS NOT NULL", "pg_get_expr", []types.Datum{types.String("(t IS NOT NULL)"), id(bID), yes}},
		{"NULL", "pg_get_viewdef", []types.Datum{types.Int(12033), yes}},
		{"public.pm_a_id_seq", "pg_get_serial_sequence", []types.Datum{types.String("pm_a"), types.String("id")}},
		{"NULL", "pg_get_serial_sequence", []types.Datum{types.String("pm_a"), types.String("n")}},
	} {
		require.Equal(t, c.want, call(t, ci, c.name, c.args...), "%s %v", c.name, c.args)
	}
	require.Equal(t, "timestamp with time zone", call(t, ci, "pg_get_function_result", types.Int(1299)), "now()")
	require.Equal(t, "", call(t, ci, "pg_get_function_arguments", types.Int(1299)))
	require.Equal(t, "internal", call(t, ci, "pg_get_function_arguments", types.Int(3)), "a function that only catalogs name")
	_, _, err := ci.Call("pg_get_serial_sequence", []types.Datum{types.String("pm_a"), types.String("nope")})
	require.Equal(t, sqlstate.UndefinedColumn, sqlstate.CodeOf(err))
	_, _, err = ci.Call("pg_get_functiondef", []types.Datum{types.Int(1299)})
	require.Equal(t, sqlstate.FeatureNotSupported, sqlstate.CodeOf(err))
	_, ok, err := ci.Call("no_such_function", nil)
	require.NoError(t, err)
	require.False(t, ok)
}

func TestCommentsAndOwners(t *testing.T) {
	ci := info("public")
	require.Equal(t, "a comment", call(t, ci, "obj_description", id(aID), types.String("pg_class")))
	require.Equal(t, "NULL", call(t, ci, "obj_description", id(aID), types.String("pg_type")))
	require.Equal(t, "a comment", call(t, ci, "obj_description", id(aID)))
	require.Equal(t, "the name", call(t, ci, "col_description", id(aID), types.Int(2)))
	require.Equal(t, "NULL", call(t, ci, "col_description", id(aID), types.Int(1)))
	require.Equal(t, "standard public schema", call(t, ci, "obj_description", id(catalog.PublicID), types.String("pg_namespace")))
	require.Equal(t, "default administrative connection database", call(t, ci, "shobj_description", types.Int(5), types.String("pg_database")))
	require.Equal(t, "postgres", call(t, ci, "pg_get_userbyid", types.Int(10)))
	require.Equal(t, "unknown (OID=77)", call(t, ci, "pg_get_userbyid", types.Int(77)))
	ann, err := ci.RegIn(types.RegroleType, "ann")
	require.NoError(t, err)
	require.Greater(t, ann, types.OID(1<<31-1))
	require.Equal(t, "ann", call(t, ci, "pg_get_userbyid", types.Int(int64(ann))))
	require.Equal(t, "index pm_b_u", call(t, ci, "pg_describe_object", types.Int(1259), id(bUnique), types.Int(0)))
	require.Equal(t, "column n of table pm_a", call(t, ci, "pg_describe_object", types.Int(1259), id(aID), types.Int(3)))
	require.Equal(t, "4", call(t, ci, "pg_encoding_max_length", types.Int(6)))
	require.Equal(t, "2", call(t, ci, "pg_encoding_max_length", types.Int(41)))
	require.Equal(t, "NULL", call(t, ci, "pg_encoding_max_length", types.Int(42)))
	require.Equal(t, "{postgres=arwdDxt/postgres}", call(t, ci, "acldefault", types.String("r"), types.Int(10)))
}

func TestVisibility(t *testing.T) {
	visible := func(ci *syscat.CatalogInfo, v catalog.ID) string { return call(t, ci, "pg_table_is_visible", id(v)) }
	ci := info("bob", "public", "Other")
	require.Equal(t, "t", visible(ci, aID))
	require.Equal(t, "f", visible(ci, hiddenID), "the name means the table in public")
	require.Equal(t, "t", visible(ci, 1259), "pg_catalog is always searched")
	require.Equal(t, "f", visible(ci, 13295), "information_schema is not")
	require.Equal(t, "NULL", visible(ci, 4711))
	ci = info("Other", "public")
	require.Equal(t, "f", visible(ci, aID))
	require.Equal(t, "t", visible(ci, hiddenID))
}

func TestRegOut(t *testing.T) {
	for _, c := range []struct {
		typ  *types.Type
		oid  types.OID
		want string
	}{
		{types.RegclassType, types.OID(aID), "pm_a"}, {types.RegclassType, types.OID(hiddenID), `"Other".pm_a`},
		{types.RegclassType, types.OID(aKey), "pm_a_pkey"}, {types.RegclassType, 1259, "pg_class"},
		{types.RegclassType, 15901, "tidemark.changes"}, {types.RegclassType, 13295, "information_schema.columns"},
		{types.RegclassType, 0, "-"}, {types.RegtypeType, 23, "integer"}, {types.RegtypeType, 1009, "text[]"},
		{types.RegtypeType, 18, `"char"`}, {types.RegnamespaceType, types.OID(otherID), `"Other"`},
		{types.RegroleType, 10, "postgres"}, {types.RegprocType, 1299, "now"}, {types.RegprocType, 42, "int4in"},
		{types.RegprocType, 2803, "pg_catalog.count"}, {types.RegprocedureType, 2803, "count()"}, {types.RegprocType, 0, "-"},
		{types.RegoperatorType, 96, "=(integer,integer)"}, {types.RegoperType, 96, "pg_catalog.="},
		{types.RegcollationType, 950, `"C"`},
	} {
		got, ok := info("public").RegOut(c.typ, c.oid)
		require.True(t, ok, "%s %d", c.typ, c.oid)
		require.Equal(t, c.want, got)
	}
	_, ok := info("public").RegOut(types.RegclassType, 4711)
	require.False(t, ok)
}

func TestRegIn(t *testing.T) {
	ci := info("public")
	for _, c := range []struct {
		typ  *types.Type
		text string
		want types.OID
	}{
		{types.RegclassType, "pm_a", types.OID(aID)}, {types.RegclassType, "PM_A", types.OID(aID)}, {types.RegclassType, `"Other".pm_a`, types.OID(hiddenID)},
		{types.RegclassType, "postgres.public.pm_a", types.OID(aID)}, {types.RegclassType, "pg_class", 1259},
		{types.RegclassType, "pm_a_pkey", types.OID(aKey)}, {types.RegclassType, "information_schema.columns", 13295},
		{types.RegclassType, " public . pm_a_id_seq ", types.OID(seqID)},
		{types.RegtypeType, "integer", 23}, {types.RegtypeType, "INT4[]", 1007}, {types.RegtypeType, "pg_catalog.int4", 23},
		{types.RegtypeType, "numeric(10,2)", 1700}, {types.RegtypeType, "timestamp(3) with time zone", 1184},
		{types.RegtypeType, "character varying", 1043}, {types.RegtypeType, `"char"`, 18}, {types.RegtypeType, "char", 1042},
		{types.RegtypeType, "double precision[][]", 1022}, {types.RegnamespaceType, "public", 2200},
		{types.RegroleType, "bob", 0}, {types.RegprocType, "now", 1299}, {types.RegprocType, "pg_catalog.now", 1299},
		{types.RegprocedureType, "lower(text)", 870}, {types.RegoperatorType, "=(integer,integer)", 96},
		{types.RegoperatorType, "-(none,integer)", 558}, {types.RegcollationType, `"C"`, 950},
	} {
		got, err := ci.RegIn(c.typ, c.text)
		require.NoError(t, err, "%s %q", c.typ, c.text)
		if c.want != 0 {
			require.Equal(t, c.want, got, "%s %q", c.typ, c.text)
		}
	}
	for _, c := range []struct {
		typ        *types.Type
		text, want string
		code       sqlstate.Code
	}{
		{types.RegclassType, "nope", `relation "nope" does not exist`, sqlstate.UndefinedTable},
		{types.RegclassType, "public.nope", `relation "public.nope" does not exist`, sqlstate.UndefinedTable},
		{types.RegclassType, `"Pm_a"`, `relation "Pm_a" does not exist`, sqlstate.UndefinedTable},
		{types.RegclassType, `a."`, "invalid name syntax", sqlstate.InvalidName},
		{types.RegclassType, "", "invalid name syntax", sqlstate.InvalidName},
		{types.RegclassType, "a.b.c", "cross-database references are not implemented: a.b.c", sqlstate.FeatureNotSupported},
		{types.RegtypeType, "nope", `type "nope" does not exist`, sqlstate.UndefinedObject},
		{types.RegtypeType, "serial", `type "serial" does not exist`, sqlstate.UndefinedObject},
		{types.RegtypeType, "int4(", `invalid type name "int4("`, sqlstate.SyntaxError},
		{types.RegtypeType, "]", `invalid type name "]"`, sqlstate.SyntaxError},
		{types.RegprocType, "count", `more than one function named "count"`, sqlstate.AmbiguousFunction},
		{types.RegprocType, "nope", `function "nope" does not exist`, sqlstate.UndefinedFunction},
		{types.RegprocedureType, "lower(int)", `function "lower(int)" does not exist`, sqlstate.UndefinedFunction},
		{types.RegprocedureType, "lower", "expected a left parenthesis", sqlstate.InvalidTextRepresentation},
		{types.RegoperType, "=", "more than one operator named =", sqlstate.AmbiguousFunction},
		{types.RegnamespaceType, "nope", `schema "nope" does not exist`, sqlstate.InvalidSchemaName},
		{types.RegroleType, "nope", `role "nope" does not exist`, sqlstate.UndefinedObject},
		{types.RegcollationType, "nope", `collation "nope" for encoding "UTF8" does not exist`, sqlstate.UndefinedObject},
	} {
		_, err := ci.RegIn(c.typ, c.text)
		require.Equal(t, c.code, sqlstate.CodeOf(err), "%s %q", c.typ, c.text)
		require.Equal(t, c.want, sqlstate.As(err).Message)
	}
}

func TestPrivileges(t *testing.T) {
	ci := info("public")
	s := types.String
	require.Equal(t, "t", call(t, ci, "has_table_privilege", s("pm_a"), s("SELECT, insert with grant option")))
	require.Equal(t, "t", call(t, ci, "has_table_privilege", s("bob"), id(aID), s("SELECT")))
	require.Equal(t, "NULL", call(t, ci, "has_table_privilege", id(4711), s("SELECT")))
	require.Equal(t, "t", call(t, ci, "has_schema_privilege", s("public"), s("USAGE")))
	require.Equal(t, "t", call(t, ci, "has_database_privilege", s("postgres"), s("CONNECT")))
	_, _, err := ci.Call("has_database_privilege", []types.Datum{s("nope"), s("CONNECT")})
	require.Equal(t, sqlstate.FeatureNotSupported, sqlstate.CodeOf(err), "the log does not know which databases there are")
	ci.Databases = session{}.Databases
	require.Equal(t, "t", call(t, ci, "has_database_privilege", id(16387), s("CONNECT")))
	require.Equal(t, "NULL", call(t, ci, "has_database_privilege", id(16388), s("CONNECT")))
	require.Equal(t, "t", call(t, ci, "has_column_privilege", s("pm_a"), s("n"), s("UPDATE")))
	require.Equal(t, "t", call(t, ci, "has_column_privilege", id(aID), types.Int(3), s("UPDATE")))
	require.Equal(t, "t", call(t, ci, "has_sequence_privilege", s("pm_a_id_seq"), s("USAGE")))
	require.Equal(t, "t", call(t, ci, "has_function_privilege", s("now()"), s("EXECUTE")))
	for _, c := range []struct {
		code sqlstate.Code
		name string
		args []types.Datum
	}{
		{sqlstate.UndefinedTable, "has_table_privilege", []types.Datum{s("nope"), s("SELECT")}},
		{sqlstate.InvalidParameterValue, "has_table_privilege", []types.Datum{s("pm_a"), s("FLY")}},
		{sqlstate.InvalidSchemaName, "has_schema_privilege", []types.Datum{s("nope"), s("USAGE")}},
		{sqlstate.InvalidCatalogName, "has_database_privilege", []types.Datum{s("nope"), s("CONNECT")}},
		{sqlstate.UndefinedObject, "has_server_privilege", []types.Datum{s("x"), s("USAGE")}},
		{sqlstate.UndefinedColumn, "has_column_privilege", []types.Datum{s("pm_a"), s("nope"), s("SELECT")}},
		{sqlstate.WrongObjectType, "has_sequence_privilege", []types.Datum{s("pm_a"), s("USAGE")}},
	} {
		_, _, err := ci.Call(c.name, c.args)
		require.Equal(t, c.code, sqlstate.CodeOf(err), c.name)
	}
}

func TestSizesAndProperties(t *testing.T) {
	ci := info("public")
	require.Equal(t, "0", call(t, ci, "pg_total_relation_size", id(bID)), "nothing measures")
	ci.RelationBytes = func(_ *catalog.Table, ix *catalog.Index) int64 {
		if ix != nil {
			return 10
		}
		return 1000
	}
	require.Equal(t, "1000", call(t, ci, "pg_table_size", id(bID)))
	require.Equal(t, "20", call(t, ci, "pg_indexes_size", id(bID)), "the primary key is the table")
	require.Equal(t, "1020", call(t, ci, "pg_total_relation_size", id(bID)))
	require.Equal(t, "10", call(t, ci, "pg_relation_size", id(bUnique)))
	require.Equal(t, "0", call(t, ci, "pg_relation_size", id(bID), types.String("fsm")))
	require.Equal(t, "NULL", call(t, ci, "pg_relation_size", id(4711)))
	require.Equal(t, "3020", call(t, ci, "pg_database_size", types.String("postgres")))
	ci.Databases = session{}.Databases
	require.Equal(t, "3020", call(t, ci, "pg_database_size", id(5)))
	require.Equal(t, "77", call(t, ci, "pg_database_size", types.String("shop")))
	property := func(col int64, name string) string {
		return call(t, ci, "pg_index_column_has_property", id(bText), types.Int(col), types.String(name))
	}
	require.Equal(t, []string{"t", "f", "t", "f", "t", "NULL"}, []string{property(1, "desc"), property(1, "asc"), property(1, "nulls_first"),
		property(3, "orderable"), property(2, "asc"), property(9, "asc")})
	require.Equal(t, "t", call(t, ci, "pg_relation_is_publishable", id(aID)))
	require.Equal(t, "f", call(t, ci, "pg_relation_is_publishable", types.Int(1259)))
	require.Equal(t, oid(aKey), call(t, ci, "pg_get_replica_identity_index", id(aID)))
}

// Names come from clients: whatever they are, the answer is an OID or an error
// with a SQLSTATE.
func FuzzRegIn(f *testing.F) {
	for _, s := range []string{"pm_a", `"Other".pm_a`, "a..b", `"`, "numeric(10,2)[]", "f(int, text)", "=(int,int)", "((", "]", "a.b.c.d", "timestamp(3) with time zone"} {
		f.Add(s)
	}
	ci := info("public")
	all := []*types.Type{types.RegclassType, types.RegtypeType, types.RegprocType, types.RegprocedureType, types.RegoperType,
		types.RegoperatorType, types.RegnamespaceType, types.RegroleType, types.RegcollationType}
	f.Fuzz(func(t *testing.T, s string) {
		for _, typ := range all {
			oid, err := ci.RegIn(typ, s)
			if err != nil {
				require.NotEqual(t, sqlstate.InternalError, sqlstate.CodeOf(err))
				continue
			}
			name, ok := ci.RegOut(typ, oid)
			require.True(t, ok)
			if typ == types.RegclassType || typ == types.RegtypeType || typ == types.RegprocedureType {
				back, err := ci.RegIn(typ, name)
				require.NoError(t, err, name)
				require.Equal(t, oid, back, "%s reads back", name)
			}
		}
	})
}
