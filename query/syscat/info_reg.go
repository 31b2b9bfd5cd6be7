package syscat

import (
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// RegIn implements expr.CatalogInfo.
func (ci *CatalogInfo) RegIn(t *types.Type, name string) (types.OID, error) {
	switch t {
	case types.RegclassType:
		rel, err := ci.findRelation(name)
		return types.OID(rel.id), err
	case types.RegtypeType:
		typ, _, err := ci.parseType(name)
		if err != nil {
			return 0, err
		}
		return typ.OID, nil
	case types.RegprocType:
		return ci.functionNamed(name)
	case types.RegprocedureType:
		return ci.functionWithArgs(name)
	case types.RegoperType:
		return ci.operatorNamed(name)
	case types.RegoperatorType:
		return ci.operatorWithArgs(name)
	case types.RegcollationType:
		return ci.collationNamed(name)
	}
	parts, err := parseName(name)
	if err != nil {
		return 0, err
	}
	if len(parts) != 1 {
		return 0, invalidName()
	}
	if t == types.RegroleType {
		if id, ok := ci.roleNames().id(parts[0]); ok {
			return types.OID(id), nil
		}
		return 0, undefinedObject("role", parts[0])
	}
	if t == types.RegnamespaceType {
		if s := ci.catalog.SchemaByName(parts[0]); s != nil {
			return types.OID(s.ID), nil
		}
		return 0, schemaNotFound(parts[0])
	}
	return 0, sqlstate.New(sqlstate.FeatureNotSupported, "input of type %s is not supported", t)
}

// RegOut implements expr.CatalogInfo.
func (ci *CatalogInfo) RegOut(t *types.Type, oid types.OID) (string, bool) {
	if oid == 0 {
		if t == types.RegoperType || t == types.RegoperatorType {
			return "0", true
		}
		return "-", true
	}
	switch t {
	case types.RegclassType:
		if rel, ok := relationByID(ci.catalog, catalog.ID(oid)); ok {
			return ci.relationName(&rel), true
		}
	case types.RegtypeType:
		if typ, ok := types.ByOID(oid); ok {
			return types.FormatType(typ, types.NoTypmod), true
		}
	case types.RegnamespaceType:
		if name := ci.schemaName(catalog.ID(oid)); name != "" {
			return quoteIdent(name), true
		}
	case types.RegroleType:
		if name, ok := ci.roleNames().name(catalog.ID(oid)); ok {
			return quoteIdent(name), true
		}
	case types.RegprocType, types.RegprocedureType:
		return ci.procName(oid, t == types.RegprocedureType)
	case types.RegoperType, types.RegoperatorType:
		return operatorName(oid, t == types.RegoperatorType)
	case types.RegcollationType:
		for _, c := range collations {
			if c.id == catalog.ID(oid) {
				return quoteIdent(c.name), true
			}
		}
	}
	return "", false
}

// procName prints a function; a bare name that several functions have is
// qualified, so that it cannot be read back as one of them.
func (ci *CatalogInfo) procName(oid types.OID, withArgs bool) (string, bool) {
	p, ok := ci.proc(oid)
	if !ok {
		return "", false
	}
	name := quoteIdent(p.name)
	if p.procedure != nil && !ci.visibleProc(p) {
		name = quoteIdent(ci.schemaName(p.procedure.Schema)) + "." + name
	}
	if withArgs {
		return name + "(" + strings.Join(typeTexts(p.args), ",") + ")", true
	}
	if p.procedure == nil && len(procs().named[p.name]) > 1 {
		return "pg_catalog." + name, true
	}
	return name, true
}

func typeTexts(oids []types.OID) []string {
	out := make([]string, len(oids))
	for i, o := range oids {
		out[i] = formatType(o, types.NoTypmod)
	}
	return out
}

// systemName splits a name whose schema, if given, must be pg_catalog.
func (ci *CatalogInfo) systemName(text string) (name string, ok bool, err error) {
	schema, name, err := ci.qualified(text)
	if err != nil {
		return "", false, err
	}
	if schema != "" && ci.catalog.SchemaByName(schema) == nil {
		return "", false, schemaNotFound(schema)
	}
	return name, schema == "" || schema == "pg_catalog", nil
}

func (ci *CatalogInfo) functionNamed(text string) (types.OID, error) {
	name, ok, err := ci.systemName(text)
	if err != nil {
		return 0, err
	}
	var found []*proc
	if ok {
		found = procs().named[name]
	}
	switch len(found) {
	case 0:
		return 0, sqlstate.New(sqlstate.UndefinedFunction, "function \"%s\" does not exist", text)
	case 1:
		return found[0].oid, nil
	}
	return 0, sqlstate.New(sqlstate.AmbiguousFunction, "more than one function named \"%s\"", text)
}

// splitArgs splits "name(type, type)" and resolves the types.
func (ci *CatalogInfo) splitArgs(text string, nullable bool) (name string, args []types.OID, err error) {
	open := strings.IndexByte(text, '(')
	if open < 0 {
		return "", nil, sqlstate.New(sqlstate.InvalidTextRepresentation, "expected a left parenthesis")
	}
	list, ok := strings.CutSuffix(strings.TrimSpace(text[open+1:]), ")")
	if !ok {
		return "", nil, sqlstate.New(sqlstate.InvalidTextRepresentation, "expected a right parenthesis")
	}
	for _, a := range splitTop(list) {
		if nullable && strings.EqualFold(a, "none") {
			args = append(args, 0)
			continue
		}
		t, _, err := ci.parseType(a)
		if err != nil {
			return "", nil, err
		}
		args = append(args, t.OID)
	}
	return text[:open], args, nil
}

// splitTop splits at commas outside of parentheses.
func splitTop(list string) []string {
	if strings.TrimSpace(list) == "" {
		return nil
	}
	var out []string
	depth, from := 0, 0
	for i := range len(list) {
		switch list[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(list[from:i]))
				from = i + 1
			}
		}
	}
	return append(out, strings.TrimSpace(list[from:]))
}

func (ci *CatalogInfo) functionWithArgs(text string) (types.OID, error) {
	fn, args, err := ci.splitArgs(text, false)
	if err != nil {
		return 0, err
	}
	if oid, ok, err := ci.procedureNamed(fn, args); ok || err != nil {
		return oid, err
	}
	name, ok, err := ci.systemName(fn)
	if err != nil {
		return 0, err
	}
	for _, p := range procs().named[name] {
		if ok && equalOIDs(p.args, args) {
			return p.oid, nil
		}
	}
	return 0, sqlstate.New(sqlstate.UndefinedFunction, "function \"%s\" does not exist", text)
}

// procedureNamed finds a procedure of users by its name and types.
func (ci *CatalogInfo) procedureNamed(text string, args []types.OID) (types.OID, bool, error) {
	schema, name, err := ci.qualified(text)
	if err != nil {
		return 0, false, err
	}
	path := ci.path
	if schema != "" {
		path = []string{schema}
	}
	for _, n := range path {
		s := ci.catalog.SchemaByName(n)
		if s == nil {
			continue
		}
		for _, p := range ci.catalog.Procedures(catalog.Name{Schema: s.ID, Name: name}) {
			if equalOIDs(p.ParamTypes(), args) {
				return types.OID(p.ID), true, nil
			}
		}
	}
	return 0, false, nil
}

func equalOIDs(a, b []types.OID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// operatorSymbol takes the schema off an operator's name.
func operatorSymbol(text string) string {
	text = strings.TrimSpace(text)
	if i := strings.LastIndexByte(text, '.'); i >= 0 && text[:i] == "pg_catalog" {
		return text[i+1:]
	}
	return text
}

func (ci *CatalogInfo) operatorNamed(text string) (types.OID, error) {
	var found types.OID
	for _, o := range operators() {
		if o.Name != operatorSymbol(text) {
			continue
		}
		if found != 0 {
			return 0, sqlstate.New(sqlstate.AmbiguousFunction, "more than one operator named %s", text)
		}
		found = o.OID
	}
	if found == 0 {
		return 0, sqlstate.New(sqlstate.UndefinedFunction, "operator does not exist: %s", text)
	}
	return found, nil
}

func (ci *CatalogInfo) operatorWithArgs(text string) (types.OID, error) {
	name, args, err := ci.splitArgs(text, true)
	if err != nil {
		return 0, err
	}
	if len(args) != 2 {
		return 0, sqlstate.New(sqlstate.UndefinedParameter, "missing argument").
			WithHint("Use NONE to denote the missing argument of a unary operator.")
	}
	for _, o := range operators() {
		if o.Name == operatorSymbol(name) && typeOID(o.Left) == args[0] && typeOID(o.Right) == args[1] {
			return o.OID, nil
		}
	}
	return 0, sqlstate.New(sqlstate.UndefinedFunction, "operator does not exist: %s", text)
}

func typeOID(t *types.Type) types.OID {
	if t == nil {
		return 0
	}
	return t.OID
}

func operatorName(oid types.OID, withArgs bool) (string, bool) {
	ops := operators()
	for _, o := range ops {
		if o.OID != oid {
			continue
		}
		if withArgs {
			left := "NONE"
			if o.Left != nil {
				left = o.Left.SQLName
			}
			return o.Name + "(" + left + "," + o.Right.SQLName + ")", true
		}
		for _, other := range ops {
			if other.Name == o.Name && other != o {
				return "pg_catalog." + o.Name, true
			}
		}
		return o.Name, true
	}
	return "", false
}

func (ci *CatalogInfo) collationNamed(text string) (types.OID, error) {
	name, ok, err := ci.systemName(text)
	if err != nil {
		return 0, err
	}
	for _, c := range collations {
		if ok && c.name == name {
			return types.OID(c.id), nil
		}
	}
	return 0, sqlstate.New(sqlstate.UndefinedObject, "collation \"%s\" for encoding \"UTF8\" does not exist", text)
}

// parseType reads the name of a type in either spelling, with or without
// modifiers: int4, character varying(10), pg_catalog.text[], timestamp(3) with
// time zone.
func (ci *CatalogInfo) parseType(text string) (*types.Type, int32, error) {
	name, mods, dims, err := splitType(text)
	if err != nil {
		return nil, 0, err
	}
	t, ok := types.ByName(strings.Join(strings.Fields(strings.ToLower(name)), " "))
	if low := strings.ToLower(strings.TrimSpace(name)); low == "char" || low == "char varying" {
		// The key word means bpchar or varchar; the internal type is written "char".
		t, ok = types.BPCharType, true
		if low != "char" {
			t = types.VarcharType
		}
		if len(mods) == 0 && t == types.BPCharType {
			mods = []int32{1}
		}
	} else if strings.ContainsAny(name, `".`) {
		bare, system, err := ci.systemName(name)
		if err != nil {
			return nil, 0, err
		}
		t, ok = types.ByName(bare)
		ok = ok && system && t.Name == bare
	}
	if !ok || strings.Contains(strings.ToLower(name), "serial") {
		// serial and its siblings are notations of CREATE TABLE, not types.
		return nil, 0, undefinedObject("type", strings.TrimSpace(text))
	}
	typmod := types.NoTypmod
	if len(mods) > 0 {
		if typmod, err = types.MakeTypmod(t, mods); err != nil {
			return nil, 0, err
		}
	}
	if dims > 0 && t.Elem == nil {
		if t.Array == nil {
			return nil, 0, undefinedObject("type", strings.TrimSpace(text))
		}
		t = t.Array
	}
	return t, typmod, nil
}

// splitType takes modifiers and array bounds out of a type's name.
func splitType(text string) (name string, mods []int32, dims int, err error) {
	name = strings.TrimSpace(text)
	for strings.HasSuffix(name, "]") {
		open := strings.LastIndexByte(name, '[')
		if open < 0 {
			return "", nil, 0, invalidTypeName(text)
		}
		name = strings.TrimSpace(name[:open])
		dims++
	}
	open := strings.IndexByte(name, '(')
	if open < 0 {
		return name, nil, dims, nil
	}
	end := closing(name, open)
	if end < 0 {
		return "", nil, 0, invalidTypeName(text)
	}
	for _, m := range splitTop(name[open+1 : end]) {
		v, err := strconv.ParseInt(m, 10, 32)
		if err != nil {
			return "", nil, 0, invalidTypeName(text)
		}
		mods = append(mods, int32(v))
	}
	return name[:open] + name[end+1:], mods, dims, nil
}

func invalidTypeName(text string) error {
	return sqlstate.New(sqlstate.SyntaxError, "invalid type name \"%s\"", text)
}
