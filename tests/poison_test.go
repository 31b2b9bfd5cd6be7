package tests

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark"
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/tests/cluster"
)

// poisoned panics for entries with a statement that says so.
func poisoned(e *log.Entry) {
	for i := range e.Statements {
		if strings.Contains(e.Statements[i].Text, "poison") {
			panic("poison")
		}
	}
}

// httpStatus asks the node's health endpoints.
func httpStatus(t *testing.T, n *tidemark.Node, path string) (int, string) {
	t.Helper()
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + n.HTTPAddr() + path)
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(body)
}

// TestPoison lets a command panic in apply. The log halts in front of it, for
// reads only, here and after every restart until the program can apply it.
func TestPoison(t *testing.T) {
	dir := t.TempDir()
	logged := &cluster.Buffer{}
	broken := func(c *tidemark.Config) {
		c.FailPoint = poisoned
		c.Logger = slog.New(slog.NewTextHandler(logged, nil))
	}
	halted := ""
	for round := range 3 {
		n := startNode(t, dir, broken)
		c := newClient(t, n.SQLAddr())
		if round == 0 {
			c.exec("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'before')")
			code, _ := httpStatus(t, n, "/readyz")
			require.Equal(t, http.StatusOK, code)
			e := c.fails("58030", "INSERT INTO t VALUES (2, 'poison')")
			require.Contains(t, e.Message, "halted")
			require.Contains(t, e.Message, "poison")
		}
		// A client that was there and one that comes later.
		for _, x := range []*client{c, newClient(t, n.SQLAddr())} {
			for _, sql := range []string{"INSERT INTO t VALUES (3, 'after')", "CREATE TABLE u (id int)", "BEGIN; INSERT INTO t VALUES (4, 'x'); COMMIT", "SELECT nextval('t')"} {
				_, err := execute(t.Context(), x.PgConn, sql)
				require.Error(t, err, sql)
				if !strings.Contains(sql, "nextval") {
					require.Equal(t, "58030", codeOf(err), sql)
				}
				if x.TxStatus() != 'I' {
					x.exec("ROLLBACK")
				}
			}
			require.Equal(t, [][]string{{"1", "before"}}, x.rows("SELECT * FROM t"), "reads go on")
			require.Equal(t, [][]string{{"1", "before"}}, x.rows("BEGIN; SELECT * FROM t; COMMIT; SELECT * FROM t"))
			require.Equal(t, "2", x.one("SELECT count(*) FROM tidemark.log"))
			at := x.one("SELECT pg_current_wal_lsn()")
			if halted == "" {
				halted = at
			}
			require.Equal(t, halted, at, "it halts at the same place every time")
		}
		code, body := httpStatus(t, n, "/readyz")
		require.Equal(t, http.StatusServiceUnavailable, code)
		require.Contains(t, body, "halted")
		code, _ = httpStatus(t, n, "/healthz")
		require.Equal(t, http.StatusOK, code, "the process is well")
		require.Equal(t, round+1, strings.Count(logged.String(), "log is halted: an entry could not be applied"), "%s", logged)
		require.NoError(t, n.Close(t.Context()))
	}

	// A program that can apply the command goes on.
	n := startNode(t, dir)
	c := newClient(t, n.SQLAddr())
	c.exec("INSERT INTO t VALUES (3, 'after')")
	require.Equal(t, [][]string{{"1", "before"}, {"2", "poison"}, {"3", "after"}}, c.rows("SELECT * FROM t ORDER BY id"))
	require.Equal(t, "4", c.one("SELECT count(*) FROM tidemark.log"))
}

// TestPoisonUnderLoad poisons a log that many clients write to: each of them is
// told, and what was acknowledged is there.
func TestPoisonUnderLoad(t *testing.T) {
	n := startNode(t, t.TempDir(), func(c *tidemark.Config) { c.FailPoint = poisoned })
	admin := newClient(t, n.SQLAddr())
	admin.exec("CREATE TABLE t (w int, n int, PRIMARY KEY (w, n))")
	const writers = 6
	type end struct {
		done int
		err  error
	}
	ends := make(chan end, writers)
	for w := range writers {
		c := newClient(t, n.SQLAddr())
		go func() {
			for i := 0; ; i++ {
				if err := write(t, c, w, i); err != nil {
					ends <- end{i, err}
					return
				}
			}
		}()
	}
	time.Sleep(100 * time.Millisecond)
	admin.fails("58030", "DELETE FROM t WHERE 'poison' = ''")
	total := 0
	for range writers {
		select {
		case e := <-ends:
			require.Equal(t, "58030", codeOf(e.err))
			total += e.done
		case <-time.After(20 * time.Second):
			t.Fatal("a writer was told nothing")
		}
	}
	require.Positive(t, total)
	require.Equal(t, total, len(admin.rows("SELECT * FROM t")))
}
