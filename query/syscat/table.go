package syscat

import (
	"math"

	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Column is one column of a virtual table.
type Column struct {
	Name    string
	Type    *types.Type
	NotNull bool
}

// Table is a virtual table.
type Table struct {
	ID     catalog.ID
	Schema string
	Name   string
	View   bool // shown as a view rather than as a table
	// Local relations show this node or the log rather than the state the log
	// has made: they cannot be read in apply, and what they answered a client
	// cannot be compared there.
	Local   bool
	Columns []Column

	// Pushed is the column whose range the planner hands to Rows, or -1.
	Pushed int

	// Rows calls emit for each row until emit returns false or an error
	// happens. The slice passed to emit may be reused. Rows outside of the range
	// may be among them: the range only saves work.
	Rows func(c *Context, r Range, emit func(row []types.Datum) bool) error

	index map[string]int // columns by name
	blank []types.Datum  // a row of zero values where NOT NULL, else NULL
}

// Range bounds the pushed-down column: lo and hi are NULL where open.
type Range struct {
	Lo, Hi         types.Datum
	LoIncl, HiIncl bool
}

// Context is what virtual tables are computed from. It serves one statement at
// a time.
type Context struct {
	Catalog *catalog.Catalog
	// View is what the log's own relations are read from. It is nil in whatever
	// writes, where their answer could differ between replicas.
	View *sm.View
	// Txn reads the state of sequences; where it is nil, View does.
	Txn     *sm.Txn
	Session Session
	// SearchPath decides which names are printed without their schema.
	SearchPath []string

	catalogInfo *CatalogInfo
}

var (
	byName = map[[2]string]*Table{}
	byID   = map[catalog.ID]*Table{}
	all    []*Table
)

// register adds a table; its ID must be PostgreSQL's, where it has one.
func register(t *Table) {
	t.prepare()
	byName[[2]string{t.Schema, t.Name}] = t
	byID[t.ID] = t
	all = append(all, t)
}

func (t *Table) prepare() {
	t.index = make(map[string]int, len(t.Columns))
	t.blank = make([]types.Datum, len(t.Columns))
	for i, c := range t.Columns {
		t.index[c.Name] = i
		if c.NotNull {
			t.blank[i] = zeroOf(c.Type)
		}
	}
}

// Lookup finds a virtual table, or nil.
func Lookup(schema, name string) *Table { return byName[[2]string{schema, name}] }

// ByID finds a virtual table by its OID, or nil.
func ByID(id catalog.ID) *Table { return byID[id] }

// All lists the virtual tables in order of registration.
func All() []*Table { return all }

// info returns the CatalogInfo of the same catalog and search path.
func (c *Context) info() *CatalogInfo {
	if c.catalogInfo == nil || c.catalogInfo.catalog != c.Catalog {
		c.catalogInfo = NewCatalogInfo(c.Catalog, c.SearchPath, c.database(), c.user())
	}
	return c.catalogInfo
}

func (c *Context) database() string {
	if c.Session == nil {
		return defaultDatabase
	}
	return c.Session.Database()
}

func (c *Context) user() string {
	if c.Session == nil {
		return superuser
	}
	return c.Session.User()
}

// outsideApply fails where the answer would not be the same on every replica.
func (c *Context) outsideApply(t *Table) error {
	if c.View != nil && c.Session != nil {
		return nil
	}
	return sqlstate.New(sqlstate.FeatureNotSupported, "%s.%s cannot be read in a statement that writes", t.Schema, t.Name)
}

// withTxn calls f with a transaction that can read sequences.
func (c *Context) withTxn(t *Table, f func(*sm.Txn) error) error {
	if c.Txn != nil {
		return f(c.Txn)
	}
	if c.View == nil {
		return c.outsideApply(t)
	}
	txn := c.View.Begin()
	defer txn.Close()
	return f(txn)
}

// idRange is a Range of OIDs, both ends included.
type idRange struct{ lo, hi int64 }

var everyID = idRange{0, math.MaxInt64}

func (r Range) ids() idRange {
	out := everyID
	if r.Lo.Kind() == types.KindInt {
		if out.lo = r.Lo.Int(); !r.LoIncl && out.lo < math.MaxInt64 {
			out.lo++
		}
	}
	if r.Hi.Kind() == types.KindInt {
		if out.hi = r.Hi.Int(); !r.HiIncl && out.hi > math.MinInt64 {
			out.hi--
		}
	}
	return out
}

// has reports whether the range includes an ID.
func (r idRange) has(id catalog.ID) bool { return int64(id) >= r.lo && int64(id) <= r.hi }

// one returns the only ID in the range.
func (r idRange) one() (catalog.ID, bool) {
	return catalog.ID(r.lo), r.lo == r.hi && r.lo >= 0 && r.lo <= math.MaxUint32
}
