package tests

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/tests/cluster"
)

const (
	// takeovers are done by default, takeoverTime is what one takes about.
	takeovers    = 2
	takeoverTime = 8 * time.Second
	// takeoverBound is far more than it may take for a consumer to have its slot
	// again on another node: a second, or two when the killed node has led.
	takeoverBound = 30 * time.Second
)

// TestSlotTakeover creates a slot on one node, reads from it through another, kills
// that one, and goes on through the third: at once, with what was acknowledged last.
func TestSlotTakeover(t *testing.T) {
	c := startNodes(t)
	ctx := t.Context()
	conn, err := cluster.Dial(ctx, c.Addrs(1).SQL)
	require.NoError(t, err)
	run := func(conn *pgconn.PgConn, sql string, args ...any) string {
		t.Helper()
		rows, err := execute(ctx, conn, fmt.Sprintf(sql, args...))
		require.NoError(t, err)
		if len(rows) == 0 {
			return ""
		}
		return rows[0][0]
	}
	run(conn, "CREATE TABLE eggs (id bigserial PRIMARY KEY)")
	run(conn, "SELECT pg_create_logical_replication_slot('hen', 'test_decoding')")
	require.NoError(t, conn.Close(ctx))
	for i := range faultTimes(t, takeovers, takeoverTime) {
		holder, next, third := i%3+1, (i+1)%3+1, (i+2)%3+1
		writer, err := cluster.Dial(ctx, c.Addrs(next).SQL)
		require.NoError(t, err)
		held, err := streamSlot(ctx, c.Addrs(holder).SQL, "hen")
		require.NoError(t, err)
		_, err = streamSlot(ctx, c.Addrs(third).SQL, "hen")
		require.Equal(t, "55006", codeOf(err), "%v", err)
		temporary := fmt.Sprint("chick_", i)
		session, err := cluster.Dial(ctx, c.Addrs(holder).SQL)
		require.NoError(t, err)
		run(session, "SELECT pg_create_logical_replication_slot('%s', 'test_decoding', true)", temporary)
		require.Equal(t, "2", run(writer, "SELECT count(*) FROM tidemark.slots s JOIN tidemark.nodes n ON n.id = s.node WHERE s.active AND n.sql_addr = '%s'", c.Addrs(holder).SQL))

		run(writer, "INSERT INTO eggs DEFAULT VALUES")
		end, err := log.ParseOffset(run(writer, "SELECT pg_current_wal_lsn() + 1"))
		require.NoError(t, err)
		require.NoError(t, receiveCommit(ctx, held)) // what has not been sent is not acknowledged
		require.NoError(t, acknowledge(held, end))
		require.Equal(t, "success", run(writer, "WAIT FOR SLOT 'hen' TIMEOUT '30s'"))

		require.NoError(t, c.Kill(holder))
		killed := time.Now()
		var again *pgconn.PgConn
		for again == nil {
			if again, err = streamSlot(ctx, c.Addrs(third).SQL, "hen"); err != nil {
				// It is not free yet, or the node still waits for a new leader to tell it
				// how far the log is.
				require.Contains(t, []string{"55006", "57014"}, codeOf(err), "%v", err)
				require.Less(t, time.Since(killed), takeoverBound)
			}
		}
		t.Logf("the slot is taken over after %s", time.Since(killed))
		require.Less(t, time.Since(killed), takeoverBound)
		require.Equal(t, end.String(), run(writer, "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'hen'"))
		// A temporary slot of a session that died with its node is in nobody's way.
		run(writer, "SELECT pg_create_logical_replication_slot('%s', 'pgoutput')", temporary)
		run(writer, "SELECT pg_drop_replication_slot('%s')", temporary)
		require.NoError(t, again.Close(ctx))
		require.NoError(t, writer.Close(ctx))
		_ = session.Close(ctx) // its node is gone
		_ = held.Close(ctx)
		require.NoError(t, c.Start(ctx, holder))
		require.NoError(t, c.AwaitWhole(ctx))
	}
}

// streamSlot connects and begins to read from a slot.
func streamSlot(ctx context.Context, addr, slot string) (*pgconn.PgConn, error) {
	conn, err := pgconn.Connect(ctx, "postgres://postgres@"+addr+"/postgres?sslmode=disable&replication=database")
	if err != nil {
		return nil, err
	}
	conn.Frontend().Send(&pgproto3.Query{String: "START_REPLICATION SLOT " + slot + " LOGICAL 0/0"})
	if err := conn.Frontend().Flush(); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	for {
		m, err := conn.ReceiveMessage(ctx)
		if failed, ok := m.(*pgproto3.ErrorResponse); ok {
			err = pgconn.ErrorResponseToPgError(failed)
		}
		if err != nil {
			return nil, errors.Join(err, conn.Close(ctx))
		}
		if _, ok := m.(*pgproto3.CopyBothResponse); ok {
			return conn, nil
		}
	}
}

// receiveCommit reads the messages of test_decoding up to the end of a transaction.
func receiveCommit(ctx context.Context, conn *pgconn.PgConn) error {
	for {
		m, err := conn.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		if d, ok := m.(*pgproto3.CopyData); ok && d.Data[0] == 'w' && bytes.Contains(d.Data, []byte("COMMIT")) {
			return nil
		}
	}
}

// acknowledge tells a stream that everything before end has been received.
func acknowledge(conn *pgconn.PgConn, end log.Offset) error {
	b := []byte{'r'}
	for _, v := range []uint64{uint64(end), uint64(end), uint64(end), 0} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	conn.Frontend().Send(&pgproto3.CopyData{Data: append(b, 0)})
	return conn.Frontend().Flush()
}
