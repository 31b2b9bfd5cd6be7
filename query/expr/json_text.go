package expr

import (
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// A json value is text that is known to be valid; the functions here walk it
// without building a tree, so that what they return is the text as it was.

func skipJSONSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// jsonValueEnd returns where the value beginning at i ends.
func jsonValueEnd(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch s[i] {
		case '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
			i++
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++
			continue
		default:
			for i < len(s) && strings.IndexByte(",:]} \t\n\r", s[i]) < 0 {
				i++
			}
		}
		if depth <= 0 {
			break
		}
	}
	return min(i, len(s))
}

// jsonMember is an element of a json array (key empty) or object.
type jsonMember struct{ key, value string }

// jsonMembers lists the members of the container s, in their order.
func jsonMembers(s string) ([]jsonMember, error) {
	i := skipJSONSpace(s, 0)
	object := s[i] == '{'
	var out []jsonMember
	for i = skipJSONSpace(s, i+1); i < len(s) && s[i] != '}' && s[i] != ']'; {
		var m jsonMember
		if object {
			end := jsonValueEnd(s, i)
			j, err := types.ParseJSON(s[i:end])
			if err != nil {
				return nil, err
			}
			m.key = j.Str
			i = skipJSONSpace(s, end)
			i = skipJSONSpace(s, i+1) // the colon
		}
		end := jsonValueEnd(s, i)
		m.value = s[i:end]
		out = append(out, m)
		if i = skipJSONSpace(s, end); i < len(s) && s[i] == ',' {
			i = skipJSONSpace(s, i+1)
		}
	}
	return out, nil
}

// jsonKindOf tells a json value's kind by its first character.
func jsonKindOf(s string) types.JSONKind {
	switch s[skipJSONSpace(s, 0)] {
	case '{':
		return types.JSONObject
	case '[':
		return types.JSONArray
	case '"':
		return types.JSONString
	case 't', 'f':
		return types.JSONBool
	case 'n':
		return types.JSONNull
	}
	return types.JSONNumber
}

func jsonField(s, key string) (string, bool, error) {
	if jsonKindOf(s) != types.JSONObject {
		return "", false, nil
	}
	members, err := jsonMembers(s)
	if err != nil {
		return "", false, err
	}
	for i := len(members) - 1; i >= 0; i-- {
		if members[i].key == key {
			return members[i].value, true, nil
		}
	}
	return "", false, nil
}

func jsonElement(s string, index int64) (string, bool, error) {
	if jsonKindOf(s) != types.JSONArray {
		return "", false, nil
	}
	members, err := jsonMembers(s)
	if err != nil {
		return "", false, err
	}
	if index < 0 {
		index += int64(len(members))
	}
	if index < 0 || index >= int64(len(members)) {
		return "", false, nil
	}
	return members[index].value, true, nil
}

// jsonPath follows a path of keys and indexes.
func jsonPath(s string, path []datum) (string, bool, error) {
	for _, p := range path {
		if p.IsNull() {
			return "", false, nil
		}
		var ok bool
		var err error
		if jsonKindOf(s) == types.JSONArray {
			index, isIndex := pathIndex(p.Str())
			if !isIndex {
				return "", false, nil
			}
			s, ok, err = jsonElement(s, index)
		} else {
			s, ok, err = jsonField(s, p.Str())
		}
		if !ok || err != nil {
			return "", false, err
		}
	}
	return s, true, nil
}

func pathIndex(s string) (int64, bool) {
	d, err := types.Int4Type.Parse(nil, s, types.NoTypmod)
	if err != nil {
		return 0, false
	}
	return d.Int(), true
}

// jsonResult makes what was found a json value or, asText, its text.
func jsonResult(s string, ok bool, err error, asText bool) (datum, error) {
	if !ok || err != nil {
		return null, err
	}
	if !asText {
		return types.String(s), nil
	}
	return jsonTextOf(s)
}

// jsonTextOf is a json value as text: strings without quotes, null as NULL.
func jsonTextOf(s string) (datum, error) {
	switch jsonKindOf(s) {
	case types.JSONNull:
		return null, nil
	case types.JSONString:
		j, err := types.ParseJSON(s)
		if err != nil {
			return null, err
		}
		return types.String(j.Str), nil
	}
	return types.String(strings.TrimRight(s[skipJSONSpace(s, 0):], " \t\n\r")), nil
}

func jsonGet(asText, byIndex bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		if byIndex {
			s, ok, err := jsonElement(a[0].Str(), a[1].Int())
			return jsonResult(s, ok, err, asText)
		}
		s, ok, err := jsonField(a[0].Str(), a[1].Str())
		return jsonResult(s, ok, err, asText)
	}
}

func jsonGetPath(asText bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		s, ok, err := jsonPath(a[0].Str(), a[1].Array().Elems)
		return jsonResult(s, ok, err, asText)
	}
}

func cannotOnScalar(format string, args ...any) error {
	return sqlstate.New(sqlstate.InvalidParameterValue, format, args...)
}

func jsonArrayLength(_ *Ctx, a []datum) (datum, error) {
	switch jsonKindOf(a[0].Str()) {
	case types.JSONArray:
	case types.JSONObject:
		return null, cannotOnScalar("cannot get array length of a non-array")
	default:
		return null, cannotOnScalar("cannot get array length of a scalar")
	}
	members, err := jsonMembers(a[0].Str())
	return types.Int(int64(len(members))), err
}

// jsonStripNulls drops members of objects that are null, everywhere.
func jsonStripNulls(dst []byte, s string) ([]byte, error) {
	kind := jsonKindOf(s)
	if kind != types.JSONArray && kind != types.JSONObject {
		return append(dst, strings.TrimSpace(s)...), nil
	}
	members, err := jsonMembers(s)
	if err != nil {
		return nil, err
	}
	open, end := byte('['), byte(']')
	if kind == types.JSONObject {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	first := true
	for _, m := range members {
		if kind == types.JSONObject && jsonKindOf(m.value) == types.JSONNull {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if kind == types.JSONObject {
			dst = append(types.AppendJSONString(dst, m.key), ':')
		}
		if dst, err = jsonStripNulls(dst, m.value); err != nil {
			return nil, err
		}
	}
	return append(dst, end), nil
}

func jsonElements(asText bool) setFunc {
	return func(_ *Ctx, a []datum) (RowIter, error) {
		name := "json_array_elements"
		if asText {
			name += "_text"
		}
		switch jsonKindOf(a[0].Str()) {
		case types.JSONArray:
		case types.JSONObject:
			return nil, cannotOnScalar("cannot call %s on a non-array", name)
		default:
			return nil, cannotOnScalar("cannot call %s on a scalar", name)
		}
		members, err := jsonMembers(a[0].Str())
		if err != nil {
			return nil, err
		}
		out := make([]datum, len(members))
		for i, m := range members {
			if out[i], err = jsonResult(m.value, true, nil, asText); err != nil {
				return nil, err
			}
		}
		return valuesIter(out), nil
	}
}

func needObject(kind types.JSONKind, name string) error {
	switch kind {
	case types.JSONObject:
		return nil
	case types.JSONArray:
		if strings.HasSuffix(name, "object_keys") {
			return cannotOnScalar("cannot call %s on an array", name)
		}
		if strings.HasPrefix(name, "json_") {
			return cannotOnScalar("cannot deconstruct an array as an object")
		}
		return cannotOnScalar("cannot call %s on a non-object", name)
	}
	if strings.HasPrefix(name, "json_each") {
		return cannotOnScalar("cannot deconstruct a scalar")
	}
	if strings.HasPrefix(name, "jsonb_each") {
		return cannotOnScalar("cannot call %s on a non-object", name)
	}
	return cannotOnScalar("cannot call %s on a scalar", name)
}

func jsonEach(asText bool) setFunc {
	return func(_ *Ctx, a []datum) (RowIter, error) {
		if err := needObject(jsonKindOf(a[0].Str()), "json_each"); err != nil {
			return nil, err
		}
		members, err := jsonMembers(a[0].Str())
		if err != nil {
			return nil, err
		}
		it := &sliceIter{}
		for _, m := range members {
			v, err := jsonResult(m.value, true, nil, asText)
			if err != nil {
				return nil, err
			}
			it.rows = append(it.rows, []datum{types.String(m.key), v})
		}
		return it, nil
	}
}

func jsonObjectKeys(_ *Ctx, a []datum) (RowIter, error) {
	if err := needObject(jsonKindOf(a[0].Str()), "json_object_keys"); err != nil {
		return nil, err
	}
	members, err := jsonMembers(a[0].Str())
	if err != nil {
		return nil, err
	}
	var out []datum
	for _, m := range members {
		out = append(out, types.String(m.key))
	}
	return valuesIter(out), nil
}

// objectFromArrays is json_object and jsonb_object.
func objectFromArrays(binary bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		keys, values, err := pairArrays(a)
		if err != nil {
			return null, err
		}
		dst := []byte{'{'}
		for i, k := range keys {
			if k.IsNull() {
				return null, sqlstate.New(sqlstate.NullValueNotAllowed, "null value not allowed for object key")
			}
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(types.AppendJSONString(dst, k.Str()), " : "...)
			if values[i].IsNull() {
				dst = append(dst, "null"...)
			} else {
				dst = types.AppendJSONString(dst, values[i].Str())
			}
		}
		dst = append(dst, '}')
		if binary {
			return types.JSONBType.Parse(nil, string(dst), types.NoTypmod)
		}
		return types.String(string(dst)), nil
	}
}

func pairArrays(a []datum) (keys, values []datum, err error) {
	wrong := func(msg string) error { return sqlstate.New(sqlstate.ArraySubscriptError, "%s", msg) }
	x := a[0].Array()
	if len(a) == 2 {
		y := a[1].Array()
		if len(x.Dims) > 1 || len(y.Dims) > 1 {
			return nil, nil, wrong("wrong number of array subscripts")
		}
		if len(x.Elems) != len(y.Elems) {
			return nil, nil, wrong("mismatched array dimensions")
		}
		return x.Elems, y.Elems, nil
	}
	switch {
	case len(x.Dims) > 2:
		return nil, nil, wrong("wrong number of array subscripts")
	case len(x.Dims) == 2 && x.Dims[1] != 2:
		return nil, nil, wrong("array must have two columns")
	case len(x.Elems)%2 != 0:
		return nil, nil, wrong("array must have even number of elements")
	}
	for i := 0; i < len(x.Elems); i += 2 {
		keys, values = append(keys, x.Elems[i]), append(values, x.Elems[i+1])
	}
	return keys, values, nil
}

var jsonTextEvals = map[string]evalFunc{
	"json_object_field": jsonGet(false, false), "json_object_field_text": jsonGet(true, false),
	"json_array_element": jsonGet(false, true), "json_array_element_text": jsonGet(true, true),
	"json_extract_path": jsonGetPath(false), "json_extract_path_text": jsonGetPath(true),
	"json_array_length": jsonArrayLength,
	"json_typeof": func(_ *Ctx, a []datum) (datum, error) {
		return types.String((&types.JSON{Kind: jsonKindOf(a[0].Str())}).TypeName()), nil
	},
	"json_strip_nulls": func(_ *Ctx, a []datum) (datum, error) {
		out, err := jsonStripNulls(nil, a[0].Str())
		return types.String(string(out)), err
	},
	"json_object(_text)": objectFromArrays(false), "json_object(_text,_text)": objectFromArrays(false),
	"jsonb_object(_text)": objectFromArrays(true), "jsonb_object(_text,_text)": objectFromArrays(true),
}

var jsonSets = map[string]setFunc{
	"json_array_elements": jsonElements(false), "json_array_elements_text": jsonElements(true),
	"json_each": jsonEach(false), "json_each_text": jsonEach(true), "json_object_keys": jsonObjectKeys,
	"jsonb_array_elements": jsonbElements(false), "jsonb_array_elements_text": jsonbElements(true),
	"jsonb_each": jsonbEach(false), "jsonb_each_text": jsonbEach(true), "jsonb_object_keys": jsonbObjectKeys,
}
