package tests

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLargeCopyWithForeignKeys checks the keys of a COPY of many rows, whether or
// not it is staged.
func TestLargeCopyWithForeignKeys(t *testing.T) {
	const parents = "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p SELECT i FROM generate_series(0, 9) i"
	for name, key := range map[string]string{"immediate": "", "deferred": " DEFERRABLE INITIALLY DEFERRED"} {
		t.Run(name, func(t *testing.T) {
			_, a, b := pair(t, parents, "CREATE TABLE big (id int PRIMARY KEY, v text, n int REFERENCES p ON DELETE CASCADE"+key+")")
			copying := "COPY big (id, v, n) FROM STDIN"
			require.NoError(t, copyRows(t.Context(), a.PgConn, copying, 0, loadRows))
			b.exec("DELETE FROM p WHERE id = 3")
			require.Equal(t, strconv.Itoa(loadRows/10*9), a.one("SELECT count(*) FROM big"))
			require.Equal(t, "23503", codeOf(copyRows(t.Context(), a.PgConn, copying, loadRows, 2*loadRows)))
			// In a transaction that brings the parent along.
			a.exec("BEGIN", "INSERT INTO p VALUES (3)")
			require.NoError(t, copyRows(t.Context(), a.PgConn, copying, loadRows, 2*loadRows))
			a.exec("COMMIT")
			require.Equal(t, strconv.Itoa(loadRows/10*19), b.one("SELECT count(*) FROM big"))
			// A parent that goes while the rows are on their way takes them along, or the
			// transaction fails: there are never orphans.
			a.exec("BEGIN", "SELECT 1")
			require.NoError(t, copyRows(t.Context(), a.PgConn, copying, 2*loadRows, 3*loadRows))
			b.exec("DELETE FROM p WHERE id = 5")
			_, err := execute(t.Context(), a.PgConn, "COMMIT")
			require.Contains(t, []string{"40001", "23503"}, codeOf(err))
			require.Equal(t, "0", b.one("SELECT count(*) FROM big WHERE NOT EXISTS (SELECT 1 FROM p WHERE p.id = n)"))
		})
	}
	t.Run("self", func(t *testing.T) {
		_, a, _ := pair(t, "CREATE TABLE big (id int PRIMARY KEY, v text, n int REFERENCES big)")
		// The first rows refer to rows 0 to 9, the row 0 to itself.
		require.NoError(t, copyRows(t.Context(), a.PgConn, "COPY big (id, v, n) FROM STDIN", 0, loadRows))
		require.Equal(t, strconv.Itoa(loadRows), a.one("SELECT count(*) FROM big"))
	})
}

// TestLargeCopyAtReadCommitted moves on to newer states with its rows.
func TestLargeCopyAtReadCommitted(t *testing.T) {
	_, a, b := pair(t, loadTable, accounts, "INSERT INTO acc VALUES (1, 100)", "INSERT INTO big VALUES (-1, 'first', 0)")
	count := func(c *client) string { return c.one("SELECT count(*) FROM big") }
	a.exec("BEGIN ISOLATION LEVEL READ COMMITTED", "UPDATE acc SET bal = bal + 1")
	require.NoError(t, copyRows(t.Context(), a.PgConn, "COPY big (id, v, n) FROM STDIN", 0, loadRows))
	b.exec("INSERT INTO big VALUES (-2, 'second', 0)")
	require.Equal(t, strconv.Itoa(loadRows+2), count(a), "its own and the newest")
	b.exec("UPDATE acc SET bal = 500")
	require.Equal(t, "501", a.one("SELECT bal FROM acc"), "executed again")
	require.Equal(t, strconv.Itoa(loadRows+2), count(a))
	require.Equal(t, "2", count(b))
	a.exec("DELETE FROM big WHERE id < 10 AND id >= 0", "SAVEPOINT s", "DELETE FROM big")
	b.exec("UPDATE acc SET bal = 600")
	a.exec("ROLLBACK TO s", "COMMIT")
	require.Equal(t, strconv.Itoa(loadRows+2-10), count(b))
	require.Equal(t, "601", b.one("SELECT bal FROM acc"))
}

// TestLargeCopyOnce executes a COPY with an idempotency key once, and clears away
// what its repetition has staged.
func TestLargeCopyOnce(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE big (id int, v text, n int)")
	for range 2 {
		a.exec("SET tidemark.idempotency_key = 'load'")
		require.NoError(t, copyRows(t.Context(), a.PgConn, "COPY big (id, v, n) FROM STDIN", 0, loadRows))
	}
	for range 2 {
		a.exec("SET tidemark.idempotency_key = 'series'", "INSERT INTO big SELECT i, 'x', 0 FROM generate_series(1, 30000) i")
	}
	require.Equal(t, strconv.Itoa(loadRows+30000), b.one("SELECT count(*) FROM big"))
	a.exec("SET tidemark.idempotency_key = 'load'")
	require.Equal(t, "22023", codeOf(copyRows(t.Context(), a.PgConn, "COPY big (id, v, n) FROM STDIN", 1, loadRows+1)), "as many other rows")
	require.Eventually(t, func() bool { return b.one("SELECT count(*) FROM tidemark.loads") == "0" }, 20*time.Second, 20*time.Millisecond)
}

// TestLargeCopyAfterOwnWrites does not trip over what its transaction has deleted,
// nor overlook what it has inserted.
func TestLargeCopyAfterOwnWrites(t *testing.T) {
	_, a, b := pair(t, loadTable, "INSERT INTO big SELECT i, 'old', 0 FROM generate_series(1, 100) i")
	copying := "COPY big (id, v, n) FROM STDIN"
	a.exec("BEGIN", "DELETE FROM big")
	require.NoError(t, copyRows(t.Context(), a.PgConn, copying, 0, loadRows))
	a.exec("COMMIT")
	require.Equal(t, "0", b.one("SELECT count(*) FROM big WHERE v = 'old'"))
	a.exec("BEGIN", fmt.Sprintf("INSERT INTO big VALUES (%d, 'mine', 0)", loadRows+5))
	require.Equal(t, "23505", codeOf(copyRows(t.Context(), a.PgConn, copying, loadRows, 2*loadRows)))
	a.exec("ROLLBACK")
	// What a transaction saw before others loaded the table is no longer so.
	a.exec("BEGIN", "SELECT v FROM big WHERE id = 77777", "CREATE TABLE other (n int)")
	require.NoError(t, copyRows(t.Context(), b.PgConn, copying, 70000, 70000+loadRows))
	a.fails("40001", "COMMIT")
}
