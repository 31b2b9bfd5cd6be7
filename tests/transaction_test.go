package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark"
)

// pair is a node with two clients.
func pair(t *testing.T, setup ...string) (n *tidemark.Node, a, b *client) {
	t.Helper()
	n = startNode(t, t.TempDir())
	a, b = newClient(t, n.SQLAddr()), newClient(t, n.SQLAddr())
	a.exec(setup...)
	return n, a, b
}

func TestLostUpdateIsPrevented(t *testing.T) {
	for _, level := range []string{"", " ISOLATION LEVEL SERIALIZABLE", " ISOLATION LEVEL REPEATABLE READ"} {
		_, a, b := pair(t, "CREATE TABLE acc (id int PRIMARY KEY, bal int)", "INSERT INTO acc VALUES (1, 100)")
		a.exec("BEGIN" + level)
		b.exec("BEGIN" + level)
		require.Equal(t, "100", a.one("SELECT bal FROM acc WHERE id = 1"))
		require.Equal(t, "100", b.one("SELECT bal FROM acc WHERE id = 1"))
		a.exec("UPDATE acc SET bal = 110 WHERE id = 1")
		b.exec("UPDATE acc SET bal = 120 WHERE id = 1")
		a.exec("COMMIT")
		b.fails("40001", "COMMIT")
		require.EqualValues(t, 'I', b.TxStatus())
		require.Equal(t, "110", b.one("SELECT bal FROM acc"))
		require.Equal(t, "40001", a.one("SELECT sqlstate FROM tidemark.log ORDER BY lsn DESC, seq DESC LIMIT 1"), "the log has it")
	}
}

func TestWriteSkewIsPrevented(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE duty (id int PRIMARY KEY, on_call bool)", "INSERT INTO duty VALUES (1, true), (2, true)")
	for i, c := range []*client{a, b} {
		c.exec("BEGIN")
		require.Equal(t, "2", c.one("SELECT count(*) FROM duty WHERE on_call"))
		c.exec(fmt.Sprintf("UPDATE duty SET on_call = false WHERE id = %d", i+1))
	}
	a.exec("COMMIT")
	b.fails("40001", "COMMIT")
	require.Equal(t, "1", b.one("SELECT count(*) FROM duty WHERE on_call"))
}

func TestPhantomsArePrevented(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE p (id int PRIMARY KEY, v int)", "CREATE TABLE q (n int)")
	a.exec("BEGIN")
	require.Equal(t, "0", a.one("SELECT count(*) FROM p WHERE v > 10"))
	b.exec("INSERT INTO p VALUES (1, 5)")
	a.exec("INSERT INTO q VALUES (0)", "COMMIT") // v > 10 is still empty
	a.exec("BEGIN")
	require.Equal(t, "0", a.one("SELECT count(*) FROM p WHERE v > 10"))
	b.exec("UPDATE p SET v = 11")
	a.exec("INSERT INTO q VALUES (1)")
	a.fails("40001", "COMMIT")
	// What one saw is again so: no conflict.
	a.exec("BEGIN")
	require.Equal(t, "1", a.one("SELECT count(*) FROM p WHERE v > 10"))
	b.exec("DELETE FROM p", "INSERT INTO p VALUES (9, 99)")
	a.exec("INSERT INTO q VALUES (2)", "COMMIT")
	require.Equal(t, "2", a.one("SELECT count(*) FROM q"))
}

// TestHotRowsDoNotConflict runs transactions as pgbench does, on one branch.
// They read only the account that they have changed themselves, so only two on
// the same account could conflict, and there are many accounts.
func TestHotRowsDoNotConflict(t *testing.T) {
	n, a, _ := pair(t, "CREATE TABLE branch (id int PRIMARY KEY, bal bigint)", "CREATE TABLE acc (id int PRIMARY KEY, bal bigint)", "CREATE TABLE hist (id serial PRIMARY KEY, acc int, delta int)",
		"INSERT INTO branch VALUES (1, 0)", "INSERT INTO acc SELECT g, 0 FROM generate_series(1, 1000) g")
	const clients, each = 8, 40
	var wg sync.WaitGroup
	var failures atomic.Int64
	for w := range clients {
		c := newClient(t, n.SQLAddr())
		wg.Go(func() {
			for i := range each {
				id := 1 + w*each + i
				for _, sql := range []string{"BEGIN", fmt.Sprintf("UPDATE acc SET bal = bal + 3 WHERE id = %d", id), fmt.Sprintf("SELECT bal FROM acc WHERE id = %d", id),
					"UPDATE branch SET bal = bal + 3 WHERE id = 1", fmt.Sprintf("INSERT INTO hist (acc, delta) VALUES (%d, 3)", id), "COMMIT"} {
					if _, err := execute(t.Context(), c.PgConn, sql); err != nil {
						t.Errorf("%s: %v", sql, err)
						failures.Add(1)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, failures.Load())
	require.Equal(t, strconv.Itoa(3*clients*each), a.one("SELECT bal FROM branch"))
	require.Equal(t, []string{"320", "960"}, a.rows("SELECT count(*), sum(delta) FROM hist")[0])
}

func TestSavepoints(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE s (id int PRIMARY KEY)")
	a.exec("BEGIN", "INSERT INTO s VALUES (1)", "SAVEPOINT x", "INSERT INTO s VALUES (2)")
	a.fails("23505", "INSERT INTO s VALUES (1)")
	a.fails("25P02", "SELECT 1")
	a.fails("25P02", "SAVEPOINT y")
	require.EqualValues(t, 'E', a.TxStatus())
	a.exec("ROLLBACK TO x")
	require.EqualValues(t, 'T', a.TxStatus())
	a.exec("INSERT INTO s VALUES (3)", "SAVEPOINT y", "INSERT INTO s VALUES (4)", "SAVEPOINT x", "INSERT INTO s VALUES (5)")
	a.exec("ROLLBACK TO x", "RELEASE x", "INSERT INTO s VALUES (6)", "ROLLBACK TO y", "INSERT INTO s VALUES (7)")
	a.exec("RELEASE SAVEPOINT x")
	a.fails("3B001", "ROLLBACK TO y")
	a.exec("ROLLBACK")
	a.fails("25P01", "SAVEPOINT x")
	a.fails("25P01", "ROLLBACK TO SAVEPOINT x")
	a.fails("25P01", "RELEASE x")
	require.Equal(t, "0", b.one("SELECT count(*) FROM s"))

	a.exec("BEGIN", "INSERT INTO s VALUES (1)", "SAVEPOINT x", "INSERT INTO s VALUES (2)", "ROLLBACK TO x", "INSERT INTO s VALUES (3)", "RELEASE x", "COMMIT")
	require.Equal(t, [][]string{{"1"}, {"3"}}, b.rows("SELECT id FROM s ORDER BY id"))
	a.exec("BEGIN", "SAVEPOINT x")
	a.fails("42P01", "SELECT * FROM nothing")
	a.exec("COMMIT") // of a failed one: a rollback
	require.EqualValues(t, 'I', a.TxStatus())
}

// TestErrorsInSavepointsAreAnswersToo: a client acts on errors, so one that would
// not come at the transaction's place in the log is a conflict.
func TestErrorsInSavepointsAreAnswersToo(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE s (id int PRIMARY KEY)", "INSERT INTO s VALUES (1)", "CREATE TABLE told (what text)")
	try := func() {
		a.exec("BEGIN", "SAVEPOINT x")
		a.fails("23505", "INSERT INTO s VALUES (1)")
		a.exec("ROLLBACK TO x", "INSERT INTO told VALUES ('1 was there')")
	}
	try()
	b.exec("INSERT INTO s VALUES (2)")
	a.exec("COMMIT")
	try()
	b.exec("DELETE FROM s WHERE id = 1")
	a.fails("40001", "COMMIT")
	require.Equal(t, "1", b.one("SELECT count(*) FROM told"))
}

// TestCursorsAndSavepoints: a cursor goes with what it was declared in.
func TestCursorsAndSavepoints(t *testing.T) {
	_, a, _ := pair(t, "CREATE TABLE s (id int PRIMARY KEY)", "INSERT INTO s VALUES (1), (2), (3)")
	a.exec("BEGIN", "DECLARE c CURSOR FOR SELECT id FROM s ORDER BY id", "FETCH c", "SAVEPOINT x", "DECLARE d CURSOR FOR SELECT id FROM s")
	a.fails("22012", "SELECT 1 / 0")
	a.fails("25P02", "FETCH c")
	a.exec("ROLLBACK TO x")
	require.Equal(t, "2", a.one("FETCH c"))
	a.exec("DECLARE d CURSOR FOR SELECT id FROM s ORDER BY id", "RELEASE x")
	require.Equal(t, "1", a.one("FETCH d"))
	a.exec("COMMIT")
	a.fails("34000", "FETCH c")

	hold := "DECLARE h CURSOR WITH HOLD FOR SELECT id FROM s ORDER BY id"
	a.exec("BEGIN", hold, "ROLLBACK")
	a.fails("34000", "FETCH h")
	a.exec("BEGIN", "SAVEPOINT x", hold, "ROLLBACK TO x", hold, "SAVEPOINT y", "ROLLBACK TO y", "COMMIT")
	require.Equal(t, "1", a.one("FETCH h"))
	a.exec("BEGIN", "SAVEPOINT x", "FETCH h", "ROLLBACK TO x", "ROLLBACK")
	require.Equal(t, "3", a.one("FETCH h"))
}

func TestDDLInTransactions(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE old (id int PRIMARY KEY, v text)", "INSERT INTO old VALUES (1, 'a'), (2, 'b')")
	a.exec("BEGIN", "CREATE TABLE fresh (id serial PRIMARY KEY, v text UNIQUE)", "INSERT INTO fresh (v) VALUES ('x'), ('y')", "CREATE INDEX old_v ON old (v)", "ALTER TABLE old ADD COLUMN n int DEFAULT 7")
	require.Equal(t, "7", a.one("SELECT n FROM old WHERE v = 'b'"))
	b.fails("42P01", "SELECT * FROM fresh")
	a.exec("ROLLBACK")
	a.fails("42P01", "SELECT * FROM fresh")
	a.fails("42703", "SELECT n FROM old")
	a.exec("BEGIN", "TRUNCATE old", "INSERT INTO old VALUES (3, 'c')", "SAVEPOINT s", "DROP TABLE old")
	a.fails("42P01", "SELECT * FROM old")
	a.exec("ROLLBACK TO s")
	require.Equal(t, [][]string{{"3", "c"}}, a.rows("SELECT * FROM old"))
	require.Equal(t, "2", b.one("SELECT count(*) FROM old"))
	a.exec("CREATE TABLE fresh (id serial PRIMARY KEY, v text)", "INSERT INTO fresh (v) VALUES ('x') RETURNING id", "COMMIT")
	require.Equal(t, [][]string{{"3", "c"}}, b.rows("SELECT * FROM old"))
	require.Equal(t, [][]string{{"1", "x"}}, b.rows("SELECT * FROM fresh"))
	b.exec("INSERT INTO fresh (v) VALUES ('y')")
	require.Equal(t, "2", b.one("SELECT max(id) FROM fresh"))
	// A table that changes under a transaction which has used it.
	a.exec("BEGIN")
	require.Len(t, a.rows("SELECT * FROM old")[0], 2)
	a.exec("INSERT INTO old VALUES (4, 'd')")
	b.exec("ALTER TABLE old ADD COLUMN n int")
	a.fails("40001", "COMMIT")
}

// TestSerialsNeverCollide: an id that a client was shown before COMMIT is nobody
// else's, whether it comes from a transaction or not.
func TestSerialsNeverCollide(t *testing.T) {
	n, a, _ := pair(t, "CREATE TABLE s (id serial PRIMARY KEY, w int)")
	const clients, each = 8, 30
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for w := range clients {
		c := newClient(t, n.SQLAddr())
		wg.Go(func() {
			for i := range each {
				block := (w+i)%3 > 0
				var ids []string
				run := func(sql string) {
					rows, err := execute(t.Context(), c.PgConn, sql)
					if err != nil {
						t.Errorf("%s: %v", sql, err)
					}
					for _, r := range rows {
						ids = append(ids, r[0])
					}
				}
				if block {
					run("BEGIN")
				}
				run(fmt.Sprintf("INSERT INTO s (w) VALUES (%d) RETURNING id", w))
				run(fmt.Sprintf("INSERT INTO s (w) VALUES (%d), (%d) RETURNING id", w, w))
				if block {
					run([]string{"COMMIT", "COMMIT", "ROLLBACK"}[i%3])
				}
				mu.Lock()
				for _, id := range ids {
					if other, dup := seen[id]; dup {
						t.Errorf("id %s was shown to clients %d and %d", id, other, w)
					}
					seen[id] = w
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Len(t, seen, clients*each*3)
	for _, row := range a.rows("SELECT id, w FROM s") {
		require.Equal(t, strconv.Itoa(seen[row[0]]), row[1])
	}
}

func TestCopyInTransactions(t *testing.T) {
	n, a, b := pair(t, "CREATE TABLE c (id int PRIMARY KEY, v text)")
	copyIn := func(from, to int) error {
		var s strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&s, "%d\t%s\n", i, strings.Repeat("v", 100))
		}
		_, err := a.CopyFrom(t.Context(), strings.NewReader(s.String()), "COPY c FROM STDIN")
		return err
	}
	for _, rows := range []int{10, 30_000} { // inline, staged
		a.exec("BEGIN")
		require.NoError(t, copyIn(0, rows))
		require.Equal(t, strconv.Itoa(rows), a.one("SELECT count(*) FROM c"))
		require.Equal(t, "0", b.one("SELECT count(*) FROM c"))
		a.exec("ROLLBACK")
		require.Equal(t, "0", a.one("SELECT count(*) FROM c"))
		a.exec("BEGIN", "SAVEPOINT s")
		require.NoError(t, copyIn(0, rows))
		a.exec("ROLLBACK TO s")
		require.NoError(t, copyIn(0, rows/2))
		a.exec("SAVEPOINT s")
		require.Equal(t, "23505", codeOf(copyIn(rows/2-1, rows)))
		a.exec("ROLLBACK TO s")
		require.NoError(t, copyIn(rows/2, rows))
		a.exec("COMMIT")
		require.Equal(t, strconv.Itoa(rows), b.one("SELECT count(*) FROM c"))
		b.exec("TRUNCATE c")
	}
	// Staged, then gone: nobody sees anything of it.
	lost, err := pgx.Connect(t.Context(), "postgres://tester@"+n.SQLAddr()+"/postgres?sslmode=disable")
	require.NoError(t, err)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { _, err := lost.PgConn().CopyFrom(t.Context(), r, "COPY c FROM STDIN"); done <- err }()
	for i := range 30_000 {
		_, err := fmt.Fprintf(w, "%d\t%s\n", i, strings.Repeat("v", 100))
		require.NoError(t, err)
	}
	require.NoError(t, lost.PgConn().Conn().Close())
	_ = w.CloseWithError(errors.New("gone"))
	require.Error(t, <-done)
	require.Equal(t, "0", b.one("SELECT count(*) FROM c"))
	_ = lost.Close(context.Background())
}

// TestReadOnlyInTheMiddle: what is read after a transaction has become READ ONLY
// counts, if it has written before or may do so again.
func TestReadOnlyInTheMiddle(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE p (id int PRIMARY KEY)", "INSERT INTO p VALUES (1)", "CREATE TABLE told (n int)")
	read := func(begin ...string) {
		a.exec("BEGIN")
		a.exec(begin...)
		require.Equal(t, "1", a.one("SELECT count(*) FROM p"))
	}
	for _, conflict := range []bool{false, true} {
		end := func() {
			b.exec("INSERT INTO p VALUES (2)")
			if conflict {
				a.fails("40001", "COMMIT")
			}
			b.exec("DELETE FROM p WHERE id = 2")
			if !conflict {
				a.exec("COMMIT")
			}
		}
		read("INSERT INTO told VALUES (1)", "SET TRANSACTION READ ONLY")
		a.exec("SELECT 1")
		end()
		read("SAVEPOINT s", "SET TRANSACTION READ ONLY")
		a.exec("ROLLBACK TO s")
		require.Equal(t, "off", a.one("SHOW transaction_read_only"))
		a.exec("INSERT INTO told VALUES (2)")
		end()
	}
	require.Equal(t, "2", b.one("SELECT count(*) FROM told"))
}

func TestReadOnlyTransactions(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE r (id serial PRIMARY KEY)", "INSERT INTO r VALUES (1)")
	for _, sql := range []string{"INSERT INTO r VALUES (2)", "UPDATE r SET id = 2", "DELETE FROM r", "CREATE TABLE x (a int)", "DROP TABLE r", "TRUNCATE r", "SELECT nextval('r_id_seq')", "COPY r FROM STDIN"} {
		a.exec("BEGIN READ ONLY")
		require.Equal(t, "1", a.one("SELECT count(*) FROM r"))
		a.fails("25006", sql)
		a.exec("ROLLBACK")
	}
	a.exec("BEGIN READ ONLY")
	require.Equal(t, "1", a.one("SELECT count(*) FROM r"))
	b.exec("INSERT INTO r VALUES (2)")
	require.Equal(t, "1", a.one("SELECT count(*) FROM r"), "its snapshot stays")
	a.exec("COMMIT")
	a.exec("SET default_transaction_read_only = on")
	a.fails("25006", "INSERT INTO r VALUES (3)")
	a.fails("25006", "INSERT INTO r VALUES (3); INSERT INTO r VALUES (4)")
	a.exec("BEGIN READ WRITE", "INSERT INTO r VALUES (3)", "COMMIT")
	require.Equal(t, "3", b.one("SELECT count(*) FROM r"))
}

func TestCursors(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE c (id int PRIMARY KEY)", "INSERT INTO c SELECT g FROM generate_series(1, 10) g")
	a.fails("25P01", "DECLARE k CURSOR FOR SELECT * FROM c")
	a.exec("BEGIN", "DECLARE k CURSOR FOR SELECT id FROM c ORDER BY id")
	require.Equal(t, [][]string{{"1"}, {"2"}, {"3"}}, a.rows("FETCH 3 FROM k"))
	b.exec("INSERT INTO c VALUES (11)")
	a.exec("INSERT INTO c VALUES (0)")
	require.Len(t, a.rows("FETCH ALL FROM k"), 7, "its rows are those of its beginning")
	require.Empty(t, a.rows("FETCH k"))
	a.exec("CLOSE k")
	a.fails("34000", "FETCH k")
	a.exec("ROLLBACK")
	a.exec("BEGIN", "DECLARE h CURSOR WITH HOLD FOR SELECT id FROM c ORDER BY id", "COMMIT")
	require.Equal(t, "1", a.one("FETCH h"))
	a.exec("CLOSE ALL")
	a.fails("34000", "FETCH h")
	// What a cursor showed is validated like any answer.
	a.exec("BEGIN", "DECLARE k CURSOR FOR SELECT id FROM c ORDER BY id")
	a.exec("FETCH 1 FROM k", "INSERT INTO c VALUES (100)")
	b.exec("DELETE FROM c WHERE id = 1")
	a.fails("40001", "COMMIT")
}

func TestDiscardAll(t *testing.T) {
	_, a, _ := pair(t, "CREATE TABLE d (id int)")
	a.exec("SET application_name = 'x'", "SET TimeZone = 'Europe/Berlin'", "PREPARE p AS SELECT 1", "BEGIN", "DECLARE h CURSOR WITH HOLD FOR SELECT 1", "COMMIT")
	a.exec("BEGIN")
	a.fails("25001", "DISCARD ALL")
	a.exec("ROLLBACK", "DISCARD ALL")
	require.Empty(t, a.one("SHOW application_name"))
	require.Equal(t, "UTC", a.one("SHOW TimeZone"))
	a.fails("26000", "EXECUTE p")
	a.fails("34000", "FETCH h")
}

// TestPipelinesAreOneTransaction sends several statements before a Sync.
func TestPipelinesAreOneTransaction(t *testing.T) {
	n, a, _ := pair(t, "CREATE TABLE p (id int PRIMARY KEY)")
	conn, err := pgx.Connect(t.Context(), "postgres://tester@"+n.SQLAddr()+"/postgres?sslmode=disable")
	require.NoError(t, err)
	defer conn.Close(context.Background())
	send := func(ids ...int) error {
		batch := &pgx.Batch{}
		for _, id := range ids {
			batch.Queue("INSERT INTO p VALUES ($1)", id)
		}
		return conn.SendBatch(t.Context(), batch).Close()
	}
	require.NoError(t, send(1, 2, 3))
	var e *pgconn.PgError
	require.ErrorAs(t, send(4, 5, 1, 6), &e)
	require.Equal(t, "23505", e.Code)
	require.Equal(t, "3", a.one("SELECT count(*) FROM p"))
}

// TestCurrvalWithinTransaction is what had been drawn when the statement ran, not
// at COMMIT.
func TestCurrvalWithinTransaction(t *testing.T) {
	_, a, _ := pair(t, "CREATE TABLE t (x int8)", "CREATE SEQUENCE s")
	before := a.one("SELECT nextval('s')")
	a.exec("BEGIN", "INSERT INTO t VALUES (currval('s'))")
	within := a.one("SELECT nextval('s')")
	a.exec("INSERT INTO t VALUES (currval('s'))", "COMMIT")
	require.Equal(t, [][]string{{before}, {within}}, a.rows("SELECT x FROM t ORDER BY x"))
}

// TestRandomWithinTransaction draws other numbers with each statement, and those
// that COMMIT draws again are the same.
func TestRandomWithinTransaction(t *testing.T) {
	for _, level := range []string{"READ COMMITTED", "SERIALIZABLE"} {
		_, a, b := pair(t, "CREATE TABLE t (x uuid)", "CREATE TABLE u (x int)", "INSERT INTO u VALUES (1)")
		seen := map[string]bool{}
		a.exec("BEGIN ISOLATION LEVEL " + level)
		for _, sql := range []string{"SELECT gen_random_uuid()", "SELECT gen_random_uuid()", "SELECT gen_random_uuid() FROM u", "INSERT INTO t VALUES (gen_random_uuid()) RETURNING x", "SELECT gen_random_uuid()"} {
			seen[a.one(sql)] = true
		}
		b.exec("INSERT INTO u VALUES (2)", "DELETE FROM u WHERE x = 2")
		a.exec("COMMIT")
		require.Len(t, seen, 5)
		require.True(t, seen[b.one("SELECT x FROM t")])
	}
}
