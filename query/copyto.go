package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

type resultColumn = plan.ResultColumn

// copyTo is COPY … TO STDOUT: it runs a query and sends its rows in another form.
func (s *Session) copyTo(ctx context.Context, c *plan.CopySpec, w ResultWriter) error {
	bind := func() (*plan.Query, error) {
		return plan.CopyToQuery(plan.Env{Catalog: s.catalog(), Database: s.start.Database, SearchPath: s.meaning.SearchPath}, c)
	}
	q, err := bind()
	if err != nil && s.tx == nil { // it may name what this node has not heard of yet
		if err := s.reach(ctx); err != nil {
			return err
		}
		q, err = bind()
	}
	if err != nil {
		return err
	}
	cw := &copyWriter{ResultWriter: w, s: s, spec: c}
	return s.query(ctx, &statement{query: q, describe: true}, cw)
}

// copyWriter stands between a query and the client and turns rows into COPY data.
type copyWriter struct {
	ResultWriter
	s     *Session
	spec  *plan.CopySpec
	cols  []Column
	force []bool
	buf   []byte
	tmp   []byte
	n     int64
}

// RowDescription begins the copy.
func (c *copyWriter) RowDescription(cols []Column) error {
	c.cols = cols
	c.force = make([]bool, len(cols))
	for _, name := range c.spec.ForceQuote {
		i := slices.IndexFunc(cols, func(k Column) bool { return k.Name == name })
		if i < 0 {
			return sqlstate.New(sqlstate.InvalidColumnReference, "FORCE_QUOTE column \"%s\" not referenced by COPY", name)
		}
		c.force[i] = true
	}
	if err := c.CopyOut(c.spec.Format == "binary", len(cols)); err != nil {
		return err
	}
	c.buf = c.buf[:0]
	switch {
	case c.spec.Format == "binary":
		c.buf = append(append(c.buf, binarySignature...), make([]byte, 8)...)
	case c.spec.Header:
		for i, k := range cols {
			c.separate(i)
			c.text([]byte(k.Name), false)
		}
		c.buf = append(c.buf, '\n')
	default:
		return nil
	}
	return c.CopyData(c.buf)
}

func (c *copyWriter) separate(i int) {
	if i > 0 {
		c.buf = append(c.buf, c.spec.Delimiter[0])
	}
}

// Row sends one row.
func (c *copyWriter) Row(row []types.Datum) error {
	c.n++
	c.buf = c.buf[:0]
	if c.spec.Format == "binary" {
		c.buf = binary.BigEndian.AppendUint16(c.buf, uint16(len(row)))
		for i, d := range row {
			if d.IsNull() {
				c.buf = binary.BigEndian.AppendUint32(c.buf, 1<<32-1)
				continue
			}
			at := len(c.buf)
			c.buf = append(c.buf, 0, 0, 0, 0)
			c.buf = c.cols[i].Type.AppendBinary(c.buf, d)
			binary.BigEndian.PutUint32(c.buf[at:], uint32(len(c.buf)-at-4))
		}
		return c.CopyData(c.buf)
	}
	for i, d := range row {
		c.separate(i)
		if d.IsNull() {
			c.buf = append(c.buf, *c.spec.Null...)
			continue
		}
		c.tmp = c.cols[i].Type.AppendText(c.tmp[:0], c.s.format, d)
		c.text(c.tmp, c.spec.ForceQuoteAll || c.force[i])
	}
	return c.CopyData(append(c.buf, '\n'))
}

// text appends a value, quoted or escaped as the format asks.
func (c *copyWriter) text(b []byte, force bool) {
	if c.spec.Format == "csv" {
		c.csv(b, force)
		return
	}
	for _, x := range b {
		switch x {
		case '\b':
			c.buf = append(c.buf, '\\', 'b')
		case '\f':
			c.buf = append(c.buf, '\\', 'f')
		case '\n':
			c.buf = append(c.buf, '\\', 'n')
		case '\r':
			c.buf = append(c.buf, '\\', 'r')
		case '\t':
			c.buf = append(c.buf, '\\', 't')
		case '\v':
			c.buf = append(c.buf, '\\', 'v')
		case '\\', c.spec.Delimiter[0]:
			c.buf = append(c.buf, '\\', x)
		default:
			c.buf = append(c.buf, x)
		}
	}
}

func (c *copyWriter) csv(b []byte, force bool) {
	quote, escape := c.spec.Quote[0], c.spec.Escape[0]
	if !force && string(b) != *c.spec.Null && !bytes.ContainsAny(b, c.spec.Delimiter+c.spec.Quote+"\r\n") &&
		!(len(c.cols) == 1 && string(b) == `\.`) {
		c.buf = append(c.buf, b...)
		return
	}
	c.buf = append(c.buf, quote)
	for _, x := range b {
		if x == quote || x == escape {
			c.buf = append(c.buf, escape)
		}
		c.buf = append(c.buf, x)
	}
	c.buf = append(c.buf, quote)
}

// CommandComplete ends the copy.
func (c *copyWriter) CommandComplete(string) error {
	if c.spec.Format == "binary" {
		if err := c.CopyData([]byte{0xff, 0xff}); err != nil {
			return err
		}
	}
	if err := c.CopyDone(); err != nil {
		return err
	}
	return c.ResultWriter.CommandComplete(exec.Tag(&plan.Statement{Tag: "COPY"}, c.n))
}
