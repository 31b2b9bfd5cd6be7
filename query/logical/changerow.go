package logical

import (
	"encoding/hex"
	"slices"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/types"
)

// OpProgress is what a ChangeRow says that is no change: its consumer has everything
// up to its LSN.
const OpProgress = "progress"

// ChangeRow is a change as consumers with plain drivers get it: a row of
// tidemark.changes, or an object of JSON.
type ChangeRow struct {
	LSN    log.Offset
	Commit log.Offset // 0 of progress
	Seq    int64      // counts the changes of the transaction from 1
	Time   int64      // log time, in microseconds since 2000-01-01 UTC
	Op     string

	// Named: the table's name is known, which was dropped by its transaction or
	// before otherwise.
	Named              bool
	Schema, Table      string
	Key, Before, After types.Datum // jsonb or NULL

	Message       bool // what follows is of messages only
	Prefix        string
	Content       []byte
	Transactional bool
}

// AppendDatums appends the row's columns, those of expr.ChangeColumns.
func (r *ChangeRow) AppendDatums(row []types.Datum) []types.Datum {
	start, n := len(row), len(expr.ChangeColumns)
	row = slices.Grow(row, n)[:start+n]
	out := row[start:]
	clear(out)
	out[0], out[6] = types.LSN(uint64(r.LSN)), types.String(r.Op)
	if r.Commit == 0 {
		return row
	}
	out[1], out[2], out[3] = types.LSN(uint64(r.Commit)), types.Int(r.Seq), types.Timestamp(r.Time)
	if r.Named {
		out[4], out[5] = types.String(r.Schema), types.String(r.Table)
	}
	out[7], out[8], out[9] = r.Key, r.Before, r.After
	if r.Message {
		out[10], out[11], out[12] = types.String(r.Prefix), types.Bytes(r.Content), types.Bool(r.Transactional)
	}
	return row
}

// AppendJSON appends the row as an object of JSON, in one line and without a line
// break: what "tidemark tail" prints. f says how its time becomes text.
func (r *ChangeRow) AppendJSON(b []byte, f *types.Format) []byte {
	b = append(b, `{"lsn":"`...)
	b = append(append(b, r.LSN.String()...), '"')
	if r.Commit == 0 {
		return append(appendMember(b, "op", r.Op), '}')
	}
	b = append(append(b, `,"commit_lsn":"`...), r.Commit.String()...)
	b = append(b, `","log_time":"`...)
	b = types.TimestampTZType.AppendText(b, f, types.Timestamp(r.Time))
	b = append(b, '"')
	b = appendMember(b, "schema", r.Schema)
	b = appendMember(b, "table", r.Table)
	b = appendMember(b, "op", r.Op)
	b = appendJSONB(append(b, `,"before":`...), r.Before)
	b = appendJSONB(append(b, `,"after":`...), r.After)
	if r.Message {
		if r.Prefix != "" {
			b = appendMember(b, "prefix", r.Prefix)
		}
		b = appendMember(b, "content", messageText(r.Content))
	}
	return append(b, '}')
}

func appendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return types.AppendJSONString(b, value)
}

func appendJSONB(b []byte, d types.Datum) []byte {
	if d.IsNull() {
		return append(b, "null"...)
	}
	return d.JSONB().AppendCompact(b)
}

// messageText is the content of a message: the text that it is, or else its bytes
// in hexadecimal as bytea has them.
func messageText(content []byte) string {
	if utf8.Valid(content) {
		return string(content)
	}
	return `\x` + hex.EncodeToString(content)
}
