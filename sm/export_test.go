package sm

import (
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

// StoreOptions are the options with which a replica opens its store, for tests
// that damage one.
func StoreOptions(o Options) *pebble.Options {
	o.MemTableBytes = DefaultMemTableBytes
	o.Logger = slog.New(slog.DiscardHandler)
	return pebbleOptions(&o, o.FS, nil)
}
