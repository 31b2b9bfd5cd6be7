package logical

import (
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// PluginJSON is the output plugin for consumers that know JSON better than
// PostgreSQL's own formats: one object a change, as "tidemark tail" prints it.
const PluginJSON = "tidemark_json"

// jsonLines writes changes as objects of JSON. There are no messages for the borders
// of transactions: changes of one have the same commit_lsn.
type jsonLines struct {
	sink   Sink
	format *types.Format
	rows   *changeRows
	sent   bool // something of the transaction
	buf    []byte
}

func newJSONLines(options []Option, f *types.Format, sink Sink) (plugin, error) {
	given := map[string]bool{}
	var s Selection
	for _, o := range options {
		if err := optionOnce(given, o.Name); err != nil {
			return nil, err
		}
		switch o.Name {
		case "table":
			s.SelectTable(o.Value)
		case "publication_names":
			names, err := PublicationNames(o.Value)
			if err != nil {
				return nil, err
			}
			s.Publications = names
		default:
			return nil, sqlstate.New(sqlstate.InvalidParameterValue, "unrecognized %s option: %s", PluginJSON, o.Name).
				WithHint("Options are table and publication_names.")
		}
	}
	return &jsonLines{sink: sink, format: f, rows: newChangeRows(s, f)}, nil
}

func (p *jsonLines) binary() bool { return false }

func (p *jsonLines) begin(*ChangeReader) error {
	p.sent = false
	p.rows.begin()
	return nil
}

func (p *jsonLines) change(r *ChangeReader) error {
	row, err := p.rows.of(r)
	if err != nil || row == nil {
		return err
	}
	p.sent = true
	p.buf = row.AppendJSON(p.buf[:0], p.format)
	return p.sink(row.LSN, p.buf)
}

func (p *jsonLines) commit(*ChangeReader) (bool, error) { return p.sent, nil }
