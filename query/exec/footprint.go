package exec

import (
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
)

// footprint is what a transaction being replayed has looked at so far. A query
// need not be executed again when neither what it reads nor anything that the
// transaction's own writes depended on has changed since its snapshot.
//
// Whether something has changed is known to each node on its own and may be
// answered with a careless yes, so it only ever saves work: a query that is
// skipped would have answered the same.
type footprint struct {
	txn      *sm.Txn
	snapshot log.Offset
	catalog  catalog.Version // the committed catalog at the start of apply
	// soiled are the tables that the transaction may have left in another state
	// than in its first run.
	soiled map[catalog.ID]bool
	all    bool // nothing can be said of any table
}

func newFootprint(txn *sm.Txn, snapshot log.Offset) *footprint {
	return &footprint{txn: txn, snapshot: snapshot, catalog: txn.Catalog().Version(), soiled: map[catalog.ID]bool{}}
}

// changed reports whether a statement may see anything else than in its first
// run.
func (f *footprint) changed(p *Program, rt *Runtime) bool {
	st := p.Statement
	if f.all || (st.AllTables || st.DDL != nil) && f.catalog > f.snapshot {
		return true
	}
	for i := range p.reads {
		if r := &p.reads[i]; f.soiled[r.table] || f.tableChanged(r, rt) {
			return true
		}
	}
	return false
}

// tableChanged reports whether what a program reads of one table may have
// changed: the table first, then the ranges of its keys.
func (f *footprint) tableChanged(r *tableRead, rt *Runtime) bool {
	if !f.txn.TableChangedSince(r.table, f.snapshot) {
		return false
	}
	if r.whole {
		return true
	}
	for _, op := range r.scans {
		spans, any, err := op.spans(rt, &frame{rt: rt})
		if err != nil {
			return true
		}
		if any && f.txn.SpansChangedSince(sm.ScanOptions{Table: op.node.Table, Index: op.node.Access.Index, Spans: spans}, f.snapshot) {
			return true
		}
	}
	return false
}

// wrote notes a statement that has written, and whether it may have seen
// anything else than in its first run.
func (f *footprint) wrote(p *Program, changed bool) {
	if !changed {
		return
	}
	f.all = f.all || p.Statement.AllTables || p.Statement.DDL != nil
	for i := range p.reads {
		f.soiled[p.reads[i].table] = true
	}
}

// unchanged reports whether a query must answer as it did; known is false when
// it has to be executed to find out.
//
// Queries of the system catalogs alone are valid exactly as long as the catalog
// is the same, which every replica knows. What such queries say of the server
// itself (pg_stat_activity, the log) is not validated: it is not of the past.
func (f *footprint) unchanged(p *Program, rt *Runtime) (same, known bool) {
	st := p.Statement
	if len(st.Reads) == 0 {
		if st.AllTables {
			return f.catalog <= f.snapshot, true
		}
		return true, true // it depends on nothing but the entry
	}
	if f.catalog > f.snapshot || st.AllTables || st.Unportable != "" {
		// With other definitions its names may mean other tables than those that
		// it read, and what it says of the catalog may be different.
		return false, false
	}
	return true, !f.changed(p, rt)
}

// tableRead is what a program reads of one table: all of it, or what its scans
// do, whose bounds are known before it runs.
type tableRead struct {
	table catalog.ID
	whole bool
	scans []*scanOp
}

// tableReads says what a statement reads, given the scans it was compiled to.
func tableReads(st *plan.Statement, scans []*scanOp) []tableRead {
	out := make([]tableRead, len(st.Reads))
	// An INSERT only looks for its own keys, and those of its parents, and fails if
	// it does not like what it finds. Anything else may find rows by foreign keys,
	// or in procedures.
	plain := st.Insert != nil && st.Insert.Conflict == nil
	whole := !plain && len(st.Guards) > 0 || st.Call != nil
	for i, id := range st.Reads {
		r := &out[i]
		r.table = id
		for _, op := range scans {
			if op.node.Table.ID == id {
				r.scans = append(r.scans, op)
				r.whole = r.whole || !op.bounded()
			}
		}
		r.whole = r.whole || whole || len(r.scans) == 0 && !plain
	}
	return out
}

// bounded reports whether the ranges that a scan reads depend on nothing but the
// statement's parameters.
func (o *scanOp) bounded() bool {
	return o.node.Access != nil && o.node.Access.Fixed()
}
