package logical

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// testDecoding writes changes as text, as PostgreSQL's plugin of that name does. It
// knows of no publications: all tables are shown.
type testDecoding struct {
	sink   Sink
	format *types.Format

	xids      bool
	times     bool
	skipEmpty bool

	tables tables
	begun  bool // BEGIN has been sent
	buf    []byte
	value  []byte

	truncated   []*table // one after the other, in the same way
	truncation  sm.Truncation
	truncatedAt log.Offset
}

func newTestDecoding(options []Option, f *types.Format, sink Sink) (plugin, error) {
	p := &testDecoding{sink: sink, format: f, xids: true}
	var forceBinary, ignored bool
	known := map[string]*bool{
		"include-xids": &p.xids, "include-timestamp": &p.times, "skip-empty-xacts": &p.skipEmpty, "force-binary": &forceBinary,
		"only-local": &ignored, "include-rewrites": &ignored, "stream-changes": &ignored,
	}
	for _, o := range options {
		field, ok := known[o.Name]
		if !ok {
			value := "(null)"
			if o.Set {
				value = o.Value
			}
			return nil, sqlstate.New(sqlstate.InvalidParameterValue, "option \"%s\" = \"%s\" is unknown", o.Name, value)
		}
		on := true
		if o.Set {
			if on, ok = types.ParseBool(o.Value); !ok {
				return nil, sqlstate.New(sqlstate.InvalidParameterValue, "could not parse value \"%s\" for parameter \"%s\"", o.Value, o.Name)
			}
		}
		*field = on
	}
	if forceBinary {
		return &binaryTestDecoding{p}, nil
	}
	return p, nil
}

// binaryTestDecoding says of the same text that it is binary, which is what the
// option force-binary is for.
type binaryTestDecoding struct{ *testDecoding }

func (p *binaryTestDecoding) binary() bool { return true }

func (p *testDecoding) binary() bool { return false }

func (p *testDecoding) begin(r *ChangeReader) error {
	p.begun = false
	if p.skipEmpty {
		return nil
	}
	return p.sendBegin(r)
}

func (p *testDecoding) sendBegin(r *ChangeReader) error {
	p.begun = true
	return p.border(r, "BEGIN", r.Header().Start)
}

// border sends the begin or the end of a transaction.
func (p *testDecoding) border(r *ChangeReader, word string, at log.Offset) error {
	h := r.Header()
	b := append(p.buf[:0], word...)
	if p.xids {
		b = strconv.AppendUint(append(b, ' '), uint64(transactionID(h.Start)), 10)
	}
	if p.times && word == "COMMIT" {
		b = append(b, " (at "...)
		b = types.TimestampTZType.AppendText(b, p.format, types.Timestamp(h.Time))
		b = append(b, ')')
	}
	p.buf = b
	return p.sink(at, b)
}

func (p *testDecoding) change(r *ChangeReader) error {
	c := r.Change()
	if c.Op != sm.OpTruncate {
		if err := p.endTruncate(r); err != nil {
			return err
		}
	}
	if c.Op == sm.OpMessage {
		return p.message(r, c)
	}
	cat, err := r.Catalog()
	if err != nil {
		return err
	}
	p.tables.use(cat)
	t, err := p.tables.of(r, c.Table)
	if err != nil || t == nil {
		return err
	}
	if c.Op == sm.OpTruncate {
		if slices.Contains(p.truncated, t) || c.Truncation != p.truncation {
			err = p.endTruncate(r)
		}
		p.truncated, p.truncation, p.truncatedAt = append(p.truncated, t), c.Truncation, c.Offset
		return err
	}
	if err := t.decode(c); err != nil {
		return err
	}
	if err := p.ensureBegun(r); err != nil {
		return err
	}
	p.buf = p.appendChange(append(p.buf[:0], "table "...), t, c)
	return p.sink(c.Offset, p.buf)
}

// message sends a message that somebody has put into the log.
func (p *testDecoding) message(r *ChangeReader, c *sm.Change) error {
	transactional := "0"
	if c.Transactional {
		transactional = "1"
		if err := p.ensureBegun(r); err != nil {
			return err
		}
	}
	b := append(append(p.buf[:0], "message: transactional: "...), transactional...)
	b = append(append(b, " prefix: "...), c.Prefix...)
	b = strconv.AppendInt(append(b, ", sz: "...), int64(len(c.Content)), 10)
	p.buf = append(append(b, " content:"...), c.Content...)
	return p.sink(c.Offset, p.buf)
}

func (p *testDecoding) ensureBegun(r *ChangeReader) error {
	if p.begun {
		return nil
	}
	return p.sendBegin(r)
}

// endTruncate sends the truncation of the tables that were truncated together.
func (p *testDecoding) endTruncate(r *ChangeReader) error {
	if len(p.truncated) == 0 {
		return nil
	}
	if err := p.ensureBegun(r); err != nil {
		return err
	}
	b := append(p.buf[:0], "table "...)
	for i, t := range p.truncated {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = t.appendName(b)
	}
	b = append(b, ": TRUNCATE:"...)
	if p.truncation.RestartIdentity {
		b = append(b, " restart_seqs"...)
	}
	if p.truncation.Cascade {
		b = append(b, " cascade"...)
	}
	if p.truncation == (sm.Truncation{}) {
		b = append(b, " (no-flags)"...)
	}
	p.buf, p.truncated = b, p.truncated[:0]
	return p.sink(p.truncatedAt, p.buf)
}

func (p *testDecoding) commit(r *ChangeReader) (bool, error) {
	if err := p.endTruncate(r); err != nil || !p.begun {
		return false, err
	}
	return true, p.border(r, "COMMIT", r.Header().End)
}

func (t *table) appendName(b []byte) []byte {
	b = append(append(b, expr.QuoteIdent(t.schema)...), '.')
	return append(b, expr.QuoteIdent(t.desc.Name)...)
}

// appendChange appends what a change did to a row.
func (p *testDecoding) appendChange(b []byte, t *table, c *sm.Change) []byte {
	b = append(t.appendName(b), ':', ' ')
	switch c.Op {
	case sm.OpInsert:
		b = p.appendRow(append(b, "INSERT:"...), t, t.after, t.live, false)
	case sm.OpUpdate:
		b = append(b, "UPDATE:"...)
		if t.full || t.identityChanged() {
			b = p.appendOld(append(b, " old-key:"...), t)
			b = append(b, " new-tuple:"...)
		}
		b = p.appendRow(b, t, t.after, t.live, false)
	case sm.OpDelete:
		b = append(b, "DELETE:"...)
		if !t.full && len(t.key) == 0 {
			return append(b, " (no-tuple-data)"...)
		}
		b = p.appendOld(b, t)
	}
	return b
}

// appendOld appends what names a row.
func (p *testDecoding) appendOld(b []byte, t *table) []byte {
	if t.full {
		return p.appendRow(b, t, t.before, t.live, true)
	}
	return p.appendRow(b, t, t.before, t.key, true)
}

func (p *testDecoding) appendRow(b []byte, t *table, row []types.Datum, columns []int, skipNulls bool) []byte {
	for _, i := range columns {
		if row[i].IsNull() && skipNulls {
			continue
		}
		typ := t.types[i]
		b = append(append(b, ' '), expr.QuoteIdent(t.desc.Columns[i].Name)...)
		b = append(append(append(b, '['), typ.SQLName...), ']', ':')
		if row[i].IsNull() {
			b = append(b, "null"...)
			continue
		}
		b = p.appendValue(b, typ, row[i])
	}
	return b
}

func (p *testDecoding) appendValue(b []byte, typ *types.Type, d types.Datum) []byte {
	switch typ {
	case types.Int2Type, types.Int4Type, types.Int8Type, types.OIDType, types.Float4Type, types.Float8Type, types.NumericType:
		return typ.AppendText(b, p.format, d)
	case types.BoolType:
		return strconv.AppendBool(b, d.Bool())
	}
	p.value = typ.AppendText(p.value[:0], p.format, d)
	b = append(b, '\'')
	for rest := p.value; ; {
		i := bytes.IndexByte(rest, '\'')
		if i < 0 {
			b = append(b, rest...)
			break
		}
		b = append(append(b, rest[:i+1]...), '\'')
		rest = rest[i+1:]
	}
	return append(b, '\'')
}
