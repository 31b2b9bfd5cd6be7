package syscat

import (
	_ "embed" // PostgreSQL's column lists
	"fmt"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

//go:embed data/relations.txt
var relationData string

// rowsFunc yields the rows of a table whose OIDs are in a range. It may ignore
// the range, and should stop when the writer is full.
type rowsFunc func(c *Context, r idRange, w *writer) error

// definition says how the rows of one of PostgreSQL's relations are made.
type definition struct {
	// pushed names the column that is narrowed to a range; "" for none.
	pushed string
	local  bool // Table.Local
	rows   rowsFunc
}

func init() {
	left := len(catalogTables) + len(catalogViews) + len(informationSchema)
	empty := map[string]bool{}
	for _, name := range strings.Fields(emptyRelations) {
		empty[name] = true
	}
	for line := range strings.Lines(relationData) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		t := parseRelation(line)
		d, ok := definitionOf(t)
		switch {
		case ok:
			left--
		case !empty[t.Schema+"."+t.Name]:
			panic("syscat: no definition of " + t.Schema + "." + t.Name)
		}
		define(t, d)
	}
	if left != 0 {
		panic("syscat: a definition has no columns in relations.txt")
	}
	defineTidemark()
}

// definitionOf finds how the rows of a relation are made.
func definitionOf(t *Table) (d definition, ok bool) {
	if t.Schema == "information_schema" {
		d, ok = informationSchema[t.Name]
		return d, ok
	}
	if d, ok = catalogTables[t.Name]; !ok {
		d, ok = catalogViews[t.Name]
	}
	return d, ok
}

// define registers a table with its rows.
func define(t *Table, d definition) {
	t.Pushed, t.Local = -1, d.local
	for i, c := range t.Columns {
		if c.Name == d.pushed {
			t.Pushed = i
		}
	}
	t.Rows = func(c *Context, r Range, emit func([]types.Datum) bool) error {
		if t.Local {
			if err := c.outsideApply(t); err != nil {
				return err
			}
		}
		if d.rows == nil {
			return nil
		}
		return d.rows(c, r.ids(), newWriter(t, emit))
	}
	register(t)
}

// parseRelation reads a line of data/relations.txt.
func parseRelation(line string) *Table {
	w := strings.Fields(line)
	id, err := strconv.ParseUint(w[2], 10, 32)
	if err != nil {
		panic(fmt.Sprintf("syscat: relations.txt: %v", err))
	}
	t := &Table{Schema: w[0], Name: w[1], ID: catalog.ID(id), View: w[3] == "v"}
	for _, col := range w[4:] {
		name, typ, _ := strings.Cut(col, ":")
		typ, notNull := strings.CutSuffix(typ, "!")
		t.Columns = append(t.Columns, Column{Name: name, Type: typeNamed(typ), NotNull: notNull})
	}
	return t
}

func typeNamed(name string) *types.Type {
	t, ok := types.ByName(name)
	if !ok {
		panic("syscat: unknown type " + name)
	}
	return t
}

// catalogTables are the system catalogs that have rows.
var catalogTables = map[string]definition{
	"pg_aggregate":             {rows: aggregateRows},
	"pg_am":                    {rows: amRows},
	"pg_amop":                  {rows: amopRows},
	"pg_amproc":                {rows: amprocRows},
	"pg_attrdef":               {pushed: "adrelid", rows: attrdefRows},
	"pg_attribute":             {pushed: "attrelid", rows: attributeRows},
	"pg_authid":                {rows: authidRows},
	"pg_cast":                  {rows: castRows},
	"pg_class":                 {pushed: "oid", rows: classRows},
	"pg_collation":             {rows: collationRows},
	"pg_constraint":            {pushed: "conrelid", rows: constraintRows},
	"pg_database":              {local: true, rows: databaseRows},
	"pg_depend":                {rows: dependRows},
	"pg_description":           {pushed: "objoid", rows: descriptionRows},
	"pg_index":                 {pushed: "indrelid", rows: indexRows},
	"pg_language":              {rows: languageRows},
	"pg_namespace":             {rows: namespaceRows},
	"pg_opclass":               {rows: opclassRows},
	"pg_operator":              {pushed: "oid", rows: operatorRows},
	"pg_opfamily":              {rows: opfamilyRows},
	"pg_proc":                  {pushed: "oid", rows: procRows},
	"pg_publication":           {rows: publicationRows},
	"pg_publication_namespace": {rows: publicationNamespaceRows},
	"pg_publication_rel":       {rows: publicationRelRows},
	"pg_sequence":              {pushed: "seqrelid", rows: sequenceRows},
	"pg_shdescription":         {rows: shdescriptionRows},
	"pg_rewrite":               {rows: rewriteRows},
	"pg_tablespace":            {rows: tablespaceRows},
	"pg_type":                  {pushed: "oid", rows: typeRows},
}

// catalogViews are the system views that have rows.
var catalogViews = map[string]definition{
	"pg_indexes":            {rows: indexesRows},
	"pg_publication_tables": {rows: publicationTablesRows},
	"pg_replication_slots":  {local: true, rows: replicationSlotRows},
	"pg_roles":              {rows: rolesRows},
	"pg_sequences":          {rows: sequencesRows},
	"pg_settings":           {local: true, rows: settingsRows},
	"pg_shadow":             {rows: shadowRows},
	"pg_stat_activity":      {local: true, rows: activityRows},
	"pg_stat_all_indexes":   {local: true, rows: statIndexRows(allTables)},
	"pg_stat_all_tables":    {local: true, rows: statTableRows(allTables)},
	"pg_stat_replication":   {local: true, rows: replicationRows},
	"pg_stat_sys_indexes":   {local: true, rows: statIndexRows(systemTables)},
	"pg_stat_sys_tables":    {local: true, rows: statTableRows(systemTables)},
	"pg_stat_user_indexes":  {local: true, rows: statIndexRows(userTables)},
	"pg_stat_user_tables":   {local: true, rows: statTableRows(userTables)},
	"pg_statio_all_tables":  {local: true, rows: statioRows(allTables)},
	"pg_statio_sys_tables":  {local: true, rows: statioRows(systemTables)},
	"pg_statio_user_tables": {local: true,
		rows: statioRows(userTables)},
	"pg_tables":         {rows: tablesRows},
	"pg_timezone_names": {local: true, rows: timezoneRows},
	"pg_user":           {rows: userRows},
	"pg_views":          {rows: viewsRows},
}

// emptyRelations are about things this database does not have, so nothing is in
// them.
const emptyRelations = `
pg_catalog.pg_auth_members pg_catalog.pg_conversion pg_catalog.pg_db_role_setting pg_catalog.pg_default_acl
pg_catalog.pg_enum pg_catalog.pg_event_trigger pg_catalog.pg_extension pg_catalog.pg_foreign_data_wrapper
pg_catalog.pg_foreign_server pg_catalog.pg_foreign_table pg_catalog.pg_inherits pg_catalog.pg_init_privs
pg_catalog.pg_largeobject pg_catalog.pg_largeobject_metadata pg_catalog.pg_parameter_acl
pg_catalog.pg_partitioned_table pg_catalog.pg_policy pg_catalog.pg_range
pg_catalog.pg_replication_origin pg_catalog.pg_seclabel pg_catalog.pg_shdepend pg_catalog.pg_shseclabel
pg_catalog.pg_statistic_ext pg_catalog.pg_subscription pg_catalog.pg_subscription_rel pg_catalog.pg_transform
pg_catalog.pg_trigger pg_catalog.pg_ts_config pg_catalog.pg_ts_config_map pg_catalog.pg_ts_dict
pg_catalog.pg_ts_parser pg_catalog.pg_ts_template pg_catalog.pg_user_mapping
pg_catalog.pg_available_extensions pg_catalog.pg_available_extension_versions pg_catalog.pg_group
pg_catalog.pg_locks pg_catalog.pg_matviews pg_catalog.pg_policies pg_catalog.pg_prepared_xacts
pg_catalog.pg_rules pg_catalog.pg_seclabels
pg_catalog.pg_user_mappings
information_schema.attributes information_schema.column_domain_usage information_schema.column_options
information_schema.domain_constraints information_schema.domain_udt_usage information_schema.domains
information_schema.foreign_data_wrapper_options information_schema.foreign_data_wrappers
information_schema.foreign_server_options information_schema.foreign_servers
information_schema.foreign_table_options information_schema.foreign_tables information_schema.transforms
information_schema.triggered_update_columns information_schema.triggers information_schema.udt_privileges
information_schema.user_defined_types information_schema.user_mapping_options
information_schema.user_mappings
`
