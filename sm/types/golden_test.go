package types

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// The expected answers in testdata/text.golden come from PostgreSQL 15; to
// add cases, extend text.in and run with -pg and a connection string to one.
var pgConn = flag.String("pg", "", "rewrite the golden file with the answers of this PostgreSQL server")

func TestTextGolden(t *testing.T) {
	in, err := os.ReadFile("testdata/text.in")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimRight(string(in), "\n"), "\n")
	if *pgConn != "" {
		writeGolden(t, lines)
	}
	golden, err := os.ReadFile("testdata/text.golden")
	require.NoError(t, err)
	want := strings.Split(strings.TrimRight(string(golden), "\n"), "\n")
	require.Len(t, want, len(lines))
	f := DefaultFormat()
	for i, line := range lines {
		name, input, _ := strings.Cut(line, "|")
		typ, typmod := parseTypeName(t, name)
		got := ""
		if d, err := typ.Parse(f, input, typmod); err != nil {
			got = describe(err)
		} else {
			got = "= " + strings.ReplaceAll(typ.Text(f, d), "\n", `\n`)
			checkRoundTrip(t, f, typ, typmod, d)
		}
		if got != want[i] {
			t.Errorf("%s\n got %s\nwant %s", line, got, want[i])
		}
	}
}

// checkRoundTrip sends a value through every other codec.
func checkRoundTrip(t *testing.T, f *Format, typ *Type, typmod int32, d Datum) {
	t.Helper()
	text := typ.Text(f, d)
	back, err := typ.ParseBinary(f, typ.AppendBinary(nil, d), typmod)
	require.NoError(t, err, text)
	require.Equal(t, text, typ.Text(f, back))
	back, rest, err := DecodeDatum(AppendDatum(nil, d))
	require.NoError(t, err, text)
	require.Empty(t, rest)
	require.Equal(t, text, typ.Text(f, back))
	back, rest, err = DecodeKey(AppendKey(nil, d, true), typ, true)
	require.NoError(t, err, text)
	require.Empty(t, rest)
	require.Zero(t, Compare(d, back), text)
	require.Equal(t, Hash(d), Hash(back), text)
}

func describe(err error) string {
	e := sqlstate.As(err)
	out := "! " + string(e.Code) + " " + e.Message
	if e.Detail != "" {
		out += " | " + e.Detail
	}
	if e.Hint != "" {
		out += " | " + e.Hint
	}
	return out
}

func parseTypeName(t *testing.T, name string) (*Type, int32) {
	t.Helper()
	array := strings.HasSuffix(name, "[]")
	base, mods, hasMods := strings.Cut(strings.TrimSuffix(name, "[]"), "(")
	if base == "char" {
		base = "bpchar"
	}
	typ, ok := ByName(base)
	require.True(t, ok, name)
	typmod := NoTypmod
	if hasMods {
		var list []int32
		for m := range strings.SplitSeq(strings.TrimSuffix(mods, ")"), ",") {
			d, err := Int4Type.Parse(nil, m, NoTypmod)
			require.NoError(t, err)
			list = append(list, int32(d.Int()))
		}
		if typ == IntervalType {
			list = append([]int32{intervalFullRange}, list...)
		}
		var err error
		typmod, err = MakeTypmod(typ, list)
		require.NoError(t, err)
	}
	if array {
		typ = typ.Array
	}
	return typ, typmod
}

func writeGolden(t *testing.T, lines []string) {
	ctx := context.Background()
	conn, err := pgconn.Connect(ctx, *pgConn)
	require.NoError(t, err)
	defer conn.Close(ctx)
	var out strings.Builder
	for _, line := range lines {
		name, input, _ := strings.Cut(line, "|")
		sql := "SELECT '" + strings.ReplaceAll(input, "'", "''") + "'::" + name
		results, err := conn.Exec(ctx, sql).ReadAll()
		if err == nil {
			out.WriteString("= " + strings.ReplaceAll(string(results[0].Rows[0][0]), "\n", `\n`) + "\n")
			continue
		}
		pgErr := err.(*pgconn.PgError)
		e := &sqlstate.Error{Code: sqlstate.Code(pgErr.Code), Message: pgErr.Message, Detail: pgErr.Detail, Hint: pgErr.Hint}
		out.WriteString(describe(e) + "\n")
	}
	require.NoError(t, os.WriteFile("testdata/text.golden", []byte(out.String()), 0o644))
}
