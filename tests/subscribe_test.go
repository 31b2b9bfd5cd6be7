package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// subscription reads a statement that has no end, row by row.
type subscription struct {
	t    *testing.T
	rows chan []string
	err  chan error
}

// subscribe runs the statement on a connection of its own.
func subscribe(t *testing.T, c *client, ctx context.Context, sql string) *subscription {
	s := &subscription{t: t, rows: make(chan []string, 1000), err: make(chan error, 1)}
	go func() {
		r := c.ExecParams(ctx, sql, nil, nil, nil, nil)
		for r.NextRow() {
			var row []string
			for _, v := range r.Values() {
				row = append(row, string(v))
			}
			s.rows <- row
		}
		_, err := r.Close()
		close(s.rows)
		s.err <- err
	}()
	return s
}

func (s *subscription) next() []string {
	s.t.Helper()
	select {
	case r, ok := <-s.rows:
		require.True(s.t, ok, "the statement has ended")
		return r
	case <-time.After(streamPatience):
		require.Fail(s.t, "no row came")
	}
	return nil
}

func (s *subscription) end() error {
	s.t.Helper()
	select {
	case err := <-s.err:
		return err
	case <-time.After(streamPatience):
		require.Fail(s.t, "the statement goes on")
	}
	return nil
}

// TestSubscribe has each commit come as it is made, on the node that writes and on
// others, by SELECT and by COPY, and nothing of what is not committed.
func TestSubscribe(t *testing.T) {
	n := memNodes(t, 3, nil)
	c := newClient(t, n[0].addr)
	c.exec("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (0)")
	var subs []*subscription
	for _, node := range n {
		subs = append(subs, subscribe(t, newClient(t, node.addr), t.Context(), "SELECT op, after->>'id' FROM tidemark.subscribe('0/0', 't') WHERE op <> 'delete'"))
	}
	copies := copySubscriber(t, newClient(t, n[1].addr), "COPY (SELECT op, after->>'id' FROM tidemark.subscribe('0/0', 't')) TO STDOUT")
	seen := func(op, id string) {
		t.Helper()
		for i, s := range subs {
			require.Equal(t, []string{op, id}, s.next(), "node %d", i)
		}
		require.Equal(t, op+"\t"+id, copies())
	}
	seen("insert", "0")
	for i := 1; i < 20; i++ {
		open := newClient(t, n[i%3].addr)
		open.exec("BEGIN", fmt.Sprintf("INSERT INTO t VALUES (%d)", 1000+i))
		c.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		seen("insert", strconv.Itoa(i))
		open.exec("ROLLBACK")
		require.NoError(t, open.Close(t.Context()))
	}
	c.exec("BEGIN; UPDATE t SET v = 'x' WHERE id = 1; INSERT INTO t VALUES (50); UPDATE t SET v = 'y' WHERE id = 50; COMMIT")
	seen("update", "1")
	seen("insert", "50")
	seen("update", "50")
}

// copySubscriber runs COPY … TO STDOUT and returns what yields its lines.
func copySubscriber(t *testing.T, c *client, sql string) func() string {
	r, w := io.Pipe()
	go func() {
		_, err := c.CopyTo(t.Context(), w, sql)
		_ = w.CloseWithError(err)
	}()
	t.Cleanup(func() { _ = r.Close() })
	return func() string {
		var line []byte
		for b := make([]byte, 1); ; {
			_, err := r.Read(b)
			require.NoError(t, err)
			if b[0] == '\n' {
				return string(line)
			}
			line = append(line, b[0])
		}
	}
}

// TestSubscribeLatency is about how long a commit takes to a consumer that has caught
// up: it is told, and does not ask again and again. The bound is that of a machine
// with a lot else to do.
func TestSubscribeLatency(t *testing.T) {
	const commits, bound = 50, 250 * time.Millisecond
	n := memNodes(t, 1, nil)
	c := newClient(t, n[0].addr)
	c.exec("CREATE TABLE t (id int PRIMARY KEY)")
	s := subscribe(t, newClient(t, n[0].addr), t.Context(), "SELECT after->>'id' FROM tidemark.subscribe('0/0', 't')")
	quick := time.Hour
	var total time.Duration
	for i := range commits {
		began := time.Now()
		c.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		require.Equal(t, []string{strconv.Itoa(i)}, s.next())
		took := time.Since(began)
		quick, total = min(quick, took), total+took
	}
	t.Logf("from the statement to the row, with the commit: %v at best, %v on average", quick, total/commits)
	require.Less(t, total/commits, bound)
}

// TestSubscribeEnds cancels, times out, disconnects and shuts down while a statement
// waits for what is never committed.
func TestSubscribeEnds(t *testing.T) {
	p := startProcess(t, t.TempDir())
	const endless = "SELECT op FROM tidemark.subscribe('0/0', progress => true)"
	c := newClient(t, p.addr)
	s := subscribe(t, c, t.Context(), endless)
	require.Equal(t, []string{"progress"}, s.next())
	require.NoError(t, c.CancelRequest(t.Context()))
	require.Equal(t, "57014", codeOf(s.end()))
	require.Equal(t, "1", c.one("SELECT 1"), "the connection goes on")

	began := time.Now()
	require.Empty(t, c.rows("SELECT * FROM tidemark.subscribe('0/0', timeout => '300ms')"))
	require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)

	gone := newClient(t, p.addr)
	s = subscribe(t, gone, t.Context(), endless)
	s.next()
	pid := gone.PID()
	require.NoError(t, gone.Conn().Close())
	require.Eventually(t, func() bool {
		return c.one(fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d", pid)) == "0"
	}, streamPatience, 50*time.Millisecond, "who is gone is not waited for")

	s = subscribe(t, newClient(t, p.addr), t.Context(), endless)
	s.next()
	p.stop(t)
	require.Equal(t, "57P01", codeOf(s.end()))
}

// TestSubscribeCursor fetches through portals and cursors: FETCH waits for a row when
// there is none, and no longer.
func TestSubscribeCursor(t *testing.T) {
	n := memNodes(t, 1, nil)
	w := newClient(t, n[0].addr)
	w.exec("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1), (2), (3)")
	c := newClient(t, n[0].addr)
	c.exec("DECLARE h CURSOR WITH HOLD FOR SELECT after->>'id' FROM tidemark.subscribe('0/0', 't')")
	require.Equal(t, [][]string{{"1"}, {"2"}}, c.rows("FETCH 2 FROM h"))
	require.Equal(t, [][]string{{"3"}}, c.rows("FETCH 100 FROM h"), "it does not wait for the rest")
	later := make(chan struct{})
	go func() {
		defer close(later)
		time.Sleep(100 * time.Millisecond) // FETCH waits by then, or finds it there
		_, _ = execute(t.Context(), w.PgConn, "INSERT INTO t VALUES (4), (5)")
	}()
	require.Equal(t, [][]string{{"4"}, {"5"}}, c.rows("FETCH 100 FROM h"), "a transaction comes whole")
	<-later

	// A consumer's own writes and its position are one transaction.
	c.exec("BEGIN", "INSERT INTO t VALUES (6)")
	w.exec("INSERT INTO t VALUES (7)")
	require.Equal(t, [][]string{{"7"}}, c.rows("FETCH 100 FROM h"))
	c.exec("COMMIT")
	require.Equal(t, [][]string{{"6"}}, c.rows("FETCH 100 FROM h"))

	require.NoError(t, c.CancelRequest(t.Context())) // of nothing
	f := c.Frontend()
	f.Send(&pgproto3.Parse{Query: "SELECT after->>'id' FROM tidemark.subscribe($1, 't', timeout => '0')"})
	f.Send(&pgproto3.Bind{Parameters: [][]byte{[]byte("0/0")}})
	for range 4 {
		f.Send(&pgproto3.Execute{MaxRows: 3})
	}
	f.Send(&pgproto3.Sync{})
	require.NoError(t, f.Flush())
	var got []string
	for done := false; !done; {
		m, err := c.ReceiveMessage(t.Context())
		require.NoError(t, err)
		switch m := m.(type) {
		case *pgproto3.DataRow:
			got = append(got, string(m.Values[0]))
		case *pgproto3.PortalSuspended:
			got = append(got, ";")
		case *pgproto3.ErrorResponse:
			require.Fail(t, m.Message)
		case *pgproto3.ReadyForQuery:
			done = true
		}
	}
	require.Equal(t, "1 2 3 ; 4 5 7 ; 6 ; ;", strings.Join(got, " "))
}

// TestSubscribeSlowReader has a consumer that does not read while far more is
// committed than sockets hold. The server keeps none of it for the consumer, who gets
// all of it afterwards.
func TestSubscribeSlowReader(t *testing.T) {
	const (
		rows, width, many = 60, 1 << 20, 8
		grownMax          = 48 << 20 // less than what is to be sent to one, with room for the rest of the server
	)
	t.Setenv("GOGC", "20") // what the server drops must not be taken for what it keeps
	p := startProcess(t, t.TempDir())
	w := newClient(t, p.addr)
	w.exec("CREATE TABLE t (id int PRIMARY KEY, v text)")
	c := newClient(t, p.addr)
	f := c.Frontend()
	f.Send(&pgproto3.Query{String: "SELECT after->>'id', length(after->>'v'), after FROM tidemark.subscribe('0/0', 't', timeout => '1s')"})
	require.NoError(t, f.Flush())
	for i := range rows {
		w.exec(fmt.Sprintf("INSERT INTO t VALUES (%d, repeat('%c', %d))", i, 'a'+i%26, width))
	}
	before := memoryOf(t, p)
	for range many {
		o := newClient(t, p.addr)
		o.Frontend().Send(&pgproto3.Query{String: "SELECT * FROM tidemark.subscribe('0/0', 't')"})
		require.NoError(t, o.Frontend().Flush())
	}
	time.Sleep(time.Second) // they fill their sockets
	require.Less(t, memoryOf(t, p)-before, grownMax)
	w.exec("DELETE FROM t WHERE id = 0") // who writes does not wait for who reads
	n := 0
	for done := false; !done; {
		m, err := c.ReceiveMessage(t.Context())
		require.NoError(t, err)
		switch m := m.(type) {
		case *pgproto3.DataRow:
			if n < rows {
				require.Equal(t, strconv.Itoa(n), string(m.Values[0]))
				require.Equal(t, strconv.Itoa(width), string(m.Values[1]))
			}
			n++
		case *pgproto3.ErrorResponse:
			require.Fail(t, m.Message)
		case *pgproto3.ReadyForQuery:
			done = true
		}
	}
	require.Equal(t, rows+1, n)
}

// memoryOf is the memory of a process, 0 where the system does not say.
func memoryOf(t *testing.T, p *process) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	require.NoError(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	require.NoError(t, err)
	return pages * os.Getpagesize()
}

// TestSubscribeAfterCrash kills the server again and again under a consumer that goes
// on behind the last row it has: it misses nothing and sees nothing twice.
func TestSubscribeAfterCrash(t *testing.T) {
	dir := t.TempDir()
	p := startProcess(t, dir)
	_, err := execute(t.Context(), p.connect(t), "CREATE TABLE t (id serial PRIMARY KEY)")
	require.NoError(t, err)
	last, want, got := "0/0", 0, 0
	for range 3 {
		w := p.connect(t)
		s := subscribe(t, newClient(t, p.addr), t.Context(), "SELECT lsn, after->>'id' FROM tidemark.subscribe('"+last+"', 't')")
		for i := range 30 {
			rows, err := execute(t.Context(), w, "INSERT INTO t SELECT nextval('t_id_seq') FROM generate_series(1, 3) RETURNING id")
			require.NoError(t, err)
			want += len(rows)
			if i < 25 { // the rest is for after the crash
				r := s.next()
				got++
				require.Equal(t, strconv.Itoa(got), r[1])
				last = r[0]
			}
		}
		p.kill()
		p = startProcess(t, dir)
	}
	s := subscribe(t, newClient(t, p.addr), t.Context(), "SELECT lsn, after->>'id' FROM tidemark.subscribe('"+last+"', 't', timeout => '0')")
	require.NoError(t, s.end())
	for r := range s.rows {
		got++
		require.Equal(t, strconv.Itoa(got), r[1])
	}
	require.Equal(t, want, got)
}
