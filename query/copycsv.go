package query

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// csvRows reads COPY's CSV format, in which a quoted value may span lines.
type csvRows struct {
	textRows
	notNull, null []bool // FORCE_NOT_NULL, FORCE_NULL by column
	record        []csvField
}

// csvField is one value of a record.
type csvField struct {
	text   []byte
	quoted bool
}

// columns resolves the columns of the FORCE options.
func (r *csvRows) columns() error {
	r.notNull, r.null = make([]bool, len(r.cols)), make([]bool, len(r.cols))
	for name, list := range map[string]struct {
		names []string
		into  []bool
	}{"FORCE_NOT_NULL": {r.spec.ForceNotNull, r.notNull}, "FORCE_NULL": {r.spec.ForceNull, r.null}} {
		for _, n := range list.names {
			i := slices.IndexFunc(r.cols, func(c resultColumn) bool { return c.Name == n })
			if i < 0 {
				return sqlstate.New(sqlstate.InvalidColumnReference, "%s column \"%s\" not referenced by COPY", name, n)
			}
			list.into[i] = true
		}
	}
	return nil
}

func (r *csvRows) row(dst []types.Datum) (bool, error) {
	if r.done {
		return false, nil
	}
	ok, err := r.read()
	if !ok || err != nil {
		return false, err
	}
	if r.line == 1 && r.spec.Header {
		if err := r.matchHeader(); err != nil {
			return false, err
		}
		if ok, err = r.read(); !ok || err != nil {
			return false, err
		}
	}
	if len(r.record) == 1 && !r.record[0].quoted && string(r.record[0].text) == `\.` {
		r.done = true
		return false, r.drain()
	}
	if len(r.record) < len(r.cols) {
		return false, r.fail(sqlstate.New(sqlstate.BadCopyFileFormat, "missing data for column \"%s\"", r.cols[len(r.record)].Name), "", nil)
	}
	if len(r.record) > len(r.cols) {
		return false, r.fail(sqlstate.New(sqlstate.BadCopyFileFormat, "extra data after last expected column"), "", nil)
	}
	for i, f := range r.record {
		isNull := string(f.text) == *r.spec.Null && (!f.quoted || r.null[i]) && !r.notNull[i]
		if isNull {
			continue
		}
		if dst[i], err = r.s.copyValue(&r.cols[i], f.text); err != nil {
			return false, r.fail(err, r.cols[i].Name, f.text)
		}
	}
	return true, nil
}

func (r *csvRows) matchHeader() error {
	if !r.spec.HeaderMatch {
		return nil
	}
	if len(r.record) != len(r.cols) {
		return r.fail(sqlstate.New(sqlstate.BadCopyFileFormat, "wrong number of fields in header line: got %d, expected %d",
			len(r.record), len(r.cols)), "", nil)
	}
	for i, f := range r.record {
		if string(f.text) != r.cols[i].Name {
			return r.fail(sqlstate.New(sqlstate.BadCopyFileFormat, "column name mismatch in header line field %d: got \"%s\", expected \"%s\"",
				i+1, f.text, r.cols[i].Name), "", nil)
		}
	}
	return nil
}

// read reads the next record; ok is false at the end.
func (r *csvRows) read() (bool, error) {
	line, ok, err := r.nextLine()
	if !ok || err != nil {
		return false, err
	}
	r.record = r.record[:0]
	data := append([]byte(nil), line...)
	for {
		complete := r.split(data)
		if complete {
			break
		}
		// A quoted value goes on in the next line.
		if line, ok, err = r.nextLine(); err != nil {
			return false, err
		}
		if !ok {
			return false, r.fail(sqlstate.New(sqlstate.BadCopyFileFormat, "unterminated CSV quoted field"), "", nil)
		}
		if data = append(append(data, '\n'), line...); len(data) > maxCopyRow {
			return false, sqlstate.New(sqlstate.ProgramLimitExceeded, "a row of COPY data may have at most %d MB", maxCopyRow>>20)
		}
	}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return false, r.fail(notUTF8(data), "", nil)
	}
	return true, nil
}

// split cuts a record into fields; false when it ends within quotes.
func (r *csvRows) split(data []byte) bool {
	delim, quote, escape := r.spec.Delimiter[0], r.spec.Quote[0], r.spec.Escape[0]
	r.record = r.record[:0]
	var f csvField
	inQuote := false
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case inQuote && c == escape && i+1 < len(data) && (data[i+1] == quote || data[i+1] == escape):
			i++
			f.text = append(f.text, data[i])
		case inQuote && c == quote:
			inQuote = false
		case inQuote:
			f.text = append(f.text, c)
		case c == quote:
			inQuote, f.quoted = true, true
		case c == delim:
			r.record = append(r.record, f)
			f = csvField{}
		default:
			f.text = append(f.text, c)
		}
	}
	r.record = append(r.record, f)
	return !inQuote
}
