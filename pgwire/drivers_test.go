package pgwire

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

func pgxConnect(t testing.TB, s *testServer, options string) (context.Context, *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	t.Cleanup(cancel)
	conn, err := pgx.Connect(ctx, "postgres://u@"+s.addr+"/d?sslmode=prefer"+options)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return ctx, conn
}

func TestPgx(t *testing.T) {
	s := startServer(t, nil)
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			ctx, conn := pgxConnect(t, s, "&default_query_exec_mode="+mode)
			require.Equal(t, "15.0 (Tidemark test)", conn.PgConn().ParameterStatus("server_version"))
			for range 3 {
				rows, err := conn.Query(ctx, "rows 3")
				require.NoError(t, err)
				type row struct {
					I int32
					T string
				}
				got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
				require.NoError(t, err)
				require.Equal(t, []row{{1, "row"}, {2, "row"}, {3, "row"}}, got)
			}
			_, err := conn.Exec(ctx, "error 23505 duplicate")
			var pgErr *pgconn.PgError
			require.ErrorAs(t, err, &pgErr)
			require.Equal(t, "23505", pgErr.Code)
			require.NoError(t, conn.Ping(ctx))
		})
	}
}

func TestPgxBatchCopyAndCancel(t *testing.T) {
	s := startServer(t, nil)
	ctx, conn := pgxConnect(t, s, "")

	batch := &pgx.Batch{}
	for range 50 {
		batch.Queue("echo $1 $2", "a", nil)
	}
	results := conn.SendBatch(ctx, batch)
	for range 50 {
		var a string
		var b *string
		require.NoError(t, results.QueryRow().Scan(&a, &b))
		require.Equal(t, "a", a)
		require.Nil(t, b)
	}
	require.NoError(t, results.Close())

	tag, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(strings.Repeat("1\t2\n", 100_000)), "copyin")
	require.NoError(t, err)
	require.Equal(t, "COPY 400000", tag.String())
	_, err = conn.PgConn().CopyFrom(ctx, strings.NewReader(strings.Repeat("1\t2\n", 100_000)), "copybad")
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	require.Equal(t, "22P04", pgErr.Code)
	var out strings.Builder
	tag, err = conn.PgConn().CopyTo(ctx, &out, "copyout 3")
	require.NoError(t, err)
	require.Equal(t, "COPY 3", tag.String())
	require.Equal(t, "line 0\nline 1\nline 2\n", out.String())

	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "wait")
		done <- err
	}()
	s.waitRunning(t, 1)
	require.NoError(t, conn.PgConn().CancelRequest(ctx))
	require.True(t, errors.As(<-done, &pgErr))
	require.Equal(t, "57014", pgErr.Code)
	require.NoError(t, conn.Ping(ctx))
}

func TestLibPQ(t *testing.T) {
	s := startServer(t, nil)
	host, port, _ := strings.Cut(s.addr, ":")
	db, err := sql.Open("postgres", "host="+host+" port="+port+" user=u dbname=d sslmode=disable")
	require.NoError(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)

	rows, err := db.Query("rows 3")
	require.NoError(t, err)
	n := 0
	for rows.Next() {
		var i int
		var text string
		require.NoError(t, rows.Scan(&i, &text))
		n++
		require.Equal(t, n, i)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, 3, n)

	var a, b sql.NullString
	require.NoError(t, db.QueryRow("echo $1 $2", "x", nil).Scan(&a, &b))
	require.Equal(t, sql.NullString{String: "x", Valid: true}, a)
	require.False(t, b.Valid)

	stmt, err := db.Prepare("echo $1")
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, stmt.QueryRow("y").Scan(&a))
	}
	require.NoError(t, stmt.Close())

	_, err = db.Exec("full")
	var pqErr *pq.Error
	require.ErrorAs(t, err, &pqErr)
	require.Equal(t, "n", pqErr.Constraint)

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = db.ExecContext(ctx, "wait")
	require.Error(t, err)
	s.waitRunning(t, 0)
	require.NoError(t, db.Ping())
}
