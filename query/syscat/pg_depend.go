package syscat

import (
	"github.com/tidemark-db/tidemark/sm/catalog"
)

// OIDs of the catalogs that objects are said to be in.
const (
	classClass      catalog.ID = 1259
	classConstraint catalog.ID = 2606
	classAttrdef    catalog.ID = 2604
	classNamespace  catalog.ID = 2615
	classType       catalog.ID = 1247
	classProc       catalog.ID = 1255
	classDatabase   catalog.ID = 1262
)

// How objects depend on each other: deptype.
const (
	dependNormal   = 'n'
	dependAuto     = 'a'
	dependInternal = 'i'
)

// object is what a dependency or a comment is about.
type object struct {
	class, id catalog.ID
	sub       catalog.ColumnNum
}

func dependRows(c *Context, _ idRange, w *writer) error {
	depend := func(on byte, what, of object) {
		w.send(num(what.class), num(what.id), num(what.sub), num(of.class), num(of.id), num(of.sub), char(on))
	}
	for rel := range storedRelations(c.Catalog, everyID) {
		self := object{class: classClass, id: rel.id}
		switch {
		case rel.index != nil:
			dependIndex(&rel, depend)
		case rel.table != nil:
			depend(dependNormal, self, object{class: classNamespace, id: rel.schema})
			dependTable(rel.table, depend)
		default:
			depend(dependNormal, self, object{class: classNamespace, id: rel.schema})
		}
		if s := rel.sequence; s != nil && s.OwnedByTable != 0 {
			depend(ownership(c.Catalog, s), self, object{classClass, s.OwnedByTable, s.OwnedByColumn})
		}
		if w.full {
			return nil
		}
	}
	dependPublications(c.Catalog, depend)
	for _, d := range c.Catalog.All() {
		if p, ok := d.(*catalog.Procedure); ok {
			depend(dependNormal, object{class: classProc, id: p.ID}, object{class: classNamespace, id: p.Schema})
		}
	}
	return nil
}

// ownership says how a sequence hangs on its column: an identity column's
// cannot be dropped alone.
func ownership(c *catalog.Catalog, s *catalog.Sequence) byte {
	if t := c.Table(s.OwnedByTable); t != nil {
		if col := columnByNum(t, s.OwnedByColumn); col != nil && col.Identity != 0 {
			return dependInternal
		}
	}
	return dependAuto
}

func dependIndex(r *relation, depend func(on byte, what, of object)) {
	self := object{class: classClass, id: r.id}
	if r.index.Constraint != 0 {
		depend(dependInternal, self, object{class: classConstraint, id: r.index.Constraint})
		return
	}
	for _, n := range append(keyColumns(r.index), r.index.Include...) {
		if n != 0 {
			depend(dependAuto, self, object{classClass, r.table.ID, n})
			continue
		}
		depend(dependAuto, self, object{class: classClass, id: r.table.ID})
	}
}

func dependTable(t *catalog.Table, depend func(on byte, what, of object)) {
	for i := range t.Columns {
		col := &t.Columns[i]
		if !hasDefault(col) {
			continue
		}
		def := object{class: classAttrdef, id: attrdefID(t.ID, col.Num)}
		depend(dependAuto, def, object{classClass, t.ID, col.Num})
		if col.Sequence != 0 {
			depend(dependNormal, def, object{class: classClass, id: col.Sequence})
		}
	}
	for _, k := range constraintsOf(t) {
		self := object{class: classConstraint, id: k.id}
		for _, n := range k.columns() {
			depend(dependAuto, self, object{classClass, t.ID, n})
		}
		if f := k.foreign; f != nil {
			depend(dependNormal, self, object{class: classClass, id: f.TargetIndex})
			for _, n := range f.TargetColumns {
				depend(dependNormal, self, object{classClass, f.Target, n})
			}
		}
	}
}

// systemComments are the comments PostgreSQL gives to what every database has.
var systemComments = map[object]string{
	{class: classNamespace, id: catalog.PgCatalogID}: "system catalog schema",
	{class: classNamespace, id: catalog.PublicID}:    "standard public schema",
}

// comment returns an object's comment, or "".
func (ci *CatalogInfo) comment(o object) string {
	if s, ok := systemComments[o]; ok {
		return s
	}
	if o.class == classConstraint {
		k, ok := ci.constraintByID(o.id)
		if !ok || o.sub != 0 {
			return ""
		}
		return k.comment()
	}
	if p := publicationByID(ci.catalog, o.id); p != nil && o.class == classPublication && o.sub == 0 {
		return p.Comment
	}
	if o.class != classClass {
		return ""
	}
	rel, ok := relationByID(ci.catalog, o.id)
	if !ok {
		return ""
	}
	if o.sub == 0 {
		return rel.comment
	}
	for _, a := range rel.attributes() {
		if a.num == int16(o.sub) && a.column != nil && !a.dropped {
			return a.column.Comment
		}
	}
	return ""
}

func descriptionRows(c *Context, r idRange, w *writer) error {
	send := func(o object, text string) {
		if text != "" && r.has(o.id) {
			w.send(num(o.id), num(o.class), num(o.sub), str(text))
		}
	}
	for _, id := range []catalog.ID{catalog.PgCatalogID, catalog.PublicID} {
		o := object{class: classNamespace, id: id}
		send(o, systemComments[o])
	}
	for t := range storedTables(c.Catalog, everyID) {
		for _, k := range constraintsOf(t) {
			send(object{class: classConstraint, id: k.id}, k.comment())
		}
	}
	for _, p := range c.Catalog.Publications() {
		send(object{class: classPublication, id: p.ID}, p.Comment)
	}
	for rel := range storedRelations(c.Catalog, r) {
		send(object{class: classClass, id: rel.id}, rel.comment)
		if rel.index != nil || rel.sequence != nil {
			continue
		}
		for _, a := range rel.attributes() {
			if !a.dropped {
				send(object{classClass, rel.id, catalog.ColumnNum(a.num)}, a.column.Comment)
			}
		}
		if w.full {
			break
		}
	}
	return nil
}

const (
	// encodingUTF8 is PostgreSQL's number for UTF-8.
	encodingUTF8 = 6
	// databaseLocale says how text sorts and which characters are letters: by
	// bytes, and as Unicode has them.
	databaseLocale = "C.UTF-8"

	tablespaceDefault = 1663
	tablespaceGlobal  = 1664
)

func tablespaceRows(_ *Context, _ idRange, w *writer) error {
	for _, t := range []struct {
		id   int
		name string
	}{{tablespaceDefault, "pg_default"}, {tablespaceGlobal, "pg_global"}} {
		w.begin()
		w.set("oid", num(t.id))
		w.set("spcname", str(t.name))
		w.set("spcowner", num(superuserOID))
		if !w.end() {
			break
		}
	}
	return nil
}
