package tests

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/pgwire"
	"github.com/tidemark-db/tidemark/query"
)

// TestReplication streams, acknowledges and resumes: what was acknowledged never
// comes again, everything else does.
func TestReplication(t *testing.T) {
	n, c := published(t, 1)
	r := newConsumer(t, n[0].addr, "s")
	id, err := pglogrepl.IdentifySystem(t.Context(), r.PgConn)
	require.NoError(t, err)
	require.Equal(t, "postgres", id.DBName)
	require.Equal(t, int32(1), id.Timeline)
	made := r.create("NOEXPORT_SNAPSHOT")
	require.Empty(t, made.SnapshotName)
	require.Equal(t, id.XLogPos.String(), made.ConsistentPoint)

	c.exec("INSERT INTO t VALUES (1), (2)", "INSERT INTO hidden VALUES (1)", "BEGIN; INSERT INTO t VALUES (9); ROLLBACK", "UPDATE t SET id = 3 WHERE id = 2")
	r.start(0)
	require.Equal(t, "I1I2;U3;", r.transactions(2))
	r.acknowledge(r.end)
	r.finish()
	require.Equal(t, r.end, c.confirmed("s"), "it is durable when the client sees the end of the stream")
	require.Equal(t, "1", r.one("SELECT 1"), "the connection goes on")

	c.exec("DELETE FROM t WHERE id = 1", "TRUNCATE t")
	r.start(0)
	require.Equal(t, "D1;T;", r.transactions(2))
	r.finish()
	require.Less(t, c.confirmed("s"), r.end)
	r.start(0)
	require.Equal(t, "D1;T;", r.transactions(2), "not acknowledged")
	last := r.end
	r.acknowledge(last + 26) // its position and the length of the message
	r.finish()
	require.Equal(t, last, c.confirmed("s"))
	r.exec("DROP_REPLICATION_SLOT s")
	c.fails("42704", "SELECT pg_drop_replication_slot('s')")
}

// TestReplicationPositions has messages carry the positions that consumers rely on.
func TestReplicationPositions(t *testing.T) {
	n, c := published(t, 1)
	r := newConsumer(t, n[0].addr, "s")
	r.create("NOEXPORT_SNAPSHOT")
	c.exec("INSERT INTO t VALUES (1), (2), (3)", "INSERT INTO t VALUES (4)")
	r.start(0)
	var final, last pglogrepl.LSN
	for range 2 {
		for done := false; !done; {
			msg, x := r.next()
			require.Equal(t, x.WALStart, x.ServerWALEnd)
			switch m := msg.(type) {
			case *pglogrepl.RelationMessage:
				require.Zero(t, x.WALStart)
				continue
			case *pglogrepl.BeginMessage:
				require.GreaterOrEqual(t, x.WALStart, last+1, "room between transactions")
				last, final = x.WALStart-1, m.FinalLSN
			case *pglogrepl.InsertMessage:
				require.Greater(t, x.WALStart, last)
				require.Less(t, x.WALStart, final)
				last = x.WALStart
			case *pglogrepl.CommitMessage:
				require.Equal(t, final, m.CommitLSN)
				last, done = m.TransactionEndLSN, true
			}
		}
	}
}

// TestReplicationAcknowledgements: in the middle of a transaction, beyond the end,
// backwards.
func TestReplicationAcknowledgements(t *testing.T) {
	n, c := published(t, 1)
	r := newConsumer(t, n[0].addr, "s")
	r.create("NOEXPORT_SNAPSHOT")
	c.exec("INSERT INTO t VALUES (1), (2)", "INSERT INTO t VALUES (3)")
	r.start(0)
	var inside pglogrepl.LSN
	for {
		msg, x := r.next()
		if _, ok := msg.(*pglogrepl.InsertMessage); ok {
			inside = x.WALStart
		} else if _, ok := msg.(*pglogrepl.CommitMessage); ok {
			break
		}
	}
	first := r.end
	r.transactions(1)
	r.acknowledge(inside + 1)
	r.finish()
	r.start(0)
	require.Equal(t, "I1I2;I3;", r.transactions(2))
	r.acknowledge(first)
	r.acknowledge(0)
	r.acknowledge(1)
	r.finish()
	require.Equal(t, first, c.confirmed("s"))
	r.start(0)
	require.Equal(t, "I3;", r.transactions(1))
	r.acknowledge(1 << 50)
	r.finish()
	require.Equal(t, r.end, c.confirmed("s"))
	c.exec("INSERT INTO t VALUES (4)")
	r.start(0)
	require.Equal(t, "I4;", r.transactions(1))
}

// TestReplicationMessageAcknowledged: a consumer that ends at a message outside of
// transactions has acknowledged what comes before.
func TestReplicationMessageAcknowledged(t *testing.T) {
	n, c := published(t, 1)
	r := newConsumer(t, n[0].addr, "s")
	r.exec("CREATE_REPLICATION_SLOT s LOGICAL test_decoding NOEXPORT_SNAPSHOT")
	c.exec("INSERT INTO t VALUES (1, repeat('x', 100)), (2, 'short')", "INSERT INTO t VALUES (3)", "SELECT pg_logical_emit_message(false, 'p', 'm')")
	texts := func(last string) (got []string, at pglogrepl.LSN) {
		t.Helper()
		require.NoError(t, pglogrepl.StartReplication(t.Context(), r.PgConn, "s", 0, pglogrepl.StartReplicationOptions{}))
		for {
			m, err := r.receive()
			require.NoError(t, err)
			if d := m.(*pgproto3.CopyData).Data; d[0] == pglogrepl.XLogDataByteID {
				x, err := pglogrepl.ParseXLogData(d[1:])
				require.NoError(t, err)
				got, at = append(got, string(x.WALData)), x.WALStart
				if strings.HasPrefix(got[len(got)-1], last) {
					return got, at
				}
			}
		}
	}
	got, at := texts("message:")
	require.Contains(t, strings.Join(got, "\n"), "INSERT: id[integer]:3")
	r.acknowledge(at)
	r.finish()
	got, _ = texts("message:")
	for _, s := range got[:len(got)-1] { // what is between them may be shown as an empty transaction
		require.NotContains(t, s, "INSERT", "everything before the message was acknowledged")
	}
}

// TestReplicationPassesOver: transactions without anything for the consumer move its
// position by keepalives.
func TestReplicationPassesOver(t *testing.T) {
	n, c := published(t, 1)
	r := newConsumer(t, n[0].addr, "s")
	r.create("NOEXPORT_SNAPSHOT")
	r.start(0)
	c.exec("INSERT INTO hidden VALUES (1)")
	end := pglogrepl.LSN(n[0].replica.Position().End)
	for r.kept < end {
		m, err := r.receive()
		require.NoError(t, err)
		k, err := pglogrepl.ParsePrimaryKeepaliveMessage(m.(*pgproto3.CopyData).Data[1:])
		require.NoError(t, err)
		r.kept = k.ServerWALEnd
	}
	require.Equal(t, end, r.kept)
	r.acknowledge(r.kept)
	r.finish()
	require.Equal(t, end, c.confirmed("s"))
}

// TestReplicationSnapshots compares the snapshot of a slot and its stream while
// others write: each row is in one of the two.
func TestReplicationSnapshots(t *testing.T) {
	n, c := published(t, 2)
	stop, stopped := make(chan struct{}), make(chan int)
	writer := newClient(t, n[0].addr)
	go func() {
		i := 0
		for ; ; i++ {
			select {
			case <-stop:
				stopped <- i
				return
			default:
			}
			if _, err := execute(context.Background(), writer.PgConn, fmt.Sprintf("INSERT INTO t VALUES (%d)", i)); err != nil {
				panic(err)
			}
		}
	}()
	seen := make([]int, 3) // how many rows each slot's snapshot had
	consumers := make([]*consumer, 3)
	for i, action := range []string{"EXPORT_SNAPSHOT", "USE_SNAPSHOT", "EXPORT_SNAPSHOT"} {
		r := newConsumer(t, n[i%2].addr, fmt.Sprint("s", i))
		consumers[i] = r
		reader := r.client
		if action == "USE_SNAPSHOT" {
			r.exec("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
			r.create(action)
		} else {
			made := r.create(action)
			reader = newClient(t, n[(i+1)%2].addr) // a node that may be behind
			reader.exec("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '" + made.SnapshotName + "'")
		}
		time.Sleep(10 * time.Millisecond)
		_, err := fmt.Sscan(reader.one("SELECT count(*) FROM t"), &seen[i])
		require.NoError(t, err)
		reader.exec("COMMIT")
	}
	close(stop)
	total := <-stopped
	for i, r := range consumers {
		r.start(0)
		for want := seen[i]; want < total; want++ {
			require.Equal(t, fmt.Sprintf("I%d;", want), r.transactions(1))
		}
	}
	c.exec("BEGIN")
	c.fails("22023", "SET TRANSACTION SNAPSHOT 'nonsense'")
	c.exec("ROLLBACK", "BEGIN", "SELECT 1 FROM t")
	c.fails("25001", "SET TRANSACTION SNAPSHOT '0/1000008'")
	c.exec("ROLLBACK", "BEGIN ISOLATION LEVEL READ COMMITTED")
	c.fails("0A000", "SET TRANSACTION SNAPSHOT '0/1000008'")
	c.exec("ROLLBACK", "BEGIN")
	c.fails("22023", "SET TRANSACTION SNAPSHOT 'FFFFFFFF/0'")
	c.exec("ROLLBACK")
}

// TestReplicationOnAnyNode moves a consumer from node to node.
func TestReplicationOnAnyNode(t *testing.T) {
	n, c := published(t, 3)
	newConsumer(t, n[1].addr, "s").create("NOEXPORT_SNAPSHOT")
	var end pglogrepl.LSN
	for i := range 6 {
		c.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		r := newConsumer(t, n[i%3].addr, "s")
		r.start(0)
		require.Equal(t, fmt.Sprintf("I%d;", i), r.transactions(1))
		require.Greater(t, r.end, end)
		end = r.end
		r.acknowledge(end)
		r.finish()
	}
}

// TestReplicationThroughAnotherNode: a node that does not have the database passes
// the stream on.
func TestReplicationThroughAnotherNode(t *testing.T) {
	n, c := published(t, 1)
	server := pgwire.NewServer(pgwire.Config{
		Route: func(string) (string, bool) { return n[0].addr, true },
		Sessions: pgwire.SessionFactoryFunc(func(context.Context, query.StartupParams) (pgwire.Session, []query.Setting, error) {
			return nil, nil, errors.New("it is not served here")
		}),
	})
	addr := serveAt(t, server)
	r := newConsumer(t, addr, "s")
	r.create("NOEXPORT_SNAPSHOT")
	r.start(0)
	for i := range 3 {
		c.exec(fmt.Sprintf("INSERT INTO t VALUES (%d, repeat('x', 100000))", i))
		require.Equal(t, fmt.Sprintf("I%d;", i), r.transactions(1))
		r.acknowledge(r.end)
	}
	r.finish()
	require.Equal(t, r.end, c.confirmed("s"))
}

// TestReplicationRefusals has what is refused on replication connections.
func TestReplicationRefusals(t *testing.T) {
	n, c := published(t, 1)
	addr := n[0].addr
	r := newConsumer(t, addr, "s")
	require.Equal(t, "extended query protocol not supported in a replication connection",
		sqlstateOf(t, "08P01", r.ExecParams(t.Context(), "SELECT 1", nil, nil, nil, nil).Read().Err))
	for _, k := range []struct{ code, sql string }{
		{"42704", "START_REPLICATION SLOT none LOGICAL 0/0 (proto_version '1', publication_names 'p')"},
		{"42704", "DROP_REPLICATION_SLOT none"},
		{"0A000", "START_REPLICATION 0/0"},
		{"0A000", "CREATE_REPLICATION_SLOT s PHYSICAL"},
		{"0A000", "TIMELINE_HISTORY 1"},
		{"0A000", "BASE_BACKUP"},
		{"58P01", "CREATE_REPLICATION_SLOT s LOGICAL wal2json"},
		{"42602", `CREATE_REPLICATION_SLOT "A" LOGICAL pgoutput`},
		{"XX000", "CREATE_REPLICATION_SLOT s LOGICAL pgoutput (SNAPSHOT 'use')"},
		{"42601", "CREATE_REPLICATION_SLOT s"},
	} {
		r.fails(k.code, k.sql)
	}
	r.exec("BEGIN")
	r.fails("XX000", "CREATE_REPLICATION_SLOT s LOGICAL pgoutput")
	r.fails("25P02", "IDENTIFY_SYSTEM")
	r.exec("ROLLBACK", "BEGIN READ ONLY ISOLATION LEVEL READ COMMITTED")
	r.fails("XX000", "CREATE_REPLICATION_SLOT s LOGICAL pgoutput USE_SNAPSHOT")
	r.exec("ROLLBACK", "CREATE_REPLICATION_SLOT s LOGICAL pgoutput")
	r.fails("42710", "CREATE_REPLICATION_SLOT s LOGICAL pgoutput")
	require.Equal(t, "", r.one("SELECT pg_catalog.set_config('search_path', '', false);"))
	require.Equal(t, "logical", r.one("SHOW wal_level"))
	require.Equal(t, "0700", r.one("SHOW data_directory_mode"))
	r.fails("22023", "START_REPLICATION SLOT s LOGICAL 0/0")
	r.fails("0A000", "START_REPLICATION SLOT s LOGICAL 0/0 (proto_version '4', publication_names 'p')")

	r.start(0)
	other := newConsumer(t, addr, "s")
	require.ErrorContains(t, other.tryStart(0), "is active for PID")
	c.fails("55006", "SELECT pg_drop_replication_slot('s')")
	require.Equal(t, "streaming", awaitText(c, "SELECT state FROM pg_stat_replication", "streaming"))

	bare, err := pgconn.Connect(t.Context(), "postgres://tester@"+addr+"/nosuch?sslmode=disable&replication=true")
	require.NoError(t, err)
	physical := &client{bare, t}
	t.Cleanup(func() { _ = bare.Close(context.Background()) })
	require.Empty(t, physical.rows("IDENTIFY_SYSTEM")[0][3], "there is no database")
	physical.fails("0A000", "SELECT 1")
	physical.fails("55000", "CREATE_REPLICATION_SLOT x LOGICAL pgoutput")
	physical.fails("0A000", "START_REPLICATION 0/0")
	cfg, err := pgconn.ParseConfig("postgres://tester@" + addr + "/postgres?sslmode=disable&replication=perhaps")
	require.NoError(t, err)
	_, err = pgconn.ConnectConfig(t.Context(), cfg)
	require.ErrorContains(t, err, `invalid value for parameter "replication": "perhaps"`)
}

func sqlstateOf(t *testing.T, code string, err error) string {
	t.Helper()
	var e *pgconn.PgError
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code)
	return e.Message
}

// awaitText asks until the answer is as wanted, or for long.
func awaitText(c *client, sql, want string) (got string) {
	for end := time.Now().Add(streamPatience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if rows := c.rows(sql); len(rows) == 1 && rows[0][0] == want {
			return want
		} else {
			got = fmt.Sprint(rows)
		}
	}
	return got
}

// TestReplicationEnds: cancelled, shut down, dropped connection, silent consumer.
func TestReplicationEnds(t *testing.T) {
	n, c := published(t, 1)
	addr := n[0].addr
	r := newConsumer(t, addr, "s")
	r.create("NOEXPORT_SNAPSHOT")
	streamError := func(r *consumer) error {
		for {
			if _, err := r.receive(); err != nil {
				return err
			}
		}
	}
	r.start(0)
	require.NoError(t, r.CancelRequest(t.Context()))
	sqlstateOf(t, "57014", streamError(r))

	// A connection that is cut leaves the slot to the next one.
	r = newConsumer(t, addr, "s")
	r.start(0)
	require.NoError(t, r.Conn().Close())
	require.Equal(t, "f", awaitText(c, "SELECT active FROM pg_replication_slots", "f"))

	// Garbage from the consumer ends the stream, not the connection.
	r = newConsumer(t, addr, "s")
	r.start(0)
	r.Frontend().Send(&pgproto3.CopyData{Data: []byte("nonsense")})
	require.NoError(t, r.Frontend().Flush())
	sqlstateOf(t, "08P01", streamError(r))
	_, err := r.receive() // ReadyForQuery
	require.NoError(t, err)
	require.Equal(t, "1", r.one("SELECT 1"))

	// One that says nothing is asked, and then given up.
	r = &consumer{client: newClient(t, addr, "replication", "database", "wal_sender_timeout", "1s"), slot: "s"}
	r.start(0)
	asked := false
	for {
		m, err := r.receive()
		if err != nil {
			require.Equal(t, "terminating walsender process due to replication timeout", sqlstateOf(t, "08006", err))
			break
		}
		d := m.(*pgproto3.CopyData).Data
		asked = asked || d[0] == pglogrepl.PrimaryKeepaliveMessageByteID && d[17] == 1
	}
	require.True(t, asked)

	// One that answers is not.
	r = &consumer{client: newClient(t, addr, "replication", "database", "wal_sender_timeout", "1s"), slot: "s"}
	r.start(0)
	for range 10 {
		time.Sleep(200 * time.Millisecond)
		r.acknowledge(0)
	}
	c.exec("INSERT INTO t VALUES (1)")
	require.Equal(t, "I1;", r.transactions(1))

	go func() { _ = n[0].server.Shutdown(context.Background()) }()
	sqlstateOf(t, "57P01", streamError(r))
}

// TestReplicationReplies: who asks for a reply gets one at once.
func TestReplicationReplies(t *testing.T) {
	n, _ := published(t, 1)
	r := newConsumer(t, n[0].addr, "s")
	r.create("NOEXPORT_SNAPSHOT")
	r.start(0)
	_, err := r.receive() // the first keepalive
	require.NoError(t, err)
	for range 3 {
		status := make([]byte, 34)
		status[0], status[33] = 'r', 1
		r.Frontend().Send(&pgproto3.CopyData{Data: status})
		require.NoError(t, r.Frontend().Flush())
		m, err := r.receive()
		require.NoError(t, err)
		d := m.(*pgproto3.CopyData).Data
		require.Equal(t, byte(pglogrepl.PrimaryKeepaliveMessageByteID), d[0])
		require.Equal(t, uint64(n[0].replica.Position().End), binary.BigEndian.Uint64(d[1:]))
	}
}

// TestReplicationIsPushed: a consumer that is waiting gets a commit when it comes, not
// when somebody looks.
func TestReplicationIsPushed(t *testing.T) {
	n, c := published(t, 1)
	r := newConsumer(t, n[0].addr, "s")
	r.create("NOEXPORT_SNAPSHOT")
	r.start(0)
	began := time.Now()
	const rounds = 200
	for i := range rounds {
		c.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		require.Equal(t, fmt.Sprintf("I%d;", i), r.transactions(1))
	}
	require.Less(t, time.Since(began), rounds*50*time.Millisecond)
}

// TestReplicationLosesItsSlot: a consumer whose slot another one has taken over is
// told so, and what it still acknowledges counts for nothing.
func TestReplicationLosesItsSlot(t *testing.T) {
	n, c := published(t, 1)
	r := newConsumer(t, n[0].addr, "s")
	r.create("NOEXPORT_SNAPSHOT")
	r.start(0)
	c.exec("INSERT INTO t VALUES (1)")
	require.Equal(t, "I1;", r.transactions(1))
	held, ok := n[0].replica.Slot("s")
	require.True(t, ok)
	take := &log.Entry{Kind: log.KindSlot, Semantics: log.CurrentSemantics, Slot: &log.SlotChange{Op: log.SlotAcquire, Name: "s",
		Owner: log.Owner{Node: 99, Process: 99}, Session: 4711, Generation: held.Generation, Steal: true}}
	data, err := take.Append(nil)
	require.NoError(t, err)
	_, err = n[0].link.Append(t.Context(), data)
	require.NoError(t, err)
	for err == nil {
		_, err = r.receive()
	}
	require.Contains(t, sqlstateOf(t, "55006", err), "is active for PID 4711")
	_, err = r.receive() // ReadyForQuery
	require.NoError(t, err)
	require.Less(t, c.confirmed("s"), r.end)
	require.Equal(t, "1", r.one("SELECT 1"))
}

// TestReplicationMemory: consumers that are far behind in a large transaction, and do
// not read, cost little.
func TestReplicationMemory(t *testing.T) {
	const consumers, rows, each = 10, 100_000, 10 << 20
	n, c := published(t, 1)
	list := make([]*consumer, consumers)
	for i := range list {
		list[i] = newConsumer(t, n[0].addr, fmt.Sprint("s", i))
		list[i].create("NOEXPORT_SNAPSHOT")
	}
	c.exec(fmt.Sprintf("INSERT INTO t SELECT g, repeat('x', 300) FROM generate_series(1, %d) g", rows))
	before := heap()
	for _, r := range list {
		r.start(0)
		for range 10 {
			_, _ = r.next()
		}
	}
	time.Sleep(200 * time.Millisecond) // until they have filled what lies between
	require.Less(t, heap(), before+consumers*each)
	require.Equal(t, rows, strings.Count(list[0].transactions(1), "I")+8, "B, R and eight rows came before")
}

// heap is how many bytes are in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
