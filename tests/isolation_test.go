package tests

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

const accounts = "CREATE TABLE acc (id int PRIMARY KEY, bal int)"

// TestReadCommitted sees the newest state with each statement, and validates
// writes only.
func TestReadCommitted(t *testing.T) {
	_, a, b := pair(t, accounts, "INSERT INTO acc VALUES (1, 100), (2, 200)", "CREATE TABLE other (n int)")
	a.exec("BEGIN ISOLATION LEVEL READ COMMITTED")
	require.Equal(t, "read committed", a.one("SHOW transaction_isolation"))
	require.Equal(t, "100", a.one("SELECT bal FROM acc WHERE id = 1"))
	b.exec("UPDATE acc SET bal = 150 WHERE id = 1")
	require.Equal(t, "150", a.one("SELECT bal FROM acc WHERE id = 1"), "the newest state")
	a.exec("INSERT INTO other VALUES (1)")
	b.exec("UPDATE acc SET bal = 151 WHERE id = 1", "INSERT INTO other VALUES (2)")
	require.Equal(t, "2", a.one("SELECT count(*) FROM other"), "its own row and the new one")
	a.exec("COMMIT") // what it was shown at first is no longer so, and that is allowed

	// An update is computed anew on what others have committed: no update is lost.
	a.exec("BEGIN ISOLATION LEVEL READ COMMITTED", "UPDATE acc SET bal = bal + 10 WHERE id = 1")
	b.exec("UPDATE acc SET bal = bal + 1000 WHERE id = 1")
	require.Equal(t, "1161", a.one("SELECT bal FROM acc WHERE id = 1"))
	a.exec("COMMIT")
	require.Equal(t, "1161", b.one("SELECT bal FROM acc WHERE id = 1"))

	// What a write answered is validated: at the next statement or at COMMIT.
	for _, later := range []string{"SELECT 1 FROM acc", "COMMIT"} {
		b.exec("DELETE FROM other", "INSERT INTO other VALUES (7)")
		a.exec("BEGIN ISOLATION LEVEL READ UNCOMMITTED", "DELETE FROM other WHERE n = 7")
		b.exec("DELETE FROM other WHERE n = 7")
		a.fails("40001", later)
		a.exec("ROLLBACK")
	}
}

// TestReadCommittedSavepoints survive being moved to a newer state.
func TestReadCommittedSavepoints(t *testing.T) {
	_, a, b := pair(t, accounts, "INSERT INTO acc VALUES (1, 100)")
	a.exec("BEGIN ISOLATION LEVEL READ COMMITTED", "INSERT INTO acc VALUES (2, 0)", "SAVEPOINT s", "UPDATE acc SET bal = bal + 1", "SAVEPOINT u", "DELETE FROM acc")
	b.exec("UPDATE acc SET bal = 500 WHERE id = 1")
	require.Equal(t, "0", a.one("SELECT count(*) FROM acc"))
	a.exec("ROLLBACK TO u")
	require.Equal(t, [][]string{{"1", "501"}, {"2", "1"}}, a.rows("SELECT id, bal FROM acc ORDER BY id"))
	b.exec("CREATE TABLE anew (n int)") // with another catalog it starts over too
	require.Equal(t, "0", a.one("SELECT count(*) FROM anew"))
	a.fails("23505", "INSERT INTO acc VALUES (1, 0)")
	a.exec("ROLLBACK TO s", "RELEASE s", "COMMIT")
	require.Equal(t, [][]string{{"1", "500"}, {"2", "0"}}, a.rows("SELECT id, bal FROM acc ORDER BY id"))
}

// TestRowLocks lock nothing: COMMIT validates what they have shown, at every level.
func TestRowLocks(t *testing.T) {
	for _, level := range []string{"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"} {
		for _, lock := range []string{"FOR UPDATE", "FOR NO KEY UPDATE NOWAIT", "FOR SHARE OF acc SKIP LOCKED", "FOR KEY SHARE"} {
			_, a, b := pair(t, accounts, "INSERT INTO acc VALUES (1, 100), (2, 0)")
			a.exec("BEGIN ISOLATION LEVEL " + level)
			require.Equal(t, "100", a.one("SELECT bal FROM acc WHERE id = 1 "+lock))
			b.exec("UPDATE acc SET bal = 7 WHERE id = 2") // not what was shown
			a.exec("UPDATE acc SET bal = 110 WHERE id = 1", "COMMIT")
			a.exec("BEGIN ISOLATION LEVEL " + level)
			require.Equal(t, "110", a.one("SELECT bal FROM acc WHERE id = 1 "+lock))
			b.exec("UPDATE acc SET bal = 0 WHERE id = 1")
			_, err := execute(t.Context(), a.PgConn, "UPDATE acc SET bal = 120 WHERE id = 1; COMMIT")
			require.Equal(t, "40001", codeOf(err))
			a.exec("ROLLBACK")
			require.Equal(t, "0", a.one("SELECT bal FROM acc WHERE id = 1"), "the update was not lost")
		}
	}
	_, a, _ := pair(t, accounts)
	a.fails("42P01", "SELECT * FROM acc FOR UPDATE OF nothing")
	a.fails("0A000", "SELECT DISTINCT id FROM acc FOR UPDATE")
	a.exec("BEGIN READ ONLY")
	require.Contains(t, a.fails("25006", "SELECT * FROM acc FOR SHARE").Message, "SELECT FOR SHARE")
	a.exec("ROLLBACK")
}

// TestIsolationSettings are those of PostgreSQL.
// TestReadCommittedDefinitions: an index that a transaction has built has the
// rows that others commit meanwhile as well.
func TestReadCommittedDefinitions(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE p (id int PRIMARY KEY, n int)", "INSERT INTO p SELECT g, g FROM generate_series(1, 10) g", "CREATE TABLE other (n int)")
	a.exec("BEGIN ISOLATION LEVEL READ COMMITTED", "SAVEPOINT s", "CREATE INDEX ON p (n)")
	b.exec("INSERT INTO other VALUES (1)")
	require.Equal(t, "1", a.one("SELECT count(*) FROM other"))
	b.exec("INSERT INTO p VALUES (11, 11)", "UPDATE p SET n = 100 WHERE id = 1")
	require.Equal(t, [][]string{{"11"}}, a.rows("SELECT id FROM p WHERE n = 11"))
	require.Empty(t, a.rows("SELECT id FROM p WHERE n = 1"))
	require.Equal(t, [][]string{{"1"}}, a.rows("SELECT id FROM p WHERE n = 100"))
	b.exec("INSERT INTO p VALUES (12, 100)")
	a.exec("ALTER TABLE p ADD UNIQUE (id, n)")
	b.exec("DELETE FROM p WHERE id = 1")
	require.Equal(t, [][]string{{"12"}}, a.rows("SELECT id FROM p WHERE n = 100"))
	a.exec("ROLLBACK TO s", "INSERT INTO other VALUES (2)", "CREATE INDEX ON p (n)", "COMMIT")
	require.Equal(t, [][]string{{"12"}}, a.rows("SELECT id FROM p WHERE n = 100"))
}

// TestRowLocksOnWhatIsNoRow: a result whose rows are not a table's cannot be locked.
func TestRowLocksOnWhatIsNoRow(t *testing.T) {
	_, a, _ := pair(t, "CREATE TABLE p (id int)")
	require.Equal(t, "FOR UPDATE is not allowed with aggregate functions", a.fails("0A000", "SELECT count(*) FROM p FOR UPDATE").Message)
	require.Equal(t, "FOR SHARE is not allowed with aggregate functions", a.fails("0A000", "SELECT 1 FROM p ORDER BY count(*) FOR SHARE").Message)
	require.Equal(t, "FOR UPDATE is not allowed with set-returning functions in the target list", a.fails("0A000", "SELECT generate_series(1, id) FROM p FOR UPDATE").Message)
	a.exec("SELECT (SELECT count(*) FROM p) FROM p FOR UPDATE")
}

func TestIsolationSettings(t *testing.T) {
	_, a, b := pair(t, accounts, "INSERT INTO acc VALUES (1, 1)")
	require.Equal(t, "serializable", a.one("SHOW default_transaction_isolation"))
	a.exec("SET default_transaction_isolation = 'read committed'", "BEGIN")
	a.exec("SELECT bal FROM acc")
	b.exec("UPDATE acc SET bal = 2")
	require.Equal(t, "2", a.one("SELECT bal FROM acc"))
	a.fails("25001", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
	a.exec("ROLLBACK", "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN")
	require.Equal(t, "serializable", a.one("SHOW transaction_isolation"))
	a.exec("SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY, DEFERRABLE")
	a.fails("25006", "DELETE FROM acc")
	a.exec("ROLLBACK", "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE", "SELECT * FROM acc", "COMMIT")
	a.fails("22023", "SET default_transaction_isolation = 'chaos'")
}

// TestSettingsWithinTransaction are those of the moment when a statement is
// executed again at COMMIT.
func TestSettingsWithinTransaction(t *testing.T) {
	_, a, b := pair(t, "CREATE SCHEMA one", "CREATE SCHEMA two", "CREATE TABLE one.t (n int, at text)", "CREATE TABLE two.t (n int, at text)")
	a.exec("SET search_path = one", "BEGIN", "INSERT INTO t VALUES (1, '2024-07-01 12:00Z'::timestamptz::text)",
		"SAVEPOINT s", "SET LOCAL search_path = two", "SET LOCAL TimeZone = 'Asia/Tokyo'", "INSERT INTO t VALUES (2, '2024-07-01 12:00Z'::timestamptz::text)")
	b.exec("INSERT INTO two.t VALUES (9, '')", "INSERT INTO one.t VALUES (8, '')")
	a.exec("SAVEPOINT u", "ROLLBACK TO s", "INSERT INTO t VALUES (3, '')", "SET LOCAL search_path = two", "INSERT INTO t VALUES (4, '2024-07-01 12:00Z'::timestamptz::text)", "SET LOCAL search_path = nowhere", "COMMIT")
	require.Equal(t, [][]string{{"1", "2024-07-01 12:00:00+00"}, {"3", ""}, {"8", ""}}, a.rows("SELECT * FROM one.t ORDER BY n"))
	require.Equal(t, [][]string{{"4", "2024-07-01 12:00:00+00"}, {"9", ""}}, a.rows("SELECT * FROM two.t ORDER BY n"))
}

// TestSettingsBeforeSavepoint: a setting holds at COMMIT for what comes after a
// savepoint too.
func TestSettingsBeforeSavepoint(t *testing.T) {
	_, a, _ := pair(t, "CREATE TABLE e (at timestamptz)", "SET timezone = 'UTC'")
	text := "'2026-01-01 12:00'"
	a.exec("BEGIN", "INSERT INTO e VALUES ("+text+")", "SET LOCAL timezone = 'Asia/Tokyo'", "SAVEPOINT s", "INSERT INTO e VALUES ("+text+")",
		"SET LOCAL timezone = 'America/New_York'", "RELEASE s", "INSERT INTO e VALUES ("+text+")", "COMMIT")
	require.Equal(t, [][]string{{"2026-01-01 12:00:00+00"}, {"2026-01-01 03:00:00+00"}, {"2026-01-01 17:00:00+00"}}, a.rows("SELECT at FROM e"))
	a.exec("TRUNCATE e", "BEGIN", "SAVEPOINT s", "SET LOCAL timezone = 'Asia/Tokyo'", "INSERT INTO e VALUES ("+text+")", "ROLLBACK TO s", "INSERT INTO e VALUES ("+text+")", "COMMIT")
	require.Equal(t, "2026-01-01 12:00:00+00", a.one("SELECT at FROM e"))
}

// TestSystemColumns make optimistic concurrency a WHERE clause.
func TestSystemColumns(t *testing.T) {
	_, a, b := pair(t, accounts, "INSERT INTO acc VALUES (1, 100), (2, 200)")
	_, off := parts(t, a.ParameterStatus("tidemark.token"))
	require.Equal(t, [][]string{{"1", off.String(), off.String()}}, a.rows("SELECT id, _lsn, _created_lsn FROM acc WHERE id = 1"))
	require.Equal(t, [][]string{{"1", "100"}}, a.rows("SELECT * FROM acc WHERE _lsn = '"+off.String()+"' AND id = 1"))
	b.exec("UPDATE acc SET bal = 101 WHERE id = 1")
	_, later := parts(t, b.ParameterStatus("tidemark.token"))
	stale := fmt.Sprintf("UPDATE acc SET bal = 0 WHERE id = 1 AND _lsn = '%s' RETURNING id", off)
	require.Empty(t, a.rows(stale))
	require.Len(t, a.rows(fmt.Sprintf("UPDATE acc SET bal = 0 WHERE id = 1 AND acc._lsn = '%s' RETURNING id", later)), 1)
	require.Equal(t, "t", a.one("SELECT _lsn > _created_lsn FROM acc a WHERE id = 1"))
	require.Equal(t, "1", a.one("SELECT count(*) FROM acc x JOIN acc y ON x._lsn > y._lsn"))
	a.fails("42702", "SELECT _lsn FROM acc x, acc y")
	a.fails("42703", "SELECT _lsn FROM (SELECT id FROM acc) x")
	a.exec("BEGIN", "UPDATE acc SET bal = 1 WHERE id = 2")
	require.Equal(t, [][]string{{"", off.String()}}, a.rows("SELECT _lsn, _created_lsn FROM acc WHERE id = 2"), "it has no offset before COMMIT")
	a.exec("COMMIT", "CREATE TABLE own (_lsn int)", "INSERT INTO own VALUES (5)")
	require.Equal(t, "5", a.one("SELECT _lsn FROM own"))
	require.Equal(t, "0", a.one("SELECT count(*) FROM acc WHERE EXISTS (SELECT 1 FROM acc i WHERE i.id = acc.id AND i._lsn <> acc._lsn)"))
}

// TestBudgets bound what one entry costs, the same on every replica.
func TestBudgets(t *testing.T) {
	_, a, b := pair(t, accounts, "INSERT INTO acc SELECT i, 0 FROM generate_series(1, 1000) i")
	a.exec("SET tidemark.max_transaction_rows = 500")
	e := a.fails("54000", "UPDATE acc SET bal = 1")
	require.Contains(t, e.Message, "more than 500 rows")
	a.exec("UPDATE acc SET bal = 1 WHERE id <= 500", "RESET tidemark.max_transaction_rows", "SET tidemark.max_transaction_steps = 2000")
	require.Contains(t, a.fails("54000", "DELETE FROM acc x USING acc y WHERE x.bal > y.bal + 5").Message, "looks at more than 2000 rows")
	require.Equal(t, "1000000", a.one("SELECT count(*) FROM acc x, acc y"), "queries do not stop the log")
	a.exec("BEGIN", "UPDATE acc SET bal = 2 WHERE id <= 100")
	a.fails("54000", "UPDATE acc SET bal = (SELECT count(*) FROM acc x, acc y)")
	a.exec("ROLLBACK")
	// A query that would have to be executed again counts too.
	big := "SELECT count(*) FROM acc x, acc y"
	a.exec("BEGIN", big, "UPDATE acc SET bal = 2 WHERE id = 1", "COMMIT")
	a.exec("BEGIN", big)
	b.exec("UPDATE acc SET bal = 3 WHERE id = 2")
	a.exec("UPDATE acc SET bal = 3 WHERE id = 1")
	a.fails("54000", "COMMIT")
	// At READ COMMITTED it never is.
	a.exec("BEGIN ISOLATION LEVEL READ COMMITTED", big, "UPDATE acc SET bal = 4 WHERE id = 1")
	b.exec("UPDATE acc SET bal = 4 WHERE id = 2")
	a.exec("COMMIT")
	a.exec("SET tidemark.max_transaction_bytes = 1000")
	a.fails("54000", "INSERT INTO acc SELECT i, 0 FROM generate_series(2000, 2500) i")
	// What is no row costs time too.
	a.exec("RESET tidemark.max_transaction_bytes")
	a.fails("54000", "UPDATE acc SET bal = 4 WHERE length(repeat('x', 100000 - id)) > 0")
	a.fails("54000", "UPDATE acc SET bal = 4 WHERE length(array_fill(id, ARRAY[100000])::text) > 0")
	require.Equal(t, "99000000", a.one("SELECT sum(length(repeat('x', 99000 + 0 * id))) FROM acc"))
	a.exec("SET tidemark.max_transaction_bytes = 1000", "UPDATE acc SET bal = 4 WHERE length(repeat('x', 10000 - id)) > 0 AND id <= 10")
	a.fails("22023", "SET tidemark.max_transaction_rows = -1")
	require.Equal(t, "1000", a.one("SELECT count(*) FROM acc"))
}
