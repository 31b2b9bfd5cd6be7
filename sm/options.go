package sm

import (
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemark-db/tidemark/log"
)

// Defaults of Options.
const (
	DefaultMemTableBytes = 16 << 20
	DefaultCacheBytes    = 64 << 20

	// memTablesMax is how many full memtables may wait for their flush before
	// apply is made to wait.
	memTablesMax = 4
	// maxOpenFiles bounds the file descriptors of one replica's store.
	maxOpenFiles = 1000
	// l0FileBytes is the target size of the newest table files.
	l0FileBytes = 8 << 20
	// blockBytes is the size of a data block: what a point read has to fetch.
	blockBytes = 16 << 10
	// indexBlockBytes is large enough that table files need no second level of
	// index blocks.
	indexBlockBytes = 256 << 10
	// bloomBitsPerKey gives about one false positive in a hundred.
	bloomBitsPerKey = 10
)

// Options configure a Replica.
type Options struct {
	// Dir is the replica's own directory; it is created when missing.
	Dir string
	// FS is the file system; nil means the operating system's.
	FS vfs.FS
	// Cache is the block cache, usually shared by all replicas of a node; nil
	// gives this replica one of DefaultCacheBytes.
	Cache *pebble.Cache
	// Log names the log that the replica applies.
	Log log.ID
	// Replica is the replica's number in its group: the one that it votes with.
	Replica log.ReplicaID
	// Executor runs the statements of entries.
	Executor Executor
	// IndexEvaluator computes the keys of expression and partial indexes; nil
	// when there are none.
	IndexEvaluator IndexEvaluator
	// Logger is where the replica reports what an operator must know; nil
	// discards it.
	Logger *slog.Logger
	// MemTableBytes is the size of one memtable; 0 means DefaultMemTableBytes.
	MemTableBytes int
}
