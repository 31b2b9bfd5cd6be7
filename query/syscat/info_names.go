package syscat

import (
	"strconv"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// nameFuncs translate between names and numbers, and find comments.
var nameFuncs = map[string]infoFunc{
	"pg_get_userbyid": func(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
		if name, ok := ci.roleName(oidArg(args[0])); ok {
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
		if args[1].Str() == "pg_database" && oidArg(args[0]) == postgresOID {
			return str(databaseComment), nil
		}
		return types.NullDatum, nil
	},
	"pg_tablespace_location": always(types.String("")),
	"pg_encoding_max_length": encodingLength,
	"acldefault":             aclDefault,
}

// encodingBytes is how long a character of each of PostgreSQL's encodings can
// be, by the encoding's number.
const encodingBytes = "133343441111111111111111111111111112222432"

// encodingLength is pg_encoding_max_length().
func encodingLength(_ *CatalogInfo, args []types.Datum) (types.Datum, error) {
	n := args[0].Int()
	if n < 0 || n >= int64(len(encodingBytes)) {
		return types.NullDatum, nil
	}
	return num(int(encodingBytes[n] - '0')), nil
}

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
