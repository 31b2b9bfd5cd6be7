package expr

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Each testdata/*.in has one SQL expression on a line; the .golden file beside
// it has what PostgreSQL 15 answers. To add cases, extend a .in file and run
// with -pg and a connection string to such a server.
var pgConn = flag.String("pg", "", "rewrite the golden files with the answers of this PostgreSQL server")

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.in")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".in"), func(t *testing.T) { goldenFile(t, file) })
	}
}

func goldenFile(t *testing.T, file string) {
	in, err := os.ReadFile(file)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimRight(string(in), "\n"), "\n")
	goldenName := strings.TrimSuffix(file, ".in") + ".golden"
	if *pgConn != "" {
		writeGolden(t, lines, goldenName)
	}
	golden, err := os.ReadFile(goldenName)
	require.NoError(t, err)
	want := strings.Split(strings.TrimRight(string(golden), "\n"), "\n")
	require.Len(t, want, len(lines))
	for i, line := range lines {
		if got := evalLine(line); got != want[i] {
			t.Errorf("%s\n got %s\nwant %s", line, got, want[i])
		}
	}
}

func testCtx() *Ctx {
	return &Ctx{Format: types.DefaultFormat(), Rand: NewRand(1, 2)}
}

func evalLine(line string) string {
	c := testCtx()
	e, err := parseExpr(c, line)
	if err != nil {
		return describe(err)
	}
	var rows []string
	for _, d := range e.values {
		rows = append(rows, show(c, e.typ, d))
	}
	return "= " + strings.Join(rows, " ; ")
}

func show(c *Ctx, t *types.Type, d datum) string {
	if d.IsNull() {
		return "NULL"
	}
	return strings.ReplaceAll(t.Text(c.Format, d), "\n", `\n`)
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
	return strings.ReplaceAll(out, "\n", `\n`)
}

// extractCall is rewritten to the syntax PostgreSQL has for it.
var extractCall = regexp.MustCompile(`extract\('(\w+)', `)

func writeGolden(t *testing.T, lines []string, name string) {
	ctx := context.Background()
	conn, err := pgconn.Connect(ctx, *pgConn)
	require.NoError(t, err)
	defer conn.Close(ctx)
	var out strings.Builder
	for _, line := range lines {
		results, err := conn.Exec(ctx, "SELECT "+extractCall.ReplaceAllString(line, "extract($1 from ")).ReadAll()
		if err == nil {
			var rows []string
			for _, r := range results[0].Rows {
				if r[0] == nil {
					rows = append(rows, "NULL")
				} else {
					rows = append(rows, strings.ReplaceAll(string(r[0]), "\n", `\n`))
				}
			}
			out.WriteString("= " + strings.Join(rows, " ; ") + "\n")
			continue
		}
		p := err.(*pgconn.PgError)
		e := &sqlstate.Error{Code: sqlstate.Code(p.Code), Message: p.Message, Detail: p.Detail, Hint: p.Hint}
		out.WriteString(describe(e) + "\n")
	}
	require.NoError(t, os.WriteFile(name, []byte(out.String()), 0o644))
}
