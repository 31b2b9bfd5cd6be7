package syscat

import (
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// informationSchema are the views of information_schema that have rows.
var informationSchema = map[string]definition{
	"administrable_role_authorizations":     {},
	"applicable_roles":                      {},
	"character_sets":                        {rows: characterSetRows},
	"check_constraints":                     {rows: checkConstraintRows},
	"collation_character_set_applicability": {rows: collationSetRows},
	"collations":                            {rows: schemaCollationRows},
	"column_privileges":                     {rows: columnPrivilegeRows},
	"column_udt_usage":                      {rows: columnTypeRows},
	"columns":                               {rows: columnRows},
	"constraint_column_usage":               {rows: constraintColumnRows},
	"constraint_table_usage":                {rows: constraintTableRows},
	"enabled_roles":                         {rows: enabledRoleRows},
	"information_schema_catalog_name":       {rows: catalogNameRows},
	"key_column_usage":                      {rows: keyColumnRows},
	"referential_constraints":               {rows: referentialRows},
	"role_table_grants":                     {rows: tablePrivilegeRows},
	"schemata":                              {rows: schemataRows},
	"sequences":                             {rows: schemaSequenceRows},
	"table_constraints":                     {rows: tableConstraintRows},
	"table_privileges":                      {rows: tablePrivilegeRows},
	"tables":                                {rows: schemaTableRows},
	"views":                                 {rows: schemaViewRows},
}

// setQualified sets <prefix>_catalog, <prefix>_schema and <prefix>_name.
func setQualified(c *Context, w *writer, prefix string, schema catalog.ID, name string) {
	w.set(prefix+"_catalog", str(c.database()))
	w.set(prefix+"_schema", str(c.info().schemaName(schema)))
	w.set(prefix+"_name", str(name))
}

func catalogNameRows(c *Context, _ idRange, w *writer) error {
	w.send(str(c.database()))
	return nil
}

func schemataRows(c *Context, _ idRange, w *writer) error {
	for _, d := range c.Catalog.All() {
		s, ok := d.(*catalog.Schema)
		if !ok {
			continue
		}
		w.begin()
		w.set("catalog_name", str(c.database()))
		w.set("schema_name", str(s.Name))
		w.set("schema_owner", str(s.Owner))
		if !w.end() {
			break
		}
	}
	return nil
}

func enabledRoleRows(c *Context, _ idRange, w *writer) error {
	for _, name := range c.info().roleNames().names {
		if !w.send(str(name)) {
			break
		}
	}
	return nil
}

// eachTable calls f for every table and view, the system's included.
func eachTable(c *Context, f func(relation) bool) {
	for _, t := range All() {
		if !f(virtualRelation(t)) {
			return
		}
	}
	for rel := range storedRelations(c.Catalog, everyID) {
		if (rel.kind == kindTable || rel.kind == kindView) && !f(rel) {
			return
		}
	}
}

// changeable reports whether rows can be written to a relation.
func (r *relation) changeable() bool { return r.kind == kindTable && r.table != nil }

func schemaTableRows(c *Context, _ idRange, w *writer) error {
	eachTable(c, func(r relation) bool {
		kind := "BASE TABLE"
		if r.kind == kindView {
			kind = "VIEW"
		}
		w.begin()
		setQualified(c, w, "table", r.schema, r.name)
		w.set("table_type", str(kind))
		w.set("is_insertable_into", yes(r.changeable()))
		w.set("is_typed", yes(false))
		return w.end()
	})
	return nil
}

func schemaViewRows(c *Context, _ idRange, w *writer) error {
	eachTable(c, func(r relation) bool {
		if r.kind != kindView {
			return true
		}
		w.begin()
		setQualified(c, w, "table", r.schema, r.name)
		if r.view != nil {
			w.set("view_definition", str(r.view.Query))
		}
		w.set("check_option", str("NONE"))
		for _, col := range []string{"is_updatable", "is_insertable_into", "is_trigger_updatable", "is_trigger_deletable", "is_trigger_insertable_into"} {
			w.set(col, yes(false))
		}
		return w.end()
	})
	return nil
}

func schemaSequenceRows(c *Context, _ idRange, w *writer) error {
	for rel := range storedRelations(c.Catalog, everyID) {
		s := rel.sequence
		if s == nil {
			continue
		}
		// An identity column's sequence is part of the column.
		if s.OwnedByTable != 0 && ownership(c.Catalog, s) == dependInternal {
			continue
		}
		w.begin()
		setQualified(c, w, "sequence", s.Schema, s.Name)
		w.set("data_type", str(formatType(s.Type, types.NoTypmod)))
		w.set("numeric_precision", num(integerBits(s.Type)))
		w.set("numeric_precision_radix", num(2))
		w.set("numeric_scale", num(0))
		w.set("start_value", text(s.Start))
		w.set("minimum_value", text(s.Min))
		w.set("maximum_value", text(s.Max))
		w.set("increment", text(s.Increment))
		w.set("cycle_option", yes(s.Cycle))
		if !w.end() {
			break
		}
	}
	return nil
}

// characterSet is the one PostgreSQL shows for a database in UTF-8.
const characterSet = "UTF8"

func characterSetRows(c *Context, _ idRange, w *writer) error {
	w.begin()
	w.set("character_set_name", str(characterSet))
	w.set("character_repertoire", str("UCS"))
	w.set("form_of_use", str(characterSet))
	w.set("default_collate_catalog", str(c.database()))
	w.end()
	return nil
}

func schemaCollationRows(c *Context, _ idRange, w *writer) error {
	for _, col := range collations {
		w.begin()
		setQualified(c, w, "collation", catalog.PgCatalogID, col.name)
		w.set("pad_attribute", str("NO PAD"))
		if !w.end() {
			break
		}
	}
	return nil
}

func collationSetRows(c *Context, _ idRange, w *writer) error {
	for _, col := range collations {
		w.begin()
		setQualified(c, w, "collation", catalog.PgCatalogID, col.name)
		w.set("character_set_name", str(characterSet))
		if !w.end() {
			break
		}
	}
	return nil
}

// tablePrivileges are what the owner of a table may do with it.
var tablePrivileges = []string{"INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}

func tablePrivilegeRows(c *Context, _ idRange, w *writer) error {
	eachTable(c, func(r relation) bool {
		for _, p := range tablePrivileges {
			w.begin()
			setGrant(c, w, &r, p)
			w.set("with_hierarchy", yes(p == "SELECT"))
			if !w.end() {
				return false
			}
		}
		return true
	})
	return nil
}

func setGrant(c *Context, w *writer, r *relation, privilege string) {
	w.set("grantor", str(r.owner))
	w.set("grantee", str(r.owner))
	setQualified(c, w, "table", r.schema, r.name)
	w.set("privilege_type", str(privilege))
	w.set("is_grantable", yes(true))
}

func columnPrivilegeRows(c *Context, _ idRange, w *writer) error {
	eachTable(c, func(r relation) bool {
		for _, a := range r.attributes() {
			for _, p := range []string{"INSERT", "SELECT", "UPDATE", "REFERENCES"} {
				if a.dropped {
					continue
				}
				w.begin()
				setGrant(c, w, &r, p)
				w.set("column_name", str(a.name))
				if !w.end() {
					return false
				}
			}
		}
		return true
	})
	return nil
}
