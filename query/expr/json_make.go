package expr

import (
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// appendJSON prints a value of any type as json, as to_json does.
func appendJSON(c *Ctx, dst []byte, t *types.Type, d datum) []byte {
	switch d.Kind() {
	case types.KindNull:
		return append(dst, "null"...)
	case types.KindBool:
		if d.Bool() {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case types.KindInt, types.KindFloat, types.KindDecimal:
		text := t.Text(c.Format, d)
		if isJSONNumber(text) {
			return append(dst, text...)
		}
		return types.AppendJSONString(dst, text)
	case types.KindString:
		if t == types.JSONType {
			return append(dst, d.Str()...)
		}
		return types.AppendJSONString(dst, d.Str())
	case types.KindJSONB:
		return d.JSONB().Append(dst)
	case types.KindArray:
		if t.IsVector() {
			break
		}
		dst, _ = appendJSONArray(c, dst, d.Array(), 0, 0)
		return dst
	case types.KindTuple:
		return appendJSONRow(c, dst, d.Tuple(), ",")
	}
	return types.AppendJSONString(dst, jsonText(c, t, d))
}

func isJSONNumber(s string) bool {
	return s != "" && (s[len(s)-1] >= '0' && s[len(s)-1] <= '9') && (s[0] >= '0' && s[0] <= '9' || s[0] == '-')
}

// jsonText prints what becomes a JSON string; dates and times are in ISO 8601
// with a T, whatever the date style.
func jsonText(c *Ctx, t *types.Type, d datum) string {
	switch d.Kind() {
	case types.KindDate, types.KindTimestamp:
		return isoDateTime(c, t, d)
	}
	return t.Text(c.Format, d)
}

func isoDateTime(c *Ctx, t *types.Type, d datum) string {
	iso := *c.Format
	iso.DateStyle = types.DateStyleISO
	out := []byte(t.Text(&iso, d))
	for i, ch := range out {
		if ch == ' ' && i+1 < len(out) && out[i+1] != 'B' {
			out[i] = 'T'
		}
	}
	if t == types.TimestampTZType && len(out) > 3 && (out[len(out)-3] == '+' || out[len(out)-3] == '-') {
		out = append(out, ":00"...)
	}
	return string(out)
}

func appendJSONArray(c *Ctx, dst []byte, a *types.Array, dim, pos int) ([]byte, int) {
	dst = append(dst, '[')
	if len(a.Elems) == 0 {
		return append(dst, ']'), pos
	}
	for i := range a.Dims[dim] {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dim+1 < len(a.Dims) {
			dst, pos = appendJSONArray(c, dst, a, dim+1, pos)
		} else {
			dst = appendJSON(c, dst, a.Elem, a.Elems[pos])
			pos++
		}
	}
	return append(dst, ']'), pos
}

func appendJSONRow(c *Ctx, dst []byte, t *types.Tuple, sep string) []byte {
	dst = append(dst, '{')
	for i, d := range t.Fields {
		if i > 0 {
			dst = append(dst, sep...)
		}
		dst = types.AppendJSONString(dst, fieldName(t, i))
		dst = append(dst, ':')
		dst = appendJSON(c, dst, t.Types[i], d)
	}
	return append(dst, '}')
}

func fieldName(t *types.Tuple, i int) string {
	if t.Names != nil {
		return t.Names[i]
	}
	return "f" + itoa(int64(i+1))
}

// toJSONB converts a value of any type, as to_jsonb does.
func toJSONB(c *Ctx, t *types.Type, d datum) (*types.JSON, error) {
	switch d.Kind() {
	case types.KindNull:
		return &types.JSON{Kind: types.JSONNull}, nil
	case types.KindBool:
		return &types.JSON{Kind: types.JSONBool, Bool: d.Bool()}, nil
	case types.KindJSONB:
		return d.JSONB(), nil
	case types.KindDecimal:
		if isFinite(d.Decimal()) {
			return &types.JSON{Kind: types.JSONNumber, Num: d.Decimal()}, nil
		}
	case types.KindString:
		if t == types.JSONType {
			return types.ParseJSON(d.Str())
		}
		return &types.JSON{Kind: types.JSONString, Str: d.Str()}, nil
	case types.KindInt, types.KindFloat:
		if text := t.Text(c.Format, d); isJSONNumber(text) {
			n, err := types.ParseDecimal(text)
			return &types.JSON{Kind: types.JSONNumber, Num: n}, err
		}
	case types.KindArray, types.KindTuple:
		if !t.IsVector() {
			// The nesting is bounded by that of the types.
			return types.ParseJSON(string(appendJSON(c, nil, t, d)))
		}
	}
	return &types.JSON{Kind: types.JSONString, Str: jsonText(c, t, d)}, nil
}

// jsonKey prints a value as the key of an object.
func jsonKey(c *Ctx, t *types.Type, d datum) string {
	if d.Kind() == types.KindBool {
		return textOf(c, t, d)
	}
	return jsonText(c, t, d)
}

func nullKey(position int) error {
	e := sqlstate.New(sqlstate.InvalidParameterValue, "argument %d cannot be null", position)
	return e.WithHint("Object keys should be text.")
}

// buildObject is json_build_object and jsonb_build_object: the arguments are
// keys and values in turn.
func buildObject(b *binding) evalFunc {
	return func(c *Ctx, args []datum) (datum, error) {
		if len(args)%2 != 0 {
			return null, oddArguments(b.ret)
		}
		if b.ret == types.JSONBType {
			return buildObjectB(c, b, args)
		}
		dst := []byte{'{'}
		for i := 0; i < len(args); i += 2 {
			if args[i].IsNull() {
				return null, nullKey(i + 1)
			}
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = types.AppendJSONString(dst, jsonKey(c, b.args[i], args[i]))
			dst = append(dst, " : "...)
			dst = appendJSON(c, dst, b.args[i+1], args[i+1])
		}
		return types.String(string(append(dst, '}'))), nil
	}
}

func oddArguments(t *types.Type) error {
	return sqlstate.New(sqlstate.InvalidParameterValue, "argument list must have even number of elements").
		WithHint("The arguments of %s_build_object() must consist of alternating keys and values.", t.Name)
}

func buildObjectB(c *Ctx, b *binding, args []datum) (datum, error) {
	var fields []types.JSONField
	for i := 0; i < len(args); i += 2 {
		if args[i].IsNull() {
			return null, sqlstate.New(sqlstate.InvalidParameterValue, "argument %d: key must not be null", i+1)
		}
		j, err := toJSONB(c, b.args[i+1], args[i+1])
		if err != nil {
			return null, err
		}
		fields = append(fields, types.JSONField{Key: jsonKey(c, b.args[i], args[i]), Value: j})
	}
	return types.JSONB(types.NewJSONObject(fields)), nil
}

func buildArray(b *binding) evalFunc {
	return func(c *Ctx, args []datum) (datum, error) {
		if b.ret == types.JSONBType {
			elems := make([]*types.JSON, len(args))
			for i, a := range args {
				var err error
				if elems[i], err = toJSONB(c, b.args[i], a); err != nil {
					return null, err
				}
			}
			return types.JSONB(&types.JSON{Kind: types.JSONArray, Elems: elems}), nil
		}
		dst := []byte{'['}
		for i, a := range args {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendJSON(c, dst, b.args[i], a)
		}
		return types.String(string(append(dst, ']'))), nil
	}
}

var jsonBinds = map[string]func(*binding) evalFunc{
	"json_build_object": buildObject, "jsonb_build_object": buildObject,
	"json_build_array": buildArray, "jsonb_build_array": buildArray,
	"to_json": func(b *binding) evalFunc {
		return func(c *Ctx, a []datum) (datum, error) {
			return types.String(string(appendJSON(c, nil, b.args[0], a[0]))), nil
		}
	},
	"to_jsonb": func(b *binding) evalFunc {
		return func(c *Ctx, a []datum) (datum, error) {
			j, err := toJSONB(c, b.args[0], a[0])
			if err != nil {
				return null, err
			}
			return types.JSONB(j), nil
		}
	},
	"row_to_json(record)": func(*binding) evalFunc {
		return func(c *Ctx, a []datum) (datum, error) {
			return types.String(string(appendJSONRow(c, nil, a[0].Tuple(), ","))), nil
		}
	},
	"array_to_json(anyarray)": func(b *binding) evalFunc {
		return func(c *Ctx, a []datum) (datum, error) {
			return types.String(string(appendJSON(c, nil, b.args[0], a[0]))), nil
		}
	},
	"row_to_json(record,bool)": func(*binding) evalFunc {
		return func(c *Ctx, a []datum) (datum, error) {
			sep := ","
			if a[1].Bool() {
				sep = ",\n "
			}
			return types.String(string(appendJSONRow(c, nil, a[0].Tuple(), sep))), nil
		}
	},
}
