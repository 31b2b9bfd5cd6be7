package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark"
)

// TestToken hands a token from one connection to another.
func TestToken(t *testing.T) {
	n := startNode(t, t.TempDir())
	c, d := newClient(t, n.SQLAddr()), newClient(t, n.SQLAddr())
	require.Empty(t, c.one("SHOW tidemark.token"), "nothing committed yet")
	var last string
	for _, sql := range []string{
		"CREATE TABLE t (w int, n int)",
		"INSERT INTO t VALUES (1, 1)",
		"BEGIN; INSERT INTO t VALUES (2, 2); COMMIT",
		"INSERT INTO t VALUES (3, 3); INSERT INTO t VALUES (4, 4)",
	} {
		c.exec(sql)
		token := c.ParameterStatus("tidemark.token")
		require.NotEmpty(t, token, sql)
		require.NotEqual(t, last, token, sql)
		require.Equal(t, token, c.one("SHOW tidemark.token"), sql)
		lsn := token[strings.LastIndex(token, ".")+1:]
		require.Equal(t, lsn, c.one("SELECT pg_current_wal_lsn()"), sql)
		require.Equal(t, lsn, c.one("SELECT pg_last_wal_replay_lsn()"), sql)
		require.Equal(t, token, d.one("SELECT token FROM tidemark.log ORDER BY lsn DESC LIMIT 1"), sql)
		last = token
	}
	require.NoError(t, write(t, c, 5, 5))
	require.NotEqual(t, last, c.ParameterStatus("tidemark.token"), "also after the extended protocol")
	last = c.ParameterStatus("tidemark.token")
	c.exec("SELECT 1", "BEGIN; INSERT INTO t VALUES (9, 9); ROLLBACK")
	c.fails("22012", "INSERT INTO t VALUES (1 / 0, 9)")
	require.Equal(t, last, c.ParameterStatus("tidemark.token"), "what commits nothing moves nothing")
	require.Equal(t, last, c.one("SHOW tidemark.token"))

	d.exec("SET tidemark.read_after = '" + last + "'")
	require.Equal(t, "5", d.one("SELECT count(*) FROM t"))
	require.Equal(t, "5", d.one("/*+ read_after="+last+" */ SELECT count(*) FROM t"))
	d.exec("BEGIN", "SET LOCAL tidemark.read_after = '"+last+"'")
	require.Equal(t, "5", d.one("SELECT count(*) FROM t"))
	d.exec("COMMIT", "RESET tidemark.read_after")
	e := newClient(t, n.SQLAddr(), "options", "-c tidemark.read_after="+last)
	require.Equal(t, last, e.one("SHOW tidemark.read_after"))
	require.Equal(t, "5", e.one("SELECT count(*) FROM t"))
}

// parts takes a token apart.
func parts(t *testing.T, token string) (prefix string, off tidemark.Offset) {
	t.Helper()
	i := strings.LastIndex(token, ".")
	off, err := tidemark.ParseOffset(token[i+1:])
	require.NoError(t, err)
	return token[:i+1], off
}

// TestTokensThatCannotBeMet are errors at once, with every way to give one.
func TestTokensThatCannotBeMet(t *testing.T) {
	n := startNode(t, t.TempDir())
	c := newClient(t, n.SQLAddr())
	c.exec("CREATE TABLE t (w int, n int)", "INSERT INTO t VALUES (1, 1)")
	token := c.ParameterStatus("tidemark.token")
	prefix, off := parts(t, token)
	log, epoch, _ := strings.Cut(strings.TrimSuffix(prefix, "."), ".")
	for _, x := range []struct{ name, token, code string }{
		{"another log", fmt.Sprintf("7%s.%s.%s", log, epoch, off), "22023"},
		{"another epoch", fmt.Sprintf("%s.%s9.%s", log, epoch, off), "55000"},
		{"past the end", prefix + (off + 1<<20).String(), "22023"},
		{"far past the end", prefix + "FFFFFFFF/FFFFFFFF", "22023"},
		{"malformed", "nonsense", "22P02"},
		{"malformed with dots", "1.2.3.4", "22P02"},
		{"negative", "-" + token, "22P02"},
		{"LSN past the end", (off + 1<<20).String(), "22023"},
	} {
		began := time.Now()
		_, err := execute(t.Context(), c.PgConn, "SET tidemark.read_after = '"+x.token+"'")
		if err == nil {
			c.fails(x.code, "SELECT * FROM t")
			c.exec("RESET tidemark.read_after")
		} else {
			require.Equal(t, x.code, codeOf(err), x.name)
		}
		c.fails(x.code, "/*+ read_after="+x.token+" */ SELECT * FROM t")
		if !strings.HasPrefix(x.name, "LSN") { // for an LSN it waits, as PostgreSQL does
			c.fails(x.code, "WAIT FOR LSN '"+x.token+"'")
		}
		require.Less(t, time.Since(began), 4*time.Second, "%s: at once, not after a wait_timeout", x.name)
		require.Equal(t, "1", c.one("SELECT count(*) FROM t"))
	}
}

// TestWaitFor waits for what is there, what will come and what will not.
func TestWaitFor(t *testing.T) {
	n := startNode(t, t.TempDir())
	c, d := newClient(t, n.SQLAddr()), newClient(t, n.SQLAddr())
	c.exec("CREATE TABLE t (w int, n int)")
	_, off := parts(t, c.ParameterStatus("tidemark.token"))
	require.Equal(t, "success", d.one(fmt.Sprintf("WAIT FOR LSN '%s'", off)))
	future := off + 4096
	began := time.Now()
	e := d.fails("57014", fmt.Sprintf("WAIT FOR LSN '%s' WITH (TIMEOUT 200)", future))
	require.Contains(t, e.Message, future.String())
	require.Contains(t, e.Detail, "behind")
	require.Equal(t, "timeout", d.one(fmt.Sprintf("WAIT FOR LSN '%s' WITH (TIMEOUT '200ms', NO_THROW)", future)))
	require.GreaterOrEqual(t, time.Since(began), 400*time.Millisecond)
	require.Less(t, time.Since(began), 8*time.Second, "twice 200 ms, not twice the wait_timeout")
	d.exec("SET tidemark.wait_timeout = '100ms'")
	d.fails("57014", fmt.Sprintf("WAIT FOR LSN '%s'", future))

	answered := make(chan error, 1)
	go func() {
		_, err := execute(t.Context(), d.PgConn, fmt.Sprintf("WAIT FOR LSN '%s' WITH (TIMEOUT '20s')", future))
		answered <- err
	}()
	for done := false; !done; {
		c.exec("INSERT INTO t SELECT 1, 1 FROM tidemark.changes LIMIT 0", "INSERT INTO t VALUES (1, 2)")
		_, at := parts(t, c.ParameterStatus("tidemark.token"))
		select {
		case err := <-answered:
			require.NoError(t, err)
			require.GreaterOrEqual(t, at+64, future, "it came back too early")
			done = true
		default:
			require.Less(t, at, future+1<<20, "it does not come back")
		}
	}
	c.exec("BEGIN", "SELECT * FROM t")
	c.fails("25001", "WAIT FOR LSN '0/1'")
	c.exec("ROLLBACK")
	c.fails("42601", "WAIT FOR LSN")
	c.fails("22P02", "WAIT FOR LSN 'x'")
}

// TestTailingCostsWhatIsNew reads the end of a log that grows long. An offset
// in the condition is looked up, not searched for.
func TestTailingCostsWhatIsNew(t *testing.T) {
	n := startNode(t, t.TempDir())
	c := newClient(t, n.SQLAddr())
	c.exec("CREATE TABLE t (w int, n int)")
	first := c.one("SELECT pg_current_wal_lsn()")
	queries := func() []string {
		_, off := parts(t, c.ParameterStatus("tidemark.token"))
		return []string{
			fmt.Sprintf("SELECT lsn, command FROM tidemark.log WHERE lsn >= '%s'", off),
			fmt.Sprintf("SELECT lsn, before, after FROM tidemark.changes WHERE lsn > '%s' ORDER BY lsn LIMIT 10", off-100),
			fmt.Sprintf("SELECT count(*) FROM tidemark.changes WHERE lsn BETWEEN '%s' AND '%s' AND op = 'insert'", off-100, off),
			"SELECT command FROM tidemark.log WHERE lsn <= '" + first + "'",
		}
	}
	cost := func() []time.Duration {
		var out []time.Duration
		for _, sql := range queries() {
			var times []time.Duration
			for range 9 {
				began := time.Now()
				require.NotEmpty(t, c.rows(sql), sql)
				times = append(times, time.Since(began))
			}
			slices.Sort(times)
			out = append(out, times[1])
		}
		return out
	}
	grow := func(n int) {
		for range n / 500 {
			c.exec(strings.Repeat("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4);", 125))
		}
	}
	grow(1_000)
	before := cost()
	grow(100_000)
	after := cost()
	whole := time.Now()
	c.exec("SELECT count(*) FROM tidemark.changes")
	all := time.Since(whole)
	t.Logf("with 1,000 changes %v, with 100,000 %v; all of them %v", before, after, all)
	for i, sql := range queries() {
		require.Less(t, after[i], 10*before[i]+5*time.Millisecond, "%s", sql)
		require.Less(t, after[i], all/3, "%s", sql)
	}
}
