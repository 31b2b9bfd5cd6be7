package expr

import (
	"math/rand/v2"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Ctx is everything an expression may depend on while it runs, one for each
// execution of a statement. Times are microseconds since 2000-01-01 UTC.
type Ctx struct {
	Format    *types.Format // settings for input and output of values
	TxnTime   int64         // now()
	StmtTime  int64         // statement_timestamp()
	ClockTime func() int64  // clock_timestamp(); frozen in writes; nil means StmtTime
	Rand      *Rand
	Seed      [2]uint64 // from which Rand is made when it is first needed,
	Seeded    bool      // if there is one
	Params    []types.Datum
	Session   SessionInfo
	Catalog   CatalogInfo
	Sequences Sequences
	Messages  Messages
}

// Messages is what pg_logical_emit_message needs.
type Messages interface {
	// Emit puts a message into the log, and returns the offset that the client is
	// told.
	Emit(transactional bool, prefix string, content []byte) (uint64, error)
}

// SessionInfo is what functions ask of the session.
type SessionInfo interface {
	// Setting returns a run-time parameter as SHOW prints it.
	Setting(name string) (value string, ok bool)
	// SetSetting is set_config().
	SetSetting(name, value string, local bool) error
	// Call runs a function that is about the session or the server, such as
	// current_user, pg_backend_pid, pg_current_wal_lsn or txid_current; ok is
	// false for one the session does not know.
	Call(name string, args []types.Datum) (d types.Datum, ok bool, err error)
}

// CatalogInfo is what functions ask of the catalog.
type CatalogInfo interface {
	// RegIn resolves the name of an object to its OID, for input of regclass
	// and the like (42P01, 42704, 42883 … when there is none).
	RegIn(t *types.Type, name string) (types.OID, error)
	// RegOut names an object as the output of regclass and the like does.
	RegOut(t *types.Type, oid types.OID) (string, bool)
	// Call runs a function that reads the catalog, such as pg_get_indexdef,
	// obj_description or has_table_privilege; ok is false for one it does not
	// know.
	Call(name string, args []types.Datum) (d types.Datum, ok bool, err error)
}

// Sequences is what nextval and its siblings need.
type Sequences interface {
	NextVal(seq types.OID) (int64, error)
	CurrVal(seq types.OID) (int64, error)
	SetVal(seq types.OID, value int64, called bool) (int64, error)
	LastVal() (int64, error)
}

// WithCatalog returns a copy of f whose reg types read and print names of
// catalog.
func WithCatalog(f *types.Format, catalog CatalogInfo) *types.Format {
	out := *f
	out.RegIn, out.RegOut = catalog.RegIn, catalog.RegOut
	return &out
}

func (c *Ctx) clock() int64 {
	if c.ClockTime == nil {
		return c.StmtTime
	}
	return c.ClockTime()
}

// Rand is the stream random numbers are drawn from. It is a fixed algorithm
// over the entry's seed, so that every replica draws the same.
type Rand struct{ *rand.Rand }

// NewRand returns the stream of a 128-bit seed.
func NewRand(hi, lo uint64) *Rand { return &Rand{rand.New(rand.NewPCG(hi, lo))} }

func (c *Ctx) random() (*Rand, error) {
	if c.Rand == nil && c.Seeded {
		c.Rand = NewRand(c.Seed[0], c.Seed[1])
	}
	if c.Rand == nil {
		return nil, sqlstate.New(sqlstate.FeatureNotSupported, "random numbers are not available here")
	}
	return c.Rand, nil
}

func unsupported(format string, args ...any) error {
	return sqlstate.New(sqlstate.FeatureNotSupported, format, args...)
}
