package expr

import (
	"time"

	"github.com/tidemark-db/tidemark/sm/types"
)

// defaultArgs are the values of parameters with defaults, by function name.
var defaultArgs = map[string][]datum{
	"make_interval":                       {types.Int(0), types.Int(0), types.Int(0), types.Int(0), types.Int(0), types.Int(0), types.Float(0)},
	"jsonb_set":                           {types.Bool(true)},
	"jsonb_insert":                        {types.Bool(false)},
	"jsonb_set_lax":                       {types.Bool(true), types.String("use_json_null")},
	"parse_ident":                         {types.Bool(true)},
	"normalize":                           {types.String("NFC")},
	"pg_create_logical_replication_slot":  {types.Bool(false), types.Bool(false)},
	"pg_create_physical_replication_slot": {types.Bool(false), types.Bool(false)},
	"pg_logical_slot_get_changes":         {noOptions},
	"pg_logical_slot_peek_changes":        {noOptions},
	"pg_logical_slot_get_binary_changes":  {noOptions},
	"pg_logical_slot_peek_binary_changes": {noOptions},
	"is_normalized":                       {types.String("NFC")},
}

// noOptions are the options of an output plugin when there are none.
var noOptions = types.ArrayDatum(types.NewArray(types.TextType, nil))

// serverVersion is what version() begins with, so that clients that parse it
// take us for the PostgreSQL whose behaviour we have.
const serverVersion = "PostgreSQL 15.0"

// Version returns what version() prints for a release of Tidemark.
func Version(release string) string { return serverVersion + " (Tidemark " + release + ")" }

func location(c *Ctx) *time.Location {
	if c.Format == nil || c.Format.Location == nil {
		return time.UTC
	}
	return c.Format.Location
}
