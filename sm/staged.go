package sm

import (
	"encoding/binary"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// stagedChunks are what earlier entries of an Apply call did to the chunks of
// one COPY.
type stagedChunks struct {
	gone bool // those in the store are deleted
	rows map[int][]byte
}

// MaxStagedChunks bounds the chunks of one COPY.
const MaxStagedChunks = 1 << 20

// StagedRows iterates over the rows of a COPY, inline or staged.
func (t *Txn) StagedRows(c *log.CopyData) *StagedIter {
	return &StagedIter{t: t, data: c, rest: c.Rows}
}

// StagedIter iterates over rows in stored form.
type StagedIter struct {
	t     *Txn
	data  *log.CopyData
	chunk int
	rest  []byte
	row   []byte
	err   error
}

// Next moves to the next row.
func (it *StagedIter) Next() bool {
	for it.err == nil {
		if len(it.rest) > 0 {
			n, w := binary.Uvarint(it.rest)
			if w <= 0 || n > uint64(len(it.rest)-w) {
				it.err = sqlstate.New(sqlstate.BadCopyFileFormat, "staged rows are malformed")
				return false
			}
			it.row, it.rest = it.rest[w:w+int(n)], it.rest[w+int(n):]
			return true
		}
		if it.chunk >= it.data.Chunks {
			return false
		}
		it.rest, it.err = it.t.chunk(it.data.Stage, it.chunk)
		it.chunk++
	}
	return false
}

// chunk returns one staged chunk, which stays valid.
func (t *Txn) chunk(id log.StageID, n int) ([]byte, error) {
	if t.app != nil {
		c := t.app.staged[id]
		if rows, ok := c.rows[n]; ok {
			return rows, nil
		}
		if c.gone {
			return nil, errChunkMissing(n)
		}
	}
	value, err := t.base.unversioned(keys.AppendStaged(nil, id, uint32(n)))
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, errChunkMissing(n)
	}
	return append([]byte(nil), value...), nil
}

func errChunkMissing(n int) error {
	return sqlstate.New(sqlstate.UndefinedFile, "staged chunk %d of the COPY is missing", n)
}

// Row returns the row in stored form (types.AppendRow). It may be kept, and
// datums may refer to it.
func (it *StagedIter) Row() []byte { return it.row }

// Err returns the error that ended the iteration: 58P01 when a chunk is
// missing, 22P04 when the rows are malformed.
func (it *StagedIter) Err() error { return it.err }
