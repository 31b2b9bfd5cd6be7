package tests

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

var family = []string{"CREATE TABLE p (id int PRIMARY KEY, note text)", "CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE)",
	"CREATE TABLE g (id int PRIMARY KEY, c int REFERENCES c ON DELETE CASCADE)", "INSERT INTO p VALUES (1), (2), (3)", "INSERT INTO c VALUES (1, 1), (2, 2)"}

// A transaction that was shown that a child row found its parent must not
// commit once the parent has gone, and neither may one that was shown that
// nothing refers to a parent once something does.
func TestForeignKeysOfTransactionsAtOnce(t *testing.T) {
	_, a, b := pair(t, append(family, "CREATE TABLE n (p int REFERENCES p)")...)
	a.exec("BEGIN", "INSERT INTO n VALUES (3)")
	b.exec("DELETE FROM p WHERE id = 3")
	a.fails("40001", "COMMIT")
	a.exec("INSERT INTO p VALUES (3)", "BEGIN", "DELETE FROM p WHERE id = 3")
	b.exec("INSERT INTO n VALUES (3)")
	a.fails("40001", "COMMIT")
	require.Equal(t, "1", a.one("SELECT count(*) FROM n, p WHERE p = p.id"))
}

// What a transaction was not shown is no conflict: the parent may be changed
// elsewhere, and whatever a cascade deletes is what is there then.
func TestForeignKeysDoNotConflictWithoutNeed(t *testing.T) {
	_, a, b := pair(t, family...)
	a.exec("BEGIN", "INSERT INTO c VALUES (3, 3)")
	b.exec("UPDATE p SET note = 'changed' WHERE id = 3")
	a.exec("COMMIT", "BEGIN", "DELETE FROM p WHERE id = 3")
	b.exec("INSERT INTO c VALUES (4, 3)")
	a.exec("COMMIT")
	require.Equal(t, "0", a.one("SELECT count(*) FROM c WHERE p = 3"))
}

// The rows that a cascade has deleted depend on the tables in between: a query
// of the last one has to be executed again when those have changed.
func TestCascadesAreInTheFootprint(t *testing.T) {
	_, a, b := pair(t, family...)
	a.exec("INSERT INTO g VALUES (1, 1), (2, 2)", "CREATE TABLE seen (n int)")
	a.exec("BEGIN", "DELETE FROM p WHERE id = 1", "INSERT INTO seen VALUES (1)")
	require.Equal(t, "1", a.one("SELECT count(*) FROM g"))
	b.exec("UPDATE c SET p = 1 WHERE id = 2")
	a.fails("40001", "COMMIT")
	require.Equal(t, "2", a.one("SELECT count(*) FROM g"))
}

func TestDeferredConstraintsAtCommit(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE p (id int PRIMARY KEY)", "CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p DEFERRABLE INITIALLY DEFERRED)")
	a.exec("BEGIN", "INSERT INTO c VALUES (1, 1)")
	a.fails("23503", "COMMIT")
	require.EqualValues(t, 'I', a.TxStatus())
	// Another transaction may bring the parent, or take it away.
	a.exec("BEGIN", "INSERT INTO c VALUES (1, 1)")
	b.exec("INSERT INTO p VALUES (1)")
	a.exec("COMMIT")
	a.exec("BEGIN", "INSERT INTO c VALUES (2, 2)", "SAVEPOINT s")
	a.fails("23503", "SET CONSTRAINTS ALL IMMEDIATE")
	b.exec("INSERT INTO p VALUES (2)")
	a.exec("ROLLBACK TO s")
	a.fails("40001", "COMMIT") // it was shown a failure that there is no more
	require.Equal(t, "1", a.one("SELECT count(*) FROM c"))
}

// TestProcedures runs procedures in transactions: CALL is one statement, and
// what counts is whether it succeeds, not what it does.
func TestProcedures(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE acc (id int PRIMARY KEY, bal int CHECK (bal >= 0))", "INSERT INTO acc VALUES (1, 100), (2, 0)",
		`CREATE PROCEDURE move(source int, target int, amount int) LANGUAGE sql AS
		 $$ UPDATE acc SET bal = bal - amount WHERE id = source; UPDATE acc SET bal = bal + amount WHERE id = target $$`)
	a.exec("BEGIN", "CALL move(1, 2, 10)")
	b.exec("CALL move(1, 2, 20)")
	a.exec("COMMIT")
	require.Equal(t, "70", a.one("SELECT bal FROM acc WHERE id = 1"))
	a.exec("BEGIN", "CALL move(1, 2, 70)")
	b.exec("CALL move(1, 2, 1)")
	a.fails("40001", "COMMIT")
	b.fails("23514", "CALL move(1, 2, 70)")
	require.Equal(t, []string{"69", "31"}, a.rows("SELECT max(bal), min(bal) FROM acc")[0])
	require.Equal(t, "CALL move(1, 2, 1)", a.one("SELECT command FROM tidemark.log WHERE command LIKE 'CALL%, 1)' ORDER BY lsn DESC LIMIT 1"))
	res := a.ExecParams(t.Context(), "CALL move(2, target => 1, amount => $1)", [][]byte{[]byte("31")}, nil, nil, nil).Read()
	require.NoError(t, res.Err)
	require.Equal(t, "CALL", res.CommandTag.String())
	require.Equal(t, "100", a.one("SELECT bal FROM acc WHERE id = 1"))
}

// TestReferencesHold changes parents and children at random, in transactions of
// both kinds by two clients at once, and looks whether all references hold.
func TestReferencesHold(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	_, a, b := pair(t, "CREATE TABLE p (id int PRIMARY KEY)", "CREATE TABLE x (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE)",
		"CREATE TABLE y (id int PRIMARY KEY, p int DEFAULT 0 REFERENCES p ON DELETE SET DEFAULT ON UPDATE SET NULL, x int REFERENCES x ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED)",
		"CREATE INDEX ON x (p)", "INSERT INTO p VALUES (0)")
	const statements, keys = 600, 12
	done, violations := 0, 0
	clients := []*client{a, b}
	for range statements {
		c := clients[rnd.IntN(2)]
		k, l, m := rnd.IntN(keys), rnd.IntN(keys), rnd.IntN(keys)
		sql := []string{
			"BEGIN", "COMMIT", "COMMIT", "SET CONSTRAINTS ALL IMMEDIATE",
			fmt.Sprintf("INSERT INTO p VALUES (%d)", k),
			fmt.Sprintf("DELETE FROM p WHERE id = %d", 1+k),
			fmt.Sprintf("UPDATE p SET id = %d WHERE id = %d", 1+k, 1+l),
			fmt.Sprintf("INSERT INTO x VALUES (%d, %d) ON CONFLICT (id) DO UPDATE SET p = excluded.p", k, l),
			fmt.Sprintf("DELETE FROM x WHERE id = %d", k),
			fmt.Sprintf("UPDATE x SET id = %d WHERE id = %d", k, l),
			fmt.Sprintf("INSERT INTO y VALUES (%d, %d, %d)", k, l, m),
			fmt.Sprintf("UPDATE y SET x = %d, p = %d WHERE id = %d", k, l, m),
			fmt.Sprintf("DELETE FROM y WHERE id > %d", k+4),
		}[rnd.IntN(13)]
		_, err := execute(t.Context(), c.PgConn, sql)
		var refused *pgconn.PgError
		switch {
		case err == nil:
			done++
			continue
		case errors.As(err, &refused) && refused.Code == "23503":
			violations++
		}
		if rnd.IntN(2) == 0 {
			_, _ = execute(t.Context(), c.PgConn, "ROLLBACK") // warns outside a transaction
		}
	}
	for _, c := range clients {
		_, _ = execute(t.Context(), c.PgConn, "ROLLBACK")
	}
	for i, orphans := range []string{
		"SELECT count(*) FROM x WHERE p IS NOT NULL AND NOT EXISTS (SELECT FROM p WHERE p.id = x.p)",
		"SELECT count(*) FROM y WHERE p IS NOT NULL AND NOT EXISTS (SELECT FROM p WHERE p.id = y.p)",
		"SELECT count(*) FROM y WHERE x IS NOT NULL AND NOT EXISTS (SELECT FROM x WHERE x.id = y.x)",
	} {
		require.Equal(t, "0", a.one(orphans), strconv.Itoa(i))
	}
	require.Greater(t, done, statements/10, "something was tested")
	require.Greater(t, violations, 5)
}
