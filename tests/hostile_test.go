package tests

import (
	"bytes"
	"context"
	bits "encoding/binary"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tidemark-db/tidemark"
)

// The bounds that hostile clients must not push a server over, in bytes.
const (
	hostileHeapBytes     = 300 << 20 // live after what they did
	hostileResidentBytes = 2 << 30   // at any time while they did it, on top of what the tests had before
)

// residentBytes is what this process has in memory, 0 where that is not known.
func residentBytes() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := strconv.ParseUint(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}

// bounded runs f and fails when the process grew too large meanwhile, or keeps
// goroutines or memory afterwards.
func bounded(t *testing.T, f func(n *tidemark.Node)) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	start := residentBytes()
	stop := make(chan struct{})
	peak := make(chan uint64, 1)
	go func() {
		top := uint64(0)
		for {
			select {
			case <-stop:
				peak <- top
				return
			case <-time.After(5 * time.Millisecond):
				top = max(top, residentBytes())
			}
		}
	}()
	n := startNode(t, t.TempDir())
	f(n)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	require.Less(t, m.HeapAlloc, uint64(hostileHeapBytes), "live heap")
	require.NoError(t, n.Close(t.Context()))
	close(stop)
	top := <-peak
	t.Logf("resident %d MB before, %d MB at most; live heap %d MB", start>>20, top>>20, m.HeapAlloc>>20)
	require.Less(t, top, start+hostileResidentBytes, "resident memory")
	goleak.VerifyNone(t, before)
}

// TestWrongStatements have a SQLSTATE each, and the session goes on.
func TestWrongStatements(t *testing.T) {
	n := startNode(t, t.TempDir())
	c := newClient(t, n.SQLAddr())
	c.exec("CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL, n numeric(4,1), u int UNIQUE)", "INSERT INTO t VALUES (1, 'a', 1.5, 1)")
	for _, x := range []struct{ code, sql string }{
		{"42601", "SELEC 1"}, {"42601", "SELECT FROM WHERE"}, {"42601", "INSERT INTO t VALUES (1"}, {"42601", "SELECT 'abc"}, {"42601", "SELECT $tag$abc"}, {"42601", "/* never closed"},
		{"42P01", "SELECT * FROM nothing"}, {"42P01", "INSERT INTO nothing VALUES (1)"}, {"42703", "SELECT nothing FROM t"}, {"42703", "UPDATE t SET nothing = 1"}, {"42883", "SELECT nothing(1)"},
		{"42883", "SELECT 1 + 'a'::text"}, {"42883", "SELECT true + 1"}, {"22P02", "SELECT 'a'::int"}, {"22P02", "INSERT INTO t VALUES ('x', 'a')"}, {"22P02", "SELECT '{1'::int[]"}, {"22P02", "SELECT '{\"a\":'::jsonb"},
		{"42804", "SELECT CASE WHEN 1 THEN 2 END"}, {"42804", "INSERT INTO t VALUES (true, 'a')"}, {"42601", "INSERT INTO t VALUES (1, 'a', 1, 2, 3)"}, {"42804", "SELECT 1 WHERE 1"},
		{"23505", "INSERT INTO t VALUES (1, 'b')"}, {"23505", "INSERT INTO t VALUES (2, 'b', 1, 1)"}, {"23502", "INSERT INTO t (id) VALUES (2)"}, {"22003", "INSERT INTO t VALUES (2, 'b', 12345)"}, {"22003", "SELECT 2147483647 + 1"},
		{"22003", "SELECT '99999999999'::int"}, {"22012", "SELECT 1 / 0"}, {"22012", "UPDATE t SET id = id / (id - 1)"}, {"22008", "SELECT '2024-13-45'::date"}, {"22007", "SELECT 'never'::date"},
		{"42803", "SELECT id, count(*) FROM t"}, {"42702", "SELECT id FROM t a, t b"}, {"42712", "SELECT 1 FROM t, t"}, {"21000", "SELECT (SELECT id FROM (VALUES (1), (2)) v(id))"}, {"42P07", "CREATE TABLE t (a int)"},
		{"42P02", "SELECT $1"}, {"42P02", "INSERT INTO t VALUES ($1, 'a')"}, {"42P02", "UPDATE t SET id = $2"}, {"42P02", "SELECT 1 LIMIT $1"}, {"42P02", "DELETE FROM t WHERE id = $70000"}, {"42704", "SELECT 1::nothing"}, {"42701", "CREATE TABLE u (a int, a int)"}, {"3F000", "CREATE TABLE nothing.u (a int)"}, {"26000", "EXECUTE nothing"},
		{"2201B", "SELECT 'a' ~ '('"}, {"22023", "SELECT 1 FROM generate_series(1, 10, 0)"}, {"2201W", "SELECT 1 LIMIT -1"}, {"42704", "SET nothing_such = 1"}, {"22023", "SET TimeZone = 'Nowhere/Never'"},
		{"42P10", "INSERT INTO t VALUES (1, 'b') ON CONFLICT (v) DO NOTHING"}, {"42P16", "ALTER TABLE t ADD PRIMARY KEY (v)"}, {"42809", "DROP TABLE t_pkey"},
	} {
		_, err := execute(t.Context(), c.PgConn, x.sql)
		if got := codeOf(err); got != x.code {
			t.Errorf("%s: SQLSTATE %s (%v), expected %s", x.sql, got, err, x.code)
		}
		require.EqualValues(t, 'I', c.TxStatus())
	}
	require.Equal(t, "1", c.one("SELECT count(*) FROM t"))
}

// TestBytesThatAreNoText are refused before anybody looks at them.
func TestBytesThatAreNoText(t *testing.T) {
	n := startNode(t, t.TempDir())
	c := newClient(t, n.SQLAddr())
	c.exec("CREATE TABLE t (w text, n text)")
	for _, bad := range []string{"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80"} {
		c.fails("22021", "SELECT '"+bad+"'")
		r := c.ExecParams(t.Context(), "INSERT INTO t VALUES ($1, 'x')", [][]byte{[]byte(bad)}, nil, nil, nil).Read()
		require.Equal(t, "22021", codeOf(r.Err), "%q", bad)
		_, err := c.CopyFrom(t.Context(), strings.NewReader(bad+"\tx\n"), "COPY t FROM STDIN")
		require.Equal(t, "22021", codeOf(err), "%q", bad)
	}
	for _, nul := range []string{"a\x00b", "\x00"} {
		r := c.ExecParams(t.Context(), "INSERT INTO t VALUES ($1, 'x')", [][]byte{[]byte(nul)}, nil, nil, nil).Read()
		require.Equal(t, "22021", codeOf(r.Err), "%q", nul)
		_, err := c.CopyFrom(t.Context(), strings.NewReader(nul+"\tx\n"), "COPY t FROM STDIN")
		require.Equal(t, "22021", codeOf(err), "%q", nul)
	}
	c.fails("22P05", `SELECT '"\u0000"'::jsonb`)
	require.Equal(t, "0", c.one("SELECT count(*) FROM t"))
	// A NUL in a query string ends it too early: the protocol is broken.
	raw := rawConn(t, n.SQLAddr())
	_, err := raw.Write(frame('Q', []byte("SELECT 1\x00; DROP TABLE t\x00")))
	require.NoError(t, err)
	require.Equal(t, "08P01", readCode(t, raw))
	require.Equal(t, "0", c.one("SELECT count(*) FROM t"))
}

// deepTime is how long a statement may take that has a statement_timeout of 3 s.
// Nobody looks at the clock while parsing and applying: a million rows of VALUES
// take seconds, several times as many on a machine that runs other tests beside
// this one. What is quadratic takes hours.
const deepTime = time.Minute

// TestDeepStatements nest what can be nested, up to a million times. The rarer
// kinds go that deep only with TIDEMARK_SIM=full, for the sake of time. Each is
// executed, or refused as too complex, in bounded memory.
func TestDeepStatements(t *testing.T) {
	full := os.Getenv("TIDEMARK_SIM") == "full"
	bounded(t, func(n *tidemark.Node) {
		c := newClient(t, n.SQLAddr())
		c.exec("CREATE TABLE t (a int, b bool, j jsonb)", "INSERT INTO t VALUES (1, true, '{}')", "CREATE TABLE many (a int)")
		around := func(open, inner, close string, n int) string {
			return strings.Repeat(open, n) + inner + strings.Repeat(close, n)
		}
		for name, make := range map[string]func(n int) string{
			"parentheses":      func(n int) string { return "SELECT " + around("(", "1", ")", n) },
			"open parentheses": func(n int) string { return "SELECT " + strings.Repeat("(", n) },
			"sums":             func(n int) string { return "SELECT a" + strings.Repeat("+a", n) + " FROM t" },
			"sums in a write":  func(n int) string { return "UPDATE t SET a = a" + strings.Repeat("+a", n) },
			"minus":            func(n int) string { return "SELECT " + strings.Repeat("- ", n) + "1" },
			"NOT":              func(n int) string { return "SELECT " + strings.Repeat("NOT ", n) + "b FROM t" },
			"AND":              func(n int) string { return "SELECT b" + strings.Repeat(" AND b", n) + " FROM t" },
			"OR in a write":    func(n int) string { return "DELETE FROM t WHERE NOT b" + strings.Repeat(" OR NOT b", n) },
			"concatenation":    func(n int) string { return "SELECT ''" + strings.Repeat("||''", n) },
			"casts":            func(n int) string { return "SELECT 1" + strings.Repeat("::int", n) },
			"CASE":             func(n int) string { return "SELECT " + around("CASE WHEN true THEN ", "1", " END", n) },
			"functions":        func(n int) string { return "SELECT " + around("abs(", "1", ")", n) },
			"subqueries":       func(n int) string { return "SELECT " + around("(SELECT ", "1", ")", n) },
			"FROM":             func(n int) string { return "SELECT * FROM " + around("(SELECT * FROM ", "t", ") x", n) },
			"joins":            func(n int) string { return "SELECT 1 FROM t" + strings.Repeat(" NATURAL JOIN t", n) },
			"UNION":            func(n int) string { return "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", n) },
			"EXISTS":           func(n int) string { return "SELECT 1 WHERE " + around("EXISTS (SELECT 1 WHERE ", "true", ")", n) },
			"arrays":           func(n int) string { return "SELECT " + around("ARRAY[", "1", "]", n) },
			"array text":       func(n int) string { return "SELECT '" + around("{", "1", "}", n) + "'::int[]" },
			"json text":        func(n int) string { return "SELECT '" + around("[", "1", "]", n) + "'::json" },
			"jsonb text":       func(n int) string { return "INSERT INTO t (j) VALUES ('" + around(`{"a":`, "1", "}", n) + "')" },
			"json arrows":      func(n int) string { return "SELECT j" + strings.Repeat("->'a'", n) + " FROM t" },
			"IN":               func(n int) string { return "SELECT 1 WHERE 1 IN (1" + strings.Repeat(",1", n) + ")" },
			"columns":          func(n int) string { return "SELECT 1" + strings.Repeat(",1", n) },
			"VALUES": func(n int) string {
				return "INSERT INTO many VALUES (1)" + strings.Repeat(",(1)", n)
			},
			"comments":   func(n int) string { return around("/*", "", "*/", n) + "SELECT 1" },
			"statements": func(n int) string { return strings.Repeat("SELECT 1;", n) },
			"semicolons": func(n int) string { return strings.Repeat(";", n) },
			"savepoints": func(n int) string { return "BEGIN;" + strings.Repeat("SAVEPOINT s;", n) + "ROLLBACK" },
			"regex":      func(n int) string { return "SELECT 'a' ~ '" + around("(", "a", ")", n) + "'" },
			"LIKE":       func(n int) string { return "SELECT repeat('a', 2000) LIKE '" + strings.Repeat("%a", n) + "b'" },
			"brackets":   func(n int) string { return "SELECT a" + strings.Repeat("[1]", n) + " FROM t" },
			"WITH":       func(n int) string { return around("WITH x AS (", "SELECT 1", ") SELECT 1", n) },
		} {
			deepest := 100_000
			if full || strings.Contains(name, "parentheses") || name == "sums" || name == "NOT" || strings.HasSuffix(name, "text") {
				deepest = 1_000_000
			}
			for _, depth := range []int{10, 1000, deepest} {
				sql := make(depth)
				if len(sql) > 20<<20 {
					continue
				}
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), deepTime)
				err := drain(c.Exec(ctx, "SET statement_timeout = '3s'"))
				require.NoError(t, err, name)
				err = drain(c.Exec(ctx, sql))
				cancel()
				switch code := codeOf(err); code {
				case "", "54001", "54000", "54011", "54023", "53200", "42804", "42725", "42703", "42601", "2201B", "57014", "22003", "2202E", "22P02", "42712", "0A000", "42702":
				default:
					t.Errorf("%s, %d deep: %.300s (%s)", name, depth, err, code)
				}
				if took := time.Since(began); took > deepTime {
					t.Errorf("%s, %d deep: took %s (%v)", name, depth, took, codeOf(err))
				}
				if c.IsClosed() {
					t.Errorf("%s, %d deep: the connection is closed: %v", name, depth, err)
					c = newClient(t, n.SQLAddr())
				}
				if c.TxStatus() != 'I' {
					c.exec("ROLLBACK")
				}
			}
		}
		require.NotEmpty(t, c.one("SELECT count(*) FROM t"))
	})
}

// drain reads an answer and keeps nothing of it.
func drain(r *pgconn.MultiResultReader) error {
	for r.NextResult() {
		rr := r.ResultReader()
		for rr.NextRow() {
		}
		_, _ = rr.Close() // Close of the whole returns its error
	}
	return r.Close()
}

// frame is a message of the protocol.
func frame(kind byte, body []byte) []byte {
	b := append([]byte{kind}, bits.BigEndian.AppendUint32(nil, uint32(len(body)+4))...)
	return append(b, body...)
}

// rawConn connects and authenticates by hand.
func rawConn(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	body := append(bits.BigEndian.AppendUint32(nil, 3<<16), "user\x00raw\x00database\x00postgres\x00\x00"...)
	_, err = c.Write(append(bits.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...))
	require.NoError(t, err)
	for {
		if kind, _ := readMessage(t, c); kind == 'Z' {
			return c
		}
	}
}

func readMessage(t *testing.T, c net.Conn) (kind byte, body []byte) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	var head [5]byte
	_, err := io.ReadFull(c, head[:])
	require.NoError(t, err)
	body = make([]byte, bits.BigEndian.Uint32(head[1:])-4)
	_, err = io.ReadFull(c, body)
	require.NoError(t, err)
	return head[0], body
}

// readCode reads until an error and returns its SQLSTATE.
func readCode(t *testing.T, c net.Conn) string {
	t.Helper()
	for {
		kind, body := readMessage(t, c)
		if kind != 'E' {
			continue
		}
		for _, f := range bytes.Split(body, []byte{0}) {
			if len(f) > 0 && f[0] == 'C' {
				return string(f[1:])
			}
		}
	}
}

// TestOversizedFrames announces more than is allowed, and sends a statement that
// is too large to be one entry.
func TestOversizedFrames(t *testing.T) {
	bounded(t, func(n *tidemark.Node) {
		for _, kind := range []byte("QPBDECHdSXp") {
			c := rawConn(t, n.SQLAddr())
			_, err := c.Write(append([]byte{kind}, 0x7f, 0xff, 0xff, 0xff))
			require.NoError(t, err)
			require.Contains(t, []string{"08P01", "54000"}, readCode(t, c), "%c", kind)
			require.NoError(t, c.Close())
		}
		c := newClient(t, n.SQLAddr())
		c.exec("CREATE TABLE t (w text)")
		c.fails("54000", "INSERT INTO t VALUES ('"+strings.Repeat("x", 17<<20)+"')")
		require.Equal(t, strconv.Itoa(10<<20), c.one("SELECT length('"+strings.Repeat("x", 10<<20)+"')"))
		c.fails("54000", "SELECT length('"+strings.Repeat("x", 40<<20)+"')")
		c.exec("BEGIN", "INSERT INTO t VALUES ('"+strings.Repeat("x", 10<<20)+"')", "INSERT INTO t VALUES ('"+strings.Repeat("x", 10<<20)+"')")
		c.fails("54000", "COMMIT")
		require.Equal(t, "0", c.one("SELECT count(*) FROM t"))

		// 100 MB: more than a message may have. The server says so and hangs up.
		raw := rawConn(t, n.SQLAddr())
		const size = 100 << 20
		_, err := raw.Write(append([]byte{'Q'}, bits.BigEndian.AppendUint32(nil, size+4)...))
		require.NoError(t, err)
		go func() {
			chunk := bytes.Repeat([]byte("SELECT 1;"), 10_000)
			for sent := 0; sent < size; sent += len(chunk) {
				if _, err := raw.Write(chunk); err != nil {
					return // the server has hung up
				}
			}
		}()
		require.Contains(t, []string{"08P01", "54000"}, readCode(t, raw))
		require.NoError(t, raw.Close())
	})
}

// TestHalfOpenConnections opens thousands of connections that say nothing, or
// half of something. Others are served meanwhile.
func TestHalfOpenConnections(t *testing.T) {
	const total = 5000
	bounded(t, func(n *tidemark.Node) {
		var open []net.Conn
		defer func() {
			for _, c := range open {
				_ = c.Close()
			}
		}()
		for i := range total {
			c, err := net.DialTimeout("tcp", n.SQLAddr(), 5*time.Second)
			if err != nil {
				require.Greater(t, i, 500, "%v", err)
				t.Logf("%d connections: %v", i, err)
				break
			}
			open = append(open, c)
			switch i % 4 {
			case 1:
				_, _ = c.Write([]byte{0}) // it may be closed already
			case 2:
				_, _ = c.Write([]byte{0, 0, 0, 50, 0, 3, 0, 0, 'u', 's'})
			case 3:
				_, _ = c.Write([]byte{0, 0, 0x20, 0, 4, 0xd2, 0x16, 0x2f})
			}
			if i%1000 == 999 {
				x := newClient(t, n.SQLAddr())
				require.Equal(t, "1", x.one("SELECT 1"))
				require.NoError(t, x.Close(t.Context()))
			}
		}
	})
}

// TestDisconnects leaves in the middle of things. Nothing of them is left, and
// what they held is free.
func TestDisconnects(t *testing.T) {
	bounded(t, func(n *tidemark.Node) {
		c := newClient(t, n.SQLAddr())
		c.exec("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t SELECT g, 'v' FROM generate_series(1, 5000) g")
		row := []byte("7777777\t" + strings.Repeat("v", 1000) + "\n")
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				raw := rawConn(t, n.SQLAddr())
				defer raw.Close()
				send := func(kind byte, body string) { _, _ = raw.Write(frame(kind, []byte(body))) }
				switch i % 5 {
				case 0: // in a COPY that is staged
					send('Q', "COPY t FROM STDIN\x00")
					for range 3000 {
						_, _ = raw.Write(frame('d', row))
					}
				case 1: // in a message
					_, _ = raw.Write([]byte{'Q', 0, 0, 1, 0, 'S', 'E'})
				case 2: // in a transaction
					send('Q', "BEGIN; INSERT INTO t VALUES (-1, 'x'); SAVEPOINT s\x00")
				case 3: // while rows come
					send('Q', "SELECT a.id, b.id FROM t a, t b\x00")
					time.Sleep(20 * time.Millisecond)
				case 4: // between Bind and Sync
					send('P', "\x00INSERT INTO t VALUES (-2, 'x')\x00\x00\x00")
					send('B', "\x00\x00\x00\x00\x00\x00\x00\x00")
					send('E', "\x00\x00\x00\x00\x00")
					send('H', "")
				}
			})
		}
		wg.Wait()
		require.Eventually(t, func() bool {
			return c.one("SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'") == "0"
		}, 15*time.Second, 50*time.Millisecond, "sessions end when their clients do")
		require.Equal(t, "5000", c.one("SELECT count(*) FROM t"))
	})
}

func TestPreparedStatementLimit(t *testing.T) {
	n := startNode(t, t.TempDir())
	c := newClient(t, n.SQLAddr())
	for i := range 1000 {
		_, err := c.Prepare(t.Context(), "p"+strconv.Itoa(i), "SELECT 1", nil)
		require.NoError(t, err)
	}
	_, err := c.Prepare(t.Context(), "p1000", "SELECT 1", nil)
	require.Equal(t, "53400", codeOf(err))
	c.fails("53400", "PREPARE p1001 AS SELECT 1")
	require.Equal(t, "1", string(c.ExecPrepared(t.Context(), "p999", nil, nil, nil).Read().Rows[0][0]))
	c.exec("DEALLOCATE p5", "PREPARE p1001 AS SELECT 1", "DEALLOCATE ALL")
	_, err = c.Prepare(t.Context(), "again", "SELECT 1", nil)
	require.NoError(t, err)
}

// long is a statement that runs for minutes unless it is stopped.
const long = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a.a + b.b = -1"

func TestCancelAndTimeout(t *testing.T) {
	bounded(t, func(n *tidemark.Node) {
		c := newClient(t, n.SQLAddr())
		c.exec("CREATE TABLE t (id int)", "SET statement_timeout = '100ms'")
		for _, sql := range []string{long, "BEGIN; " + long, "EXPLAIN ANALYZE " + long, "SELECT pg_sleep(30)"} {
			began := time.Now()
			e := c.fails("57014", sql)
			require.Equal(t, "canceling statement due to statement timeout", e.Message, sql)
			require.Less(t, time.Since(began), 20*time.Second, sql)
			c.exec("ROLLBACK")
		}
		c.exec("RESET statement_timeout")
		for _, sql := range []string{long, "SELECT pg_sleep(30)"} {
			time.AfterFunc(100*time.Millisecond, func() { _ = c.CancelRequest(context.Background()) })
			e := c.fails("57014", sql)
			require.Equal(t, "canceling statement due to user request", e.Message, sql)
		}
		require.NoError(t, c.CancelRequest(t.Context()), "nothing runs")
		c.exec("SELECT 1")
		d := newClient(t, n.SQLAddr())
		pid := c.one("SELECT pg_backend_pid()")
		time.AfterFunc(100*time.Millisecond, func() { _, _ = execute(context.Background(), d.PgConn, "SELECT pg_cancel_backend("+pid+")") })
		c.fails("57014", long)
	})
}

// TestTooManyClients refuses the one client too many, until another one has left.
func TestTooManyClients(t *testing.T) {
	n := startNode(t, t.TempDir(), func(c *tidemark.Config) { c.MaxConnections = 5 })
	var all []*client
	for range 5 {
		all = append(all, newClient(t, n.SQLAddr()))
	}
	_, err := dial(t.Context(), n.SQLAddr())
	require.Equal(t, "53300", codeOf(err))
	require.NoError(t, all[0].Close(t.Context()))
	require.Eventually(t, func() bool {
		c, err := dial(t.Context(), n.SQLAddr())
		if err != nil {
			return false
		}
		return c.Close(t.Context()) == nil
	}, 5*time.Second, 10*time.Millisecond)
}
