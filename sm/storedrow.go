package sm

import (
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// StoredRows decodes stored rows of one table, one after the other: DecodeStored
// for somebody who has many of them.
type StoredRows struct{ d rowDecoder }

// NewStoredRows returns a decoder of t's rows. want lists the 0-based column
// positions wanted, nil all.
func NewStoredRows(t *catalog.Table, want []int) (*StoredRows, error) {
	s := &StoredRows{}
	if err := s.d.init(t, want); err != nil {
		return nil, err
	}
	return s, nil
}

// Decode decodes row into out, which has one datum for each column of the table,
// by position. The datums may refer to row, which must not change while they live.
func (s *StoredRows) Decode(row []byte, out []types.Datum) error { return s.d.decode(row, out, true) }
