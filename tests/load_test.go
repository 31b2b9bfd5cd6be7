package tests

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// loadRows is enough for a large transaction of many chunks.
const loadRows = 20_000

// copyRows sends rows (id, a text, id % 10) of ids from..to-1.
func copyRows(ctx context.Context, conn *pgconn.PgConn, sql string, from, to int) error {
	var s strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&s, "%d\trow number %d\t%d\n", i, i, i%10)
	}
	_, err := conn.CopyFrom(ctx, strings.NewReader(s.String()), sql)
	return err
}

// writeRows writes such rows to a COPY that is under way.
func writeRows(w io.Writer, from, to int) error {
	b := bufio.NewWriterSize(w, 1<<16)
	for i := from; i < to; i++ {
		fmt.Fprintf(b, "%d\trow number %d\t%d\n", i, i, i%10)
	}
	return b.Flush()
}

const loadTable = "CREATE TABLE big (id int PRIMARY KEY, v text NOT NULL, n int, made timestamptz DEFAULT now()); CREATE INDEX ON big (n)"

// TestLargeCopyIsAtomic loads a table while others read and write: they never see
// a part of it, and the log has it as one command whose changes can be read.
func TestLargeCopyIsAtomic(t *testing.T) {
	n, a, b := pair(t, loadTable, "CREATE TABLE small (id int PRIMARY KEY, v int)", "INSERT INTO small VALUES (1, 0)")
	watcher := newClient(t, n.SQLAddr())
	var done atomic.Bool
	seen := make(chan map[string]int, 1)
	go func() {
		counts := map[string]int{}
		for !done.Load() {
			rows, err := execute(t.Context(), watcher.PgConn, "SELECT (SELECT count(*) FROM big), (SELECT count(*) FROM big WHERE n = 3)")
			if err == nil {
				_, err = execute(t.Context(), b.PgConn, "UPDATE small SET v = v + 1")
			}
			if err != nil {
				t.Errorf("beside the COPY: %v", err)
				break
			}
			counts[strings.Join(rows[0], "/")]++
		}
		seen <- counts
	}()
	err := copyRows(t.Context(), a.PgConn, "COPY big (id, v, n) FROM STDIN", 0, loadRows)
	done.Store(true)
	counts := <-seen
	require.NoError(t, err)
	for c := range counts {
		require.Contains(t, []string{"0/0", fmt.Sprintf("%d/%d", loadRows, loadRows/10)}, c)
	}
	require.Equal(t, []string{strconv.Itoa(loadRows), "1"}, a.rows("SELECT count(*), count(DISTINCT made) FROM big")[0])
	require.Equal(t, strconv.Itoa(loadRows), a.one("SELECT rows_changed FROM tidemark.log WHERE command LIKE 'COPY big%'"))
	require.Equal(t, []string{strconv.Itoa(loadRows), strconv.Itoa(loadRows)},
		a.rows("SELECT count(*), count(DISTINCT lsn) FROM tidemark.changes WHERE table_name = 'big'")[0])
	a.exec("UPDATE big SET v = 'changed' WHERE id = 77", "DELETE FROM big WHERE id = 78")
	require.Equal(t, []string{strconv.Itoa(loadRows - 1), "1"}, b.rows("SELECT count(*), count(*) FILTER (WHERE v = 'changed') FROM big")[0])
	a.fails("23505", "INSERT INTO big VALUES (99, 'again', 1)")
}

// TestLargeCopyErrors fails a COPY late and finds nothing of it afterwards.
func TestLargeCopyErrors(t *testing.T) {
	n, a, b := pair(t, loadTable, "INSERT INTO big VALUES (15000, 'mine', 1)")
	var e *pgconn.PgError
	require.ErrorAs(t, copyRows(t.Context(), a.PgConn, "COPY big (id, v, n) FROM STDIN", 0, loadRows), &e)
	require.Equal(t, "23505", e.Code)
	require.Equal(t, "big_pkey", e.ConstraintName)
	require.Equal(t, "Key (id)=(15000) already exists.", e.Detail)
	require.Equal(t, "COPY big, line 15001", e.Where)
	require.Equal(t, "1", b.one("SELECT count(*) FROM big"))
	// The same rows can be loaded once the one in the way is gone.
	b.exec("DELETE FROM big")
	require.NoError(t, copyRows(t.Context(), a.PgConn, "COPY big (id, v, n) FROM STDIN", 0, loadRows))
	require.Equal(t, strconv.Itoa(loadRows), b.one("SELECT count(*) FROM big"))
	b.exec("TRUNCATE big")
	// A client that goes away leaves nothing either.
	lost := newClient(t, n.SQLAddr())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { _, err := lost.CopyFrom(t.Context(), r, "COPY big (id, v, n) FROM STDIN"); done <- err }()
	require.NoError(t, writeRows(w, 0, loadRows))
	require.NoError(t, lost.Conn().Close())
	_ = w.CloseWithError(errors.New("gone")) // whoever writes is told
	require.Error(t, <-done)
	require.NoError(t, copyRows(t.Context(), a.PgConn, "COPY big (id, v, n) FROM STDIN", 0, loadRows))
	require.Equal(t, strconv.Itoa(loadRows), b.one("SELECT count(*) FROM big"))
}

// TestFirstToCommitWins lets others write what a large transaction has staged.
func TestFirstToCommitWins(t *testing.T) {
	_, a, b := pair(t, loadTable)
	begin := func() {
		a.exec("BEGIN")
		require.NoError(t, copyRows(t.Context(), a.PgConn, "COPY big (id, v, n) FROM STDIN", 0, loadRows))
		require.Equal(t, strconv.Itoa(loadRows), a.one("SELECT count(*) FROM big"))
	}
	begin()
	b.exec("INSERT INTO big VALUES (7, 'first', 0)")
	a.fails("40001", "COMMIT")
	require.Equal(t, "first", b.one("SELECT v FROM big"))
	b.exec("DELETE FROM big")

	r, w := io.Pipe() // and in the middle of a COPY on its own
	done := make(chan error, 1)
	go func() {
		_, err := a.CopyFrom(t.Context(), r, "COPY big (id, v, n) FROM STDIN")
		_ = r.CloseWithError(errors.New("gone")) // whoever writes is told
		done <- err
	}()
	require.NoError(t, writeRows(w, 0, loadRows))
	b.exec("INSERT INTO big VALUES (7, 'first', 0)")
	_ = writeRows(w, loadRows, 2*loadRows) // it may have failed already
	_ = w.Close()
	var e *pgconn.PgError
	require.ErrorAs(t, <-done, &e)
	require.Equal(t, "23505", e.Code)
	require.Equal(t, "big_pkey", e.ConstraintName)
	require.Equal(t, "first", b.one("SELECT v FROM big"))
	b.exec("DELETE FROM big")

	begin() // what was rolled back overtakes nobody
	b.exec("BEGIN", "INSERT INTO big VALUES (7, 'first', 0)", "ROLLBACK")
	b.fails("22012", "INSERT INTO big SELECT 1, 'x', 1 / 0")
	a.exec("INSERT INTO big VALUES (-1, 'own', 0)", "DELETE FROM big WHERE id >= 1000", "COMMIT")
	require.Equal(t, "1001", b.one("SELECT count(*) FROM big"))
	b.exec("DELETE FROM big")

	begin()
	b.exec("ALTER TABLE big ADD COLUMN more int")
	a.fails("40001", "COMMIT")
	require.Equal(t, "0", b.one("SELECT count(*) FROM big"))
}

// TestLargeCopyInTransaction uses large transactions among other statements.
func TestLargeCopyInTransaction(t *testing.T) {
	_, a, b := pair(t, loadTable, "INSERT INTO big SELECT g, 'old', 1 FROM generate_series(-500, -1) g")
	load := func(from, to int) error {
		return copyRows(t.Context(), a.PgConn, "COPY big (id, v, n) FROM STDIN", from, to)
	}
	total := strconv.Itoa(loadRows)
	a.exec("BEGIN", "TRUNCATE big")
	require.NoError(t, load(0, loadRows))
	require.Equal(t, total, a.one("SELECT count(*) FROM big"))
	require.Equal(t, "500", b.one("SELECT count(*) FROM big"))
	b.exec("INSERT INTO big VALUES (5, 'between', 1)") // goes with the TRUNCATE
	a.exec("UPDATE big SET n = 11 WHERE id < 10", "COMMIT")
	require.Equal(t, []string{total, "10"}, b.rows("SELECT count(*), count(*) FILTER (WHERE n = 11) FROM big")[0])
	require.Equal(t, "10", b.one("SELECT count(*) FROM big WHERE n = 11"))

	a.exec("BEGIN", "SAVEPOINT s")
	require.NoError(t, load(loadRows, 2*loadRows))
	require.Equal(t, strconv.Itoa(2*loadRows), a.one("SELECT count(*) FROM big"))
	a.exec("ROLLBACK TO s")
	require.Equal(t, total, a.one("SELECT count(*) FROM big"))
	require.NoError(t, load(loadRows, loadRows+20_000))
	a.exec("SAVEPOINT s")
	require.Equal(t, "23505", codeOf(load(loadRows+10_000, loadRows+30_000)), "the rows of another COPY of the transaction count")
	a.exec("ROLLBACK TO s")
	require.NoError(t, load(loadRows+20_000, loadRows+40_000))
	a.exec("COMMIT")
	require.Equal(t, strconv.Itoa(loadRows+40_000), b.one("SELECT count(*) FROM big"))

	// A table that only the transaction knows, and one without a key.
	a.exec("BEGIN", "CREATE TABLE own (id int, v text, n int)")
	require.NoError(t, copyRows(t.Context(), a.PgConn, "COPY own FROM STDIN", 0, 20_000))
	a.exec("COMMIT", "BEGIN", "TRUNCATE own")
	require.NoError(t, copyRows(t.Context(), a.PgConn, "COPY own FROM STDIN", 0, 30_000))
	a.exec("INSERT INTO own VALUES (-1, 'last', 0)")
	require.Equal(t, "30001", a.one("SELECT count(*) FROM own"))
	a.exec("COMMIT")
	require.Equal(t, "30001", b.one("SELECT count(*) FROM own"))

	a.exec("BEGIN", "TRUNCATE big")
	require.NoError(t, load(0, loadRows))
	a.exec("ROLLBACK")
	require.Equal(t, strconv.Itoa(loadRows+40_000), b.one("SELECT count(*) FROM big"))
}

// TestLargeInsertSelect inserts the rows of a query, also from the table itself,
// with defaults that draw from a sequence.
func TestLargeInsertSelect(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE src (id serial PRIMARY KEY, v text, r float8 DEFAULT random())",
		"CREATE TABLE pick (id int PRIMARY KEY)", "CREATE TABLE dst (id int PRIMARY KEY, v text)")
	a.exec(fmt.Sprintf("INSERT INTO src (v) SELECT 'v' || g FROM generate_series(1, %d) g", loadRows))
	require.Equal(t, []string{strconv.Itoa(loadRows), "1", strconv.Itoa(loadRows)}, b.rows("SELECT count(*), min(id), max(id) FROM src")[0])
	require.Greater(t, atoi(t, a.one("SELECT count(DISTINCT r) FROM src")), loadRows*9/10, "every row has its own random number")
	a.exec("INSERT INTO dst SELECT id, v FROM src", "INSERT INTO dst SELECT id + 1000000, v FROM dst")
	require.Equal(t, strconv.Itoa(2*loadRows), b.one("SELECT count(*) FROM dst"))
	e := a.fails("23505", "INSERT INTO dst SELECT id, v FROM src ORDER BY id DESC")
	require.Equal(t, "dst_pkey", e.ConstraintName)
	a.fails("22012", "INSERT INTO dst SELECT 5000000 + id, (id / (id - 15000))::text FROM src")
	require.Equal(t, strconv.Itoa(2*loadRows), b.one("SELECT count(*) FROM dst"))
	a.exec("TRUNCATE dst")
	// Others change what it reads all the time: in the end it has read one state.
	var done atomic.Bool
	wrote := make(chan int, 1)
	go func() {
		n := 0
		for ; !done.Load(); n++ {
			if _, err := execute(t.Context(), b.PgConn, "UPDATE src SET v = 'same' WHERE id IN (1, 20000)"); err != nil {
				t.Errorf("beside the INSERT: %v", err)
				break
			}
			time.Sleep(time.Millisecond)
		}
		wrote <- n
	}()
	a.exec("INSERT INTO dst SELECT id, v FROM src")
	done.Store(true)
	require.Positive(t, <-wrote)
	require.Equal(t, strconv.Itoa(loadRows), a.one("SELECT count(*) FROM dst"))
	require.Contains(t, []string{"0", "2"}, a.one("SELECT count(*) FROM dst WHERE v = 'same'"))
}

// TestLargeStatementsEnd cancels large transactions and looks that the store is
// rid of them.
func TestLargeStatementsEnd(t *testing.T) {
	_, a, b := pair(t, loadTable)
	a.exec("SET statement_timeout = '300ms'")
	a.fails("57014", "INSERT INTO big SELECT g, 'row', 1 FROM generate_series(1, 100000000) g")
	require.Equal(t, "0", b.one("SELECT count(*) FROM big"))
	b.exec("INSERT INTO big VALUES (1, 'mine', 1)")
	require.Eventually(t, func() bool { return b.one("SELECT count(*) FROM tidemark.loads") == "0" },
		time.Minute, 50*time.Millisecond, "what was given up is removed")
	b.exec("BEGIN", "TRUNCATE big")
	require.NoError(t, copyRows(t.Context(), b.PgConn, "COPY big (id, v, n) FROM STDIN", 0, loadRows))
	require.Equal(t, []string{"open", strconv.Itoa(loadRows)}, b.rows("SELECT status, rows FROM tidemark.loads")[0])
	b.exec("ROLLBACK")
	require.Eventually(t, func() bool { return b.one("SELECT count(*) FROM tidemark.loads") == "0" },
		time.Minute, 50*time.Millisecond, "fresh storage is dropped")
	require.Equal(t, "1", b.one("SELECT count(*) FROM big"))
}

func atoi(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// TestKillDuringLargeCopy kills the server while a COPY is under way and after it
// was acknowledged. What was not committed is given up at the next start.
func TestKillDuringLargeCopy(t *testing.T) {
	dir := t.TempDir()
	p := startProcess(t, dir)
	_, err := execute(t.Context(), p.connect(t), loadTable)
	require.NoError(t, err)
	for range 3 {
		conn := p.connect(t)
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			_, err := conn.CopyFrom(t.Context(), r, "COPY big (id, v, n) FROM STDIN")
			_ = r.CloseWithError(errors.New("gone"))
			done <- err
		}()
		require.NoError(t, writeRows(w, 0, loadRows))
		p.kill()
		_ = w.Close()
		require.Error(t, <-done)
		p = startProcess(t, dir)
		rows, err := execute(t.Context(), p.connect(t), "SELECT count(*) FROM big")
		require.NoError(t, err)
		require.Equal(t, "0", rows[0][0])
	}
	conn := p.connect(t)
	require.Eventually(t, func() bool {
		rows, err := execute(t.Context(), conn, "SELECT count(*) FROM tidemark.loads")
		return err == nil && rows[0][0] == "0"
	}, time.Minute, 50*time.Millisecond, "what was given up is removed")
	require.NoError(t, copyRows(t.Context(), conn, "COPY big (id, v, n) FROM STDIN", 0, loadRows))
	p.kill()
	p = startProcess(t, dir)
	rows, err := execute(t.Context(), p.connect(t), "SELECT count(*), count(DISTINCT n), (SELECT count(*) FROM big WHERE n = 3) FROM big")
	require.NoError(t, err)
	require.Equal(t, []string{strconv.Itoa(loadRows), "10", strconv.Itoa(loadRows / 10)}, rows[0])
	p.stop(t)
}
