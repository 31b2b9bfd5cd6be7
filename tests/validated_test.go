package tests

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestShadowedTables: a query whose names mean other tables by now has to be
// executed again, however little these have changed.
func TestShadowedTables(t *testing.T) {
	for _, end := range []string{"DROP TABLE front.t", "ALTER TABLE front.t RENAME TO u"} {
		_, a, b := pair(t, "CREATE SCHEMA front", "CREATE TABLE front.t (id int)", "CREATE TABLE t (id int)", "INSERT INTO front.t VALUES (1), (2)", "CREATE TABLE told (n int)")
		a.exec("SET search_path = front, public", "BEGIN")
		require.Equal(t, "2", a.one("SELECT count(*) FROM t"))
		b.exec(end)
		a.exec("INSERT INTO told VALUES (2)")
		a.fails("40001", "COMMIT")
	}
}

// TestQueriesThatAskTheSession: whether a query is executed again depends on what
// a node happens to know, so it must answer the same wherever that is, or the
// transaction may not write.
func TestQueriesThatAskTheSession(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE p (id int PRIMARY KEY, n int)", "INSERT INTO p VALUES (1, 1)", "CREATE TABLE told (n text)", "CREATE SEQUENCE q", "SELECT nextval('q')",
		"CREATE SCHEMA front", "SET search_path = nowhere, front, public", "SET app.x = 'seven'")
	ask := func(sql string) {
		a.exec("BEGIN", sql)
		b.exec("INSERT INTO p VALUES (2, -2)", "DELETE FROM p WHERE id = 2") // p has changed, but no answer
		a.exec("INSERT INTO told VALUES ('x')")
	}
	for _, f := range []string{"clock_timestamp()", "timeofday()", "now()", "random()", "gen_random_uuid()", "current_user", "version()", "current_schema()", "currval('q')",
		"current_setting('work_mem')", "current_setting('app.x')", "current_setting('app.none', true)", "pg_current_xact_id_if_assigned()",
		"pg_is_in_recovery()"} { // where that is false; a node that does not lead cannot have it validated
		ask("SELECT " + f + ", n FROM p WHERE n > 0")
		a.exec("COMMIT")
	}
	for _, f := range []string{"pg_backend_pid()", "current_query()", "pg_current_wal_lsn()", "set_config('app.x', '8', true)", "(SELECT status FROM tidemark.outcome('k'))"} {
		ask("SELECT " + f + ", n FROM p WHERE n > 0")
		require.Contains(t, a.fails("0A000", "COMMIT").Message, "on table data is not supported in a transaction that writes", f)
		a.exec("BEGIN READ ONLY", "SELECT "+f+", n FROM p WHERE n > 0", "COMMIT")
	}
	a.exec("BEGIN", "SAVEPOINT s")
	a.fails("22012", "SELECT n / (pg_backend_pid() - pg_backend_pid()) FROM p")
	a.exec("ROLLBACK TO s", "INSERT INTO told VALUES ('y')")
	a.fails("0A000", "COMMIT")

	// Settings are those of each statement.
	a.exec("BEGIN", "SELECT current_setting('app.x'), n FROM p WHERE n > 0", "SET LOCAL app.x = 'eight'", "SELECT current_setting('app.x'), n FROM p WHERE n > 0",
		"SET LOCAL application_name = 'other'", "SELECT current_setting('application_name'), n FROM p WHERE n > 0")
	b.exec("INSERT INTO p VALUES (2, -2)", "DELETE FROM p WHERE id = 2")
	a.exec("INSERT INTO told VALUES ('z')", "COMMIT")
}

// TestSessionInWrites: what a statement that writes asks of the session.
func TestSessionInWrites(t *testing.T) {
	_, a, _ := pair(t, "CREATE SCHEMA front", "CREATE TABLE public.told (n text)", "SET search_path = nowhere, front, public")
	require.Equal(t, "front", a.one("INSERT INTO told VALUES (current_schema()) RETURNING n"))
	a.exec("BEGIN", "INSERT INTO told VALUES (txid_current())", "SET LOCAL datestyle = 'SQL'")
	require.Equal(t, "f", a.one("INSERT INTO told VALUES (txid_current_if_assigned()) RETURNING n IS NULL"))
	a.exec("COMMIT")
}

// TestCanceledInSavepoint: that a statement was canceled is nothing to validate,
// and it is not executed again.
func TestCanceledInSavepoint(t *testing.T) {
	for _, level := range []string{"SERIALIZABLE", "READ COMMITTED"} {
		_, a, b := pair(t, "CREATE TABLE p (id int PRIMARY KEY)", "INSERT INTO p VALUES (1)", "CREATE TABLE told (n int)")
		a.exec("BEGIN ISOLATION LEVEL "+level, "SAVEPOINT s", "SET LOCAL statement_timeout = 30")
		a.fails("57014", "INSERT INTO told SELECT g FROM generate_series(1, 100000000) g")
		a.exec("ROLLBACK TO s", "SET LOCAL statement_timeout = 30")
		a.fails("57014", "SELECT count(*) FROM p, generate_series(1, 100000000)")
		b.exec("INSERT INTO p VALUES (2)")
		a.exec("ROLLBACK TO s", "INSERT INTO told VALUES (1)", "COMMIT")
		require.Equal(t, "1", b.one("SELECT count(*) FROM told"))
	}
}
