package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"
)

// extended runs one statement by the extended protocol.
func (c *client) extended(sql string, params ...string) [][]string {
	c.t.Helper()
	values := make([][]byte, len(params))
	for i, p := range params {
		values[i] = []byte(p)
	}
	res := c.ExecParams(c.t.Context(), sql, values, nil, nil, nil).Read()
	require.NoError(c.t, res.Err, sql)
	rows := [][]string{}
	for _, r := range res.Rows {
		row := []string{}
		for _, v := range r {
			row = append(row, string(v))
		}
		rows = append(rows, row)
	}
	return rows
}

// TestDebezium sends the statements that Debezium's connector sends, on the three
// connections that it has, and checks what it makes of the answers.
func TestDebezium(t *testing.T) {
	n := memNodes(t, 1, nil)
	newClient(t, n[0].addr).exec("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'a')")

	general := newClient(t, n[0].addr, "DateStyle", "ISO", "TimeZone", "UTC", "extra_float_digits", "3", "application_name", "Debezium General")
	require.Equal(t, "postgres", general.extended("SELECT version(), current_user, current_database()")[0][2])
	require.Equal(t, "logical", general.extended("SHOW wal_level")[0][0])
	general.extended("SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication FROM pg_roles WHERE pg_has_role('tester', oid, 'member')")
	slot := func() [][]string {
		return general.extended("SELECT active, catalog_xmin, restart_lsn, confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1 and database = $2 and plugin = $3",
			"dbz", "postgres", "pgoutput")
	}
	require.Empty(t, slot())
	known := general.extended(`SELECT t.oid AS oid, t.typname AS name, t.typelem AS element, t.typbasetype AS parentoid, t.typtypmod as modifiers, t.typcategory as category, e.values as enum_values
		FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON (t.typnamespace = n.oid)
		LEFT JOIN (SELECT t.enumtypid as id, array_agg(t.enumlabel) as values FROM pg_catalog.pg_enum t GROUP BY id) e ON (t.oid = e.id) WHERE n.nspname != 'pg_toast'`)
	require.Contains(t, known, []string{"23", "int4", "0", "0", "-1", "N", ""})
	require.Equal(t, "d", general.extended("SELECT relreplident FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON c.relnamespace=n.oid WHERE n.nspname='public' and c.relname='t'")[0][0])

	stream := newConsumer(t, n[0].addr, "dbz")
	require.Empty(t, stream.rows("SELECT puballtables FROM pg_publication WHERE pubname = 'dbz_publication'"))
	require.Equal(t, "f", stream.one("select pg_is_in_recovery()"))
	stream.exec("BEGIN", `CREATE PUBLICATION dbz_publication FOR TABLE "public"."t";`, "COMMIT")
	made := stream.rows(`CREATE_REPLICATION_SLOT "dbz"  LOGICAL pgoutput `)
	require.Len(t, slot(), 1)
	for _, position := range slot()[0][2:] {
		require.NotEmpty(t, position)
	}

	snapshot := newClient(t, n[0].addr)
	snapshot.exec("BEGIN", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '"+made[0][2]+"'",
		`SET lock_timeout = 10000; LOCK TABLE "public"."t" IN ACCESS SHARE MODE`)
	general.exec("INSERT INTO t VALUES (2, 'b')")
	require.NotEmpty(t, snapshot.extended("select (case pg_is_in_recovery() when 't' then '0'::xid8 else pg_current_xact_id() end) AS pg_current_txid")[0][0])
	require.NotEmpty(t, general.extended("select (case pg_is_in_recovery() when 't' then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end) AS pg_current_wal_lsn")[0][0])
	require.Equal(t, [][]string{{"1", "a"}}, snapshot.extended(`SELECT "id", "v" FROM "public"."t"`))
	snapshot.exec("ROLLBACK")

	begin := func(from string) {
		t.Helper()
		at, err := pglogrepl.ParseLSN(from)
		require.NoError(t, err)
		require.NoError(t, pglogrepl.StartReplication(t.Context(), stream.PgConn, `"dbz"`, at, pglogrepl.StartReplicationOptions{
			PluginArgs: []string{`"proto_version" '1'`, `"publication_names" 'dbz_publication'`, `"messages" 'true'`}}))
	}
	begin(made[0][1])
	require.Equal(t, "I2;", stream.transactions(1))
	general.extended("SELECT pg_logical_emit_message(true, 'debezium', 'heartbeat')")
	general.exec("INSERT INTO t VALUES (3, 'c'), (4, 'd'), (5, 'e')")

	// It goes on at the last event that it has stored, in the middle of a transaction.
	require.Equal(t, ";", stream.transactions(1))
	var event pglogrepl.LSN
	for event == 0 {
		msg, x := stream.next()
		if m, ok := msg.(*pglogrepl.InsertMessage); ok && string(m.Tuple.Columns[0].Data) == "4" {
			event = x.WALStart
		}
	}
	stream.transactions(1)
	stream.finish()
	stream.exec(`ALTER PUBLICATION dbz_publication SET TABLE "public"."t"`)
	require.True(t, strings.HasPrefix(stream.one(fmt.Sprintf("SELECT pg_replication_slot_advance('dbz', '%s')", event)), "(dbz,"))
	stream.rows("IDENTIFY_SYSTEM")
	begin(event.String())
	require.Equal(t, "I3I4I5;", stream.transactions(1))
	general.fails("55006", "select pg_drop_replication_slot('dbz')")
	stream.finish()
	general.exec("select pg_drop_replication_slot('dbz')")
}
