package keys

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/tidemark-db/tidemark/log"
)

// versionsProperty is recorded in table files.
const versionsProperty = "tidemark.versions"

// BlockProperties are the collectors that a store needs: the range of versions
// in each block, so that a reader of an old offset skips what was written
// later, and one of changes what is old.
var BlockProperties = []func() pebble.BlockPropertyCollector{
	func() pebble.BlockPropertyCollector {
		return sstable.NewBlockIntervalCollector(versionsProperty, versionMapper{}, nil)
	},
}

// VersionsUpTo returns a filter that may skip blocks whose versions are all
// after v.
func VersionsUpTo(v log.Offset) pebble.BlockPropertyFilter {
	return sstable.NewBlockIntervalFilter(versionsProperty, 0, uint64(v)+1, nil)
}

type versionMapper struct{}

// MapPointKey implements sstable.IntervalMapper. It depends on the user key
// alone, so that a deletion is filtered exactly when what it deletes is. Keys
// without version are in every interval, so that no filter hides them.
func (versionMapper) MapPointKey(key pebble.InternalKey, _ []byte) (sstable.BlockInterval, error) {
	v, ok := version(key.UserKey)
	if !ok {
		return sstable.BlockInterval{Lower: 0, Upper: 1<<64 - 1}, nil
	}
	return sstable.BlockInterval{Lower: uint64(v), Upper: uint64(v) + 1}, nil
}

// MapRangeKeys implements sstable.IntervalMapper; a store has no range keys.
func (versionMapper) MapRangeKeys(sstable.Span) (sstable.BlockInterval, error) {
	return sstable.BlockInterval{}, nil
}
