package tests

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIdempotencyKeys execute a command once, however often it is sent.
func TestIdempotencyKeys(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	a := newClient(t, n.SQLAddr())
	a.exec("CREATE TABLE o (id serial PRIMARY KEY, what text UNIQUE)")
	insert := "INSERT INTO o (what) VALUES ('tea') RETURNING id"
	once := func(c *client, key, sql string) [][]string {
		c.exec("SET tidemark.idempotency_key = '" + key + "'")
		return c.rows(sql)
	}
	first := once(a, "k1", insert)
	token := a.ParameterStatus("tidemark.token")
	require.Equal(t, "", a.one("SHOW tidemark.idempotency_key"), "a key is for one transaction")
	a.exec("INSERT INTO o (what) VALUES ('cake')")
	require.Equal(t, first, once(a, "k1", insert), "the first answer")
	require.Equal(t, token, a.ParameterStatus("tidemark.token"), "and the first token")
	a.exec("SET tidemark.idempotency_key = 'k1'")
	require.Contains(t, a.fails("22023", "INSERT INTO o (what) VALUES ('coffee')").Message, "k1")
	a.exec("RESET tidemark.idempotency_key")

	// A failure that is the command's own is an answer too; the next day it is not.
	a.exec("SET tidemark.idempotency_key = 'k2'", "SET tidemark.idempotency_window = '1s'")
	a.fails("23505", "INSERT INTO o (what) VALUES ('tea')")
	a.exec("DELETE FROM o WHERE what = 'tea'", "SET tidemark.idempotency_key = 'k2'")
	a.fails("23505", "INSERT INTO o (what) VALUES ('tea')")
	require.Equal(t, [][]string{{"failed", "", "", "23505"}}, a.rows("SELECT status, lsn, token, sqlstate FROM tidemark.outcome('k2')"))
	a.exec("SELECT pg_sleep(1.1)", "INSERT INTO o (what) VALUES ('water')", "RESET tidemark.idempotency_window")
	require.Equal(t, [][]string{{"unknown", ""}}, a.rows("SELECT status, sqlstate FROM tidemark.outcome('k2')"))
	require.Len(t, once(a, "k2", insert), 1)

	// After a restart, and on another connection.
	require.Equal(t, [][]string{{"committed", token, "t"}}, a.rows("SELECT status, token, expires > log_time FROM tidemark.outcome('k1')"))
	require.NoError(t, n.Close(t.Context()))
	n = startNode(t, dir)
	b := newClient(t, n.SQLAddr())
	require.Equal(t, first, once(b, "k1", insert))
	require.Equal(t, [][]string{{"committed", token}}, b.rows("SELECT status, token FROM tidemark.outcome('k1')"))
	require.Equal(t, "3", b.one("SELECT count(*) FROM o"))

	// What is too long or too large.
	b.fails("22023", "SET tidemark.idempotency_key = '"+strings.Repeat("x", 300)+"'")
	b.fails("22023", "SET tidemark.idempotency_window = '90d'")
	large := "INSERT INTO o (what) SELECT repeat('x', 1000) || i FROM generate_series(1, 100) i RETURNING what"
	require.Len(t, once(b, "k3", large), 100)
	b.exec("SET tidemark.idempotency_key = 'k3'")
	b.fails("55000", large)
	require.Equal(t, "103", b.one("SELECT count(*) FROM o"))
}

// TestIdempotentTransactions show the same answers when they are repeated.
func TestIdempotentTransactions(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE o (id serial PRIMARY KEY, at timestamptz DEFAULT now(), who uuid DEFAULT gen_random_uuid(), what text)", "CREATE TABLE stock (what text PRIMARY KEY, n int)", "INSERT INTO stock VALUES ('tea', 10)")
	buy := func(c *client, end string) [][]string {
		c.exec("BEGIN", "SET LOCAL tidemark.idempotency_key = 'order-17'")
		rows := c.rows("SELECT n FROM stock WHERE what = 'tea'")
		rows = append(rows, c.rows("INSERT INTO o (what) VALUES ('tea') RETURNING id, at, who")...)
		rows = append(rows, c.rows("UPDATE stock SET n = n - 1 WHERE what = 'tea' RETURNING n")...)
		c.exec(end)
		return rows
	}
	first := buy(a, "COMMIT")
	token := a.ParameterStatus("tidemark.token")
	b.exec("UPDATE stock SET n = 100", "INSERT INTO o (what) VALUES ('cake')")
	require.Equal(t, first, buy(b, "COMMIT"))
	require.Equal(t, token, b.ParameterStatus("tidemark.token"))
	require.Equal(t, "100", b.one("SELECT n FROM stock"))
	require.Equal(t, "2", b.one("SELECT count(*) FROM o"))
	b.exec("BEGIN", "SET LOCAL tidemark.idempotency_key = 'order-17'", "DELETE FROM o")
	b.fails("22023", "COMMIT")
	require.Equal(t, "2", b.one("SELECT count(*) FROM o"))
	// A conflict is no answer: the next attempt is a new one.
	a.exec("BEGIN", "SET LOCAL tidemark.idempotency_key = 'c'", "SELECT n FROM stock", "UPDATE stock SET n = 0")
	b.exec("UPDATE stock SET n = 7")
	a.fails("40001", "COMMIT")
	a.exec("BEGIN", "SET LOCAL tidemark.idempotency_key = 'c'", "SELECT n FROM stock", "UPDATE stock SET n = 0", "COMMIT")
	require.Equal(t, "0", a.one("SELECT n FROM stock"))
}

// TestTransactionIDs tell what has become of a transaction.
func TestTransactionIDs(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE t (x int8)")
	require.Equal(t, "", a.one("SELECT txid_current_if_assigned()"))
	a.exec("BEGIN")
	id := a.one("SELECT txid_current()")
	require.Equal(t, id, a.one("SELECT pg_current_xact_id()"))
	require.Equal(t, id, a.one("SELECT pg_current_xact_id_if_assigned()"))
	require.Equal(t, "in progress", a.one("SELECT txid_status("+id+")"))
	require.Equal(t, "in progress", b.one("SELECT pg_xact_status('"+id+"')"))
	a.exec("INSERT INTO t VALUES (txid_current())", "COMMIT")
	require.Equal(t, id, b.one("SELECT x FROM t"))
	require.Equal(t, "committed", b.one("SELECT txid_status("+id+")"))
	a.exec("BEGIN")
	lost := a.one("SELECT txid_current()")
	require.NotEqual(t, id, lost)
	a.exec("ROLLBACK")
	require.Equal(t, "aborted", b.one("SELECT txid_status("+lost+")"))
	single := a.one("INSERT INTO t VALUES (1) RETURNING txid_current()")
	require.Equal(t, "committed", b.one("SELECT txid_status("+single+")"))
	require.Equal(t, "committed", b.one("SELECT txid_status("+a.one("SELECT txid_current()")+")"))
	require.Equal(t, "", b.one("SELECT txid_status(4096)"), "too old to be known")
	require.Equal(t, "", b.one("SELECT txid_status(0)"), "nobody's")
	b.fails("22023", "SELECT txid_status(9223372036854775807)")
}

// TestAssert makes a transaction depend on a condition.
func TestAssert(t *testing.T) {
	for _, level := range []string{"READ COMMITTED", "SERIALIZABLE"} {
		_, a, b := pair(t, "CREATE TABLE acc (id int PRIMARY KEY, bal int)", "INSERT INTO acc VALUES (1, 100)")
		r, err := a.Exec(t.Context(), "ASSERT (SELECT bal FROM acc) = 100, 'not enough'").ReadAll()
		require.NoError(t, err)
		require.Equal(t, "ASSERT", r[0].CommandTag.String())
		require.Empty(t, r[0].FieldDescriptions)
		e := a.fails("P0004", "UPDATE acc SET bal = bal - 200; ASSERT (SELECT bal FROM acc) >= 0, 'not enough'")
		require.Equal(t, "not enough", e.Message)
		require.Equal(t, "assertion failed", a.fails("P0004", "SELECT tidemark.assert(NULL)").Message)
		a.exec("UPDATE acc SET bal = bal - 50; /* still */ assert NOT EXISTS (SELECT 1 FROM acc WHERE bal < 0)")
		require.Equal(t, "50", a.one("SELECT bal FROM acc"))
		for _, sql := range []string{"ASSERT", "ASSERT true) FROM (SELECT 1", "ASSERT true) x, (SELECT 1", "ASSERT true WHERE true", "SELECT assert(true)"} {
			_, err := execute(t.Context(), a.PgConn, sql)
			require.Contains(t, []string{"42601", "42883"}, codeOf(err), sql)
		}
		// It is validated at COMMIT at every level, for rows as well that nobody writes.
		a.exec("BEGIN ISOLATION LEVEL "+level, "ASSERT (SELECT bal FROM acc) = 50")
		b.exec("UPDATE acc SET bal = 49")
		_, err = execute(t.Context(), a.PgConn, "INSERT INTO acc VALUES (2, 0); COMMIT")
		require.Equal(t, "40001", codeOf(err))
		a.exec("ROLLBACK")
		// A condition on the log: nothing was added since an offset.
		_, off := parts(t, b.ParameterStatus("tidemark.token"))
		dcb := "ASSERT NOT EXISTS (SELECT 1 FROM acc WHERE _lsn > '" + off.String() + "'); INSERT INTO acc VALUES (3, 0)"
		a.exec(dcb)
		a.fails("P0004", strings.ReplaceAll(dcb, "(3", "(4"))
	}
}
