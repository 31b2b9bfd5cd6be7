package pgwire

import (
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgproto3/v2"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// results is the query.ResultWriter of a connection. There is one for each
// connection, reused for all its statements.
type results struct {
	c       *conn
	cols    []query.Column
	formats []int16 // result formats of the portal; none for simple queries
	format  *types.Format
}

var _ query.ResultWriter = (*results)(nil)

var _ query.StreamWriter = (*results)(nil)

// Flush implements query.StreamWriter.
func (w *results) Flush() error { return w.c.out.flush() }

// BeforeWrite implements query.StreamWriter.
func (w *results) BeforeWrite(f func()) { w.c.out.before = f }

// expect prepares for rows of the given columns.
func (w *results) expect(cols []query.Column, formats []int16) {
	w.cols, w.formats = cols, formats
	w.format = w.c.session.Format()
}

// RowDescription implements query.ResultWriter.
func (w *results) RowDescription(cols []query.Column) error {
	if cols == nil {
		cols = []query.Column{} // a SELECT of no columns has rows all the same
	}
	w.expect(cols, nil)
	w.c.out.rowDescription(cols, nil)
	return w.c.out.spill()
}

// Row implements query.ResultWriter.
func (w *results) Row(values []types.Datum) error {
	if len(values) != len(w.cols) {
		return fmt.Errorf("row of %d values for %d columns", len(values), len(w.cols))
	}
	o := &w.c.out
	start := len(o.buf)
	// The message is built on a local slice: if an encoder panics, none of it
	// has been sent, and the error message that follows is well formed.
	b := append(o.buf, msgDataRow, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(values)))
	for i := range values {
		if values[i].IsNull() {
			b = append(b, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		at := len(b)
		b = append(b, 0, 0, 0, 0)
		if formatOf(w.formats, i) == formatBinary {
			b = w.cols[i].Type.AppendBinary(b, values[i])
		} else {
			b = w.cols[i].Type.AppendText(b, w.format, values[i])
		}
		if len(b)-start > maxRowMessage {
			return sqlstate.New(sqlstate.ProgramLimitExceeded, "row is too large").
				WithDetail("A row may have %d bytes on the wire.", maxRowMessage)
		}
		binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	o.buf = b
	o.finish(start)
	return o.spill()
}

// CommandComplete implements query.ResultWriter.
func (w *results) CommandComplete(tag string) error {
	w.c.out.commandComplete(tag)
	return w.c.out.err
}

// EmptyQuery implements query.ResultWriter.
func (w *results) EmptyQuery() error {
	w.c.out.empty(msgEmptyQuery)
	return w.c.out.err
}

// Notice implements query.ResultWriter.
func (w *results) Notice(n *sqlstate.Error) error {
	w.c.out.noticeResponse(n)
	return w.c.out.spill()
}

// ParameterStatus implements query.ResultWriter.
func (w *results) ParameterStatus(name, value string) error {
	w.c.out.parameterStatus(name, value)
	return w.c.out.err
}

// CopyIn implements query.ResultWriter.
func (w *results) CopyIn(binary bool, columns int) (query.CopyReader, error) {
	format, codes := copyFormats(binary, columns)
	w.c.out.message(&pgproto3.CopyInResponse{OverallFormat: format, ColumnFormatCodes: codes})
	if err := w.c.out.flush(); err != nil {
		return nil, err
	}
	return &copyReader{c: w.c}, nil
}

// CopyOut implements query.ResultWriter.
func (w *results) CopyOut(binary bool, columns int) error {
	format, codes := copyFormats(binary, columns)
	w.c.out.message(&pgproto3.CopyOutResponse{OverallFormat: format, ColumnFormatCodes: codes})
	return w.c.out.spill()
}

// CopyData implements query.ResultWriter.
func (w *results) CopyData(b []byte) error {
	if len(b) > maxRowMessage {
		return sqlstate.New(sqlstate.ProgramLimitExceeded, "row is too large").
			WithDetail("A row may have %d bytes on the wire.", maxRowMessage)
	}
	o := &w.c.out
	start := o.begin(msgCopyData)
	o.buf = append(o.buf, b...)
	o.finish(start)
	return o.spill()
}

// CopyDone implements query.ResultWriter.
func (w *results) CopyDone() error {
	w.c.out.empty(msgCopyDone)
	return w.c.out.err
}

// copyFormats are the format fields of CopyInResponse and CopyOutResponse: all
// columns have the format of the whole.
func copyFormats(binary bool, columns int) (byte, []uint16) {
	codes := make([]uint16, columns)
	if !binary {
		return formatText, codes
	}
	for i := range codes {
		codes[i] = formatBinary
	}
	return formatBinary, codes
}
