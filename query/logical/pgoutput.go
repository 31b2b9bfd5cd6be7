package logical

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// The types of pgoutput's messages.
const (
	msgBegin    = 'B'
	msgCommit   = 'C'
	msgRelation = 'R'
	msgInsert   = 'I'
	msgUpdate   = 'U'
	msgDelete   = 'D'
	msgTruncate = 'T'
	msgMessage  = 'M'
)

// The bits of a truncate message.
const (
	truncateCascade = 1 << 0
	truncateRestart = 1 << 1
)

// pgoutput is PostgreSQL's own format of changes. Only what belongs to version 1 of
// it is ever sent: later versions let the server do more and oblige it to nothing.
type pgoutput struct {
	sink         Sink
	format       *types.Format
	publications []string
	inBinary     bool // values are sent in binary form
	messages     bool

	tables tables
	set    *Set
	sent   map[catalog.ID]*relation
	begun  bool // the transaction's begin has been sent
	buf    []byte

	truncated   []*relation // one after the other, in the same way
	truncation  sm.Truncation
	truncatedAt log.Offset
}

// relation is a table as it is published.
type relation struct {
	*table
	published *Published
	columns   []int  // positions of what is published of it
	isKey     []bool // by column position: part of the replica identity
	described []byte // the relation message that was sent last; nil for none
	current   bool   // described is of the catalog as it is now
}

func (p *pgoutput) binary() bool { return true }

func (p *pgoutput) begin(*ChangeReader) error {
	p.begun = false
	return nil
}

// ensureBegun sends the transaction's begin before the first thing of it that is
// sent: nothing is sent of a transaction that has nothing for this consumer.
func (p *pgoutput) ensureBegun(r *ChangeReader) error {
	if p.begun {
		return nil
	}
	p.begun = true
	h := r.Header()
	b := append(p.buf[:0], msgBegin)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Commit))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Time))
	p.buf = binary.BigEndian.AppendUint32(b, transactionID(h.Start))
	return p.sink(h.Start, p.buf)
}

func (p *pgoutput) commit(r *ChangeReader) (bool, error) {
	if err := p.endTruncate(r); err != nil || !p.begun {
		return false, err
	}
	h := r.Header()
	b := append(p.buf[:0], msgCommit, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Commit))
	b = binary.BigEndian.AppendUint64(b, uint64(h.End))
	p.buf = binary.BigEndian.AppendUint64(b, uint64(h.Time))
	return true, p.sink(h.End, p.buf)
}

func (p *pgoutput) change(r *ChangeReader) error {
	c := r.Change()
	if c.Op != sm.OpTruncate {
		if err := p.endTruncate(r); err != nil {
			return err
		}
	}
	if c.Op == sm.OpMessage {
		return p.message(r, c)
	}
	rel, err := p.relation(r, c.Table)
	if err != nil || rel == nil {
		return err
	}
	op := c.Op
	switch {
	case op == sm.OpTruncate && rel.published.Truncate:
		return p.truncate(r, rel)
	case op == sm.OpInsert && rel.published.Insert, op == sm.OpUpdate && rel.published.Update, op == sm.OpDelete && rel.published.Delete:
	default:
		return nil
	}
	if err := rel.decode(c); err != nil {
		return err
	}
	if op, err = rel.filter(op); err != nil || op == 0 {
		return err
	}
	if op == sm.OpDelete && !rel.full && len(rel.key) == 0 {
		return nil // there is nothing to say of the row that is gone
	}
	if err := p.describe(r, rel); err != nil {
		return err
	}
	p.buf = p.appendChange(p.buf[:0], rel, op)
	return p.sink(c.Offset, p.buf)
}

// message sends a message that somebody has put into the log. One that is not
// transactional stands outside of transactions.
func (p *pgoutput) message(r *ChangeReader, c *sm.Change) error {
	if !p.messages {
		return nil
	}
	flags := byte(0)
	if c.Transactional {
		flags = 1
		if err := p.ensureBegun(r); err != nil {
			return err
		}
	}
	b := append(p.buf[:0], msgMessage, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Offset))
	b = append(append(b, c.Prefix...), 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Content)))
	p.buf = append(b, c.Content...)
	return p.sink(c.Offset, p.buf)
}

// filter applies the publications' row filters: an update that takes the row out of
// them is a delete to the consumer, one that brings it in an insert. 0 means that
// the consumer does not get to know of the change.
func (r *relation) filter(op sm.Op) (sm.Op, error) {
	f := r.published.FilterOf(op)
	if f == nil {
		return op, nil
	}
	var before, after bool
	var err error
	if op != sm.OpInsert {
		if before, err = f.Matches(r.before); err != nil {
			return 0, err
		}
	}
	if op != sm.OpDelete {
		if after, err = f.Matches(r.after); err != nil {
			return 0, err
		}
	}
	switch {
	case before && after:
		return sm.OpUpdate, nil
	case after:
		return sm.OpInsert, nil
	case before:
		return sm.OpDelete, nil
	}
	return 0, nil
}

// describe sees to it that the consumer knows the transaction and the table of what
// is sent next.
func (p *pgoutput) describe(r *ChangeReader, rel *relation) error {
	if err := p.ensureBegun(r); err != nil || rel.current {
		return err
	}
	rel.current = true
	p.buf = rel.appendDescription(p.buf[:0])
	if bytes.Equal(p.buf, rel.described) {
		return nil
	}
	rel.described = bytes.Clone(p.buf)
	return p.sink(0, p.buf)
}

// truncate notes the truncation of a table. One that is truncated again, or in another
// way, begins the next message: a subscriber fails at a table that is in the same one
// twice.
func (p *pgoutput) truncate(r *ChangeReader, rel *relation) error {
	how := r.Change().Truncation
	if slices.Contains(p.truncated, rel) || how != p.truncation {
		if err := p.endTruncate(r); err != nil {
			return err
		}
	}
	p.truncated, p.truncation, p.truncatedAt = append(p.truncated, rel), how, r.Change().Offset
	return nil
}

// endTruncate sends the truncation of the tables that were truncated together.
func (p *pgoutput) endTruncate(r *ChangeReader) error {
	if len(p.truncated) == 0 {
		return nil
	}
	for _, rel := range p.truncated {
		if err := p.describe(r, rel); err != nil {
			return err
		}
	}
	b := binary.BigEndian.AppendUint32(append(p.buf[:0], msgTruncate), uint32(len(p.truncated)))
	flags := byte(0)
	if p.truncation.Cascade {
		flags |= truncateCascade
	}
	if p.truncation.RestartIdentity {
		flags |= truncateRestart
	}
	b = append(b, flags)
	for _, rel := range p.truncated {
		b = binary.BigEndian.AppendUint32(b, uint32(rel.desc.ID))
	}
	p.buf, p.truncated = b, p.truncated[:0]
	return p.sink(p.truncatedAt, b)
}

// relation returns a table as it was published when the transaction committed; nil
// if it was not.
func (p *pgoutput) relation(r *ChangeReader, id catalog.ID) (*relation, error) {
	cat, err := r.Catalog()
	if err != nil {
		return nil, err
	}
	if p.tables.use(cat) || p.set == nil {
		if p.set, err = Resolve(cat, p.publications); err != nil {
			return nil, err
		}
		for _, rel := range p.sent {
			if rel != nil {
				rel.current = false
			}
		}
	}
	rel := p.sent[id]
	if rel != nil && rel.current {
		return rel, nil
	}
	if _, seen := p.tables.byID[id]; seen && rel != nil && rel.table == p.tables.byID[id] {
		return rel, nil
	}
	return p.newRelation(r, id, rel)
}

// newRelation looks a table up that has not been looked up in this catalog; old is
// what it was before.
func (p *pgoutput) newRelation(r *ChangeReader, id catalog.ID, old *relation) (*relation, error) {
	t, err := p.tables.of(r, id)
	if err != nil || t == nil {
		return nil, err
	}
	pub := p.set.Table(id)
	if pub == nil && p.tables.catalog.Table(id) == nil {
		if pub, err = p.publishedBefore(r, id); err != nil {
			return nil, err
		}
	}
	if pub == nil {
		return nil, nil
	}
	rel := &relation{table: t, published: pub, isKey: make([]bool, len(t.types))}
	if old != nil {
		rel.described = old.described
	}
	for _, c := range pub.Columns {
		rel.columns = append(rel.columns, int(c)-1)
	}
	for _, i := range t.key {
		rel.isKey[i] = true
	}
	p.sent[id] = rel
	return rel, nil
}

// publishedBefore is how a table was published that the transaction has dropped.
func (p *pgoutput) publishedBefore(r *ChangeReader, id catalog.ID) (*Published, error) {
	before, err := r.CatalogBefore()
	if err != nil {
		return nil, err
	}
	set, err := Resolve(before, p.publications)
	if sqlstate.CodeOf(err) == sqlstate.UndefinedObject {
		return nil, nil // the publication did not exist yet
	}
	if err != nil {
		return nil, err
	}
	return set.Table(id), nil
}

// appendDescription appends the message that describes the table.
func (r *relation) appendDescription(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(append(b, msgRelation), uint32(r.desc.ID))
	schema := r.schema
	if schema == "pg_catalog" {
		schema = ""
	}
	b = append(append(b, schema...), 0)
	b = append(append(b, r.desc.Name...), 0)
	b = append(b, r.identity)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.columns)))
	for _, i := range r.columns {
		col := &r.desc.Columns[i]
		flags := byte(0)
		if r.full || r.isKey[i] {
			flags = 1
		}
		b = append(append(append(b, flags), col.Name...), 0)
		b = binary.BigEndian.AppendUint32(b, uint32(col.Type))
		b = binary.BigEndian.AppendUint32(b, uint32(col.Typmod))
	}
	return b
}

// appendChange appends what a change did to a row.
func (p *pgoutput) appendChange(b []byte, r *relation, op sm.Op) []byte {
	id := uint32(r.desc.ID)
	switch op {
	case sm.OpInsert:
		b = binary.BigEndian.AppendUint32(append(b, msgInsert), id)
	case sm.OpUpdate:
		b = binary.BigEndian.AppendUint32(append(b, msgUpdate), id)
		if r.full || r.identityChanged() {
			b = p.appendOld(b, r)
		}
	case sm.OpDelete:
		b = binary.BigEndian.AppendUint32(append(b, msgDelete), id)
		return p.appendOld(b, r)
	}
	return p.appendTuple(append(b, 'N'), r, r.after, false)
}

// appendOld appends what the row was before: all of it or what names it.
func (p *pgoutput) appendOld(b []byte, r *relation) []byte {
	if r.full {
		return p.appendTuple(append(b, 'O'), r, r.before, false)
	}
	return p.appendTuple(append(b, 'K'), r, r.before, true)
}

func (p *pgoutput) appendTuple(b []byte, r *relation, row []types.Datum, keyOnly bool) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.columns)))
	for _, i := range r.columns {
		if row[i].IsNull() || keyOnly && !r.isKey[i] {
			b = append(b, 'n')
			continue
		}
		if p.inBinary {
			b = append(b, 'b', 0, 0, 0, 0)
		} else {
			b = append(b, 't', 0, 0, 0, 0)
		}
		at := len(b)
		if p.inBinary {
			b = r.types[i].AppendBinary(b, row[i])
		} else {
			b = r.types[i].AppendText(b, p.format, row[i])
		}
		binary.BigEndian.PutUint32(b[at-4:], uint32(len(b)-at))
	}
	return b
}
