package tests

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/sm"
)

// goldenWrite names a version of apply's behaviour whose golden file is to be
// written. That of a version is written by the program that brought it, and not
// again: it pins what all programs after it must make of such a log.
var goldenWrite = flag.Uint("golden", 0, "write the golden file of this version of apply's behaviour")

// goldenEntries are the entries of the golden logs: one line of statements each.
// They are no files, because the stored form of entries, which package log has
// golden files of, may still change.
var goldenEntries = []string{
	"CREATE TABLE t (id int PRIMARY KEY, v text)",
	"INSERT INTO t VALUES (1, 'one'), (2, 'two')",
	"CREATE SCHEMA s; CREATE TABLE s.x (a serial, b int DEFAULT 7); INSERT INTO s.x (b) VALUES (1), (2); CREATE INDEX ON s.x (b)",
	"CREATE TABLE broken (a int); SELECT 1 / 0",
	"CREATE TABLE t (a int)",
	"ALTER TABLE t ADD COLUMN n int NOT NULL DEFAULT 3; UPDATE t SET n = 4 WHERE id = 1",
	"interactive: INSERT INTO t VALUES (3, 'three', 5) -> INSERT 0 1; ALTER TABLE t DROP COLUMN v -> ALTER TABLE; DELETE FROM t WHERE id = 2 -> DELETE 1",
	"CREATE TABLE c AS SELECT id FROM t; COMMENT ON TABLE c IS 'copied'",
	"TRUNCATE s.x",
	"CREATE PROCEDURE p() LANGUAGE sql AS 'INSERT INTO c VALUES (9)'; CALL p()",
	"DROP TABLE c; CREATE TABLE IF NOT EXISTS t (id int)",
}

// goldenEntry makes an entry of a line.
func goldenEntry(n int, line string, version log.Semantics) *log.Entry {
	e := &log.Entry{Kind: log.KindCommand, Semantics: version, Role: "postgres", Time: int64(n+1) * 1_000_000, Began: int64(n+1) * 1_000_000,
		Seed: log.Seed{byte(n + 1)}, Settings: []log.Setting{{Name: "search_path", Value: `"$user", public`}}}
	statements, interactive := strings.CutPrefix(line, "interactive: ")
	for _, text := range strings.Split(statements, "; ") {
		text, tag, _ := strings.Cut(text, " -> ")
		st := log.Statement{Text: text, Time: e.Time}
		if interactive {
			st.Digest = exec.NewDigest(false).Sum(tag)
		}
		e.Statements = append(e.Statements, st)
	}
	if interactive {
		e.Kind = log.KindTransaction
	}
	return e
}

// TestGoldenLogs replays logs of all versions of apply's behaviour: their offsets,
// changes and checksums are for ever what they were.
func TestGoldenLogs(t *testing.T) {
	for version := log.SemanticsFirst; version <= log.CurrentSemantics; version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			path := filepath.Join("golden", fmt.Sprintf("semantics%d.txt", version))
			got := replayGolden(t, version)
			if *goldenWrite == uint(version) {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

// replayGolden applies the entries under a version and says what comes of each.
func replayGolden(t *testing.T, version log.Semantics) string {
	r, err := sm.Open(sm.Options{Dir: "data", FS: vfs.NewMem(), Log: 2, Executor: query.NewExecutor("db")})
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	var out strings.Builder
	for i, line := range goldenEntries {
		data, err := goldenEntry(i, line, version).Append(nil)
		require.NoError(t, err)
		before := r.Position().Offset
		answers, err := r.Apply([]log.Committed{{Index: r.Applied() + 1, Data: data}})
		require.NoError(t, err)
		res, err := log.DecodeResult(answers[0])
		require.NoError(t, err)
		if res.Err != nil {
			fmt.Fprintf(&out, "%s failed %s\n", res.Offset, res.Err.Code)
			continue
		}
		fmt.Fprintf(&out, "%s committed, checksum %x\n", res.Offset, r.Position().Checksum)
		goldenChanges(t, r, before, &out)
	}
	return out.String()
}

// goldenChanges prints the changes since an offset.
func goldenChanges(t *testing.T, r *sm.Replica, from log.Offset, out *strings.Builder) {
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	it := v.Changes(from)
	defer it.Close()
	for it.Next() {
		c := it.Change()
		fmt.Fprintf(out, "  %s op %d table %d before %x after %x%s\n", c.Offset, c.Op, c.Table, c.Before, c.After, goldenMessage(c))
	}
	require.NoError(t, it.Err())
}

// goldenMessage prints a message.
func goldenMessage(c *sm.Change) string {
	if c.Op != sm.OpMessage {
		return ""
	}
	return fmt.Sprintf(" transactional %t %s %s", c.Transactional, c.Prefix, c.Content)
}
