package tests

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/cluster"
)

// TestAcknowledgedOnce: of two consumers that have done the same work, because the
// first was taken for dead, one commits; the other learns that it is done.
func TestAcknowledgedOnce(t *testing.T) {
	nodes := memNodes(t, 2, nil)
	ctx := t.Context()
	first, err := cluster.Dial(ctx, nodes[0].addr)
	require.NoError(t, err)
	defer first.Close(ctx)
	second, err := cluster.Dial(ctx, nodes[1].addr)
	require.NoError(t, err)
	defer second.Close(ctx)
	for _, sql := range []string{"CREATE TABLE done (n int)", "SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
		"SELECT pg_replication_slot_advance('s', '0/1')"} {
		_, err := execute(ctx, first, sql)
		require.NoError(t, err, sql)
	}
	work := []string{"BEGIN", "INSERT INTO done VALUES (1)", "SELECT tidemark.ack('s', '0/100')"}
	for _, sql := range work {
		for _, conn := range []*pgconn.PgConn{first, second} {
			_, err := execute(ctx, conn, sql)
			require.NoError(t, err, sql)
		}
	}
	_, err = execute(ctx, second, "COMMIT")
	require.NoError(t, err)
	_, err = execute(ctx, first, "COMMIT")
	require.Equal(t, "40001", codeOf(err), "%v", err)
	_, err = execute(ctx, first, "INSERT INTO done SELECT 1 WHERE tidemark.ack('s', '0/100') IS NOT NULL")
	require.Equal(t, "55000", codeOf(err), "%v", err)
	rows, err := execute(ctx, first, "SELECT count(*) FROM done")
	require.NoError(t, err)
	require.Equal(t, "1", rows[0][0])
}
