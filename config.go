package tidemark

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/tidemark-db/tidemark/log"
)

// Defaults of Config.
const (
	DefaultDir      = "tidemark-data"
	DefaultSQLAddr  = "127.0.0.1:7432"
	DefaultRaftAddr = "127.0.0.1:7433"
	DefaultHTTPAddr = "127.0.0.1:7434"

	// DefaultCacheBytes is the size of the block cache that all databases of a
	// node share.
	DefaultCacheBytes = 128 << 20
)

// Config says where a node keeps its data and how it is reached. The zero value
// is a node with all defaults.
type Config struct {
	// Dir is the data directory; it is created when missing. One process at a
	// time may use it.
	Dir string

	// Addresses, each host:port; port 0 picks a free one. An empty one is what the
	// node had when it ran last, or else the default. Only loopback addresses are
	// accepted, because there are no passwords and no encryption yet.
	SQLAddr  string // for PostgreSQL clients
	RaftAddr string // for other nodes
	HTTPAddr string // for health checks, metrics and streams of changes

	// Join is the SQL address of a member of the cluster to join. A node that has
	// joined, or has begun a cluster of its own, does not need it any more.
	Join string

	// Via has, for addresses of other nodes, those to connect to in their place: a
	// tunnel, or the proxy of a test.
	Via map[string]string

	// CacheBytes is the size of the block cache.
	CacheBytes int64

	// MaxConnections bounds the SQL clients at a time; zero is the default of
	// package pgwire.
	MaxConnections int

	// CheckEvery is how often the replicas of each database are compared, where
	// something was written; zero is a minute.
	CheckEvery time.Duration

	// Logger receives what an operator should know; nil discards it.
	Logger *slog.Logger

	// Now is for tests alone: the clock that commands are proposed with; nil means
	// the machine's.
	Now func() time.Time

	// FailPoint is for tests alone: it is called with every entry before it is
	// applied, and its panic is that of a command which cannot be applied.
	FailPoint func(*log.Entry)
}

// withDefaults fills what is empty, but for the addresses.
func (c Config) withDefaults() Config {
	c.Dir = cmp.Or(c.Dir, DefaultDir)
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// withAddresses fills the addresses that are empty: with those of the last run,
// or with the defaults.
func (c Config) withAddresses(last addresses) Config {
	c.SQLAddr = cmp.Or(c.SQLAddr, last.SQL, DefaultSQLAddr)
	c.RaftAddr = cmp.Or(c.RaftAddr, last.Raft, DefaultRaftAddr)
	c.HTTPAddr = cmp.Or(c.HTTPAddr, last.HTTP, DefaultHTTPAddr)
	return c
}

// validate refuses what would be dangerous or cannot work.
func (c *Config) validate() error {
	return errors.Join(
		onlyLoopback("SQL", c.SQLAddr),
		onlyLoopback("Raft", c.RaftAddr),
		onlyLoopback("HTTP", c.HTTPAddr),
	)
}

// onlyLoopback refuses addresses that other machines can reach: whoever connects
// is trusted.
func onlyLoopback(purpose, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s address %q: want host:port, such as 127.0.0.1:7432", purpose, addr)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s address %s can be reached from other machines; only loopback addresses such as 127.0.0.1 are allowed until passwords and TLS are supported", purpose, addr)
}
