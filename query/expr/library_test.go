package expr

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidemark-db/tidemark/sm/types"
)

// TestImplementationsAreUsed finds entries of the maps that match no
// signature, which a misspelt name would be.
func TestImplementationsAreUsed(t *testing.T) {
	impl := newImplementations()
	for _, f := range lib.funcs {
		c := *f // attach changes it
		impl.attach(&c)
	}
	var unused []string
	for name := range impl.evals {
		if !impl.used[name] {
			unused = append(unused, name)
		}
	}
	require.Empty(t, unused)
	for name := range impl.binds {
		require.True(t, impl.used[name], "no signature for %s", name)
	}
	for name := range impl.sets {
		require.True(t, impl.used[name], "no signature for %s", name)
	}
}

func TestListingsAreStable(t *testing.T) {
	seen := map[types.OID]bool{}
	last := types.OID(0)
	for _, f := range Funcs() {
		require.False(t, seen[f.OID], f.Name)
		require.Greater(t, f.OID, last)
		seen[f.OID], last = true, f.OID
	}
	require.Greater(t, len(Operators()), 300)
	require.Equal(t, "int4pl", lib.funcByOID[177].Name)
}

// TestCastFunctionsExist: every cast of pg_cast between types we have must be
// executable.
func TestCastFunctionsExist(t *testing.T) {
	for _, e := range Casts() {
		if e.From == e.To {
			continue // length coercions, which ApplyTypmod does
		}
		_, ok := FindCast(e.From, e.To, Explicit)
		require.True(t, ok, "%s to %s", e.From, e.To)
	}
}

func TestReadOnlyFunctionsAreMarked(t *testing.T) {
	r, err := ResolveFunc("exp", []*types.Type{types.Float8Type}, false)
	require.NoError(t, err)
	require.True(t, r.Func.ReadOnlyOnly)
	r, err = ResolveFunc("exp", []*types.Type{types.NumericType}, false)
	require.NoError(t, err)
	require.False(t, r.Func.ReadOnlyOnly)
	r, err = ResolveOperator("^", types.Float8Type, types.Float8Type)
	require.NoError(t, err)
	require.True(t, r.Func.ReadOnlyOnly)
}

func TestRandomIsTheSeeds(t *testing.T) {
	draw := func() string {
		c := &Ctx{Format: types.DefaultFormat(), Rand: NewRand(7, 9)}
		r, err := ResolveFunc("gen_random_uuid", nil, false)
		require.NoError(t, err)
		d, err := r.Func.Eval(c, nil)
		require.NoError(t, err)
		return types.UUIDType.Text(c.Format, d)
	}
	require.Equal(t, draw(), draw())
	require.Equal(t, byte('4'), draw()[14])
}

func TestCommonType(t *testing.T) {
	for _, c := range []struct {
		in   []*types.Type
		want *types.Type
	}{
		{[]*types.Type{types.Int4Type, types.Int8Type}, types.Int8Type},
		{[]*types.Type{types.Int4Type, types.UnknownType}, types.Int4Type},
		{[]*types.Type{types.UnknownType, types.UnknownType}, types.TextType},
		{[]*types.Type{types.Int4Type, types.NumericType, types.Int8Type}, types.NumericType},
		{[]*types.Type{types.NumericType, types.Float8Type}, types.Float8Type},
		{[]*types.Type{types.VarcharType, types.TextType}, types.VarcharType},
		{[]*types.Type{types.DateType, types.TimestampType}, types.TimestampType},
	} {
		got, err := SelectCommonType(c.in, "CASE")
		require.NoError(t, err)
		require.Same(t, c.want, got)
	}
	_, err := SelectCommonType([]*types.Type{types.Int4Type, types.TextType}, "UNION")
	require.EqualError(t, err, "UNION types integer and text cannot be matched (SQLSTATE 42804)")
}

// TestAggregates compares with what PostgreSQL 15 answers for the same input.
func TestAggregates(t *testing.T) {
	c := testCtx()
	for _, tc := range []struct {
		name, typ string
		in        []string
		want      string
	}{
		{"sum", "int4", []string{"1", "2", "NULL", "3"}, "6"},
		{"sum", "int8", []string{"9223372036854775807", "1"}, "9223372036854775808"},
		{"sum", "int8", []string{"-9223372036854775808", "-1"}, "-9223372036854775809"},
		{"sum", "numeric", []string{"1.50", "2.25"}, "3.75"},
		{"sum", "int4", nil, "NULL"},
		{"count", "int4", []string{"1", "NULL"}, "1"},
		{"avg", "int4", []string{"1", "2", "2"}, "1.6666666666666667"},
		{"avg", "int4", []string{"2", "4"}, "3.0000000000000000"},
		{"avg", "numeric", []string{"1.5", "2.25"}, "1.8750000000000000"},
		{"avg", "float8", []string{"1", "2"}, "1.5"},
		{"avg", "interval", []string{"1 day", "2 hours"}, "13:00:00"},
		{"min", "text", []string{"b", "a"}, "a"},
		{"max", "numeric", []string{"1", "NaN", "3"}, "NaN"},
		{"stddev", "int4", []string{"1", "2", "3", "4"}, "1.2909944487358056"},
		{"variance", "numeric", []string{"1.5", "2.5", "4.0"}, "1.5833333333333333"},
		{"var_pop", "int4", []string{"1", "2", "3", "4"}, "1.2500000000000000"},
		{"stddev_pop", "float8", []string{"1", "2", "3", "4"}, "1.118033988749895"},
		{"var_samp", "float8", []string{"1"}, "NULL"},
		{"bool_and", "bool", []string{"t", "f"}, "f"},
		{"bool_or", "bool", []string{"NULL", "t"}, "t"},
		{"bit_or", "int4", []string{"1", "4"}, "5"},
		{"bit_xor", "int4", []string{"5", "4"}, "1"},
		{"array_agg", "int4", []string{"1", "NULL", "2"}, "{1,NULL,2}"},
		{"array_agg", "_int4", []string{"{1,2}", "{3,4}"}, "{{1,2},{3,4}}"},
		{"json_agg", "text", []string{"a", "NULL"}, `["a", null]`},
		{"jsonb_agg", "int4", []string{"1", "2"}, `[1, 2]`},
	} {
		typ, ok := types.ByName(tc.typ)
		require.True(t, ok)
		r, err := ResolveAggregate(tc.name, []*types.Type{typ})
		require.NoError(t, err, tc.name)
		cast, ok := FindCast(typ, r.Args[0], Implicit)
		require.True(t, ok)
		acc := r.New()
		for _, s := range tc.in {
			d := null
			if s != "NULL" {
				d, err = typ.Parse(c.Format, s, types.NoTypmod)
				require.NoError(t, err)
				if !cast.Binary {
					d, err = cast.Eval(c, d, types.NoTypmod)
					require.NoError(t, err)
				}
			}
			require.NoError(t, acc.Add(c, []datum{d}))
		}
		got, err := acc.Result(c)
		require.NoError(t, err)
		require.Equal(t, tc.want, show(c, r.Ret, got), "%s(%s)", tc.name, tc.typ)
	}
	_, err := ResolveAggregate("sum", []*types.Type{types.TextType})
	require.ErrorContains(t, err, "function sum(text) does not exist")
	_, err = ResolveAggregate("mode", []*types.Type{types.TextType})
	require.ErrorContains(t, err, "not supported")
}

// FuzzRegexTranslate: whatever a client sends as a pattern, it gets an answer
// or an error.
func FuzzRegexTranslate(f *testing.F) {
	for _, s := range []string{"a.*b", "[[:alpha:]]+", `\d{1,3}?`, "(?i)x", "***=a+", `[^\n]\y`, "(a|b)*", "[", `\`} {
		f.Add(s, "abc")
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		re, err := compileRegex(pattern, regexFlags{})
		if err == nil {
			re.MatchString(s)
		}
	})
}

// TestRegexFeaturesRefused: what RE2 cannot do is named, never approximated.
func TestRegexFeaturesRefused(t *testing.T) {
	for pattern, what := range map[string]string{`\mx`: "word boundary", "(?=x)": "lookaround", "(?<!x)y": "lookaround",
		`(x)\1`: "back reference", "[[.a.]]": "collating element"} {
		_, err := compileRegex(pattern, regexFlags{})
		require.ErrorContains(t, err, what)
		require.ErrorContains(t, err, "0A000")
	}
}

// TestVariadicAndOutColumns covers what the golden files' one-column rows do
// not show.
func TestVariadicAndOutColumns(t *testing.T) {
	r, err := ResolveFunc("jsonb_each", []*types.Type{types.UnknownType}, false)
	require.NoError(t, err)
	require.Equal(t, []string{"key", "value"}, r.Func.OutNames)
	require.Equal(t, []*types.Type{types.TextType, types.JSONBType}, r.Func.OutTypes)
	r, err = ResolveFunc("jsonb_extract_path", []*types.Type{types.JSONBType, types.UnknownType, types.UnknownType}, false)
	require.NoError(t, err)
	require.True(t, r.VariadicCall)
	require.Equal(t, []*types.Type{types.JSONBType, types.TextType, types.TextType}, r.Args)
}
