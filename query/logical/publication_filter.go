package logical

import (
	"slices"

	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Filter is the row filter of a table: the conditions of several publications, one
// of which a row must meet.
type Filter struct{ any []*exec.RowFilter }

// Matches reports whether a row is to be published. It has a datum for each column
// of the table, dropped ones included; of an old row those of the replica identity
// suffice.
func (f *Filter) Matches(row []types.Datum) (bool, error) {
	for _, x := range f.any {
		if ok, err := x.Matches(row); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// filterSum collects the conditions of the publications that publish one
// operation.
type filterSum struct {
	all   bool // one of them has no condition
	texts []string
}

func (s *filterSum) add(published bool, member *catalog.PublicationTable) {
	switch {
	case !published:
	case member == nil || member.Filter == "":
		s.all = true
	case !slices.Contains(s.texts, member.Filter):
		s.texts = append(s.texts, member.Filter)
	}
}

func (s *filterSum) compile(c *catalog.Catalog, t *catalog.Table) (*Filter, error) {
	if s.all || len(s.texts) == 0 {
		return nil, nil
	}
	out := &Filter{}
	for _, text := range s.texts {
		x, err := exec.CompileRowFilter(c, t, text)
		if err != nil {
			return nil, err
		}
		out.any = append(out.any, x)
	}
	return out, nil
}
