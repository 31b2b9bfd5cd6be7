package exec

import (
	"strconv"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Sizes of the caches, in entries.
const (
	planCacheSize  = 4096
	queryCacheSize = 4096
)

// maxCachedText is the longest statement whose plan is kept.
const maxCachedText = 16 << 10

// planKey is everything a plan depends on.
type planKey struct {
	text     string
	params   string
	meaning  string
	database string
	catalog  catalog.Version
	write    bool
	routine  catalog.ID // whose body it is part of, or 0
}

// Plans keeps compiled statements and parsed ones. Sessions and apply share it:
// a statement is parsed and planned once on the node that proposes it.
type Plans struct {
	programs *lru.Cache[planKey, *Program]
	queries  *lru.Cache[string, *plan.Query]
}

// NewPlans returns empty caches.
func NewPlans() *Plans {
	p := &Plans{}
	// The sizes are positive, which is all that New can object to.
	p.programs, _ = lru.New[planKey, *Program](planCacheSize)
	p.queries, _ = lru.New[string, *plan.Query](queryCacheSize)
	return p
}

// Query returns text parsed as one statement on tables.
func (p *Plans) Query(text string) (*plan.Query, error) {
	if q, ok := p.queries.Get(text); ok {
		return q, nil
	}
	q, err := plan.ParseQuery(text)
	if err != nil {
		return nil, err
	}
	p.Remember(text, q)
	return q, nil
}

// Remember keeps a query that has been parsed elsewhere, for apply.
func (p *Plans) Remember(text string, q *plan.Query) {
	if len(text) <= maxCachedText {
		p.queries.Add(text, q.Alone())
	}
}

// Request is what a program is made for.
type Request struct {
	Query   *plan.Query
	Catalog *catalog.Catalog
	Meaning *Meaning
	Params  []*types.Type    // declared types; nil entries are inferred
	Ctx     func() *expr.Ctx // called when the query has to be planned
	Write   bool             // will run in apply, or must be fit to
	Routine *plan.Routine    // whose body it is part of, or nil
}

// Program binds and compiles a query, or finds that done. A catalog with
// uncommitted changes is nobody else's, so plans for it are not kept.
func (p *Plans) Program(r Request) (*Program, error) {
	keep := r.Catalog.Draft() == 0 && len(r.Query.Text()) <= maxCachedText
	var key planKey
	if keep {
		key = planKey{r.Query.Text(), paramKey(r.Params), r.Meaning.Key, r.Meaning.Database, r.Catalog.Version(), r.Write, 0}
		if r.Routine != nil {
			key.routine = r.Routine.ID
		}
		if prog, ok := p.programs.Get(key); ok {
			return prog, nil
		}
	}
	prog, cacheable, err := build(r)
	if err != nil {
		return nil, err
	}
	if keep && cacheable {
		p.programs.Add(key, prog)
	}
	return prog, nil
}

// build binds and compiles a query. A plan that cannot be made is a fault of
// ours; it is the statement's error, the same on every replica, and neither the
// session's end nor the log's.
func build(r Request) (prog *Program, cacheable bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			prog, err = nil, sqlstate.New(sqlstate.InternalError, "the statement cannot be planned: %v", p)
		}
	}()
	st, err := r.Query.Bind(plan.Env{Catalog: r.Catalog, Database: r.Meaning.Database, SearchPath: r.Meaning.SearchPath,
		Params: r.Params, Ctx: r.Ctx(), Write: r.Write, Routine: r.Routine})
	if err != nil {
		return nil, false, err
	}
	return Compile(st), !st.Uncacheable, nil
}

func paramKey(ts []*types.Type) string {
	if len(ts) == 0 {
		return ""
	}
	var sb strings.Builder
	for _, t := range ts {
		if t != nil {
			sb.WriteString(strconv.Itoa(int(t.OID)))
		}
		sb.WriteByte(',')
	}
	return sb.String()
}
