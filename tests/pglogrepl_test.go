package tests

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// streamPatience is for how long a message may not come.
const streamPatience = 20 * time.Second

// consumer is a replication connection.
type consumer struct {
	*client
	slot string
	end  pglogrepl.LSN // the end of the last transaction that came whole
	kept pglogrepl.LSN // of the last keepalive
}

func newConsumer(t *testing.T, addr, slot string) *consumer {
	return &consumer{client: newClient(t, addr, "replication", "database"), slot: slot}
}

// create makes the slot and returns its position and the snapshot's name.
func (c *consumer) create(snapshot string) pglogrepl.CreateReplicationSlotResult {
	c.t.Helper()
	r, err := pglogrepl.CreateReplicationSlot(c.t.Context(), c.PgConn, c.slot, "pgoutput", pglogrepl.CreateReplicationSlotOptions{SnapshotAction: snapshot})
	require.NoError(c.t, err)
	return r
}

func (c *consumer) start(from pglogrepl.LSN) {
	c.t.Helper()
	require.NoError(c.t, c.tryStart(from))
}

func (c *consumer) tryStart(from pglogrepl.LSN) error {
	return pglogrepl.StartReplication(c.t.Context(), c.PgConn, c.slot, from,
		pglogrepl.StartReplicationOptions{PluginArgs: []string{"proto_version '1'", "publication_names 'p'", "messages 'false'"}})
}

// receive returns the next message, or the error of the stream.
func (c *consumer) receive() (pgproto3.BackendMessage, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), streamPatience)
	defer cancel()
	m, err := c.ReceiveMessage(ctx)
	if err != nil {
		return nil, err
	}
	if e, ok := m.(*pgproto3.ErrorResponse); ok {
		return nil, pgconn.ErrorResponseToPgError(e)
	}
	return m, nil
}

// next returns the next message of the stream that is no keepalive, and its header.
func (c *consumer) next() (pglogrepl.Message, pglogrepl.XLogData) {
	c.t.Helper()
	for {
		m, err := c.receive()
		require.NoError(c.t, err)
		d, ok := m.(*pgproto3.CopyData)
		require.True(c.t, ok, "%T", m)
		if d.Data[0] == pglogrepl.PrimaryKeepaliveMessageByteID {
			k, err := pglogrepl.ParsePrimaryKeepaliveMessage(d.Data[1:])
			require.NoError(c.t, err)
			require.GreaterOrEqual(c.t, k.ServerWALEnd, c.kept)
			c.kept = k.ServerWALEnd
			continue
		}
		x, err := pglogrepl.ParseXLogData(d.Data[1:])
		require.NoError(c.t, err)
		msg, err := pglogrepl.Parse(x.WALData)
		require.NoError(c.t, err)
		if commit, ok := msg.(*pglogrepl.CommitMessage); ok {
			require.Greater(c.t, commit.TransactionEndLSN, commit.CommitLSN)
			require.Equal(c.t, commit.TransactionEndLSN, x.WALStart)
			require.LessOrEqual(c.t, c.kept, commit.CommitLSN, "a keepalive has passed a transaction that had not been sent")
			c.end = commit.TransactionEndLSN
		}
		return msg, x
	}
}

// transactions reads n transactions and returns them in short: I3 is the insert of
// the row whose first column is 3.
func (c *consumer) transactions(n int) string {
	c.t.Helper()
	var out strings.Builder
	first := func(t *pglogrepl.TupleData) string { return string(t.Columns[0].Data) }
	for n > 0 {
		msg, _ := c.next()
		switch m := msg.(type) {
		case *pglogrepl.InsertMessage:
			out.WriteString("I" + first(m.Tuple))
		case *pglogrepl.UpdateMessage:
			out.WriteString("U" + first(m.NewTuple))
		case *pglogrepl.DeleteMessage:
			out.WriteString("D" + first(m.OldTuple))
		case *pglogrepl.TruncateMessage:
			out.WriteString("T")
		case *pglogrepl.CommitMessage:
			out.WriteString(";")
			n--
		}
	}
	return out.String()
}

func (c *consumer) acknowledge(at pglogrepl.LSN) {
	c.t.Helper()
	require.NoError(c.t, pglogrepl.SendStandbyStatusUpdate(c.t.Context(), c.PgConn, pglogrepl.StandbyStatusUpdate{WALWritePosition: at}))
}

// finish ends the stream in order; the connection may be used again.
func (c *consumer) finish() {
	c.t.Helper()
	_, err := pglogrepl.SendStandbyCopyDone(c.t.Context(), c.PgConn)
	require.NoError(c.t, err)
}

// confirmed is the slot's position.
func (c *client) confirmed(slot string) pglogrepl.LSN {
	c.t.Helper()
	lsn, err := pglogrepl.ParseLSN(c.one("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '" + slot + "'"))
	require.NoError(c.t, err)
	return lsn
}

// published starts nodes with a published table.
func published(t *testing.T, nodes int) ([]*memNode, *client) {
	n := memNodes(t, nodes, nil)
	c := newClient(t, n[0].addr)
	c.exec("CREATE TABLE t (id int PRIMARY KEY, v text)", "CREATE TABLE hidden (id int)", "CREATE PUBLICATION p FOR TABLE t")
	return n, c
}
