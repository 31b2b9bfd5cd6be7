package plan

import (
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// relCol is a visible column of a relation in FROM, or of a query's output.
type relCol struct {
	name string
	id   ColID
}

// relation is a name in FROM with its columns.
type relation struct {
	schema, name string
	cols         []relCol
	table        catalog.ID // a stored table, else 0
	oid          catalog.ID // what tableoid says; 0 when it has none
	hidden       []relCol   // system columns: found by name, not by *
	scan         *Scan      // of a stored table's rows; nil where they are not read
}

// fromItem is a bound item of FROM: a node, the relations in it, and the
// columns * stands for, in which those merged by USING appear once.
type fromItem struct {
	node Node
	rels []*relation
	star []relCol
}

// rel is a bound query: what yields its rows and which columns are its output.
type rel struct {
	node    Node
	cols    []relCol
	ordered bool
}

func (r rel) ids() []ColID {
	out := make([]ColID, len(r.cols))
	for i, c := range r.cols {
		out[i] = c.id
	}
	return out
}

// scope is where names are looked up. Columns not found are looked for in
// parent, the query around this one.
type scope struct {
	parent *scope
	items  []*fromItem
	ctes   map[string]*CTE

	// aggs collects the aggregates of the query's own level; nil where they
	// are not allowed, and then clause names the place.
	aggs   *aggCollector
	clause string
	inAgg  bool
	// srf: set-returning functions are allowed (the select list).
	srf bool
}

func (s *scope) cte(name string) *CTE {
	for ; s != nil; s = s.parent {
		if c, ok := s.ctes[name]; ok {
			return c
		}
	}
	return nil
}

// column finds a column by name, qualified or not.
func (b *binder) column(s *scope, schema, table, name string) (*ColRef, error) {
	for sc := s; sc != nil; sc = sc.parent {
		id, err := sc.find(schema, table, name)
		if err != nil {
			return nil, err
		}
		if id == 0 {
			id, err = b.systemColumn(sc, schema, table, name)
		}
		if err != nil {
			return nil, err
		}
		if id != 0 {
			return b.ref(id), nil
		}
	}
	if table != "" {
		for sc := s; sc != nil; sc = sc.parent {
			if sc.relation(schema, table) != nil {
				return nil, sqlstate.New(sqlstate.UndefinedColumn, "column %s.%s does not exist", table, name)
			}
		}
		return nil, sqlstate.New(sqlstate.UndefinedTable, "missing FROM-clause entry for table \"%s\"", table)
	}
	return nil, sqlstate.New(sqlstate.UndefinedColumn, "column \"%s\" does not exist", name)
}

// find looks in this scope only; 0 means not found.
func (s *scope) find(schema, table, name string) (ColID, error) {
	if table != "" {
		r := s.relation(schema, table)
		if r == nil {
			return 0, nil
		}
		return pick(append(append([]relCol{}, r.cols...), r.hidden...), name)
	}
	var found ColID
	for _, it := range s.items {
		id, err := pick(it.star, name)
		if err != nil {
			return 0, err
		}
		if id != 0 && found != 0 {
			return 0, sqlstate.New(sqlstate.AmbiguousColumn, "column reference \"%s\" is ambiguous", name)
		}
		if id != 0 {
			found = id
		}
	}
	if found != 0 {
		return found, nil
	}
	for _, it := range s.items {
		for _, r := range it.rels {
			if id, err := pick(r.hidden, name); err != nil || id != 0 {
				return id, err
			}
		}
	}
	return 0, nil
}

func pick(cols []relCol, name string) (ColID, error) {
	var found ColID
	for _, c := range cols {
		if c.name != name {
			continue
		}
		if found != 0 && found != c.id {
			return 0, sqlstate.New(sqlstate.AmbiguousColumn, "column reference \"%s\" is ambiguous", name)
		}
		found = c.id
	}
	return found, nil
}

// relation finds a relation of this scope by its name.
func (s *scope) relation(schema, name string) *relation {
	for _, it := range s.items {
		for _, r := range it.rels {
			if r.name == name && (schema == "" || r.schema == schema) {
				return r
			}
		}
	}
	return nil
}

// addItem brings a FROM item into scope; two relations may not share a name.
func (s *scope) addItem(it *fromItem) error {
	for _, r := range it.rels {
		if r.name != "" && s.relation("", r.name) != nil {
			return sqlstate.New(sqlstate.DuplicateAlias, "table name \"%s\" specified more than once", r.name)
		}
	}
	s.items = append(s.items, it)
	return nil
}

// wholeRow is a reference to a relation as a row value.
func (b *binder) wholeRow(r *relation) Expr {
	row := &RowExpr{typed: ofType(types.RecordType)}
	for _, c := range r.cols {
		row.Fields = append(row.Fields, b.ref(c.id))
		row.Names = append(row.Names, c.name)
	}
	return row
}
