package tests

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark"
)

// startNode starts a node in this process, on free ports, with its data in dir.
func startNode(t *testing.T, dir string, set ...func(*tidemark.Config)) *tidemark.Node {
	t.Helper()
	cfg := tidemark.Config{Dir: dir, SQLAddr: "127.0.0.1:0", RaftAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0"}
	for _, f := range set {
		f(&cfg)
	}
	n, err := tidemark.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close(context.Background())) })
	return n
}

// client is a connection on which a test cannot go wrong unnoticed.
type client struct {
	*pgconn.PgConn
	t *testing.T
}

func newClient(t *testing.T, addr string, options ...string) *client {
	t.Helper()
	cfg, err := pgconn.ParseConfig("postgres://tester@" + addr + "/postgres?sslmode=disable")
	require.NoError(t, err)
	for i := 0; i+1 < len(options); i += 2 {
		cfg.RuntimeParams[options[i]] = options[i+1]
	}
	c, err := pgconn.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return &client{c, t}
}

// rows runs statements that must succeed and returns the rows of the last one.
func (c *client) rows(sql string) [][]string {
	c.t.Helper()
	rows, err := execute(c.t.Context(), c.PgConn, sql)
	require.NoError(c.t, err, sql)
	return rows
}

// one runs a statement that answers with one value.
func (c *client) one(sql string) string {
	c.t.Helper()
	rows := c.rows(sql)
	require.Len(c.t, rows, 1, sql)
	require.Len(c.t, rows[0], 1, sql)
	return rows[0][0]
}

func (c *client) exec(sqls ...string) {
	c.t.Helper()
	for _, sql := range sqls {
		c.rows(sql)
	}
}

// fails runs a statement that must fail with the SQLSTATE.
func (c *client) fails(code, sql string) *pgconn.PgError {
	c.t.Helper()
	_, err := execute(c.t.Context(), c.PgConn, sql)
	var e *pgconn.PgError
	if len(sql) > 200 {
		sql = sql[:200]
	}
	require.ErrorAs(c.t, err, &e, "%s", sql)
	require.Equal(c.t, code, e.Code, "%s: %s", sql, e.Message)
	return e
}

// codeOf is the SQLSTATE of an error, "" for none.
func codeOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return "?" + err.Error()
	}
	return ""
}

// write inserts one numbered row.
func write(t *testing.T, c *client, writer, n int) error {
	r := c.ExecParams(t.Context(), "INSERT INTO t VALUES ($1, $2)", [][]byte{[]byte(strconv.Itoa(writer)), []byte(strconv.Itoa(n))}, nil, nil, nil).Read()
	return r.Err
}
