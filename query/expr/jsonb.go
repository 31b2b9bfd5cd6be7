package expr

import (
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func jsonbField(j *types.JSON, key string) *types.JSON {
	if j.Kind != types.JSONObject {
		return nil
	}
	v, _ := j.Get(key)
	return v
}

func jsonbElement(j *types.JSON, i int64) *types.JSON {
	if j.Kind != types.JSONArray {
		return nil
	}
	if i < 0 {
		i += int64(len(j.Elems))
	}
	if i < 0 || i >= int64(len(j.Elems)) {
		return nil
	}
	return j.Elems[i]
}

func jsonbPath(j *types.JSON, path []datum) *types.JSON {
	for _, p := range path {
		if p.IsNull() || j == nil {
			return nil
		}
		if j.Kind == types.JSONArray {
			i, ok := pathIndex(p.Str())
			if !ok {
				return nil
			}
			j = jsonbElement(j, i)
		} else {
			j = jsonbField(j, p.Str())
		}
	}
	return j
}

// jsonbText is a jsonb value as text: strings bare, null as NULL.
func jsonbText(j *types.JSON) datum {
	switch {
	case j == nil || j.Kind == types.JSONNull:
		return null
	case j.Kind == types.JSONString:
		return types.String(j.Str)
	}
	return types.String(j.String())
}

func jsonbResult(j *types.JSON, asText bool) (datum, error) {
	switch {
	case j == nil:
		return null, nil
	case asText:
		return jsonbText(j), nil
	}
	return types.JSONB(j), nil
}

func jsonbGet(asText, byIndex bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		if byIndex {
			j := a[0].JSONB()
			if !isContainer(j) {
				// PostgreSQL stores a scalar as an array of one, which shows here.
				j = &types.JSON{Kind: types.JSONArray, Elems: asElems(j)}
			}
			return jsonbResult(jsonbElement(j, a[1].Int()), asText)
		}
		return jsonbResult(jsonbField(a[0].JSONB(), a[1].Str()), asText)
	}
}

func jsonbGetPath(asText bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		return jsonbResult(jsonbPath(a[0].JSONB(), a[1].Array().Elems), asText)
	}
}

// jsonbContains is @>. top allows an array to contain a bare scalar.
func jsonbContains(x, y *types.JSON, top bool) bool {
	if x.Kind == types.JSONArray && y.Kind != types.JSONArray && y.Kind != types.JSONObject && top {
		return slices.ContainsFunc(x.Elems, func(e *types.JSON) bool { return types.CompareJSON(e, y) == 0 })
	}
	if x.Kind != y.Kind {
		return false
	}
	switch x.Kind {
	case types.JSONObject:
		for _, f := range y.Fields {
			v, ok := x.Get(f.Key)
			if !ok || !jsonbContains(v, f.Value, false) {
				return false
			}
		}
		return true
	case types.JSONArray:
		for _, e := range y.Elems {
			if !slices.ContainsFunc(x.Elems, func(v *types.JSON) bool { return jsonbContains(v, e, false) }) {
				return false
			}
		}
		return true
	}
	return types.CompareJSON(x, y) == 0
}

func jsonbExists(j *types.JSON, key string) bool {
	switch j.Kind {
	case types.JSONObject:
		_, ok := j.Get(key)
		return ok
	case types.JSONArray:
		return slices.ContainsFunc(j.Elems, func(e *types.JSON) bool { return e.Kind == types.JSONString && e.Str == key })
	}
	return j.Kind == types.JSONString && j.Str == key
}

func jsonbExistsMany(all bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		for _, k := range a[1].Array().Elems {
			if k.IsNull() {
				continue
			}
			if jsonbExists(a[0].JSONB(), k.Str()) != all {
				return types.Bool(!all), nil
			}
		}
		return types.Bool(all), nil
	}
}

func asElems(j *types.JSON) []*types.JSON {
	if j.Kind == types.JSONArray {
		return j.Elems
	}
	return []*types.JSON{j}
}

func jsonbConcat(_ *Ctx, a []datum) (datum, error) {
	x, y := a[0].JSONB(), a[1].JSONB()
	if x.Kind == types.JSONObject && y.Kind == types.JSONObject {
		return types.JSONB(types.NewJSONObject(append(slices.Clone(x.Fields), y.Fields...))), nil
	}
	return types.JSONB(&types.JSON{Kind: types.JSONArray, Elems: append(slices.Clone(asElems(x)), asElems(y)...)}), nil
}

func isContainer(j *types.JSON) bool { return j.Kind == types.JSONArray || j.Kind == types.JSONObject }

// jsonbWithout drops keys of an object or strings of an array.
func jsonbWithout(j *types.JSON, drop func(string) bool) (*types.JSON, error) {
	switch j.Kind {
	case types.JSONObject:
		return &types.JSON{Kind: j.Kind, Fields: slices.DeleteFunc(slices.Clone(j.Fields),
			func(f types.JSONField) bool { return drop(f.Key) })}, nil
	case types.JSONArray:
		return &types.JSON{Kind: j.Kind, Elems: slices.DeleteFunc(slices.Clone(j.Elems),
			func(e *types.JSON) bool { return e.Kind == types.JSONString && drop(e.Str) })}, nil
	}
	return nil, cannotOnScalar("cannot delete from scalar")
}

func jsonbDatum(j *types.JSON, err error) (datum, error) {
	if err != nil {
		return null, err
	}
	return types.JSONB(j), nil
}

func jsonbDeleteIndex(_ *Ctx, a []datum) (datum, error) {
	j, i := a[0].JSONB(), a[1].Int()
	switch j.Kind {
	case types.JSONArray:
	case types.JSONObject:
		return null, cannotOnScalar("cannot delete from object using integer index")
	default:
		return null, cannotOnScalar("cannot delete from scalar")
	}
	if i < 0 {
		i += int64(len(j.Elems))
	}
	if i < 0 || i >= int64(len(j.Elems)) {
		return a[0], nil
	}
	return types.JSONB(&types.JSON{Kind: j.Kind, Elems: slices.Delete(slices.Clone(j.Elems), int(i), int(i)+1)}), nil
}

// jsonbEdit is what jsonb_set, jsonb_insert and #- do at the end of a path.
type jsonbEdit struct {
	path   []datum
	value  *types.JSON // nil deletes
	create bool        // jsonb_set: add what is missing
	insert bool        // jsonb_insert
	after  bool        // jsonb_insert: behind the element
}

func (e *jsonbEdit) apply(j *types.JSON, level int) (*types.JSON, error) {
	if e.path[level].IsNull() {
		return nil, sqlstate.New(sqlstate.NullValueNotAllowed, "path element at position %d is null", level+1)
	}
	switch j.Kind {
	case types.JSONObject:
		return e.object(j, level)
	case types.JSONArray:
		return e.array(j, level)
	}
	return j, nil
}

func (e *jsonbEdit) object(j *types.JSON, level int) (*types.JSON, error) {
	key := e.path[level].Str()
	last := level == len(e.path)-1
	at := slices.IndexFunc(j.Fields, func(f types.JSONField) bool { return f.Key == key })
	if at < 0 {
		if last && e.value != nil && (e.create || e.insert) {
			return types.NewJSONObject(append(slices.Clone(j.Fields), types.JSONField{Key: key, Value: e.value})), nil
		}
		return j, nil
	}
	fields := slices.Clone(j.Fields)
	switch {
	case !last:
		v, err := e.apply(fields[at].Value, level+1)
		if err != nil {
			return nil, err
		}
		fields[at].Value = v
	case e.value == nil:
		fields = slices.Delete(fields, at, at+1)
	case e.insert:
		return nil, sqlstate.New(sqlstate.InvalidParameterValue, "cannot replace existing key").
			WithHint("Try using the function jsonb_set to replace key value.")
	default:
		fields[at].Value = e.value
	}
	return &types.JSON{Kind: types.JSONObject, Fields: fields}, nil
}

func (e *jsonbEdit) array(j *types.JSON, level int) (*types.JSON, error) {
	i, ok := pathIndex(e.path[level].Str())
	if !ok {
		return nil, sqlstate.New(sqlstate.InvalidTextRepresentation, "path element at position %d is not an integer: \"%s\"",
			level+1, e.path[level].Str())
	}
	n := int64(len(j.Elems))
	last := level == len(e.path)-1
	if i < 0 {
		i += n
	}
	elems := slices.Clone(j.Elems)
	if i < 0 || i >= n {
		if !last || e.value == nil || !e.create && !e.insert {
			return j, nil
		}
		if i < 0 {
			elems = append([]*types.JSON{e.value}, elems...)
		} else {
			elems = append(elems, e.value)
		}
		return &types.JSON{Kind: types.JSONArray, Elems: elems}, nil
	}
	switch {
	case !last:
		v, err := e.apply(elems[i], level+1)
		if err != nil {
			return nil, err
		}
		elems[i] = v
	case e.value == nil:
		elems = slices.Delete(elems, int(i), int(i)+1)
	case e.insert && e.after:
		elems = slices.Insert(elems, int(i)+1, e.value)
	case e.insert:
		elems = slices.Insert(elems, int(i), e.value)
	default:
		elems[i] = e.value
	}
	return &types.JSON{Kind: types.JSONArray, Elems: elems}, nil
}

func editJSONB(j *types.JSON, e *jsonbEdit, verb string) (datum, error) {
	if !isContainer(j) {
		return null, cannotOnScalar("cannot %s scalar", verb)
	}
	if len(e.path) == 0 {
		return types.JSONB(j), nil
	}
	return jsonbDatum(e.apply(j, 0))
}

func jsonbSet(_ *Ctx, a []datum) (datum, error) {
	e := &jsonbEdit{path: a[1].Array().Elems, value: a[2].JSONB(), create: a[3].Bool()}
	return editJSONB(a[0].JSONB(), e, "set path in")
}

func jsonbStripNulls(j *types.JSON) *types.JSON {
	out := &types.JSON{Kind: j.Kind}
	switch j.Kind {
	case types.JSONObject:
		for _, f := range j.Fields {
			if f.Value.Kind != types.JSONNull {
				out.Fields = append(out.Fields, types.JSONField{Key: f.Key, Value: jsonbStripNulls(f.Value)})
			}
		}
	case types.JSONArray:
		for _, e := range j.Elems {
			out.Elems = append(out.Elems, jsonbStripNulls(e))
		}
	default:
		return j
	}
	return out
}

func jsonbElements(asText bool) setFunc {
	return func(_ *Ctx, a []datum) (RowIter, error) {
		j := a[0].JSONB()
		switch j.Kind {
		case types.JSONArray:
		case types.JSONObject:
			return nil, cannotOnScalar("cannot extract elements from an object")
		default:
			return nil, cannotOnScalar("cannot extract elements from a scalar")
		}
		out := make([]datum, len(j.Elems))
		for i, e := range j.Elems {
			out[i], _ = jsonbResult(e, asText)
		}
		return valuesIter(out), nil
	}
}

func jsonbEach(asText bool) setFunc {
	return func(_ *Ctx, a []datum) (RowIter, error) {
		j := a[0].JSONB()
		name := "jsonb_each"
		if asText {
			name += "_text"
		}
		if err := needObject(j.Kind, name); err != nil {
			return nil, err
		}
		it := &sliceIter{}
		for _, f := range j.Fields {
			v, _ := jsonbResult(f.Value, asText)
			it.rows = append(it.rows, []datum{types.String(f.Key), v})
		}
		return it, nil
	}
}

func jsonbObjectKeys(_ *Ctx, a []datum) (RowIter, error) {
	j := a[0].JSONB()
	if err := needObject(j.Kind, "jsonb_object_keys"); err != nil {
		return nil, err
	}
	out := make([]datum, len(j.Fields))
	for i, f := range j.Fields {
		out[i] = types.String(f.Key)
	}
	return valuesIter(out), nil
}

// fromJSONB is a cast of jsonb to a number or boolean.
func fromJSONB(want types.JSONKind, to *types.Type, convert evalFunc) evalFunc {
	return func(c *Ctx, a []datum) (datum, error) {
		j := a[0].JSONB()
		if j.Kind != want {
			name := map[types.JSONKind]string{types.JSONNull: "null", types.JSONString: "string", types.JSONNumber: "numeric",
				types.JSONBool: "boolean", types.JSONArray: "array", types.JSONObject: "object"}[j.Kind]
			return null, sqlstate.New(sqlstate.InvalidParameterValue, "cannot cast jsonb %s to type %s", name, to.SQLName)
		}
		if want == types.JSONBool {
			return types.Bool(j.Bool), nil
		}
		return convert(c, []datum{types.Decimal(j.Num)})
	}
}

var jsonbEvals = map[string]evalFunc{
	"jsonb_object_field": jsonbGet(false, false), "jsonb_object_field_text": jsonbGet(true, false),
	"jsonb_array_element": jsonbGet(false, true), "jsonb_array_element_text": jsonbGet(true, true),
	"jsonb_extract_path": jsonbGetPath(false), "jsonb_extract_path_text": jsonbGetPath(true),
	"jsonb_contains": func(_ *Ctx, a []datum) (datum, error) {
		return types.Bool(jsonbContains(a[0].JSONB(), a[1].JSONB(), true)), nil
	},
	"jsonb_contained": func(_ *Ctx, a []datum) (datum, error) {
		return types.Bool(jsonbContains(a[1].JSONB(), a[0].JSONB(), true)), nil
	},
	"jsonb_exists":     func(_ *Ctx, a []datum) (datum, error) { return types.Bool(jsonbExists(a[0].JSONB(), a[1].Str())), nil },
	"jsonb_exists_any": jsonbExistsMany(false), "jsonb_exists_all": jsonbExistsMany(true), "jsonb_concat": jsonbConcat,
	"jsonb_delete(jsonb,text)": func(_ *Ctx, a []datum) (datum, error) {
		return jsonbDatum(jsonbWithout(a[0].JSONB(), func(k string) bool { return k == a[1].Str() }))
	},
	"jsonb_delete(jsonb,_text)": func(_ *Ctx, a []datum) (datum, error) {
		keys := a[1].Array().Elems
		return jsonbDatum(jsonbWithout(a[0].JSONB(), func(k string) bool {
			return slices.ContainsFunc(keys, func(d datum) bool { return !d.IsNull() && d.Str() == k })
		}))
	},
	"jsonb_delete(jsonb,int4)": jsonbDeleteIndex,
	"jsonb_delete_path": func(_ *Ctx, a []datum) (datum, error) {
		return editJSONB(a[0].JSONB(), &jsonbEdit{path: a[1].Array().Elems}, "delete path in")
	},
	"jsonb_set": jsonbSet,
	"jsonb_insert": func(_ *Ctx, a []datum) (datum, error) {
		e := &jsonbEdit{path: a[1].Array().Elems, value: a[2].JSONB(), insert: true, after: a[3].Bool()}
		return editJSONB(a[0].JSONB(), e, "set path in")
	},
	"jsonb_pretty": func(_ *Ctx, a []datum) (datum, error) {
		return types.String(string(a[0].JSONB().AppendPretty(nil, 0))), nil
	},
	"jsonb_typeof":      func(_ *Ctx, a []datum) (datum, error) { return types.String(a[0].JSONB().TypeName()), nil },
	"jsonb_strip_nulls": func(_ *Ctx, a []datum) (datum, error) { return types.JSONB(jsonbStripNulls(a[0].JSONB())), nil },
	"jsonb_array_length": func(_ *Ctx, a []datum) (datum, error) {
		switch j := a[0].JSONB(); j.Kind {
		case types.JSONArray:
			return types.Int(int64(len(j.Elems))), nil
		case types.JSONObject:
			return null, cannotOnScalar("cannot get array length of a non-array")
		}
		return null, cannotOnScalar("cannot get array length of a scalar")
	},
	"bool(jsonb)":    fromJSONB(types.JSONBool, types.BoolType, nil),
	"numeric(jsonb)": fromJSONB(types.JSONNumber, types.NumericType, identity),
	"int2(jsonb)":    fromJSONB(types.JSONNumber, types.Int2Type, intFromNumeric(size2)),
	"int4(jsonb)":    fromJSONB(types.JSONNumber, types.Int4Type, intFromNumeric(size4)),
	"int8(jsonb)":    fromJSONB(types.JSONNumber, types.Int8Type, intFromNumeric(size8)),
	"float4(jsonb)":  fromJSONB(types.JSONNumber, types.Float4Type, floatFromNumeric(types.Float4Type, 32)),
	"float8(jsonb)":  fromJSONB(types.JSONNumber, types.Float8Type, floatFromNumeric(types.Float8Type, 64)),
}

// parseIdent splits a qualified identifier into its parts.
func parseIdent(_ *Ctx, a []datum) (datum, error) {
	s := a[0].Str()
	bad := func() (datum, error) {
		return null, sqlstate.New(sqlstate.InvalidParameterValue, "string is not a valid identifier: \"%s\"", s)
	}
	var parts []datum
	rest := strings.TrimSpace(s)
	for {
		part := ""
		if strings.HasPrefix(rest, `"`) {
			i := 1
			for ; i < len(rest); i++ {
				if rest[i] == '"' {
					if i+1 >= len(rest) || rest[i+1] != '"' {
						break
					}
					i++
				}
				part += string(rest[i])
			}
			if i >= len(rest) || part == "" {
				return bad()
			}
			rest = rest[i+1:]
		} else {
			i := 0
			for i < len(rest) && (rest[i] == '_' || rest[i] >= 'a' && rest[i] <= 'z' || rest[i] >= 'A' && rest[i] <= 'Z' ||
				rest[i] >= 0x80 || i > 0 && (rest[i] >= '0' && rest[i] <= '9' || rest[i] == '$')) {
				i++
			}
			if i == 0 {
				return bad()
			}
			part, rest = strings.ToLower(rest[:i]), rest[i:]
		}
		parts = append(parts, types.String(part))
		rest = strings.TrimSpace(rest)
		if rest == "" || rest[0] != '.' && !a[1].Bool() {
			return types.ArrayDatum(types.NewArray(types.TextType, parts)), nil
		}
		if rest[0] != '.' {
			return bad()
		}
		rest = strings.TrimSpace(rest[1:])
	}
}
