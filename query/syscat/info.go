package syscat

import (
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// CatalogInfo answers what functions and the reg types ask of the catalog; it
// implements expr.CatalogInfo. It reads one catalog and changes nothing, so
// apply may use it. It serves one goroutine at a time.
type CatalogInfo struct {
	// RelationBytes estimates the bytes that a table's rows take, or with an
	// index those of the index; nil counts them as 0. It must stay nil in
	// apply.
	RelationBytes func(t *catalog.Table, ix *catalog.Index) int64
	// Databases are those there are. It must stay nil in apply.
	Databases func() []DatabaseInfo
	// Txn reads the state of sequences; without it pg_sequence_last_value is
	// not known.
	Txn *sm.Txn

	catalog  *catalog.Catalog
	path     []string // schemas in order of search, pg_catalog included
	database string
	user     string

	// Found when they are first asked for.
	roles       *roles
	constraints map[catalog.ID]constraint
}

// NewCatalogInfo returns the CatalogInfo of a catalog. The search path decides
// what is visible; database and user are the session's.
func NewCatalogInfo(cat *catalog.Catalog, searchPath []string, database, user string) *CatalogInfo {
	ci := &CatalogInfo{catalog: cat, database: database, user: user}
	if !slices.Contains(searchPath, "pg_catalog") {
		ci.path = append(ci.path, "pg_catalog")
	}
	ci.path = append(ci.path, searchPath...)
	return ci
}

// relationNamed finds a relation; schema "" means along the search path. Zero
// is none.
func (ci *CatalogInfo) relationNamed(schema, name string) catalog.ID {
	if schema == "" {
		for _, s := range ci.path {
			if id := ci.relationNamed(s, name); id != 0 {
				return id
			}
		}
		return 0
	}
	if t := Lookup(schema, name); t != nil {
		return t.ID
	}
	s := ci.catalog.SchemaByName(schema)
	if s == nil {
		return 0
	}
	return ci.catalog.Relation(catalog.Name{Schema: s.ID, Name: name})
}

// findRelation resolves the text of a regclass.
func (ci *CatalogInfo) findRelation(text string) (relation, error) {
	schema, name, err := ci.qualified(text)
	if err != nil {
		return relation{}, err
	}
	id := ci.relationNamed(schema, name)
	rel, ok := relationByID(ci.catalog, id)
	if id == 0 || !ok {
		if schema != "" {
			name = schema + "." + name
		}
		return relation{}, sqlstate.New(sqlstate.UndefinedTable, "relation \"%s\" does not exist", name)
	}
	return rel, nil
}

// schemaName names a schema, or returns "".
func (ci *CatalogInfo) schemaName(id catalog.ID) string {
	if d, ok := ci.catalog.ByID(id); ok {
		if s, ok := d.(*catalog.Schema); ok {
			return s.Name
		}
	}
	return ""
}

// visible reports whether the relation is what its bare name means.
func (ci *CatalogInfo) visible(r *relation) bool { return ci.relationNamed("", r.name) == r.id }

// relationName prints a relation's name, with its schema where that is needed.
func (ci *CatalogInfo) relationName(r *relation) string {
	if ci.visible(r) {
		return quoteIdent(r.name)
	}
	return ci.fullName(r)
}

// fullName prints a relation's name with its schema.
func (ci *CatalogInfo) fullName(r *relation) string {
	return quoteIdent(ci.schemaName(r.schema)) + "." + quoteIdent(r.name)
}

// defaultText prints a column's default; "" when it has none.
func (ci *CatalogInfo) defaultText(c *catalog.Column) string {
	if !hasDefault(c) {
		return ""
	}
	if c.Sequence != 0 && c.Default == sequenceDefault {
		if rel, ok := relationByID(ci.catalog, c.Sequence); ok {
			return "nextval(" + quoteLiteral(ci.relationName(&rel)) + "::regclass)"
		}
	}
	return c.Default
}

// formatType is format_type(); typmod is types.NoTypmod for none.
func formatType(oid types.OID, typmod int32) string {
	if oid == 0 {
		return "-"
	}
	t, ok := types.ByOID(oid)
	if !ok {
		return "???"
	}
	return types.FormatType(t, typmod)
}

// columnByNum returns a live column of a table, or nil.
func columnByNum(t *catalog.Table, n catalog.ColumnNum) *catalog.Column {
	if n < 1 || int(n) > len(t.Columns) || t.Columns[n-1].Dropped {
		return nil
	}
	return &t.Columns[n-1]
}

func columnNames(t *catalog.Table, nums []catalog.ColumnNum) string {
	names := make([]string, 0, len(nums))
	for _, n := range nums {
		names = append(names, t.Columns[n-1].Name)
	}
	return quoteIdents(names)
}

func schemaNotFound(name string) error {
	return sqlstate.New(sqlstate.InvalidSchemaName, "schema \"%s\" does not exist", name)
}

func undefinedObject(kind, name string) error {
	return sqlstate.New(sqlstate.UndefinedObject, "%s \"%s\" does not exist", kind, name)
}

// joined is strings.Join over what f makes of each element.
func joined[T any](list []T, f func(T) string) string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return strings.Join(out, ", ")
}
