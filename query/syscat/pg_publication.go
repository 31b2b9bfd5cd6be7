package syscat

import (
	"iter"
	"slices"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// OIDs of the catalogs of publications.
const (
	classPublication          catalog.ID = 6104
	classPublicationTable     catalog.ID = 6106
	classPublicationNamespace catalog.ID = 6237
)

func publicationRows(c *Context, _ idRange, w *writer) error {
	for _, p := range c.Catalog.Publications() {
		if !w.send(num(p.ID), str(p.Name), num(ownerID(p.Owner)), types.Bool(p.AllTables), types.Bool(p.Insert), types.Bool(p.Update),
			types.Bool(p.Delete), types.Bool(p.Truncate), types.Bool(p.ViaRoot)) {
			break
		}
	}
	return nil
}

func publicationRelRows(c *Context, _ idRange, w *writer) error {
	for _, p := range c.Catalog.Publications() {
		for i := range p.Tables {
			m := &p.Tables[i]
			columns := types.NullDatum
			if m.Columns != nil {
				columns = vector(types.Int2VectorType, m.Columns)
			}
			if !w.send(num(m.ID), num(p.ID), num(m.Table), strOrNull(m.Filter), columns) {
				return nil
			}
		}
	}
	return nil
}

func publicationNamespaceRows(c *Context, _ idRange, w *writer) error {
	for _, p := range c.Catalog.Publications() {
		for _, m := range p.Schemas {
			if !w.send(num(m.ID), num(p.ID), num(m.Schema)) {
				return nil
			}
		}
	}
	return nil
}

// publishedTable is a table with what a publication shows of it.
type publishedTable struct {
	table   *catalog.Table
	columns []catalog.ColumnNum
	listed  bool // the columns were
	filter  string
}

// publishedTables yields the tables of a publication in order of ID.
func publishedTables(c *catalog.Catalog, p *catalog.Publication) iter.Seq[publishedTable] {
	return func(yield func(publishedTable) bool) {
		for t := range storedTables(c, everyID) {
			member, ok := p.Publishes(t)
			if !ok {
				continue
			}
			out := publishedTable{table: t}
			if member != nil {
				out.columns, out.listed, out.filter = slices.Clone(member.Columns), member.Columns != nil, member.Filter
			}
			for i := range t.Columns {
				if !out.listed && !t.Columns[i].Dropped {
					out.columns = append(out.columns, t.Columns[i].Num)
				}
			}
			if !yield(out) {
				return
			}
		}
	}
}

func publicationTablesRows(c *Context, _ idRange, w *writer) error {
	for _, p := range c.Catalog.Publications() {
		for t := range publishedTables(c.Catalog, p) {
			var names []string
			for _, n := range t.columns {
				names = append(names, t.table.Columns[n-1].Name)
			}
			if !w.send(str(p.Name), str(c.info().schemaName(t.table.Schema)), str(t.table.Name), textArray(types.NameType, names), strOrNull(t.filter)) {
				return nil
			}
		}
	}
	return nil
}

// tupleRows hands out rows that have been made already.
type tupleRows struct{ rows [][]types.Datum }

// Next implements expr.RowIter.
func (r *tupleRows) Next() ([]types.Datum, bool, error) {
	if len(r.rows) == 0 {
		return nil, false, nil
	}
	row := r.rows[0]
	r.rows = r.rows[1:]
	return row, true, nil
}

// publicationTables is pg_get_publication_tables().
func (ci *CatalogInfo) publicationTables(name string) (expr.RowIter, error) {
	p := ci.catalog.Publication(name)
	if p == nil {
		return nil, undefinedObject("publication", name)
	}
	out := &tupleRows{}
	for t := range publishedTables(ci.catalog, p) {
		columns := types.NullDatum
		if t.listed {
			columns = vector(types.Int2VectorType, t.columns)
		}
		out.rows = append(out.rows, []types.Datum{num(t.table.ID), columns, strOrNull(t.filter)})
	}
	return out, nil
}

// publicationFuncs are about what can be published, and how rows are identified.
var publicationFuncs = map[string]infoFunc{
	"pg_relation_is_publishable": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		rel, err := ci.relationArg(args[0])
		if err != nil || rel == nil {
			return types.NullDatum, err
		}
		return types.Bool(rel.kind == kindTable && rel.virtual == nil), nil
	},
	"pg_get_replica_identity_index": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		t := ci.catalog.Table(oidArg(args[0]))
		if t == nil || t.IdentityIndex() == nil {
			return types.NullDatum, nil
		}
		return num(t.IdentityIndex().ID), nil
	},
}

// publicationByID finds a publication, or returns nil.
func publicationByID(c *catalog.Catalog, id catalog.ID) *catalog.Publication {
	d, _ := c.ByID(id)
	p, _ := d.(*catalog.Publication)
	return p
}

// describePublication is pg_describe_object() of a publication and of what it
// names; "" for an object it does not know.
func (ci *CatalogInfo) describePublication(o object) string {
	if p := publicationByID(ci.catalog, o.id); p != nil && o.class == classPublication {
		return "publication " + quoteIdent(p.Name)
	}
	for _, p := range ci.catalog.Publications() {
		for _, m := range p.Tables {
			if t := ci.catalog.Table(m.Table); t != nil && m.ID == o.id && o.class == classPublicationTable {
				rel := tableRelation(t)
				return "publication of table " + ci.relationName(&rel) + " in publication " + p.Name
			}
		}
		for _, m := range p.Schemas {
			if m.ID == o.id && o.class == classPublicationNamespace {
				return "publication of schema " + ci.schemaName(m.Schema) + " in publication " + p.Name
			}
		}
	}
	return ""
}

// dependPublications yields what the parts of publications depend on.
func dependPublications(c *catalog.Catalog, depend func(on byte, what, of object)) {
	for _, p := range c.Publications() {
		whole := object{class: classPublication, id: p.ID}
		for _, m := range p.Tables {
			self := object{class: classPublicationTable, id: m.ID}
			depend(dependAuto, self, whole)
			depend(dependAuto, self, object{class: classClass, id: m.Table})
			columns := slices.Concat(m.Columns, m.FilterColumns)
			slices.Sort(columns)
			for _, n := range slices.Compact(columns) {
				depend(dependNormal, self, object{classClass, m.Table, n})
			}
		}
		for _, m := range p.Schemas {
			self := object{class: classPublicationNamespace, id: m.ID}
			depend(dependAuto, self, whole)
			depend(dependAuto, self, object{class: classNamespace, id: m.Schema})
		}
	}
}
