package sm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// bench is an Executor whose statement is a Go function.
type bench struct {
	do func(*sm.Txn) error
}

func (b *bench) Execute(t *sm.Txn, _ *log.Entry) (log.Result, error) {
	return log.Result{Statements: []log.Outcome{{Tag: "OK"}}}, b.do(t)
}

// accounts makes a table like pgbench's with n rows in one transaction.
func accounts(b *testing.B, n int) (*sm.Replica, *bench, *catalog.Table) {
	x := &bench{}
	r, err := sm.Open(sm.Options{Dir: b.TempDir(), Log: 1, Executor: x})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, r.Close()) })
	var tbl *catalog.Table
	x.do = func(t *sm.Txn) error {
		storage := t.NewStorage()
		tbl = &catalog.Table{ID: t.NewID(), Schema: catalog.PublicID, Name: "accounts", Storage: storage,
			Columns: []catalog.Column{
				{Num: 1, Name: "aid", Type: types.Int4Type.OID}, {Num: 2, Name: "bid", Type: types.Int4Type.OID},
				{Num: 3, Name: "abalance", Type: types.Int4Type.OID}, {Num: 4, Name: "filler", Type: types.BPCharType.OID},
			},
			Indexes: []catalog.Index{{ID: t.NewID(), Name: "accounts_pkey", Storage: storage, Primary: true, Unique: true,
				Columns: []catalog.IndexColumn{{Column: 1, Type: types.Int4Type.OID}}}},
		}
		t.PutDescriptor(tbl)
		return nil
	}
	run(b, r)
	x.do = func(t *sm.Txn) error { return fill(t, tbl, 1, n) }
	run(b, r)
	require.NoError(b, r.Sync())
	return r, x, tbl
}

const filler = "                                                                                    "

func fill(t *sm.Txn, tbl *catalog.Table, from, n int) error {
	row := make([]types.Datum, 4)
	for i := range n {
		row[0], row[1], row[2], row[3] = types.Int(int64(from+i)), types.Int(1), types.Int(0), types.String(filler)
		if err := t.Insert(tbl, row); err != nil {
			return err
		}
	}
	return nil
}

// run applies one entry that the Executor turns into its function.
func run(b *testing.B, r *sm.Replica) {
	out, err := r.Apply([]log.Committed{{Index: r.Applied() + 1, Data: entry(b, "x")}})
	require.NoError(b, err)
	res, err := log.DecodeResult(out[0])
	require.NoError(b, err)
	require.Nil(b, res.Err)
}

func BenchmarkCopy(b *testing.B) {
	const rows = 200_000
	r, x, tbl := accounts(b, 0)
	b.ReportAllocs()
	at := 1
	for b.Loop() {
		x.do = func(t *sm.Txn) error { return fill(t, tbl, at, rows) }
		run(b, r)
		at += rows
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}

func BenchmarkGet(b *testing.B) {
	const rows = 200_000
	r, _, tbl := accounts(b, rows)
	v, err := r.View()
	require.NoError(b, err)
	defer v.Close()
	b.Run("one view", func(b *testing.B) {
		b.ReportAllocs()
		txn := v.Begin()
		defer txn.Close()
		i := uint64(1)
		for b.Loop() {
			i = i*2862933555777941757 + 3037000493
			_, ok, err := txn.Get(tbl, toyKey(tbl, int64(i>>33)%rows+1), nil)
			if !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("view each", func(b *testing.B) {
		b.ReportAllocs()
		i := uint64(1)
		for b.Loop() {
			i = i*2862933555777941757 + 3037000493
			v, err := r.View()
			require.NoError(b, err)
			txn := v.Begin()
			_, ok, err := txn.Get(tbl, toyKey(tbl, int64(i>>33)%rows+1), nil)
			if !ok || err != nil {
				b.Fatal(ok, err)
			}
			txn.Close()
			v.Close()
		}
	})
}

func BenchmarkScan(b *testing.B) {
	const rows = 1_000_000
	r, _, tbl := accounts(b, rows)
	for _, want := range [][]int{{0}, {0, 2}, nil} {
		b.Run(fmt.Sprint(want), func(b *testing.B) {
			b.ReportAllocs()
			v, err := r.View()
			require.NoError(b, err)
			defer v.Close()
			txn := v.Begin()
			defer txn.Close()
			for b.Loop() {
				n := 0
				it := txn.Scan(sm.ScanOptions{Table: tbl, Want: want})
				for it.Next() {
					n++
				}
				require.NoError(b, it.Err())
				it.Close()
				require.Equal(b, rows, n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}

// BenchmarkUpdate is an Apply call of 16 transactions that read a row and
// change it.
func BenchmarkUpdate(b *testing.B) {
	const rows, batch = 200_000, 16
	r, x, tbl := accounts(b, rows)
	i := uint64(1)
	x.do = func(t *sm.Txn) error {
		i = i*2862933555777941757 + 3037000493
		m := t.Savepoint()
		_ = m
		row, ok, err := t.Get(tbl, toyKey(tbl, int64(i>>33)%rows+1), nil)
		if err != nil || !ok {
			return fmt.Errorf("get: %v %w", ok, err)
		}
		values := append([]types.Datum(nil), row.Values...)
		values[2] = types.Int(values[2].Int() + 7)
		return t.Update(tbl, row, values)
	}
	marker := log.Seed([]byte("the entry's seed"))
	e, err := log.DecodeEntry(entry(b, "UPDATE accounts SET abalance = abalance + 7 WHERE aid = 4711"))
	require.NoError(b, err)
	e.Seed = marker
	data := encode(b, e)
	at := bytes.Index(data, marker[:])
	b.ReportAllocs()
	for b.Loop() {
		c := make([]log.Committed, batch)
		for k := range c {
			one := bytes.Clone(data)
			binary.LittleEndian.PutUint64(one[at:], uint64(r.Applied())+uint64(k))
			c[k] = log.Committed{Index: r.Applied() + log.Index(k) + 1, Data: one}
		}
		_, err := r.Apply(c)
		require.NoError(b, err)
	}
	require.NoError(b, r.Halted())
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/txn")
}

// BenchmarkStagedCopy is COPY as the log brings it: chunks, then the command.
func BenchmarkStagedCopy(b *testing.B) {
	const rows, chunk = 200_000, 20_000
	r, x, tbl := accounts(b, 0)
	at, id := 1, uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		id++
		var stage log.StageID
		binary.BigEndian.PutUint64(stage[:], id)
		for n := range rows / chunk {
			var buf []byte
			for range chunk {
				row := types.AppendRow(nil, []types.Datum{types.Int(int64(at)), types.Int(1), types.Int(0), types.String(filler)})
				buf = append(binary.AppendUvarint(buf, uint64(len(row))), row...)
				at++
			}
			apply(b, r, encode(b, &log.Entry{Kind: log.KindStage, Stage: &log.Stage{ID: stage, Chunk: n, Rows: buf}}))
		}
		x.do = func(t *sm.Txn) error {
			it := t.StagedRows(&log.CopyData{Stage: stage, Chunks: rows / chunk})
			row := make([]types.Datum, 4)
			for it.Next() {
				if err := types.DecodeRowStable(it.Row(), nil, row); err != nil {
					return err
				}
				if err := t.Insert(tbl, row); err != nil {
					return err
				}
			}
			return it.Err()
		}
		run(b, r)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}
