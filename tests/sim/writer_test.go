package sim

import (
	"io"
	"math/rand/v2"
	"strings"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// writer is a query.ResultWriter that keeps everything as text.
type writer struct {
	format *types.Format
	rnd    *rand.Rand
	cols   []query.Column
	out    []string // a line for each row, and one for each tag
	copyIn string   // what the client sends after a CopyIn
	token  string
}

var _ query.ResultWriter = (*writer)(nil)

func (w *writer) RowDescription(cols []query.Column) error {
	w.cols = cols
	return nil
}

func (w *writer) Row(values []types.Datum) error {
	fields := make([]string, len(values))
	for i, v := range values {
		switch {
		case v.IsNull():
			fields[i] = "∅"
		case i < len(w.cols):
			fields[i] = w.cols[i].Type.Text(w.format, v)
		default:
			fields[i] = "?"
		}
	}
	w.out = append(w.out, strings.Join(fields, "|"))
	return nil
}

func (w *writer) CommandComplete(tag string) error {
	w.out = append(w.out, tag)
	return nil
}

func (w *writer) EmptyQuery() error            { return nil }
func (w *writer) Notice(*sqlstate.Error) error { return nil }

func (w *writer) ParameterStatus(name, value string) error {
	if name == "tidemark.token" {
		w.token = value
	}
	return nil
}

func (w *writer) CopyIn(bool, int) (query.CopyReader, error) { return w, nil }

// Next implements query.CopyReader: messages are cut anywhere.
func (w *writer) Next() ([]byte, error) {
	if w.copyIn == "" {
		return nil, io.EOF
	}
	n := min(len(w.copyIn), 1+w.rnd.IntN(len(w.copyIn)/2+2))
	b := []byte(w.copyIn[:n])
	w.copyIn = w.copyIn[n:]
	return b, nil
}

func (w *writer) CopyOut(bool, int) error { return nil }
func (w *writer) CopyData(b []byte) error {
	w.out = append(w.out, string(b))
	return nil
}
func (w *writer) CopyDone() error { return nil }
