package syscat

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// nameFuncs translate between names and numbers, and find comments.
var nameFuncs = map[string]infoFunc{
	"format_type": func(_ *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if args[0].IsNull() {
			return types.NullDatum, nil
		}
		typmod := types.NoTypmod
		if !args[1].IsNull() {
			typmod = int32(args[1].Int())
		}
		return str(formatType(types.OID(oidArg(args[0])), typmod)), nil
	},
	"pg_get_userbyid": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if name, ok := ci.roleNames().name(oidArg(args[0])); ok {
			return str(name), nil
		}
		return str("unknown (OID=" + strconv.FormatInt(args[0].Int(), 10) + ")"), nil
	},
	"obj_description": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		o := object{class: classClass, id: oidArg(args[0])}
		if len(args) == 1 {
			// Without a catalog any object of that number is meant.
			if s := ci.comment(object{class: classNamespace, id: o.id}); s != "" {
				return str(s), nil
			}
			return strOrNull(ci.comment(o)), nil
		}
		t := Lookup("pg_catalog", args[1].Str())
		if t == nil {
			return types.NullDatum, nil
		}
		o.class = t.ID
		return strOrNull(ci.comment(o)), nil
	},
	"col_description": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		n := args[1].Int()
		if n < 1 || n > 1<<15-1 {
			return types.NullDatum, nil
		}
		return strOrNull(ci.comment(object{classClass, oidArg(args[0]), catalog.ColumnNum(n)})), nil
	},
	"shobj_description": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if args[1].Str() == "pg_database" && oidArg(args[0]) == databaseOID && ci.database == defaultDatabase {
			return str(databaseComment), nil
		}
		return types.NullDatum, nil
	},
	"to_regclass":      tolerant(types.RegclassType),
	"to_regtype":       tolerant(types.RegtypeType),
	"to_regproc":       tolerant(types.RegprocType),
	"to_regprocedure":  tolerant(types.RegprocedureType),
	"to_regoper":       tolerant(types.RegoperType),
	"to_regoperator":   tolerant(types.RegoperatorType),
	"to_regnamespace":  tolerant(types.RegnamespaceType),
	"to_regrole":       tolerant(types.RegroleType),
	"to_regcollation":  tolerant(types.RegcollationType),
	"current_database": func(ci *CatalogInfo, _ []types.Datum) (types.Datum, error) { return str(ci.database), nil },
	"current_schema": func(ci *CatalogInfo, _ []types.Datum) (types.Datum, error) {
		if len(ci.shown) == 0 {
			return types.NullDatum, nil
		}
		return str(ci.shown[0]), nil
	},
	"current_schemas": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if flag(args, 0) {
			return textArray(types.NameType, ci.path), nil
		}
		return textArray(types.NameType, ci.shown), nil
	},
	"pg_encoding_to_char": func(_ *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if n := args[0].Int(); n >= 0 && n < int64(len(encodings)) {
			return str(encodings[n]), nil
		}
		return str(""), nil
	},
	"pg_char_to_encoding": func(_ *CatalogInfo, args []types.Datum) (types.Datum, error) {
		return num(slices.IndexFunc(encodings, func(e string) bool { return encodingKey(e) == encodingKey(args[0].Str()) })), nil
	},
	"getdatabaseencoding":    always(types.String("UTF8")),
	"pg_tablespace_location": always(types.String("")),
	"acldefault":             aclDefault,
}

// encodings are PostgreSQL's, by number.
var encodings = strings.Fields(`SQL_ASCII EUC_JP EUC_CN EUC_KR EUC_TW EUC_JIS_2004 UTF8 MULE_INTERNAL LATIN1 LATIN2 LATIN3
LATIN4 LATIN5 LATIN6 LATIN7 LATIN8 LATIN9 LATIN10 WIN1256 WIN1258 WIN866 WIN874 KOI8R WIN1251 WIN1252 ISO_8859_5 ISO_8859_6
ISO_8859_7 ISO_8859_8 WIN1250 WIN1253 WIN1254 WIN1255 WIN1257 KOI8U SJIS BIG5 GBK UHC GB18030 JOHAB SHIFT_JIS_2004`)

// encodingKey is what encodings are compared by: case, hyphens and underscores
// do not count, and unicode is UTF-8.
func encodingKey(name string) string {
	key := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(name))
	if key == "unicode" {
		return "utf8"
	}
	return key
}

// tolerant is the input of a reg type that answers NULL when nothing has the
// name.
func tolerant(t *types.Type) infoFunc {
	return func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		oid, err := ci.RegIn(t, args[0].Str())
		if err == nil {
			return num(oid), nil
		}
		var e *sqlstate.Error
		if errors.As(err, &e) && slices.Contains(missingCodes, e.Code) {
			return types.NullDatum, nil
		}
		return types.NullDatum, err
	}
}

// missingCodes are the errors that mean that there is no such object.
var missingCodes = []sqlstate.Code{sqlstate.UndefinedTable, sqlstate.UndefinedObject, sqlstate.UndefinedFunction,
	sqlstate.AmbiguousFunction, sqlstate.InvalidSchemaName}

// aclDefault is acldefault(): what is granted on an object nobody has granted
// anything on.
func aclDefault(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
	kind := args[0].Str()
	rights, ok := defaultRights[kind]
	if !ok {
		return types.NullDatum, sqlstate.New(sqlstate.InternalError, "unrecognized object type abbreviation: %s", kind)
	}
	owner, ok := ci.roleNames().name(oidArg(args[1]))
	if !ok {
		owner = strconv.FormatInt(args[1].Int(), 10)
	}
	owner = quoteIdent(owner)
	var items []string
	if rights.public != "" {
		items = append(items, "="+rights.public+"/"+owner)
	}
	if rights.owner != "" {
		items = append(items, owner+"="+rights.owner+"/"+owner)
	}
	return textArray(types.ACLItemType, items), nil
}

// defaultRights are the letters of the rights that everybody and the owner have,
// by the letter of the kind of object.
var defaultRights = map[string]struct{ public, owner string }{
	"c": {}, "r": {"", "arwdDxt"}, "s": {"", "rwU"}, "d": {"Tc", "CTc"}, "f": {"X", "X"}, "l": {"U", "U"}, "L": {"", "rw"},
	"n": {"", "UC"}, "p": {"", "sA"}, "t": {"", "C"}, "F": {"", "U"}, "S": {"", "U"}, "T": {"U", "U"},
}
