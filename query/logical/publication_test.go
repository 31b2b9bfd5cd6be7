package logical_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/query/logical"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// newReplica opens an empty database that executes SQL.
func newReplica(t *testing.T) *sm.Replica {
	r, err := sm.Open(sm.Options{Dir: "data", FS: vfs.NewMem(), Log: 2, Executor: query.NewExecutor("db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// apply applies statements as one entry with the semantics of a version.
func apply(t *testing.T, r *sm.Replica, version log.Semantics, statements ...string) *log.Result {
	e := &log.Entry{Kind: log.KindCommand, Semantics: version, Role: "postgres", Settings: []log.Setting{{Name: "search_path", Value: `"$user", public`}}}
	for _, s := range statements {
		e.Statements = append(e.Statements, log.Statement{Text: s})
	}
	data, err := e.Append(nil)
	require.NoError(t, err)
	out, err := r.Apply([]log.Committed{{Index: r.Applied() + 1, Data: data}})
	require.NoError(t, err)
	res, err := log.DecodeResult(out[0])
	require.NoError(t, err)
	return res
}

// must applies statements that have to succeed.
func must(t *testing.T, r *sm.Replica, statements ...string) {
	t.Helper()
	res := apply(t, r, log.CurrentSemantics, statements...)
	require.Nil(t, res.Err, "%+v", res.Err)
}

func current(t *testing.T, r *sm.Replica) *catalog.Catalog {
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	return v.Catalog()
}

func tableNamed(c *catalog.Catalog, name string) *catalog.Table {
	return c.Table(c.Relation(catalog.Name{Schema: catalog.PublicID, Name: name}))
}

// described is what a set publishes of a table, in words.
func described(p *logical.Published) string {
	if p == nil {
		return "nothing"
	}
	var words []string
	for _, n := range p.Columns {
		words = append(words, p.Table.Columns[n-1].Name)
	}
	for _, op := range []struct {
		on   bool
		name string
	}{{p.Insert, "insert"}, {p.Update, "update"}, {p.Delete, "delete"}, {p.Truncate, "truncate"}} {
		if op.on {
			words = append(words, op.name)
		}
	}
	return strings.Join(words, " ")
}

func TestResolve(t *testing.T) {
	r := newReplica(t)
	must(t, r, "CREATE TABLE t (a int PRIMARY KEY, gone int, b text, c int)", "ALTER TABLE t DROP COLUMN gone", "CREATE TABLE u (a int)",
		"CREATE SCHEMA s", "CREATE TABLE s.x (a int)",
		"CREATE PUBLICATION inserts FOR TABLE t WITH (publish = 'insert')",
		"CREATE PUBLICATION rest FOR TABLE t WITH (publish = 'update, delete, truncate')",
		"CREATE PUBLICATION columns FOR TABLE t (c, a)",
		"CREATE PUBLICATION all_columns FOR TABLE t (a, b, c)",
		"CREATE PUBLICATION everything FOR ALL TABLES",
		"CREATE PUBLICATION schema FOR TABLES IN SCHEMA s",
		"CREATE PUBLICATION none")
	c := current(t, r)
	x := c.Table(c.Relation(catalog.Name{Schema: c.SchemaByName("s").ID, Name: "x"}))
	for _, k := range []struct{ publications, t, u, x string }{
		{"", "nothing", "nothing", "nothing"},
		{"none", "nothing", "nothing", "nothing"},
		{"inserts", "a b c insert", "nothing", "nothing"},
		{"inserts rest", "a b c insert update delete truncate", "nothing", "nothing"},
		{"inserts inserts", "a b c insert", "nothing", "nothing"},
		{"columns", "a c insert update delete truncate", "nothing", "nothing"},
		{"all_columns inserts", "a b c insert update delete truncate", "nothing", "nothing"},
		{"everything", "a b c insert update delete truncate", "a insert update delete truncate", "a insert update delete truncate"},
		{"schema inserts", "a b c insert", "nothing", "a insert update delete truncate"},
	} {
		set, err := logical.Resolve(c, strings.Fields(k.publications))
		require.NoError(t, err, k.publications)
		require.Equal(t, k.t, described(set.Table(tableNamed(c, "t").ID)), k.publications)
		require.Equal(t, k.u, described(set.Table(tableNamed(c, "u").ID)), k.publications)
		require.Equal(t, k.x, described(set.Table(x.ID)), k.publications)
	}
	for publications, want := range map[string]sqlstate.Error{
		"inserts nosuch":     {Code: sqlstate.UndefinedObject, Message: `publication "nosuch" does not exist`},
		"columns inserts":    {Code: sqlstate.FeatureNotSupported, Message: `cannot use different column lists for table "public.t" in different publications`},
		"everything columns": {Code: sqlstate.FeatureNotSupported, Message: `cannot use different column lists for table "public.t" in different publications`},
	} {
		_, err := logical.Resolve(c, strings.Fields(publications))
		require.Error(t, err, publications)
		require.Equal(t, want.Code, sqlstate.As(err).Code, publications)
		require.Equal(t, want.Message, sqlstate.As(err).Message, publications)
	}
}

// TestSetIsOfItsTime resolves publications with catalogs of the past.
func TestSetIsOfItsTime(t *testing.T) {
	r := newReplica(t)
	must(t, r, "CREATE TABLE t (a int PRIMARY KEY, b text)", "CREATE PUBLICATION p FOR TABLE t (a)")
	before := r.Position().Offset
	must(t, r, "ALTER PUBLICATION p SET TABLE t")
	between := r.Position().Offset
	must(t, r, "DROP PUBLICATION p")
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	for _, k := range []struct {
		at   log.Offset
		want string
	}{{before, "a insert update delete truncate"}, {between, "a b insert update delete truncate"}} {
		c, err := v.CatalogAt(k.at)
		require.NoError(t, err)
		set, err := logical.Resolve(c, []string{"p"})
		require.NoError(t, err)
		require.Equal(t, k.want, described(set.Table(tableNamed(c, "t").ID)))
	}
	_, err = logical.Resolve(v.Catalog(), []string{"p"})
	require.Equal(t, sqlstate.UndefinedObject, sqlstate.CodeOf(err))
}

func TestFilter(t *testing.T) {
	r := newReplica(t)
	must(t, r, "CREATE TABLE t (gone int, a int PRIMARY KEY, b text)", "ALTER TABLE t DROP COLUMN gone",
		"CREATE PUBLICATION big FOR TABLE t WHERE (a > 10)",
		"CREATE PUBLICATION x FOR TABLE t WHERE (b LIKE 'x%')",
		"CREATE PUBLICATION x_inserts FOR TABLE t WHERE (b LIKE 'x%') WITH (publish = 'insert')",
		"CREATE PUBLICATION broken FOR TABLE t WHERE (1 / a > 0)",
		"CREATE PUBLICATION whole FOR TABLE t WITH (publish = 'delete')")
	c := current(t, r)
	row := func(a int64, b string) []types.Datum {
		out := []types.Datum{types.NullDatum, types.Int(a), types.NullDatum}
		if b != "" {
			out[2] = types.String(b)
		}
		return out
	}
	for _, k := range []struct {
		publications string
		op           sm.Op
		a            int64
		b            string
		want         bool
	}{
		{"big", sm.OpInsert, 11, "", true},
		{"big", sm.OpInsert, 10, "x", false},
		{"x", sm.OpUpdate, 1, "xy", true},
		{"x", sm.OpUpdate, 1, "", false}, // NULL is not true
		{"big x", sm.OpDelete, 11, "", true},
		{"big x", sm.OpDelete, 1, "x", true},
		{"big x", sm.OpDelete, 1, "y", false},
		{"big x_inserts", sm.OpInsert, 1, "x", true},
		{"big x_inserts", sm.OpUpdate, 1, "x", false}, // x_inserts has no say in updates
		{"big whole", sm.OpDelete, 1, "y", true},      // whole has no condition
		{"big whole", sm.OpInsert, 1, "y", false},
	} {
		set, err := logical.Resolve(c, strings.Fields(k.publications))
		require.NoError(t, err)
		f, got := set.Table(tableNamed(c, "t").ID).FilterOf(k.op), true
		if f != nil {
			got, err = f.Matches(row(k.a, k.b))
			require.NoError(t, err)
		}
		require.Equal(t, k.want, got, "%+v", k)
	}
	set, err := logical.Resolve(c, []string{"broken"})
	require.NoError(t, err)
	_, err = set.Table(tableNamed(c, "t").ID).Filter.Matches(row(0, ""))
	require.Equal(t, sqlstate.DivisionByZero, sqlstate.CodeOf(err))
}
