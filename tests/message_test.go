package tests

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// messages are those with a prefix, in the order of the log.
func (c *client) messages(prefix string) [][]string {
	return c.rows("SELECT convert_from(content, 'UTF8'), transactional FROM tidemark.changes WHERE prefix = '" + prefix + "' ORDER BY lsn")
}

// TestMessagesOfTransactions emits messages while others commit: that is no
// conflict, a message that is not transactional is there at once, and the client
// is told no offset that is behind where the message comes.
func TestMessagesOfTransactions(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE t (id int PRIMARY KEY)")
	for i, level := range []string{"SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"} {
		prefix := fmt.Sprint("p", i)
		emit := func(transactional bool, content string) string {
			return fmt.Sprintf("SELECT pg_logical_emit_message(%t, '%s', '%s')", transactional, prefix, content)
		}
		a.exec("BEGIN ISOLATION LEVEL " + level)
		first := a.one(emit(true, "first"))
		b.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", 10*i), fmt.Sprintf("INSERT INTO t VALUES (%d)", 10*i+1))
		second := a.one(emit(false, "second"))
		require.Equal(t, [][]string{{"second", "f"}}, b.messages(prefix))
		a.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", 10*i+2))
		b.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", 10*i+3))
		third := a.one(emit(true, "third"))
		a.exec("COMMIT")
		require.Equal(t, [][]string{{"second", "f"}, {"first", "t"}, {"third", "t"}}, b.messages(prefix), level)
		told := fmt.Sprintf("(VALUES ('first', '%s'::pg_lsn), ('second', '%s'), ('third', '%s')) AS told (content, lsn)", first, second, third)
		require.Equal(t, [][]string{{"second", "t", "t"}, {"first", "t", "f"}, {"third", "t", "f"}},
			a.rows("SELECT told.content, told.lsn <= c.lsn, told.lsn = c.lsn FROM tidemark.changes c JOIN "+told+
				" ON c.prefix = '"+prefix+"' AND told.content = convert_from(c.content, 'UTF8') ORDER BY c.lsn"), level)
	}
}

// TestMessagesAreEmittedOnce repeats a transaction with its idempotency key.
func TestMessagesAreEmittedOnce(t *testing.T) {
	_, a, b := pair(t, "CREATE TABLE t (id int PRIMARY KEY)")
	var told []string
	for _, c := range []*client{a, b} {
		c.exec("BEGIN", "SET LOCAL tidemark.idempotency_key = 'k'")
		told = append(told, c.one("SELECT pg_logical_emit_message(true, 'p', 'one')"), c.one("SELECT pg_logical_emit_message(false, 'p', 'two')"))
		c.exec("INSERT INTO t VALUES (1)", "COMMIT")
	}
	require.Equal(t, told[:2], told[2:])
	require.Equal(t, [][]string{{"two", "f"}, {"one", "t"}}, a.messages("p"))
}

// TestPublicationsSurviveRestart reads publications and messages back.
func TestPublicationsSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	c := newClient(t, n.SQLAddr())
	c.exec("CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL UNIQUE)", "CREATE PUBLICATION p FOR TABLE t (id, v) WHERE (id > 1) WITH (publish = 'insert')",
		"ALTER TABLE t REPLICA IDENTITY USING INDEX t_v_key", "SELECT pg_logical_emit_message(true, 'q', 'kept')")
	ask := func() [][]string {
		out := c.rows("SELECT p.pubinsert, p.pubupdate, t.tablename, t.attnames, t.rowfilter FROM pg_publication p JOIN pg_publication_tables t USING (pubname)")
		out = append(out, c.rows("SELECT relreplident, pg_get_replica_identity_index('t') FROM pg_class WHERE relname = 't'")...)
		return append(out, c.messages("q")...)
	}
	before := ask()
	require.Equal(t, [][]string{{"t", "f", "t", "{id,v}", "(id > 1)"}, {"i", "t_v_key"}, {"kept", "t"}}, before)
	require.NoError(t, n.Close(context.Background()))
	n = startNode(t, dir)
	c = newClient(t, n.SQLAddr())
	require.Equal(t, before, ask())
}
