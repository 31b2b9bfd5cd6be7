package sm

import (
	"fmt"
	"slices"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// DecodeStored decodes a stored row of t, filling columns that were added after
// it was stored. want lists the 0-based column positions wanted, nil all; out
// has one datum for each column of t, by position.
func DecodeStored(t *catalog.Table, row []byte, want []int, out []types.Datum) error {
	var d rowDecoder
	if err := d.init(t, want); err != nil {
		return err
	}
	return d.decode(row, out, false)
}

// rowDecoder decodes the stored rows of one table.
type rowDecoder struct {
	table *catalog.Table
	want  []int // ascending; nil means all
	// missing has the value of each column for rows that were stored before the
	// column was added.
	missing []types.Datum
	compact []types.Datum // parallel to want
	// inPlace says that no datum wanted refers to the bytes it is decoded from.
	inPlace bool
}

func (d *rowDecoder) init(t *catalog.Table, want []int) error {
	if want != nil && !slices.IsSorted(want) {
		want = slices.Clone(want)
		slices.Sort(want)
	}
	*d = rowDecoder{table: t, want: want, missing: d.missing[:0], compact: d.compact[:0], inPlace: true}
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Missing == nil {
			continue
		}
		if len(d.missing) == 0 {
			d.missing = append(d.missing, make([]types.Datum, len(t.Columns))...)
		}
		v, _, err := types.DecodeDatum(c.Missing)
		if err != nil {
			return fmt.Errorf("column %q of table %q: %w", c.Name, t.Name, err)
		}
		d.missing[i] = v
	}
	if want == nil {
		for i := range t.Columns {
			d.inPlace = d.inPlace && heldInPlace(t.Columns[i].Type)
		}
		return nil
	}
	d.compact = append(d.compact, make([]types.Datum, len(want))...)
	for _, w := range want {
		if w < 0 || w >= len(t.Columns) {
			return fmt.Errorf("sm: table %q has no column at position %d", t.Name, w)
		}
		d.inPlace = d.inPlace && heldInPlace(t.Columns[w].Type)
	}
	return nil
}

// heldInPlace reports whether datums of a type hold their value themselves.
func heldInPlace(oid types.OID) bool {
	t, ok := types.ByOID(oid)
	if !ok {
		return false
	}
	switch t.Kind {
	case types.KindBool, types.KindInt, types.KindFloat, types.KindDate, types.KindTime,
		types.KindTimestamp, types.KindLSN:
		return true
	}
	return false
}

// decode decodes row into out, by column position. stable says that nobody
// changes row for as long as the datums live.
func (d *rowDecoder) decode(row []byte, out []types.Datum, stable bool) error {
	n, err := types.RowColumns(row)
	if err != nil {
		return err
	}
	dst := out
	if d.want != nil {
		dst = d.compact
	}
	if n < len(d.table.Columns) {
		d.fillMissing(n, dst)
	}
	if stable && !d.inPlace {
		err = types.DecodeRowStable(row, d.want, dst)
	} else {
		err = types.DecodeRow(row, d.want, dst)
	}
	if err != nil {
		return err
	}
	for i, w := range d.want {
		out[w] = dst[i]
	}
	return nil
}

// fillMissing sets what a stored row of n columns does not have.
func (d *rowDecoder) fillMissing(n int, dst []types.Datum) {
	value := func(col int) types.Datum {
		if len(d.missing) == 0 {
			return types.NullDatum
		}
		return d.missing[col]
	}
	if d.want == nil {
		for col := n; col < len(d.table.Columns); col++ {
			dst[col] = value(col)
		}
		return
	}
	for i, col := range d.want {
		if col >= n {
			dst[i] = value(col)
		}
	}
}
