package syscat_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// OIDs of the fixture's objects.
const (
	seqID    catalog.ID = 16399
	aID      catalog.ID = 16400
	aKey     catalog.ID = 16409
	aKeyCon  catalog.ID = 16410
	identID  catalog.ID = 16411
	bID      catalog.ID = 16412
	bText    catalog.ID = 16424
	bUnique  catalog.ID = 16425
	otherID  catalog.ID = 16500
	hiddenID catalog.ID = 16501
	viewID   catalog.ID = 16502
)

// fixture is the catalog that these statements make:
//
//	CREATE TABLE pm_a(id serial PRIMARY KEY, name varchar(30) NOT NULL DEFAULT 'x', n numeric(8,2),
//	    at timestamptz DEFAULT now(), arr int[], CONSTRAINT pm_chk CHECK (n > 0));
//	CREATE TABLE pm_b(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
//	    a_id int REFERENCES pm_a(id) ON DELETE CASCADE, t text, drp int);
//	ALTER TABLE pm_b DROP drp;
//	CREATE INDEX pm_b_t ON pm_b(t DESC, lower(t)) INCLUDE (a_id) WHERE t IS NOT NULL;
//	CREATE UNIQUE INDEX pm_b_u ON pm_b(a_id, t);
//
// and a table in another schema, of another owner.
func fixture() *catalog.Catalog {
	c := catalog.New().Edit()
	sequence := func(id catalog.ID, name string, of catalog.ID) *catalog.Sequence {
		return &catalog.Sequence{ID: id, Schema: catalog.PublicID, Name: name, Type: types.Int4Type.OID, Start: 1, Increment: 1,
			Min: 1, Max: 1<<31 - 1, Cache: 1, OwnedByTable: of, OwnedByColumn: 1, Owner: "postgres"}
	}
	c.Put(sequence(seqID, "pm_a_id_seq", aID))
	c.Put(sequence(identID, "pm_b_id_seq", bID))
	c.Put(&catalog.Table{ID: aID, Schema: catalog.PublicID, Name: "pm_a", Owner: "postgres", Comment: "a comment",
		Columns: []catalog.Column{
			{Num: 1, Name: "id", Type: types.Int4Type.OID, Typmod: -1, NotNull: true, Default: "nextval()", Sequence: seqID},
			{Num: 2, Name: "name", Type: types.VarcharType.OID, Typmod: 34, NotNull: true, Default: "'x'::character varying", Comment: "the name"},
			{Num: 3, Name: "n", Type: types.NumericType.OID, Typmod: 524294},
			{Num: 4, Name: "at", Type: types.TimestampTZType.OID, Typmod: -1, Default: "now()"},
			{Num: 5, Name: "arr", Type: types.Int4ArrayType.OID, Typmod: -1},
		},
		Indexes: []catalog.Index{{ID: aKey, Name: "pm_a_pkey", Primary: true, Unique: true, Constraint: aKeyCon,
			Columns: []catalog.IndexColumn{{Column: 1, Type: types.Int4Type.OID}}}},
		Checks: []catalog.Check{{ID: 16406, Name: "pm_chk", Expr: "(n > (0)::numeric)", Columns: []catalog.ColumnNum{3}}},
	})
	c.Put(&catalog.Table{ID: bID, Schema: catalog.PublicID, Name: "pm_b", Owner: "postgres",
		Columns: []catalog.Column{
			{Num: 1, Name: "id", Type: types.Int4Type.OID, Typmod: -1, NotNull: true, Identity: 'a', Sequence: identID},
			{Num: 2, Name: "a_id", Type: types.Int4Type.OID, Typmod: -1},
			{Num: 3, Name: "t", Type: types.TextType.OID, Typmod: -1},
			{Num: 4, Name: "drp", Type: types.Int4Type.OID, Typmod: -1, Dropped: true},
		},
		Indexes: []catalog.Index{
			{ID: 16417, Name: "pm_b_pkey", Primary: true, Unique: true, Constraint: 16418,
				Columns: []catalog.IndexColumn{{Column: 1, Type: types.Int4Type.OID}}},
			{ID: bText, Name: "pm_b_t", Include: []catalog.ColumnNum{2}, Predicate: "(t IS NOT NULL)", Columns: []catalog.IndexColumn{
				{Column: 3, Type: types.TextType.OID, Descending: true, NullsFirst: true}, {Expr: "lower(t)", Type: types.TextType.OID}}},
			{ID: bUnique, Name: "pm_b_u", Unique: true, Columns: []catalog.IndexColumn{
				{Column: 2, Type: types.Int4Type.OID}, {Column: 3, Type: types.TextType.OID}}},
		},
		ForeignKeys: []catalog.ForeignKey{{ID: 16419, Name: "pm_b_a_id_fkey", Columns: []catalog.ColumnNum{2}, Target: aID,
			TargetColumns: []catalog.ColumnNum{1}, TargetIndex: aKey, OnDelete: 'c', OnUpdate: 'a', Match: 's'}},
	})
	c.Put(&catalog.Schema{ID: otherID, Name: "Other", Owner: "ann"})
	c.Put(&catalog.Table{ID: hiddenID, Schema: otherID, Name: "pm_a", Owner: "ann", Options: []string{"fillfactor=70"},
		Columns: []catalog.Column{{Num: 1, Name: "select", Type: types.TextType.OID, Typmod: -1}}})
	c.Put(&catalog.View{ID: viewID, Schema: catalog.PublicID, Name: "pm_v", Owner: "postgres", Query: " SELECT 1 AS one;",
		Columns: []catalog.Column{{Num: 1, Name: "one", Type: types.Int4Type.OID, Typmod: -1}}})
	return c
}

// session is a Session that a test can look at.
type session struct{ replica *sm.Replica }

func (s session) Database() string         { return "postgres" }
func (s session) User() string             { return "bob" }
func (s session) Formatter() *types.Format { return types.DefaultFormat() }

func (s session) Settings() []syscat.Setting {
	return []syscat.Setting{{Name: "work_mem", Value: "8MB", Boot: "4MB", Type: "integer", Unit: "kB"}, {Name: "timezone", Value: "UTC", Boot: "UTC"}}
}

func (s session) Activity() []syscat.Activity {
	return []syscat.Activity{{PID: 7, User: "bob", State: "active", Query: "SELECT 1", BackendStart: types.Timestamp(1)}}
}

func (s session) Databases() []syscat.DatabaseInfo {
	return []syscat.DatabaseInfo{{OID: 5, Name: "postgres", Log: 7, Replicas: 3}, {OID: 16387, Name: "shop", Log: 3, Owner: "ann", NoConnections: true, Bytes: 77}}
}

func (s session) Nodes() []syscat.NodeInfo {
	return []syscat.NodeInfo{{ID: "n1", RaftAddr: "10.0.0.1:7433", State: syscat.NodeActive, Live: true, Self: true, Leading: 1, Hosting: 2, DiskFree: 99},
		{ID: "n2", RaftAddr: "[::1]:7433", State: syscat.NodeDraining, Live: true, LastSeen: types.TimestampToTime(5), DiskFree: -1},
		{ID: "n3", RaftAddr: "nonsense", State: syscat.NodeActive, DiskFree: -1}}
}

func (s session) Replicas() []syscat.ReplicaInfo {
	at := s.replica.Position().Offset
	return []syscat.ReplicaInfo{
		{Database: "postgres", Log: 7, Node: "n1", Replica: 1, Role: syscat.RoleLeader, Known: true, Applied: at, State: "running", Checksum: "ok"},
		{Database: "postgres", Log: 7, Node: "n2", Replica: 2, Role: syscat.RoleFollower, Known: true, Applied: at - 8, LagBytes: 8, Lag: 1500 * time.Millisecond, State: "running", Checksum: "ok"},
		{Database: "postgres", Log: 7, Node: "n2", Replica: 4, Role: syscat.RoleLearner, Known: true, Applied: at, State: "running", Checksum: "unknown"},
		{Database: "postgres", Log: 7, Node: "n3", Replica: 3, Role: syscat.RoleFollower, State: "not heard", Checksum: "unknown"},
		{Database: "shop", Log: 3, Node: "n2", Replica: 1, Role: syscat.RoleLeader, Known: true},
	}
}

func (s session) Slots() []syscat.SlotInfo {
	return []syscat.SlotInfo{
		{Slot: sm.Slot{Name: "a", Plugin: "pgoutput", Confirmed: 16, Active: true, Session: 12, Created: 1, Acknowledged: 2}, Node: "n1", LagBytes: 8, Lag: time.Second},
		{Slot: sm.Slot{Name: "b", Plugin: "test_decoding", Temporary: true, Confirmed: 32, Created: 3, Invalid: "too late"}},
	}
}

func (s session) Status() syscat.Status {
	return syscat.Status{LogID: 7, Leads: true, Position: s.replica.Position(), Token: "7.1.0/1000000"}
}

func (s session) Senders() []syscat.Sender {
	return []syscat.Sender{{PID: 9, User: "bob", Application: "sub", Address: "10.0.0.9:4711", State: "streaming", Began: 1, Replied: 2,
		Sent: 30, Write: 20, Flush: 10, Applied: 5}}
}

// run is an Executor that calls functions: the nth entry does what the nth
// function says.
type run struct{ steps []func(*sm.Txn) error }

func (r *run) Execute(t *sm.Txn, _ *log.Entry) (log.Result, error) {
	f := r.steps[0]
	r.steps = r.steps[1:]
	return log.Result{}, f(t)
}

// replicaOf applies an entry for each step.
func replicaOf(t testing.TB, entries []*log.Entry, steps ...func(*sm.Txn) error) *sm.Replica {
	r, err := sm.Open(sm.Options{Dir: "/data", FS: vfs.NewMem(), Log: 7, Executor: &run{steps}, MemTableBytes: 256 << 10})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	for i := range steps {
		e := &log.Entry{Kind: log.KindCommand, Semantics: log.CurrentSemantics, Time: int64(i+1) * 1000}
		if i < len(entries) {
			e = entries[i]
		}
		b, err := e.Append(nil)
		require.NoError(t, err)
		_, err = r.Apply([]log.Committed{{Index: r.Applied() + 1, Data: b}})
		require.NoError(t, err)
	}
	require.NoError(t, r.Halted())
	return r
}

// contextOf is a Context over the newest view of a replica.
func contextOf(t testing.TB, r *sm.Replica, c *catalog.Catalog) *syscat.Context {
	v, err := r.View()
	require.NoError(t, err)
	t.Cleanup(v.Close)
	if c == nil {
		c = v.Catalog()
	}
	return &syscat.Context{Catalog: c, View: v, Session: session{r}, SearchPath: []string{"bob", "public"}}
}

func lookup(t testing.TB, name string) *syscat.Table {
	for _, schema := range []string{"pg_catalog", "information_schema", "tidemark"} {
		if v := syscat.Lookup(schema, name); v != nil {
			return v
		}
	}
	require.Fail(t, "no such relation", name)
	return nil
}

// read returns all rows of a table in a range.
func read(t testing.TB, c *syscat.Context, v *syscat.Table, r syscat.Range) [][]types.Datum {
	var out [][]types.Datum
	require.NoError(t, v.Rows(c, r, func(row []types.Datum) bool {
		out = append(out, slices.Clone(row))
		return true
	}), v.Name)
	return out
}

// texts reads some columns of the rows for which a column has a value, as text.
func texts(t testing.TB, c *syscat.Context, name, where, value string, columns ...string) [][]string {
	v := lookup(t, name)
	column := func(name string) int {
		i := slices.IndexFunc(v.Columns, func(c syscat.Column) bool { return c.Name == name })
		require.GreaterOrEqual(t, i, 0, "%s.%s", v.Name, name)
		return i
	}
	print := func(row []types.Datum, i int) string {
		if row[i].IsNull() {
			return "NULL"
		}
		return v.Columns[i].Type.Text(types.DefaultFormat(), row[i])
	}
	var out [][]string
	for _, row := range read(t, c, v, syscat.Range{}) {
		if where != "" && print(row, column(where)) != value {
			continue
		}
		line := make([]string, len(columns))
		for i, name := range columns {
			line[i] = print(row, column(name))
		}
		out = append(out, line)
	}
	return out
}

// lines prints rows.
func lines(v *syscat.Table, rows [][]types.Datum) []string {
	out := make([]string, len(rows))
	for i, row := range rows {
		for j, d := range row {
			if !d.IsNull() {
				out[i] += v.Columns[j].Type.Text(types.DefaultFormat(), d)
			}
			out[i] += "|"
		}
	}
	return out
}

func oid(id catalog.ID) string { return fmt.Sprint(uint32(id)) }
