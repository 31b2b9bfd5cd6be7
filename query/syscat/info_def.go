package syscat

import (
	"strings"

	"github.com/tidemark-db/tidemark/sm/catalog"
)

// indexDef is pg_get_indexdef(): the statement that makes the index. Pretty
// leaves the schema out where it is not needed, and parentheses.
func (ci *CatalogInfo) indexDef(t *catalog.Table, ix *catalog.Index, pretty bool) string {
	var b strings.Builder
	b.WriteString("CREATE ")
	if ix.Unique || ix.Primary {
		b.WriteString("UNIQUE ")
	}
	rel := tableRelation(t)
	name := ci.fullName(&rel)
	if pretty {
		name = ci.relationName(&rel)
	}
	b.WriteString("INDEX " + quoteIdent(ix.Name) + " ON " + name + " USING btree (")
	b.WriteString(joined(ix.Columns, func(k catalog.IndexColumn) string { return indexKey(t, &k) + indexOrder(&k) }))
	b.WriteString(")")
	if len(ix.Include) > 0 {
		b.WriteString(" INCLUDE (" + columnNames(t, ix.Include) + ")")
	}
	if ix.NullsNotDistinct {
		b.WriteString(" NULLS NOT DISTINCT")
	}
	if ix.Predicate != "" {
		predicate := unwrap(ix.Predicate)
		if !pretty {
			predicate = "(" + predicate + ")"
		}
		b.WriteString(" WHERE " + predicate)
	}
	return b.String()
}

// indexKey prints one key column of an index.
func indexKey(t *catalog.Table, k *catalog.IndexColumn) string {
	if k.Column != 0 {
		return quoteIdent(t.Columns[k.Column-1].Name)
	}
	expr := unwrap(k.Expr)
	if _, ok := bareCall(expr); ok {
		return expr
	}
	return "(" + expr + ")"
}

// indexOrder prints the order of a key column where it is not the usual one:
// NULLs come last ascending and first descending.
func indexOrder(k *catalog.IndexColumn) string {
	switch {
	case k.Descending && k.NullsFirst:
		return " DESC"
	case k.Descending:
		return " DESC NULLS LAST"
	case k.NullsFirst:
		return " NULLS FIRST"
	}
	return ""
}

// indexColumnDef is pg_get_indexdef() of one column, from 1; "" when there is no
// such column.
func indexColumnDef(t *catalog.Table, ix *catalog.Index, column int64) string {
	i := column - 1
	switch keys := int64(len(ix.Columns)); {
	case i < 0:
		return ""
	case i < keys:
		return indexKey(t, &ix.Columns[i])
	case i-keys < int64(len(ix.Include)):
		return quoteIdent(t.Columns[ix.Include[i-keys]-1].Name)
	}
	return ""
}

// constraintDef is pg_get_constraintdef().
func (ci *CatalogInfo) constraintDef(k *constraint, pretty bool) string {
	out := ci.constraintBody(k, pretty)
	if k.notValid() {
		out += " NOT VALID"
	}
	return out
}

func (ci *CatalogInfo) constraintBody(k *constraint, pretty bool) string {
	switch {
	case k.check != nil:
		out := "CHECK (" + k.check.Expr + ")"
		if pretty {
			out = "CHECK (" + prettyExpr(k.check.Expr) + ")"
		}
		if k.check.NoInherit {
			out += " NO INHERIT"
		}
		return out
	case k.foreign != nil:
		return ci.foreignDef(k)
	}
	out := constraintTypes[k.kind]
	if k.index.NullsNotDistinct {
		out += " NULLS NOT DISTINCT"
	}
	out += " (" + columnNames(k.table, keyColumns(k.index)) + ")"
	if len(k.index.Include) > 0 {
		out += " INCLUDE (" + columnNames(k.table, k.index.Include) + ")"
	}
	return out
}

func (ci *CatalogInfo) foreignDef(k *constraint) string {
	f := k.foreign
	target := ci.catalog.Table(f.Target)
	if target == nil {
		return ""
	}
	rel := tableRelation(target)
	out := "FOREIGN KEY (" + columnNames(k.table, f.Columns) + ") REFERENCES " +
		ci.relationName(&rel) + "(" + columnNames(target, f.TargetColumns) + ")"
	if f.Match == 'f' {
		out += " MATCH FULL"
	}
	if f.OnUpdate != 'a' && f.OnUpdate != 0 {
		out += " ON UPDATE " + foreignActions[f.OnUpdate]
	}
	if f.OnDelete != 'a' && f.OnDelete != 0 {
		out += " ON DELETE " + foreignActions[f.OnDelete]
	}
	if len(f.DeleteSet) > 0 {
		out += " (" + columnNames(k.table, f.DeleteSet) + ")"
	}
	if f.Deferrable {
		out += " DEFERRABLE"
	}
	if f.InitiallyDeferred {
		out += " INITIALLY DEFERRED"
	}
	return out
}

// procedureDef is pg_get_functiondef() of a procedure.
func (ci *CatalogInfo) procedureDef(p *proc) string {
	d := p.procedure
	out := "CREATE OR REPLACE PROCEDURE " + quoteIdent(ci.schemaName(d.Schema)) + "." + quoteIdent(d.Name) + "(" + p.arguments + ")\n LANGUAGE sql\n"
	if d.Atomic {
		out += "BEGIN ATOMIC\n"
		for _, text := range d.Body {
			out += " " + text + ";\n"
		}
		return out + "END\n"
	}
	tag := "$procedure$"
	for strings.Contains(d.Source, tag) {
		tag = tag[:len(tag)-1] + "x$"
	}
	return out + "AS " + tag + d.Source + tag + "\n"
}

// describe is pg_describe_object(); "" for an object it does not know.
func (ci *CatalogInfo) describe(o object) string {
	switch o.class {
	case classPublication, classPublicationTable, classPublicationNamespace:
		return ci.describePublication(o)
	case classClass:
		rel, ok := relationByID(ci.catalog, o.id)
		if !ok {
			return ""
		}
		whole := relationKinds[rel.kind] + " " + ci.relationName(&rel)
		if o.sub == 0 {
			return whole
		}
		for _, a := range rel.attributes() {
			if a.num == int16(o.sub) {
				return "column " + quoteIdent(a.name) + " of " + whole
			}
		}
	case classConstraint:
		if k, ok := ci.constraintByID(o.id); ok {
			rel := tableRelation(k.table)
			return "constraint " + quoteIdent(k.name) + " on table " + ci.relationName(&rel)
		}
	case classNamespace:
		if name := ci.schemaName(o.id); name != "" {
			return "schema " + quoteIdent(name)
		}
	case classAttrdef:
		for t := range storedTables(ci.catalog, everyID) {
			for i := range t.Columns {
				if col := &t.Columns[i]; hasDefault(col) && attrdefID(t.ID, col.Num) == o.id {
					return "default value for " + ci.describe(object{classClass, t.ID, col.Num})
				}
			}
		}
	}
	return ""
}

var relationKinds = map[byte]string{kindTable: "table", kindIndex: "index", kindSequence: "sequence", kindView: "view"}
