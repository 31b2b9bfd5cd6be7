package plan

import (
	"slices"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// The system columns of a stored row, of type pg_lsn: the commit offsets of the
// transaction that changed it last and of the one that inserted it. Both are
// NULL for what the reading transaction has itself written. As in PostgreSQL, *
// does not include them, and a column of that name which a table has comes first.
const (
	lsnColumn        = "_lsn"
	createdLSNColumn = "_created_lsn"
)

var systemColumns = []string{lsnColumn, createdLSNColumn}

// systemColumn finds a system column of a relation in sc; 0 means not found.
func (b *binder) systemColumn(sc *scope, schema, table, name string) (ColID, error) {
	which := slices.Index(systemColumns, name)
	if which < 0 {
		return 0, nil
	}
	var found *Scan
	for _, it := range sc.items {
		for _, r := range it.rels {
			if r.scan == nil || table != "" && (r.name != table || schema != "" && r.schema != schema) {
				continue
			}
			if found != nil {
				return 0, sqlstate.New(sqlstate.AmbiguousColumn, "column reference \"%s\" is ambiguous", name)
			}
			found = r.scan
		}
	}
	if found == nil {
		return 0, nil
	}
	if found.System == nil {
		for _, n := range systemColumns {
			found.System = append(found.System, b.newColumn(Column{Name: n, Type: types.LSNType, Typmod: types.NoTypmod}))
		}
	}
	return found.System[which], nil
}

// tableOID resolves a reference to the system column tableoid, which says which
// table a row is from; 0 when parts is no such reference.
func (s *scope) tableOID(parts []string) catalog.ID {
	if parts[len(parts)-1] != "tableoid" {
		return 0
	}
	for ; s != nil; s = s.parent {
		if len(parts) > 1 {
			if r := s.relation("", parts[len(parts)-2]); r != nil {
				return r.oid
			}
			continue
		}
		if len(s.items) == 1 && len(s.items[0].rels) == 1 {
			return s.items[0].rels[0].oid
		}
	}
	return 0
}
