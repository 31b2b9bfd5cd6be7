package types

// OID is a PostgreSQL object identifier.
type OID uint32

// Category is pg_type.typcategory: it decides which type is preferred when
// the arguments of an operator or function are resolved.
type Category byte

// The categories PostgreSQL uses.
const (
	CategoryArray    Category = 'A'
	CategoryBool     Category = 'B'
	CategoryDateTime Category = 'D'
	CategoryNumeric  Category = 'N'
	CategoryPseudo   Category = 'P'
	CategoryString   Category = 'S'
	CategoryTimespan Category = 'T'
	CategoryUser     Category = 'U'
	CategoryUnknown  Category = 'X'
	CategoryInternal Category = 'Z'
)

// Type is a SQL type. There is exactly one *Type for each built-in type, so
// types are compared by pointer. Modifiers such as the 10 of varchar(10) are
// not part of it: they travel beside it as a typmod, with PostgreSQL's
// encoding, and -1 stands for none.
type Type struct {
	OID       OID
	Name      string // pg_type.typname: int4, timestamptz, _text
	SQLName   string // what format_type prints: integer, timestamp with time zone, text[]
	Kind      Kind
	Len       int16 // pg_type.typlen; -1 for varying, -2 for cstring
	Category  Category
	Preferred bool  // pg_type.typispreferred
	Elem      *Type // element type of an array type, else nil
	Array     *Type // the type of arrays of this type, or nil
	Pseudo    bool  // anyelement, record, void and the like: not for columns
}

// Array types, pseudo types and the registry (ByOID, ByName) are in
// registry.go.

// NoTypmod is the type modifier that means "none".
const NoTypmod int32 = -1

// The scalar types. OIDs are PostgreSQL's.
var (
	BoolType         = scalar(16, "bool", "boolean", KindBool, 1, CategoryBool, true)
	ByteaType        = scalar(17, "bytea", "bytea", KindBytes, -1, CategoryUser, false)
	CharType         = scalar(18, "char", `"char"`, KindString, 1, CategoryInternal, false)
	NameType         = scalar(19, "name", "name", KindString, 64, CategoryString, false)
	Int8Type         = scalar(20, "int8", "bigint", KindInt, 8, CategoryNumeric, false)
	Int2Type         = scalar(21, "int2", "smallint", KindInt, 2, CategoryNumeric, false)
	Int4Type         = scalar(23, "int4", "integer", KindInt, 4, CategoryNumeric, false)
	RegprocType      = scalar(24, "regproc", "regproc", KindInt, 4, CategoryNumeric, false)
	TextType         = scalar(25, "text", "text", KindString, -1, CategoryString, true)
	OIDType          = scalar(26, "oid", "oid", KindInt, 4, CategoryNumeric, true)
	XIDType          = scalar(28, "xid", "xid", KindInt, 4, CategoryUser, false)
	CIDType          = scalar(29, "cid", "cid", KindInt, 4, CategoryUser, false)
	JSONType         = scalar(114, "json", "json", KindString, -1, CategoryUser, false)
	Float4Type       = scalar(700, "float4", "real", KindFloat, 4, CategoryNumeric, false)
	Float8Type       = scalar(701, "float8", "double precision", KindFloat, 8, CategoryNumeric, true)
	UnknownType      = scalar(705, "unknown", "unknown", KindString, -2, CategoryUnknown, false)
	BPCharType       = scalar(1042, "bpchar", "character", KindString, -1, CategoryString, false)
	VarcharType      = scalar(1043, "varchar", "character varying", KindString, -1, CategoryString, false)
	DateType         = scalar(1082, "date", "date", KindDate, 4, CategoryDateTime, false)
	TimeType         = scalar(1083, "time", "time without time zone", KindTime, 8, CategoryDateTime, false)
	TimestampType    = scalar(1114, "timestamp", "timestamp without time zone", KindTimestamp, 8, CategoryDateTime, false)
	TimestampTZType  = scalar(1184, "timestamptz", "timestamp with time zone", KindTimestamp, 8, CategoryDateTime, true)
	IntervalType     = scalar(1186, "interval", "interval", KindInterval, 16, CategoryTimespan, true)
	NumericType      = scalar(1700, "numeric", "numeric", KindDecimal, -1, CategoryNumeric, false)
	RegclassType     = scalar(2205, "regclass", "regclass", KindInt, 4, CategoryNumeric, false)
	RegtypeType      = scalar(2206, "regtype", "regtype", KindInt, 4, CategoryNumeric, false)
	RegnamespaceType = scalar(4089, "regnamespace", "regnamespace", KindInt, 4, CategoryNumeric, false)
	RegroleType      = scalar(4096, "regrole", "regrole", KindInt, 4, CategoryNumeric, false)
	UUIDType         = scalar(2950, "uuid", "uuid", KindUUID, 16, CategoryUser, false)
	LSNType          = scalar(3220, "pg_lsn", "pg_lsn", KindLSN, 8, CategoryUser, false)
	JSONBType        = scalar(3802, "jsonb", "jsonb", KindJSONB, -1, CategoryUser, false)
	XID8Type         = scalar(5069, "xid8", "xid8", KindInt, 8, CategoryUser, false)
)

func scalar(oid OID, name, sqlName string, k Kind, length int16, c Category, preferred bool) *Type {
	return &Type{OID: oid, Name: name, SQLName: sqlName, Kind: k, Len: length, Category: c, Preferred: preferred}
}

// String returns the name that error messages use.
func (t *Type) String() string { return t.SQLName }
