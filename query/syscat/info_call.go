package syscat

import (
	"maps"
	"strings"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// infoFunc is one function of CatalogInfo. Its arguments are in the kinds of
// one of the signatures of that name; NULL arguments of strict functions have
// been dealt with.
type infoFunc func(ci *CatalogInfo, args []types.Datum) (types.Datum, error)

// Call implements expr.CatalogInfo.
func (ci *CatalogInfo) Call(name string, args []types.Datum) (types.Datum, bool, error) {
	f, ok := infoFuncs[name]
	if !ok {
		return types.NullDatum, false, nil
	}
	d, err := f(ci, args)
	return d, true, err
}

// infoFuncs are all of them by name.
var infoFuncs = merged(definitionFuncs, visibilityFuncs, nameFuncs, sizeFuncs, sequenceFuncs, privilegeFuncs, publicationFuncs, absentFuncs)

func merged(parts ...map[string]infoFunc) map[string]infoFunc {
	out := map[string]infoFunc{}
	for _, m := range parts {
		maps.Copy(out, m)
	}
	return out
}

// oidArg is an argument of type oid or of a reg type.
func oidArg(d types.Datum) catalog.ID {
	if d.Kind() != types.KindInt || d.Int() < 0 || d.Int() > 1<<32-1 {
		return 0
	}
	return catalog.ID(d.Int())
}

// flag is an optional boolean argument.
func flag(args []types.Datum, i int) bool {
	return i < len(args) && args[i].Kind() == types.KindBool && args[i].Bool()
}

// definitionFuncs print how objects are defined.
var definitionFuncs = map[string]infoFunc{
	"pg_get_indexdef": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		t, i := ci.catalog.IndexTable(oidArg(args[0]))
		if t == nil || i < 0 {
			return types.NullDatum, nil
		}
		ix := &t.Indexes[i]
		if len(args) > 1 && args[1].Int() != 0 {
			return str(indexColumnDef(t, ix, args[1].Int())), nil
		}
		return str(ci.indexDef(t, ix, flag(args, 2))), nil
	},
	"pg_get_constraintdef": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		k, ok := ci.constraintByID(oidArg(args[0]))
		if !ok {
			return types.NullDatum, nil
		}
		return str(ci.constraintDef(&k, flag(args, 1))), nil
	},
	// Expressions are kept as text, so there is nothing to translate.
	"pg_get_expr": func(_ *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if flag(args, 2) {
			return str(prettyExpr(args[0].Str())), nil
		}
		return args[0], nil
	},
	"pg_get_viewdef": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		rel, err := ci.relationArg(args[0])
		if err != nil || rel == nil || rel.view == nil {
			return types.NullDatum, err // what the system computes has no definition in SQL
		}
		return str(rel.view.Query), nil
	},
	"pg_get_functiondef": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		p, ok := ci.proc(types.OID(oidArg(args[0])))
		if !ok {
			return types.NullDatum, nil
		}
		if p.procedure != nil {
			return str(ci.procedureDef(p)), nil
		}
		return types.NullDatum, sqlstate.New(sqlstate.FeatureNotSupported, "pg_get_functiondef is not supported")
	},
	"pg_get_function_arguments": procText(func(p *proc) string { return p.arguments }),
	"pg_get_function_identity_arguments": procText(func(p *proc) string {
		if p.procedure != nil {
			return p.identity
		}
		return strings.Join(typeTexts(p.args), ", ")
	}),
	"pg_get_function_result": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		p, ok := ci.proc(types.OID(oidArg(args[0])))
		if !ok || p.procedure != nil {
			return types.NullDatum, nil // a procedure has none
		}
		return str(p.result), nil
	},
	"pg_describe_object": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		o := object{oidArg(args[0]), oidArg(args[1]), catalog.ColumnNum(args[2].Int())}
		return strOrNull(ci.describe(o)), nil
	},
}

func procText(f func(*proc) string) infoFunc {
	return func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		p, ok := ci.proc(types.OID(oidArg(args[0])))
		if !ok {
			return types.NullDatum, nil
		}
		return str(f(p)), nil
	}
}

// relationArg is the relation that an argument names or numbers; nil when there
// is none of that number.
func (ci *CatalogInfo) relationArg(d types.Datum) (*relation, error) {
	if d.Kind() == types.KindString {
		rel, err := ci.findRelation(d.Str())
		return &rel, err
	}
	rel, ok := relationByID(ci.catalog, oidArg(d))
	if !ok {
		return nil, nil
	}
	return &rel, nil
}

// visibilityFuncs say whether a bare name means the object.
var visibilityFuncs = map[string]infoFunc{
	"pg_table_is_visible": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		rel, ok := relationByID(ci.catalog, oidArg(args[0]))
		if !ok {
			return types.NullDatum, nil
		}
		return types.Bool(ci.visible(&rel)), nil
	},
	"pg_type_is_visible": systemVisible(func(id catalog.ID) bool {
		_, ok := types.ByOID(types.OID(id))
		return ok
	}),
	"pg_function_is_visible": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		p, ok := ci.proc(types.OID(oidArg(args[0])))
		if !ok {
			return types.NullDatum, nil
		}
		return types.Bool(ci.visibleProc(p)), nil
	},
	"pg_operator_is_visible": systemVisible(func(id catalog.ID) bool {
		_, ok := operatorName(types.OID(id), false)
		return ok
	}),
	"pg_opclass_is_visible":        systemVisible(func(id catalog.ID) bool { return hasRecord(btree().classes, id) }),
	"pg_opfamily_is_visible":       systemVisible(func(id catalog.ID) bool { return hasRecord(btree().families, id) }),
	"pg_collation_is_visible":      systemVisible(func(id catalog.ID) bool { return id == 100 || id == 950 || id == 951 }),
	"pg_conversion_is_visible":     nothing,
	"pg_statistics_obj_is_visible": nothing,
	"pg_ts_parser_is_visible":      nothing,
	"pg_ts_dict_is_visible":        nothing,
	"pg_ts_template_is_visible":    nothing,
	"pg_ts_config_is_visible":      nothing,
}

// systemVisible is for objects that are all in pg_catalog, which is always
// searched; NULL for one that does not exist.
func systemVisible(exists func(catalog.ID) bool) infoFunc {
	return func(_ *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if !exists(oidArg(args[0])) {
			return types.NullDatum, nil
		}
		return types.Bool(true), nil
	}
}

func hasRecord(list []opRecord, id catalog.ID) bool {
	for i := range list {
		if list[i].id == int64(id) {
			return true
		}
	}
	return false
}

// nothing answers NULL: the objects such a function is about do not exist.
func nothing(*CatalogInfo, []types.Datum) (types.Datum, error) { return types.NullDatum, nil }

func always(d types.Datum) infoFunc {
	return func(*CatalogInfo, []types.Datum) (types.Datum, error) { return d, nil }
}

// absentFuncs are about things this database does not have.
var absentFuncs = map[string]infoFunc{
	"pg_get_ruledef":                       nothing,
	"pg_get_triggerdef":                    nothing,
	"pg_get_partkeydef":                    nothing,
	"pg_get_partition_constraintdef":       nothing,
	"pg_get_statisticsobjdef":              nothing,
	"pg_get_statisticsobjdef_columns":      nothing,
	"pg_get_statisticsobjdef_expressions":  nothing,
	"pg_get_function_sqlbody":              nothing,
	"pg_get_function_arg_default":          nothing,
	"pg_partition_root":                    nothing,
	"pg_collation_actual_version":          nothing,
	"pg_database_collation_actual_version": nothing,
	"pg_filenode_relation":                 nothing,
	"pg_relation_filepath":                 nothing,
}
