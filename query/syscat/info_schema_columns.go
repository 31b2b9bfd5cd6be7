package syscat

import (
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

func text(v int64) types.Datum { return types.String(strconv.FormatInt(v, 10)) }

// integerBits is the precision of an integer type; 0 for any other type.
func integerBits(oid types.OID) int {
	switch oid {
	case types.Int2Type.OID:
		return 16
	case types.Int4Type.OID:
		return 32
	case types.Int8Type.OID:
		return 64
	}
	return 0
}

// systemColumns are the rows of the virtual tables' columns, but for the
// database's name.
var systemColumns = &staticRows{build: func(w *writer) {
	for _, t := range All() {
		rel := virtualRelation(t)
		for _, a := range rel.attributes() {
			w.begin()
			w.set("table_schema", str(t.Schema))
			w.set("table_name", str(t.Name))
			setColumn(w, &rel, &a)
			w.end()
		}
	}
}}

func columnRows(c *Context, r idRange, w *writer) error {
	emit := w.emit
	w.emit = func(row []types.Datum) bool {
		copy(w.row, row)
		w.set("table_catalog", str(c.database()))
		w.set("udt_catalog", str(c.database()))
		if !w.row[w.t.index["collation_name"]].IsNull() {
			w.set("collation_catalog", str(c.database()))
		}
		return emit(w.row)
	}
	if !systemColumns.send(w, r) {
		return nil
	}
	for rel := range storedRelations(c.Catalog, everyID) {
		if rel.kind != kindTable && rel.kind != kindView {
			continue
		}
		for _, a := range rel.attributes() {
			if a.dropped {
				continue
			}
			w.begin()
			setQualified(c, w, "table", rel.schema, rel.name)
			setColumn(w, &rel, &a)
			w.set("column_default", strOrNull(c.info().defaultText(a.column)))
			setIdentity(c.Catalog, w, a.column)
			if !w.end() {
				return nil
			}
		}
	}
	return nil
}

func setColumn(w *writer, r *relation, a *attribute) {
	t, ok := types.ByOID(a.typ)
	if !ok {
		return
	}
	w.set("column_name", str(a.name))
	w.set("ordinal_position", num(a.num))
	w.set("is_nullable", yes(!a.notNull))
	dataType := t.SQLName
	if t.Elem != nil && !t.IsVector() {
		dataType = "ARRAY"
	}
	w.set("data_type", str(dataType))
	setPrecision(w, t, a.typmod)
	if t == types.NameType {
		w.set("collation_schema", str("pg_catalog"))
		w.set("collation_name", str("C"))
	}
	w.set("udt_schema", str("pg_catalog"))
	w.set("udt_name", str(t.Name))
	w.set("dtd_identifier", text(int64(a.num)))
	w.set("is_self_referencing", yes(false))
	w.set("is_identity", yes(false))
	w.set("identity_cycle", yes(false))
	w.set("is_generated", str("NEVER"))
	w.set("is_updatable", yes(r.changeable()))
}

const (
	// utf8BytesMax is how long a character can be.
	utf8BytesMax = 4
	// textOctets is what PostgreSQL states as the greatest length of a text.
	textOctets = 1 << 30
	// microseconds is the number of digits of a second that times have.
	microseconds = 6
	// intervalPrecisionMask selects the precision in an interval's typmod.
	intervalPrecisionMask = 0xFFFF
)

// setPrecision sets the lengths and precisions of a column's type.
func setPrecision(w *writer, t *types.Type, typmod int32) {
	precision := func(p, radix int) {
		w.set("numeric_precision", num(p))
		w.set("numeric_precision_radix", num(radix))
	}
	switch t {
	case types.VarcharType, types.BPCharType:
		octets := int32(textOctets)
		if n := types.CharLength(typmod); typmod >= 0 && n >= 0 {
			w.set("character_maximum_length", num(n))
			octets = n * utf8BytesMax
		}
		w.set("character_octet_length", num(octets))
	case types.TextType:
		w.set("character_octet_length", num(textOctets))
	case types.Int2Type, types.Int4Type, types.Int8Type:
		precision(integerBits(t.OID), 2)
		w.set("numeric_scale", num(0))
	case types.Float4Type:
		precision(24, 2)
	case types.Float8Type:
		precision(53, 2)
	case types.NumericType:
		w.set("numeric_precision_radix", num(10))
		if p, s, ok := types.NumericPrecisionScale(typmod); ok && typmod >= 0 {
			precision(int(p), 10)
			w.set("numeric_scale", num(s))
		}
	case types.DateType:
		w.set("datetime_precision", num(0))
	case types.TimeType, types.TimestampType, types.TimestampTZType:
		digits := int32(microseconds)
		if typmod >= 0 {
			digits = typmod
		}
		w.set("datetime_precision", num(digits))
	case types.IntervalType:
		setIntervalPrecision(w, typmod)
	}
}

func setIntervalPrecision(w *writer, typmod int32) {
	digits := int32(microseconds)
	if typmod >= 0 && typmod&intervalPrecisionMask != intervalPrecisionMask {
		digits = typmod & intervalPrecisionMask
	}
	w.set("datetime_precision", num(digits))
	fields, _, _ := strings.Cut(types.TypmodText(types.IntervalType, typmod), "(")
	w.set("interval_type", strOrNull(strings.ToUpper(strings.TrimSpace(fields))))
}

func setIdentity(cat *catalog.Catalog, w *writer, c *catalog.Column) {
	if c.Identity == 0 {
		return
	}
	generation := "BY DEFAULT"
	if c.Identity == 'a' {
		generation = "ALWAYS"
	}
	w.set("is_identity", yes(true))
	w.set("identity_generation", str(generation))
	s := cat.Sequence(c.Sequence)
	if s == nil {
		return
	}
	w.set("identity_start", text(s.Start))
	w.set("identity_increment", text(s.Increment))
	w.set("identity_maximum", text(s.Max))
	w.set("identity_minimum", text(s.Min))
	w.set("identity_cycle", yes(s.Cycle))
}

func columnTypeRows(c *Context, _ idRange, w *writer) error {
	eachTable(c, func(r relation) bool {
		for _, a := range r.attributes() {
			t, ok := types.ByOID(a.typ)
			if !ok || a.dropped {
				continue
			}
			w.begin()
			setQualified(c, w, "udt", catalog.PgCatalogID, t.Name)
			setQualified(c, w, "table", r.schema, r.name)
			w.set("column_name", str(a.name))
			if !w.end() {
				return false
			}
		}
		return true
	})
	return nil
}
