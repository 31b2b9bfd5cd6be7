package types

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// JSONKind says which of JSON's six kinds a value is. The order is the one
// jsonb sorts by.
type JSONKind uint8

// The kinds of JSON values.
const (
	JSONNull JSONKind = iota
	JSONString
	JSONNumber
	JSONBool
	JSONArray
	JSONObject
)

// JSON is a jsonb value: parsed, with the keys of objects unique and sorted
// by length, then bytes. It is immutable.
type JSON struct {
	Kind   JSONKind
	Bool   bool
	Str    string
	Num    *apd.Decimal
	Elems  []*JSON
	Fields []JSONField
}

// JSONField is one member of an object.
type JSONField struct {
	Key   string
	Value *JSON
}

// NewJSONObject sorts fields, which it takes over; of equal keys the last
// one wins.
func NewJSONObject(fields []JSONField) *JSON {
	slices.SortStableFunc(fields, func(a, b JSONField) int { return compareJSONKeys(a.Key, b.Key) })
	out := fields[:0]
	for i, f := range fields {
		if i+1 < len(fields) && fields[i+1].Key == f.Key {
			continue
		}
		out = append(out, f)
	}
	return &JSON{Kind: JSONObject, Fields: out}
}

func compareJSONKeys(a, b string) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// Get returns the member of an object with the given key.
func (j *JSON) Get(key string) (*JSON, bool) {
	i, ok := slices.BinarySearchFunc(j.Fields, key, func(f JSONField, k string) int { return compareJSONKeys(f.Key, k) })
	if !ok {
		return nil, false
	}
	return j.Fields[i].Value, true
}

// TypeName returns what jsonb_typeof prints.
func (j *JSON) TypeName() string {
	return [...]string{"null", "string", "number", "boolean", "array", "object"}[j.Kind]
}

// Append prints j as jsonb's output function does.
func (j *JSON) Append(dst []byte) []byte { return j.append(dst, ", ", ": ") }

// AppendCompact prints j without blanks.
func (j *JSON) AppendCompact(dst []byte) []byte { return j.append(dst, ",", ":") }

func (j *JSON) append(dst []byte, comma, colon string) []byte {
	switch j.Kind {
	case JSONNull:
		return append(dst, "null"...)
	case JSONBool:
		if j.Bool {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case JSONNumber:
		return AppendDecimal(dst, j.Num)
	case JSONString:
		return AppendJSONString(dst, j.Str)
	case JSONArray:
		dst = append(dst, '[')
		for i, e := range j.Elems {
			if i > 0 {
				dst = append(dst, comma...)
			}
			dst = e.append(dst, comma, colon)
		}
		return append(dst, ']')
	}
	dst = append(dst, '{')
	for i, f := range j.Fields {
		if i > 0 {
			dst = append(dst, comma...)
		}
		dst = AppendJSONString(dst, f.Key)
		dst = append(dst, colon...)
		dst = f.Value.append(dst, comma, colon)
	}
	return append(dst, '}')
}

// String returns the text form.
func (j *JSON) String() string { return string(j.Append(nil)) }

// AppendPretty prints j as jsonb_pretty does, with four blanks per level.
func (j *JSON) AppendPretty(dst []byte, level int) []byte {
	indent := func(n int) {
		dst = append(dst, '\n')
		for range n {
			dst = append(dst, "    "...)
		}
	}
	switch j.Kind {
	case JSONArray:
		dst = append(dst, '[')
		for i, e := range j.Elems {
			if i > 0 {
				dst = append(dst, ',')
			}
			indent(level + 1)
			dst = e.AppendPretty(dst, level+1)
		}
		indent(level)
		return append(dst, ']')
	case JSONObject:
		dst = append(dst, '{')
		for i, f := range j.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			indent(level + 1)
			dst = AppendJSONString(dst, f.Key)
			dst = append(dst, ": "...)
			dst = f.Value.AppendPretty(dst, level+1)
		}
		indent(level)
		return append(dst, '}')
	}
	return j.Append(dst)
}

const hexDigits = "0123456789abcdef"

// AppendJSONString prints s as a JSON string with PostgreSQL's escapes.
func AppendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, `\u00`...)
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// CompareJSON orders jsonb values as PostgreSQL's btree does: Null < String <
// Number < Boolean < Array < Object, containers by size first; an empty array
// at the top level is less than everything.
func CompareJSON(a, b *JSON) int {
	emptyA, emptyB := a.isEmptyArray(), b.isEmptyArray()
	if emptyA != emptyB {
		if emptyA {
			return -1
		}
		return 1
	}
	return compareJSONValue(a, b)
}

func (j *JSON) isEmptyArray() bool { return j.Kind == JSONArray && len(j.Elems) == 0 }

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func compareJSONValue(a, b *JSON) int {
	if c := cmp.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	switch a.Kind {
	case JSONBool:
		return boolToInt(a.Bool) - boolToInt(b.Bool)
	case JSONString:
		return strings.Compare(a.Str, b.Str)
	case JSONNumber:
		return CompareDecimal(a.Num, b.Num)
	case JSONArray:
		if c := cmp.Compare(len(a.Elems), len(b.Elems)); c != 0 {
			return c
		}
		for i := range a.Elems {
			if c := compareJSONValue(a.Elems[i], b.Elems[i]); c != 0 {
				return c
			}
		}
	case JSONObject:
		if c := cmp.Compare(len(a.Fields), len(b.Fields)); c != 0 {
			return c
		}
		for i := range a.Fields {
			if c := strings.Compare(a.Fields[i].Key, b.Fields[i].Key); c != 0 {
				return c
			}
			if c := compareJSONValue(a.Fields[i].Value, b.Fields[i].Value); c != 0 {
				return c
			}
		}
	}
	return 0
}
