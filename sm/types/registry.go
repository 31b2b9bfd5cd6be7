package types

import (
	"slices"
	"strings"
)

// Pseudo types and the few system types that exist so that catalogs and
// function signatures read as PostgreSQL's do.
var (
	Int2VectorType   = vector(22, "int2vector", Int2Type)
	OIDVectorType    = vector(30, "oidvector", OIDType)
	PGNodeTreeType   = scalar(194, "pg_node_tree", "pg_node_tree", KindString, -1, CategoryInternal, false)
	ACLItemType      = scalar(1033, "aclitem", "aclitem", KindString, 12, CategoryUser, false)
	RegprocedureType = scalar(2202, "regprocedure", "regprocedure", KindInt, 4, CategoryNumeric, false)
	RegoperType      = scalar(2203, "regoper", "regoper", KindInt, 4, CategoryNumeric, false)
	RegoperatorType  = scalar(2204, "regoperator", "regoperator", KindInt, 4, CategoryNumeric, false)
	RegcollationType = scalar(4191, "regcollation", "regcollation", KindInt, 4, CategoryNumeric, false)

	RecordType                = pseudo(2249, "record", KindTuple, -1)
	CStringType               = pseudo(2275, "cstring", KindString, -2)
	AnyType                   = namedPseudo(2276, "any", `"any"`, KindNull, 4)
	AnyArrayType              = pseudo(2277, "anyarray", KindArray, -1)
	VoidType                  = pseudo(2278, "void", KindVoid, 4)
	TriggerType               = pseudo(2279, "trigger", KindNull, 4)
	LanguageHandlerType       = pseudo(2280, "language_handler", KindNull, 4)
	InternalType              = pseudo(2281, "internal", KindNull, 8)
	AnyElementType            = pseudo(2283, "anyelement", KindNull, 4)
	AnyNonArrayType           = pseudo(2776, "anynonarray", KindNull, 4)
	AnyCompatibleType         = pseudo(5077, "anycompatible", KindNull, 4)
	AnyCompatibleArrayType    = pseudo(5078, "anycompatiblearray", KindArray, -1)
	AnyCompatibleNonArrayType = pseudo(5079, "anycompatiblenonarray", KindNull, 4)
)

// The array types. OIDs are PostgreSQL's.
var (
	JSONArrayType         = arrayOf(199, JSONType)
	XID8ArrayType         = arrayOf(271, XID8Type)
	BoolArrayType         = arrayOf(1000, BoolType)
	ByteaArrayType        = arrayOf(1001, ByteaType)
	CharArrayType         = arrayOf(1002, CharType)
	NameArrayType         = arrayOf(1003, NameType)
	Int2ArrayType         = arrayOf(1005, Int2Type)
	Int2VectorArrayType   = arrayOf(1006, Int2VectorType)
	Int4ArrayType         = arrayOf(1007, Int4Type)
	RegprocArrayType      = arrayOf(1008, RegprocType)
	TextArrayType         = arrayOf(1009, TextType)
	XIDArrayType          = arrayOf(1011, XIDType)
	CIDArrayType          = arrayOf(1012, CIDType)
	OIDVectorArrayType    = arrayOf(1013, OIDVectorType)
	BPCharArrayType       = arrayOf(1014, BPCharType)
	VarcharArrayType      = arrayOf(1015, VarcharType)
	Int8ArrayType         = arrayOf(1016, Int8Type)
	Float4ArrayType       = arrayOf(1021, Float4Type)
	Float8ArrayType       = arrayOf(1022, Float8Type)
	OIDArrayType          = arrayOf(1028, OIDType)
	ACLItemArrayType      = arrayOf(1034, ACLItemType)
	TimestampArrayType    = arrayOf(1115, TimestampType)
	DateArrayType         = arrayOf(1182, DateType)
	TimeArrayType         = arrayOf(1183, TimeType)
	TimestampTZArrayType  = arrayOf(1185, TimestampTZType)
	IntervalArrayType     = arrayOf(1187, IntervalType)
	NumericArrayType      = arrayOf(1231, NumericType)
	CStringArrayType      = pseudoArray(1263, CStringType)
	RegprocedureArrayType = arrayOf(2207, RegprocedureType)
	RegoperArrayType      = arrayOf(2208, RegoperType)
	RegoperatorArrayType  = arrayOf(2209, RegoperatorType)
	RegclassArrayType     = arrayOf(2210, RegclassType)
	RegtypeArrayType      = arrayOf(2211, RegtypeType)
	RecordArrayType       = pseudoArray(2287, RecordType)
	UUIDArrayType         = arrayOf(2951, UUIDType)
	LSNArrayType          = arrayOf(3221, LSNType)
	JSONBArrayType        = arrayOf(3807, JSONBType)
	RegnamespaceArrayType = arrayOf(4090, RegnamespaceType)
	RegroleArrayType      = arrayOf(4097, RegroleType)
	RegcollationArrayType = arrayOf(4192, RegcollationType)
)

// all lists every type; newRegistry sorts it.
var all = []*Type{
	BoolType, ByteaType, CharType, NameType, Int8Type, Int2Type, Int4Type, RegprocType, TextType, OIDType,
	XIDType, CIDType, JSONType, Float4Type, Float8Type, UnknownType, BPCharType, VarcharType, DateType,
	TimeType, TimestampType, TimestampTZType, IntervalType, NumericType, RegclassType, RegtypeType,
	RegnamespaceType, RegroleType, UUIDType, LSNType, JSONBType, XID8Type,
	Int2VectorType, OIDVectorType, PGNodeTreeType, ACLItemType, RegprocedureType, RegoperType,
	RegoperatorType, RegcollationType, RecordType, CStringType, AnyType, AnyArrayType, VoidType, TriggerType,
	LanguageHandlerType, InternalType, AnyElementType, AnyNonArrayType, AnyCompatibleType,
	AnyCompatibleArrayType, AnyCompatibleNonArrayType,
	JSONArrayType, XID8ArrayType, BoolArrayType, ByteaArrayType, CharArrayType, NameArrayType, Int2ArrayType,
	Int2VectorArrayType, Int4ArrayType, RegprocArrayType, TextArrayType, XIDArrayType, CIDArrayType,
	OIDVectorArrayType, BPCharArrayType, VarcharArrayType, Int8ArrayType, Float4ArrayType, Float8ArrayType,
	OIDArrayType, ACLItemArrayType, TimestampArrayType, DateArrayType, TimeArrayType, TimestampTZArrayType,
	IntervalArrayType, NumericArrayType, CStringArrayType, RegprocedureArrayType, RegoperArrayType,
	RegoperatorArrayType, RegclassArrayType, RegtypeArrayType, RecordArrayType, UUIDArrayType, LSNArrayType,
	JSONBArrayType, RegnamespaceArrayType, RegroleArrayType, RegcollationArrayType,
}

type registry struct {
	sorted []*Type
	byOID  map[OID]*Type
	byName map[string]*Type
}

var types = newRegistry()

func newRegistry() *registry {
	r := &registry{sorted: slices.Clone(all), byOID: map[OID]*Type{}, byName: map[string]*Type{}}
	slices.SortFunc(r.sorted, func(a, b *Type) int { return int(int64(a.OID) - int64(b.OID)) })
	for _, t := range r.sorted {
		r.byOID[t.OID] = t
		r.byName[t.SQLName] = t
	}
	// pg_type names win over SQL spellings: "char" (18) is the type named
	// char, while the SQL spelling character means bpchar.
	for _, t := range r.sorted {
		r.byName[t.Name] = t
	}
	for alias, t := range map[string]*Type{
		"int": Int4Type, "decimal": NumericType, "dec": NumericType, "float": Float8Type,
		"char varying": VarcharType, "national character": BPCharType, "nchar": BPCharType,
		"timestamp": TimestampType, "time": TimeType, "serial": Int4Type, "bigserial": Int8Type,
		"smallserial": Int2Type, "serial4": Int4Type, "serial8": Int8Type, "serial2": Int2Type,
	} {
		r.byName[alias] = t
	}
	return r
}

// ByOID returns the built-in type with the given OID.
func ByOID(oid OID) (*Type, bool) {
	t, ok := types.byOID[oid]
	return t, ok
}

// ByName returns the built-in type with the given pg_type name (int4, _text)
// or SQL spelling (integer, character varying, text[]). Names are matched in
// lower case; modifiers are not accepted. The name char is the one-byte
// internal type, as in pg_type: the parser maps the SQL keyword CHAR to bpchar
// before it asks.
func ByName(name string) (*Type, bool) {
	if t, ok := types.byName[name]; ok {
		return t, true
	}
	name = strings.ToLower(strings.Join(strings.Fields(name), " "))
	if t, ok := types.byName[name]; ok {
		return t, true
	}
	if base, ok := strings.CutSuffix(name, "[]"); ok {
		for strings.HasSuffix(base, "[]") {
			base = strings.TrimSuffix(base, "[]")
		}
		if t, ok := types.byName[strings.TrimSpace(base)]; ok && t.Array != nil {
			return t.Array, true
		}
	}
	return nil, false
}

// All returns every built-in type in OID order. The caller must not change
// the slice.
func All() []*Type { return types.sorted }

func arrayOf(oid OID, elem *Type) *Type {
	t := &Type{OID: oid, Name: "_" + elem.Name, SQLName: elem.SQLName + "[]", Kind: KindArray, Len: -1,
		Category: CategoryArray, Elem: elem}
	elem.Array = t
	return t
}

func pseudoArray(oid OID, elem *Type) *Type {
	t := arrayOf(oid, elem)
	t.Pseudo = true
	t.Category = CategoryPseudo
	return t
}

// vector makes int2vector and oidvector: one-dimensional arrays whose lower
// bound is 0 and whose text is the elements with blanks between them.
func vector(oid OID, name string, elem *Type) *Type {
	return &Type{OID: oid, Name: name, SQLName: name, Kind: KindArray, Len: -1, Category: CategoryArray, Elem: elem}
}

func pseudo(oid OID, name string, k Kind, length int16) *Type {
	return namedPseudo(oid, name, name, k, length)
}

func namedPseudo(oid OID, name, sqlName string, k Kind, length int16) *Type {
	t := scalar(oid, name, sqlName, k, length, CategoryPseudo, false)
	t.Pseudo = true
	return t
}

// IsVector reports whether t is int2vector or oidvector.
func (t *Type) IsVector() bool { return t == Int2VectorType || t == OIDVectorType }

// IsReg reports whether t is one of the types that hold an OID and print the
// name of the object.
func (t *Type) IsReg() bool {
	switch t {
	case RegprocType, RegclassType, RegtypeType, RegnamespaceType, RegroleType, RegprocedureType,
		RegoperType, RegoperatorType, RegcollationType:
		return true
	}
	return false
}
