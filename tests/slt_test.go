package tests

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark"
)

// sltTimeout bounds one file.
const sltTimeout = 60 * time.Second

// record is one test of a file under sql/: a statement and what is expected of
// it. The format is that of sqllogictest, with rows one a line:
//
//	statement ok | statement error SQLSTATE
//	the statement
//
//	query [rowsort]
//	the query
//	----
//	a | b
//
// NULL is written NULL and a row that would be an empty line (empty). Records are
// separated by empty lines; # begins a comment.
type record struct {
	line    int
	sql     string
	code    string // the SQLSTATE that is wanted; empty for success
	query   bool
	rowsort bool
	want    []string
}

func readRecords(t *testing.T, path string) []record {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var out []record
	var block []string
	start, n := 0, 0
	flush := func() {
		if len(block) > 0 {
			out = append(out, parseRecord(t, path, start, block))
		}
		block = nil
	}
	in := bufio.NewScanner(f)
	for in.Scan() {
		n++
		line := in.Text()
		switch {
		case strings.TrimSpace(line) == "":
			flush()
		case len(block) == 0 && strings.HasPrefix(line, "#"):
		default:
			if len(block) == 0 {
				start = n
			}
			block = append(block, line)
		}
	}
	require.NoError(t, in.Err())
	flush()
	return out
}

func parseRecord(t *testing.T, path string, line int, block []string) record {
	t.Helper()
	words := strings.Fields(block[0])
	r := record{line: line}
	body := block[1:]
	switch {
	case len(words) == 2 && words[0] == "statement" && words[1] == "ok":
	case len(words) == 3 && words[0] == "statement" && words[1] == "error":
		r.code = words[2]
	case words[0] == "query":
		r.query, r.rowsort = true, len(words) > 1 && words[1] == "rowsort"
		for i, l := range body {
			if l == "----" {
				r.want, body = body[i+1:], body[:i]
				break
			}
		}
	default:
		require.Failf(t, "unknown record", "%s:%d: %s", path, line, block[0])
	}
	r.sql = strings.Join(body, "\n")
	return r
}

// check runs the record and says what is wrong, or nothing.
func (r *record) check(ctx context.Context, conn *pgconn.PgConn) string {
	results, err := conn.Exec(ctx, r.sql).ReadAll()
	var pg *pgconn.PgError
	switch {
	case err != nil && !errors.As(err, &pg):
		return "connection: " + err.Error()
	case r.code != "" && err == nil:
		return "succeeds, " + r.code + " is wanted"
	case r.code != "" && pg.Code != r.code:
		return fmt.Sprintf("%s: %s, %s is wanted", pg.Code, pg.Message, r.code)
	case r.code == "" && err != nil:
		return pg.Code + ": " + pg.Message
	case !r.query:
		return ""
	}
	got := rowLines(results)
	want := append([]string{}, r.want...)
	if r.rowsort {
		sort.Strings(got)
		sort.Strings(want)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		return "rows\n" + strings.Join(got, "\n") + "\nwanted\n" + strings.Join(want, "\n")
	}
	return ""
}

func rowLines(results []*pgconn.Result) []string {
	var out []string
	for _, res := range results {
		for _, row := range res.Rows {
			cells := make([]string, len(row))
			for i, v := range row {
				if cells[i] = string(v); v == nil {
					cells[i] = "NULL"
				}
			}
			line := strings.Join(cells, " | ")
			if line == "" {
				line = "(empty)"
			}
			out = append(out, strings.Split(line, "\n")...)
		}
	}
	return out
}

// TestSQL runs every file under sql/ in a database of its own. The answers in
// them are PostgreSQL 15's, but for the plans in explain.slt.
func TestSQL(t *testing.T) {
	files, err := filepath.Glob("sql/*.slt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".slt"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), sltTimeout)
			defer cancel()
			n, err := tidemark.Open(ctx, tidemark.Config{Dir: t.TempDir(), SQLAddr: "127.0.0.1:0", RaftAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0"})
			require.NoError(t, err)
			defer func() { require.NoError(t, n.Close(context.Background())) }()
			conn, err := pgconn.Connect(ctx, "postgres://postgres@"+n.SQLAddr()+"/postgres?sslmode=disable")
			require.NoError(t, err)
			defer conn.Close(ctx)
			for _, r := range readRecords(t, path) {
				if wrong := r.check(ctx, conn); wrong != "" {
					t.Errorf("%s:%d: %s\n%s", path, r.line, r.sql, wrong)
				}
				require.False(t, conn.IsClosed(), "the connection is lost")
			}
		})
	}
}
