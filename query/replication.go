package query

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/logical"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// replicationMode is what the start-up parameter replication asks for.
type replicationMode uint8

const (
	noReplication       replicationMode = iota
	physicalReplication                 // replication = true: the system can be identified, no more
	logicalReplication                  // replication = database
)

func parseReplication(v string) (replicationMode, error) {
	switch on, ok := types.ParseBool(v); {
	case v == "", ok && !on:
		return noReplication, nil
	case v == "database":
		return logicalReplication, nil
	case ok:
		return physicalReplication, nil
	}
	err := sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"replication\": \"%s\"", v).
		WithHint("Valid values are: \"false\", 0, \"true\", 1, \"database\".")
	err.Severity = "FATAL"
	return 0, err
}

// replicationCommand runs a query string of a replication connection if it is a
// replication command; done is false for SQL.
func (s *Session) replicationCommand(ctx context.Context, text string, w ResultWriter) (done bool, err error) {
	c, ok, err := logical.ParseCommand(text)
	switch {
	case !ok && s.replication == physicalReplication && !isShow(text):
		return true, sqlstate.New(sqlstate.FeatureNotSupported, "cannot execute SQL commands in WAL sender for physical replication")
	case !ok || err != nil:
		return ok, err
	case s.tx != nil && s.tx.failed:
		return true, failedError()
	}
	switch c := c.(type) {
	case *logical.IdentifySystem:
		err = s.identifySystem(ctx, w)
	case *logical.CreateSlot:
		err = s.replicationSlot(ctx, c, w)
	case *logical.StartReplication:
		err = s.startReplication(ctx, c, w)
	case *logical.DropSlot:
		if err = s.e.dropSlot(ctx, c.Name, c.Wait, s.start.ProcessID); err == nil {
			err = w.CommandComplete("DROP_REPLICATION_SLOT")
		}
	case *logical.ReadSlot:
		err = s.readSlot(c, w)
	case *logical.Refused:
		err = sqlstate.New(sqlstate.FeatureNotSupported, "%s is not supported", c.Name).
			WithDetail("There is no write-ahead log that a standby of PostgreSQL could read.")
	}
	return true, err
}

// isShow reports whether a query string begins with SHOW, which connections without
// a database know as well.
func isShow(text string) bool {
	word, _, _ := strings.Cut(strings.TrimLeft(text, " \t\r\n"), " ")
	return strings.EqualFold(word, "SHOW")
}

// refuseExtended is the answer to the extended protocol on replication connections.
func (s *Session) refuseExtended() error {
	if s.replication == noReplication {
		return nil
	}
	return sqlstate.New(sqlstate.ProtocolViolation, "extended query protocol not supported in a replication connection")
}

func typedColumn(name string, t *types.Type) Column {
	return Column{Name: name, Type: t, Typmod: types.NoTypmod}
}

// identifySystem says who this is and how far the log goes: at least as far as
// everything that was acknowledged to anybody.
func (s *Session) identifySystem(ctx context.Context, w ResultWriter) error {
	if err := s.confirm(ctx); err != nil {
		return err
	}
	cols := []Column{textColumn("systemid"), typedColumn("timeline", types.Int4Type), textColumn("xlogpos"), textColumn("dbname")}
	if err := w.RowDescription(cols); err != nil {
		return err
	}
	pos := s.e.cfg.Replica.Position()
	row := []types.Datum{types.String(s.e.systemID()), types.Int(int64(pos.Epoch)), types.String(pos.End.String()), types.NullDatum}
	if s.replication == logicalReplication {
		row[3] = types.String(s.start.Database)
	}
	if err := w.Row(row); err != nil {
		return err
	}
	return w.CommandComplete("IDENTIFY_SYSTEM")
}

// systemID names the log as PostgreSQL names a cluster of its: by a number of 63
// bits, which is the same on every node.
func (e *Engine) systemID() string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%d", e.cfg.System, e.cfg.LogID)
	return strconv.FormatUint(h.Sum64()>>1, 10)
}

// replicationSlot is CREATE_REPLICATION_SLOT.
func (s *Session) replicationSlot(ctx context.Context, c *logical.CreateSlot, w ResultWriter) error {
	if err := s.mayCreateSlot(c); err != nil {
		return err
	}
	if err := checkPlugin(c.Plugin); err != nil {
		return err
	}
	slot, snapshot, err := s.e.CreateSlot(ctx, SlotRequest{Name: c.Name, Plugin: c.Plugin, Temporary: c.Temporary}, s.start.ProcessID)
	if err != nil {
		return err
	}
	name := types.NullDatum
	switch c.Snapshot {
	case logical.SnapshotExport:
		name = types.String(snapshotName(snapshot))
	case logical.SnapshotUse:
		if err := s.snapshotAt(ctx, snapshot); err != nil {
			return err
		}
	}
	if err := w.RowDescription([]Column{textColumn("slot_name"), textColumn("consistent_point"), textColumn("snapshot_name"), textColumn("output_plugin")}); err != nil {
		return err
	}
	if err := w.Row([]types.Datum{types.String(slot.Name), types.String(slot.Confirmed.String()), name, types.String(slot.Plugin)}); err != nil {
		return err
	}
	return w.CommandComplete("CREATE_REPLICATION_SLOT")
}

// mayCreateSlot checks what PostgreSQL checks, with its words.
func (s *Session) mayCreateSlot(c *logical.CreateSlot) error {
	switch {
	case c.Physical:
		return sqlstate.New(sqlstate.FeatureNotSupported, "physical replication slots are not supported")
	case s.replication != logicalReplication:
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "logical decoding requires a database connection")
	case c.TwoPhase:
		// Nothing is ever prepared, so a consumer that asks for it misses nothing.
	}
	refuse := func(format, action string) error {
		return sqlstate.New(sqlstate.InternalError, format, "CREATE_REPLICATION_SLOT ... (SNAPSHOT '"+action+"')")
	}
	switch {
	case c.Snapshot == logical.SnapshotExport && s.tx != nil:
		return refuse("%s must not be called inside a transaction", "export")
	case c.Snapshot != logical.SnapshotUse:
	case s.tx == nil:
		return refuse("%s must be called inside a transaction", "use")
	case !s.tx.repeatable():
		return refuse("%s must be called in REPEATABLE READ isolation mode transaction", "use")
	case s.tx.txn != nil:
		return refuse("%s must be called before any query", "use")
	}
	return nil
}

// readSlot is READ_REPLICATION_SLOT, which is for physical slots: there are none.
func (s *Session) readSlot(c *logical.ReadSlot, w ResultWriter) error {
	if _, ok := s.e.cfg.Replica.Slot(c.Name); ok {
		return sqlstate.New(sqlstate.FeatureNotSupported, "cannot use %s with a logical replication slot", "READ_REPLICATION_SLOT")
	}
	if err := w.RowDescription([]Column{textColumn("slot_type"), textColumn("restart_lsn"), typedColumn("restart_tli", types.Int8Type)}); err != nil {
		return err
	}
	if err := w.Row(make([]types.Datum, 3)); err != nil {
		return err
	}
	return w.CommandComplete("READ_REPLICATION_SLOT")
}

// startReplication is START_REPLICATION: the connection is a stream until the client
// ends it.
func (s *Session) startReplication(ctx context.Context, c *logical.StartReplication, w ResultWriter) error {
	switch {
	case c.Physical:
		return sqlstate.New(sqlstate.FeatureNotSupported, "physical replication is not supported").
			WithHint("Use START_REPLICATION SLOT … LOGICAL.")
	case s.replication != logicalReplication:
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "logical decoding requires a database connection")
	case s.tx != nil:
		return sqlstate.New(sqlstate.ActiveSQLTransaction, "START_REPLICATION cannot run inside a transaction block")
	}
	both, ok := w.(CopyBothWriter)
	if !ok {
		return sqlstate.New(sqlstate.FeatureNotSupported, "this connection cannot be streamed to")
	}
	held, err := s.e.AcquireSlot(ctx, c.Slot, s.start.ProcessID)
	if err != nil {
		return err
	}
	ws := &walSender{s: s, held: held}
	err = ws.prepare(ctx, c)
	if err == nil {
		err = ws.run(ctx, both)
	}
	// The client is told that the stream is over when its last acknowledgement is
	// as durable as it will be.
	if released := ws.release(); err == nil {
		err = released
	}
	if err != nil {
		return err
	}
	if err := ws.both.Done(); err != nil {
		return err
	}
	if err := w.CommandComplete("COPY 0"); err != nil {
		return err
	}
	return w.CommandComplete("START_REPLICATION")
}

// snapshotName is the name of an exported snapshot: it is of the same shape as
// PostgreSQL's and says which offset it is of, so that every node knows it.
func snapshotName(off log.Offset) string {
	return strings.ToUpper(hex8(uint64(off)>>32) + "-" + hex8(uint64(off)&(1<<32-1)) + "-1")
}
