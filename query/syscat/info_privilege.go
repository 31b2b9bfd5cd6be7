package syscat

import (
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// privilegeFuncs say who may do what. Everybody may do everything so far; what
// they check is that the object exists and that the privilege is one.
var privilegeFuncs = map[string]infoFunc{
	"has_table_privilege":                objectPrivilege((*CatalogInfo).existsRelation, "SELECT INSERT UPDATE DELETE TRUNCATE REFERENCES TRIGGER RULE"),
	"has_any_column_privilege":           objectPrivilege((*CatalogInfo).existsRelation, "SELECT INSERT UPDATE REFERENCES"),
	"has_sequence_privilege":             objectPrivilege((*CatalogInfo).existsSequence, "USAGE SELECT UPDATE"),
	"has_database_privilege":             objectPrivilege((*CatalogInfo).existsDatabase, "CREATE TEMPORARY TEMP CONNECT"),
	"has_schema_privilege":               objectPrivilege((*CatalogInfo).existsSchema, "CREATE USAGE"),
	"has_function_privilege":             objectPrivilege((*CatalogInfo).existsFunction, "EXECUTE"),
	"has_type_privilege":                 objectPrivilege((*CatalogInfo).existsType, "USAGE"),
	"has_tablespace_privilege":           objectPrivilege((*CatalogInfo).existsTablespace, "CREATE"),
	"has_language_privilege":             objectPrivilege((*CatalogInfo).existsLanguage, "USAGE"),
	"has_server_privilege":               objectPrivilege(absent("server"), "USAGE"),
	"has_foreign_data_wrapper_privilege": objectPrivilege(absent("foreign-data wrapper"), "USAGE"),
	"has_column_privilege":               columnPrivilege,
	"has_parameter_privilege":            always(types.Bool(true)),
	"pg_has_role":                        always(types.Bool(true)),
}

// objectPrivilege is has_…_privilege([user,] object, privileges). exists says
// whether there is such an object; one that is looked for by number and missing
// gives NULL, one by name an error.
func objectPrivilege(exists func(*CatalogInfo, types.Datum) (bool, error), known string) infoFunc {
	privileges := strings.Fields(known)
	return func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		args = args[len(args)-2:]
		ok, err := exists(ci, args[0])
		if err != nil {
			return types.NullDatum, err
		}
		if err := checkPrivileges(args[1].Str(), privileges); err != nil {
			return types.NullDatum, err
		}
		if !ok {
			return types.NullDatum, nil
		}
		return types.Bool(true), nil
	}
}

func checkPrivileges(list string, known []string) error {
	for p := range strings.SplitSeq(list, ",") {
		name := strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(p)), " WITH GRANT OPTION")
		if !slices.Contains(known, name) {
			return sqlstate.New(sqlstate.InvalidParameterValue, "unrecognized privilege type: \"%s\"", strings.TrimSpace(p))
		}
	}
	return nil
}

func (ci *CatalogInfo) existsRelation(d types.Datum) (bool, error) {
	rel, err := ci.relationArg(d)
	return rel != nil, err
}

func (ci *CatalogInfo) existsSequence(d types.Datum) (bool, error) {
	rel, err := ci.relationArg(d)
	if err != nil || rel == nil {
		return false, err
	}
	if rel.sequence == nil {
		return false, sqlstate.New(sqlstate.WrongObjectType, "\"%s\" is not a sequence", rel.name)
	}
	return true, nil
}

func (ci *CatalogInfo) existsSchema(d types.Datum) (bool, error) {
	if d.Kind() != types.KindString {
		return ci.schemaName(oidArg(d)) != "", nil
	}
	if ci.catalog.SchemaByName(d.Str()) == nil {
		return false, schemaNotFound(d.Str())
	}
	return true, nil
}

func (ci *CatalogInfo) existsFunction(d types.Datum) (bool, error) {
	if d.Kind() != types.KindString {
		_, ok := ci.proc(types.OID(oidArg(d)))
		return ok, nil
	}
	_, err := ci.functionWithArgs(d.Str())
	return true, err
}

func (ci *CatalogInfo) existsType(d types.Datum) (bool, error) {
	if d.Kind() != types.KindString {
		_, ok := types.ByOID(types.OID(oidArg(d)))
		return ok, nil
	}
	_, _, err := ci.parseType(d.Str())
	return true, err
}

func (ci *CatalogInfo) existsTablespace(d types.Datum) (bool, error) {
	if d.Kind() != types.KindString {
		return oidArg(d) == tablespaceDefault || oidArg(d) == tablespaceGlobal, nil
	}
	if d.Str() != "pg_default" && d.Str() != "pg_global" {
		return false, undefinedObject("tablespace", d.Str())
	}
	return true, nil
}

func (ci *CatalogInfo) existsLanguage(d types.Datum) (bool, error) {
	if d.Kind() != types.KindString {
		return oidArg(d) >= languageInternal && oidArg(d) <= languageSQL, nil
	}
	if !slices.Contains([]string{"internal", "c", "sql"}, d.Str()) {
		return false, undefinedObject("language", d.Str())
	}
	return true, nil
}

// absent is for kinds of objects of which there are none.
func absent(kind string) func(*CatalogInfo, types.Datum) (bool, error) {
	return func(_ *CatalogInfo, d types.Datum) (bool, error) {
		if d.Kind() == types.KindString {
			return false, undefinedObject(kind, d.Str())
		}
		return false, nil
	}
}

// columnPrivilege is has_column_privilege([user,] table, column, privileges).
func columnPrivilege(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
	args = args[len(args)-3:]
	rel, err := ci.relationArg(args[0])
	if err != nil {
		return types.NullDatum, err
	}
	if err := checkPrivileges(args[2].Str(), []string{"SELECT", "INSERT", "UPDATE", "REFERENCES"}); err != nil {
		return types.NullDatum, err
	}
	if rel == nil {
		return types.NullDatum, nil
	}
	byName := args[1].Kind() == types.KindString
	for _, a := range rel.attributes() {
		if !a.dropped && (byName && a.name == args[1].Str() || !byName && int64(a.num) == args[1].Int()) {
			return types.Bool(true), nil
		}
	}
	if byName {
		return types.NullDatum, sqlstate.New(sqlstate.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", args[1].Str(), rel.name)
	}
	return types.NullDatum, nil
}
