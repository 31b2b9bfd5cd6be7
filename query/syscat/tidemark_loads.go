package syscat

import (
	"encoding/hex"

	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/types"
)

// loadColumns are those of tidemark.loads: the large transactions that are not
// committed.
var loadColumns = []Column{
	{Name: "stage", Type: types.TextType}, // names it in tidemark.log
	{Name: "relid", Type: types.OIDType},
	{Name: "status", Type: types.TextType},
	{Name: "chunks", Type: types.Int8Type},
	{Name: "rows", Type: types.Int8Type},
	{Name: "bytes", Type: types.Int8Type},
	{Name: "last_chunk", Type: types.TimestampTZType},
}

func loadRows(c *Context, _ offsetRange, w *writer) error {
	for _, l := range c.Session.Status().Loads {
		status := "open"
		if l.Status == sm.LoadAborted {
			status = "aborted"
		}
		if !w.send(str(hex.EncodeToString(l.Stage[:])), num(uint32(l.Table)), str(status), types.Int(int64(l.Chunks)),
			types.Int(l.Rows), types.Int(int64(l.Bytes)), types.Timestamp(l.Touched)) {
			break
		}
	}
	return nil
}
