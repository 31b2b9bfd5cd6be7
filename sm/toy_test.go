package sm_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// toy is an Executor whose statements are words: the verb, then its arguments.
// A statement that fails inside "try … end" is rolled back alone.
type toy struct{ panics bool }

// Columns of every toy table: id int8 (key), name text (indexed), n int8
// (unique).
const (
	colID = iota
	colName
	colN
)

func (x *toy) Execute(t *sm.Txn, e *log.Entry) (log.Result, error) {
	var res log.Result
	var marks []sm.Mark
	if e.Kind == log.KindStage {
		tag, err := x.copy(t, e.Statements[0].Text, t.StagedRows(&log.CopyData{Rows: e.Stage.Rows}))
		res.Statements = append(res.Statements, log.Outcome{Tag: tag})
		return res, err
	}
	for i := range e.Statements {
		s := &e.Statements[i]
		switch s.Action {
		case log.ActionSavepoint:
			marks = append(marks, t.Savepoint())
			continue
		case log.ActionRollbackTo:
			t.RollbackTo(marks[len(marks)-1])
			continue
		}
		m := t.Savepoint()
		tag, err := x.statement(t, s)
		if err != nil {
			if len(marks) == 0 {
				return res, err
			}
			t.RollbackTo(m)
			tag = "ERROR " + string(sqlstate.CodeOf(err))
		}
		res.Statements = append(res.Statements, log.Outcome{Tag: tag})
	}
	return res, nil
}

func (x *toy) statement(t *sm.Txn, s *log.Statement) (string, error) {
	f := strings.Fields(s.Text)
	arg := func(i int) int64 {
		v, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			panic(err)
		}
		return v
	}
	if f[0] == "create" {
		return "CREATE", create(t, f[1], len(f) < 3)
	}
	if f[0] == "poison" {
		if x.panics {
			panic("poison")
		}
		return "POISON", nil
	}
	if f[0] == "broken" {
		return "", errors.New("an error without SQLSTATE")
	}
	if f[0] == "ack" {
		return "ACK", t.AckSlot(f[1], log.Offset(arg(2)))
	}
	if f[0] == "fail" {
		return "", sqlstate.New(sqlstate.DivisionByZero, "division by zero").WithHint("do not")
	}
	id := t.Catalog().Relation(catalog.Name{Schema: catalog.PublicID, Name: f[1]})
	if id == 0 {
		return "", sqlstate.New(sqlstate.UndefinedTable, "relation %q does not exist", f[1])
	}
	if f[0] == "nextval" || f[0] == "dropseq" {
		if f[0] == "dropseq" {
			t.DeleteDescriptor(id)
			return "DROP", nil
		}
		v, err := t.SequenceNext(t.Catalog().Sequence(id), arg(2))
		return fmt.Sprint(v), err
	}
	tbl := t.Catalog().Table(id)
	switch f[0] {
	case "insert":
		return "INSERT", t.Insert(tbl, toyRow(arg(2), f[3], arg(4)))
	case "update":
		row, ok, err := t.Get(tbl, toyKey(tbl, arg(2)), nil)
		if err != nil || !ok {
			return "UPDATE 0", err
		}
		return "UPDATE 1", t.Update(tbl, row.Clone(), toyRow(arg(3), f[4], arg(5)))
	case "delete":
		row, ok, err := t.Get(tbl, toyKey(tbl, arg(2)), nil)
		if err != nil || !ok {
			return "DELETE 0", err
		}
		return "DELETE 1", t.Delete(tbl, row.Clone())
	case "bump": // every row of a name, found by its index, while it changes
		return bump(t, tbl, f[2])
	case "truncate":
		return "TRUNCATE", t.Truncate(tbl, sm.Truncation{})
	case "drop":
		t.DeleteDescriptor(id)
		t.DeleteDescriptor(t.Catalog().Relation(catalog.Name{Schema: catalog.PublicID, Name: f[1] + "_seq"}))
		return "DROP", nil
	case "rekey":
		return "REKEY", rekey(t, tbl)
	case "reindex":
		return "REINDEX", reindex(t, tbl)
	case "copy":
		if s.Copy.Loaded {
			n, err := t.Adopt(s.Copy, tbl)
			return fmt.Sprint("COPY ", n), err
		}
		return x.copy(t, s.Text, t.StagedRows(s.Copy))
	case "none": // relies on there being no row of a name
		lo := keys.AppendIndex(nil, &tbl.Indexes[1], []types.Datum{types.String(f[2])})
		it := t.Scan(sm.ScanOptions{Table: tbl, Index: &tbl.Indexes[1], Doom: true,
			Spans: []sm.Span{{Lo: lo, Hi: keys.PrefixEnd(lo)}}})
		defer it.Close()
		if it.Next() {
			return "", sqlstate.New(sqlstate.ForeignKeyViolation, "there is a row")
		}
		return "NONE", it.Err()
	}
	return "", fmt.Errorf("unknown statement %q", s.Text)
}

// copy inserts staged rows; "copy t seq" draws from the table's sequence too, and a
// row with the name "ack" acknowledges its n to the slot s.
func (x *toy) copy(t *sm.Txn, text string, it *sm.StagedIter) (string, error) {
	f := strings.Fields(text)
	name := func(s string) catalog.ID {
		return t.Catalog().Relation(catalog.Name{Schema: catalog.PublicID, Name: s})
	}
	tbl := t.Catalog().Table(name(f[1]))
	if len(f) > 2 {
		if _, err := t.SequenceNext(t.Catalog().Sequence(name(f[1]+"_seq")), 1); err != nil {
			return "", err
		}
	}
	n := 0
	row := make([]types.Datum, 3)
	for it.Next() {
		if err := types.DecodeRowStable(it.Row(), nil, row); err != nil {
			return "", err
		}
		if err := t.Insert(tbl, row); err != nil {
			return "", err
		}
		if row[colName].Str() == "ack" {
			if err := t.AckSlot("s", log.Offset(row[colN].Int())); err != nil {
				return "", err
			}
		}
		n++
	}
	return fmt.Sprint("COPY ", n), it.Err()
}

func toyRow(id int64, name string, n int64) []types.Datum {
	return []types.Datum{types.Int(id), types.String(name), types.Int(n)}
}

func toyKey(t *catalog.Table, id int64) []byte {
	return keys.AppendIndex(nil, t.PrimaryKey(), []types.Datum{types.Int(id)})
}

func bump(t *sm.Txn, tbl *catalog.Table, name string) (string, error) {
	byName := &tbl.Indexes[1]
	lo := keys.AppendIndex(nil, byName, []types.Datum{types.String(name)})
	it := t.Scan(sm.ScanOptions{Table: tbl, Index: byName, Spans: []sm.Span{{Lo: lo, Hi: keys.PrefixEnd(lo)}}})
	defer it.Close()
	n := 0
	for it.Next() {
		row := it.Row().Clone()
		if err := t.Update(tbl, row, toyRow(row.Values[colID].Int(), name+"x", row.Values[colN].Int())); err != nil {
			return "", err
		}
		n++
	}
	return fmt.Sprint("BUMP ", n), it.Err()
}

// create makes a table with its indexes, and a sequence named after it.
func create(t *sm.Txn, name string, unique bool) error {
	if t.Catalog().Relation(catalog.Name{Schema: catalog.PublicID, Name: name}) != 0 {
		return sqlstate.New(sqlstate.DuplicateTable, "relation %q already exists", name)
	}
	storage := t.NewStorage()
	tbl := &catalog.Table{
		ID: t.NewID(), Schema: catalog.PublicID, Name: name, Storage: storage,
		Columns: []catalog.Column{
			{Num: 1, Name: "id", Type: types.Int8Type.OID, Typmod: -1, NotNull: true},
			{Num: 2, Name: "name", Type: types.TextType.OID, Typmod: -1},
			{Num: 3, Name: "n", Type: types.Int8Type.OID, Typmod: -1},
		},
		Indexes: []catalog.Index{
			{ID: t.NewID(), Name: name + "_pkey", Storage: storage, Primary: true, Unique: true,
				Columns: []catalog.IndexColumn{{Column: 1, Type: types.Int8Type.OID}}},
			{ID: t.NewID(), Name: name + "_name", Storage: t.NewStorage(),
				Columns: []catalog.IndexColumn{{Column: 2, Type: types.TextType.OID}}},
		},
	}
	if unique {
		tbl.Indexes = append(tbl.Indexes, catalog.Index{ID: t.NewID(), Name: name + "_n", Storage: t.NewStorage(), Unique: true,
			Columns: []catalog.IndexColumn{{Column: 3, Type: types.Int8Type.OID, Descending: true}}})
	}
	t.PutDescriptor(tbl)
	t.PutDescriptor(&catalog.Sequence{ID: t.NewID(), Schema: catalog.PublicID, Name: name + "_seq",
		Type: types.Int8Type.OID, Start: 1, Increment: 1, Min: 1, Max: 1 << 40, Cache: 1})
	return nil
}

// rekey moves the rows to new storage under the same key.
func rekey(t *sm.Txn, old *catalog.Table) error {
	n := *old
	n.Storage = t.NewStorage()
	n.Indexes = append([]catalog.Index(nil), old.Indexes...)
	for i := range n.Indexes {
		n.Indexes[i].Storage = t.NewStorage()
		if n.Indexes[i].Primary {
			n.Indexes[i].Storage = n.Storage
		}
	}
	t.PutDescriptor(&n)
	return t.Rekey(old, &n)
}

// reindex builds the index by name anew.
func reindex(t *sm.Txn, old *catalog.Table) error {
	n := *old
	n.Indexes = append([]catalog.Index(nil), old.Indexes...)
	n.Indexes[1].Storage = t.NewStorage()
	t.PutDescriptor(&n)
	return t.BuildIndex(&n, &n.Indexes[1])
}

// entry encodes one entry with those statements.
func entry(t testing.TB, statements ...string) []byte {
	e := &log.Entry{Kind: log.KindCommand, Semantics: log.CurrentSemantics, Role: "tester", Time: 1000}
	for _, s := range statements {
		e.Statements = append(e.Statements, statement(s))
	}
	return encode(t, e)
}

func statement(s string) log.Statement {
	switch s {
	case "savepoint":
		return log.Statement{Action: log.ActionSavepoint}
	case "rollback":
		return log.Statement{Action: log.ActionRollbackTo}
	}
	return log.Statement{Text: s}
}

func encode(t testing.TB, e *log.Entry) []byte {
	b, err := e.Append(nil)
	require.NoError(t, err)
	return b
}

func options(fs vfs.FS, dir string) sm.Options {
	return sm.Options{Dir: dir, FS: fs, Log: 7, Executor: &toy{panics: true}, MemTableBytes: 256 << 10}
}

func open(t testing.TB, fs vfs.FS) *sm.Replica {
	r, err := sm.Open(options(fs, "/data/replica"))
	require.NoError(t, err)
	return r
}

// one opens a replica in memory that is closed at the end of the test.
func one(t testing.TB) *sm.Replica {
	r := open(t, vfs.NewMem())
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// apply applies one entry after the last, and returns what it answered.
func apply(t testing.TB, r *sm.Replica, data []byte) *log.Result {
	out, err := r.Apply([]log.Committed{{Index: r.Applied() + 1, Data: data}})
	require.NoError(t, err)
	require.Len(t, out, 1)
	res, err := log.DecodeResult(out[0])
	require.NoError(t, err)
	return res
}

// must applies statements that have to succeed.
func must(t testing.TB, r *sm.Replica, statements ...string) *log.Result {
	res := apply(t, r, entry(t, statements...))
	require.Nil(t, res.Err, "%v", res.Err)
	return res
}

// table returns a table of v's catalog.
func table(v *sm.View, name string) *catalog.Table {
	c := v.Catalog()
	return c.Table(c.Relation(catalog.Name{Schema: catalog.PublicID, Name: name}))
}

// dump reads all rows, by one of the indexes, as text.
func dump(t testing.TB, v *sm.View, name string, index int, reverse bool) []string {
	tbl := table(v, name)
	if tbl == nil {
		return nil
	}
	txn := v.Begin()
	defer txn.Close()
	return dumpTxn(t, txn, tbl, index, reverse)
}

func dumpTxn(t testing.TB, txn *sm.Txn, tbl *catalog.Table, index int, reverse bool) []string {
	it := txn.Scan(sm.ScanOptions{Table: tbl, Index: &tbl.Indexes[index], Reverse: reverse})
	defer it.Close()
	out := []string{}
	for it.Next() {
		r := it.Row().Values
		out = append(out, fmt.Sprintf("%d %s %d", r[colID].Int(), r[colName].Str(), r[colN].Int()))
	}
	require.NoError(t, it.Err())
	return out
}

// latest is dump of the newest view in primary-key order.
func latest(t testing.TB, r *sm.Replica, name string) []string {
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	return dump(t, v, name, 0, false)
}

func sound(t testing.TB, r *sm.Replica) {
	report, err := r.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Problems)
}

func newRand(t testing.TB, seed uint64) *rand.Rand {
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}
