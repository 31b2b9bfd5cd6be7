package exec

import (
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
)

// footprint is what a transaction being replayed has looked at so far. A query
// need not be executed again when neither the tables it reads nor anything that
// the transaction's own writes depended on has changed since its snapshot.
//
// Whether a table has changed is known to each node on its own and may be
// answered with a careless yes, so it only ever saves work: a query that is
// skipped would have answered the same.
type footprint struct {
	txn      *sm.Txn
	snapshot log.Offset
	catalog  catalog.Version // the committed catalog at the start of apply
	tables   map[catalog.ID]bool
	order    []catalog.ID
	changed  bool // something looked at has changed, or cannot be said not to have
}

func newFootprint(txn *sm.Txn, snapshot log.Offset) *footprint {
	return &footprint{txn: txn, snapshot: snapshot, catalog: txn.Catalog().Version(), tables: map[catalog.ID]bool{}}
}

// add notes the tables that a statement looks at.
func (f *footprint) add(st *plan.Statement) {
	if st.AllTables || st.DDL != nil {
		f.changed = f.changed || f.catalog > f.snapshot
	}
	for _, id := range st.Reads {
		if !f.tables[id] {
			f.tables[id] = true
			f.order = append(f.order, id)
			f.changed = f.changed || f.txn.TableChangedSince(id, f.snapshot)
		}
	}
}

// unchanged reports whether a query must answer as it did; known is false when
// it has to be executed to find out.
//
// Queries of the system catalogs alone are valid exactly as long as the catalog
// is the same, which every replica knows. What such queries say of the server
// itself (pg_stat_activity, the log) is not validated: it is not of the past.
func (f *footprint) unchanged(st *plan.Statement) (same, known bool) {
	if len(st.Reads) == 0 {
		if st.AllTables {
			return f.catalog <= f.snapshot, true
		}
		return true, true // it depends on nothing but the entry
	}
	if st.AllTables || st.Unportable != "" {
		return false, false
	}
	f.add(st)
	return true, !f.changed
}
