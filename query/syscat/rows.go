package syscat

import (
	"cmp"
	"slices"
	"sort"
	"sync"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// writer makes the rows of one table. Columns are set by name, so that a row
// cannot be shifted against its columns; those not set are NULL, or the zero of
// their type where the column is NOT NULL.
type writer struct {
	t    *Table
	row  []types.Datum
	emit func([]types.Datum) bool
	full bool // emit wants no more
}

func newWriter(t *Table, emit func([]types.Datum) bool) *writer {
	return &writer{t: t, row: make([]types.Datum, len(t.Columns)), emit: emit}
}

// begin starts a row.
func (w *writer) begin() { copy(w.row, w.t.blank) }

// set sets a column of the row. Naming one that does not exist is a broken
// invariant.
func (w *writer) set(column string, d types.Datum) {
	i, ok := w.t.index[column]
	if !ok {
		panic("syscat: " + w.t.Name + " has no column " + column)
	}
	w.row[i] = d
}

// end hands out the row; false means that no more are wanted.
func (w *writer) end() bool {
	if !w.full {
		w.full = !w.emit(w.row)
	}
	return !w.full
}

// send hands out a row given by position.
func (w *writer) send(row ...types.Datum) bool {
	if len(row) != len(w.row) {
		panic("syscat: wrong number of columns for " + w.t.Name)
	}
	copy(w.row, row)
	return w.end()
}

// staticRows are rows that never change, made when they are first asked for and
// sorted by the table's pushed column.
type staticRows struct {
	once  sync.Once
	build func(w *writer)
	rows  [][]types.Datum
}

// send hands out the rows in the range.
func (s *staticRows) send(w *writer, r idRange) bool {
	s.once.Do(func() {
		s.build(newWriter(w.t, func(row []types.Datum) bool {
			s.rows = append(s.rows, slices.Clone(row))
			return true
		}))
		if k := w.t.Pushed; k >= 0 {
			slices.SortStableFunc(s.rows, func(a, b []types.Datum) int { return cmp.Compare(a[k].Int(), b[k].Int()) })
		}
	})
	rows := s.rows
	if k := w.t.Pushed; k >= 0 {
		lo := sort.Search(len(rows), func(i int) bool { return rows[i][k].Int() >= r.lo })
		hi := sort.Search(len(rows), func(i int) bool { return rows[i][k].Int() > r.hi })
		rows = rows[lo:max(lo, hi)]
	}
	for _, row := range rows {
		if w.full {
			return false
		}
		w.full = !w.emit(row)
	}
	return !w.full
}

// Short names for the values catalogs are full of.

func str(s string) types.Datum { return types.String(s) }

// strOrNull is NULL for "".
func strOrNull(s string) types.Datum {
	if s == "" {
		return types.NullDatum
	}
	return types.String(s)
}

func num[T ~int | ~int16 | ~int32 | ~int64 | ~uint32](v T) types.Datum { return types.Int(int64(v)) }

// char is a value of type "char"; 0 is the empty one.
func char(b byte) types.Datum {
	if b == 0 {
		return types.String("")
	}
	return types.String(string(rune(b)))
}

// yes is information_schema's yes_or_no.
func yes(b bool) types.Datum {
	if b {
		return types.String("YES")
	}
	return types.String("NO")
}

func textArray(elem *types.Type, values []string) types.Datum {
	out := make([]types.Datum, len(values))
	for i, v := range values {
		out[i] = types.String(v)
	}
	return types.ArrayDatum(types.NewArray(elem, out))
}

func numArray[T ~int | ~int16 | ~int32 | ~int64 | ~uint32](elem *types.Type, values []T) types.Datum {
	return types.ArrayDatum(types.NewArray(elem, numDatums(values)))
}

func vector[T ~int | ~int16 | ~int32 | ~int64 | ~uint32](t *types.Type, values []T) types.Datum {
	return types.VectorDatum(t, numDatums(values))
}

func numDatums[T ~int | ~int16 | ~int32 | ~int64 | ~uint32](values []T) []types.Datum {
	out := make([]types.Datum, len(values))
	for i, v := range values {
		out[i] = num(v)
	}
	return out
}

// zeroOf is what a NOT NULL column has that nobody sets.
func zeroOf(t *types.Type) types.Datum {
	switch t.Kind {
	case types.KindBool:
		return types.Bool(false)
	case types.KindInt:
		return types.Int(0)
	case types.KindFloat:
		return types.Float(0)
	case types.KindString:
		return types.String("")
	case types.KindArray:
		if t.IsVector() {
			return types.VectorDatum(t, nil)
		}
		return types.ArrayDatum(types.NewArray(t.Elem, nil))
	case types.KindTimestamp:
		return types.Timestamp(0)
	}
	return types.NullDatum
}

// schemaID returns the OID of a schema that every database has.
func schemaID(name string) catalog.ID {
	switch name {
	case "information_schema":
		return catalog.InformationSchemaID
	case "tidemark":
		return catalog.TidemarkSchemaID
	}
	return catalog.PgCatalogID
}
