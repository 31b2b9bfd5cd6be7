package exec

import (
	"iter"

	"github.com/tidemark-db/tidemark/sm/types"
)

// pull makes the cursor read from a function that emits rows. iter.Pull runs it
// as a coroutine: it moves only while next is waiting for it, so nothing here
// runs at the same time as anything else.
func (c *virtualCursor) pull(rows func(emit func([]types.Datum) bool) error) {
	seq := func(yield func([]types.Datum) bool) { c.err = rows(yield) }
	c.pullRow, c.stop = iter.Pull(iter.Seq[[]types.Datum](seq))
}
