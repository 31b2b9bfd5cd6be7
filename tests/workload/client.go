package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/tests/check"
)

const (
	// requestTimeout bounds one request: a server that hangs must not hang tests.
	requestTimeout = 30 * time.Second
	// connectTimeout is for how long a client looks for a server that answers.
	connectTimeout = 60 * time.Second
	connectPause   = 20 * time.Millisecond
)

// Client is one client of one workload, which connects again when its connection
// is lost. It is used by one goroutine.
type Client struct {
	Number int
	Rand   *rand.Rand

	servers *Servers
	conn    *pgconn.PgConn
}

// Answer is what came of a transaction.
type Answer struct {
	Rows    [][]string // of the last statement that had any
	Results []*pgconn.Result
	Outcome check.Outcome
	Code    string // the SQLSTATE, when there was an error with one
	Err     error
	Offset  log.Offset // of the commit, when it was acknowledged and has one
}

// Refused reports whether the transaction was refused in order, with one of the
// SQLSTATEs.
func (a *Answer) Refused(codes ...string) bool {
	return a.Outcome == check.Aborted && slices.Contains(codes, a.Code)
}

// Late is the SQLSTATE with which a server says that it could not get so far in
// time as it was asked to be; nobody cancels here.
const Late = "57014"

// Broken reports whether the server could not do what it was asked: it went away,
// or is going, is too busy, or is cut off from the others. No promise is broken by
// that.
func (a *Answer) Broken() bool {
	return a.Err != nil && (a.lost() || strings.HasPrefix(a.Code, "53") || a.Code == Late)
}

// lost reports whether there is no answer, or one that says that nobody knows.
func (a *Answer) lost() bool {
	return a.Code == "" || strings.HasPrefix(a.Code, "08") || strings.HasPrefix(a.Code, "57P")
}

// Conflict is the SQLSTATE of a transaction that was shown what is not so.
const Conflict = "40001"

// connect makes sure that there is a connection.
func (c *Client) connect(ctx context.Context) error {
	if c.conn != nil && !c.conn.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	for {
		err := c.dial(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no server answers: %w", err)
		case <-time.After(connectPause):
		}
	}
}

// errNoServer says that no server runs now.
var errNoServer = errors.New("there is no server")

// dial connects to one of the servers.
func (c *Client) dial(ctx context.Context) (err error) {
	addrs := c.servers.Addrs()
	if len(addrs) == 0 {
		return errNoServer
	}
	addr := addrs[c.Rand.IntN(len(addrs))]
	if !strings.Contains(addr, "=") {
		addr = "postgres://tester@" + addr + "/postgres?sslmode=disable&connect_timeout=5"
	}
	c.conn, err = pgconn.Connect(ctx, addr)
	return err
}

// Close ends the connection.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close(context.Background()) // it may be lost already
	}
}

// fail classifies an error: committing says whether the transaction may have
// been committed.
func fail(err error, committing bool) Answer {
	a := Answer{Err: err, Outcome: check.Aborted}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		a.Code = pg.Code
	}
	if committing && a.lost() { // pgconn.SafeToRetry says yes of what was sent and got no answer
		a.Outcome = check.Unknown
	}
	return a
}

// request sends one request, and drops a connection that is left in a state
// nobody knows.
func (c *Client) request(ctx context.Context, send func(ctx context.Context) ([]*pgconn.Result, error)) ([]*pgconn.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return send(ctx)
}

// script runs a query string.
func (c *Client) script(sql string) func(ctx context.Context) ([]*pgconn.Result, error) {
	return func(ctx context.Context) ([]*pgconn.Result, error) { return c.conn.Exec(ctx, sql).ReadAll() }
}

// Statement is a statement with its parameters; with any it goes by the extended
// protocol.
type Statement struct {
	SQL    string
	Params []string
}

func (s *Statement) values() [][]byte {
	out := make([][]byte, len(s.Params))
	for i, p := range s.Params {
		out[i] = []byte(p)
	}
	return out
}

func (c *Client) statement(s Statement) func(ctx context.Context) ([]*pgconn.Result, error) {
	if s.Params == nil {
		return c.script(s.SQL)
	}
	return func(ctx context.Context) ([]*pgconn.Result, error) {
		r := c.conn.ExecParams(ctx, s.SQL, s.values(), nil, nil, nil).Read()
		return []*pgconn.Result{r}, r.Err
	}
}

// token is the offset of the session's last commit.
func (c *Client) token() log.Offset {
	t := c.conn.ParameterStatus("tidemark.token")
	off, err := log.ParseOffset(t[strings.LastIndex(t, ".")+1:])
	if err != nil {
		return 0
	}
	return off
}

// alone runs what is a transaction of its own.
func (c *Client) alone(ctx context.Context, send func(ctx context.Context) ([]*pgconn.Result, error)) Answer {
	before := c.token()
	results, err := c.request(ctx, send)
	if err != nil {
		a := fail(err, true)
		a.Results = results
		return a
	}
	return c.done(results, before)
}

func (c *Client) done(results []*pgconn.Result, before log.Offset) Answer {
	a := Answer{Results: results, Rows: rows(results)}
	if t := c.token(); t != before {
		a.Offset = t
	}
	return a
}

// Run runs a query string, or one statement with parameters, on its own.
func (c *Client) Run(ctx context.Context, sql string, params ...string) Answer {
	if err := c.connect(ctx); err != nil {
		return Answer{Err: err, Outcome: check.Aborted}
	}
	return c.alone(ctx, c.statement(Statement{sql, params}))
}

// Pipeline sends statements one behind the other, which are one transaction.
func (c *Client) Pipeline(ctx context.Context, statements []Statement) Answer {
	if err := c.connect(ctx); err != nil {
		return Answer{Err: err, Outcome: check.Aborted}
	}
	return c.alone(ctx, func(ctx context.Context) ([]*pgconn.Result, error) {
		b := &pgconn.Batch{}
		for _, s := range statements {
			b.ExecParams(s.SQL, s.values(), nil, nil, nil)
		}
		return c.conn.ExecBatch(ctx, b).ReadAll()
	})
}

// ErrRollback, returned by the function that Block is given, ends it by ROLLBACK.
var ErrRollback = errors.New("roll back")

// Query runs one statement in a block.
type Query func(sql string, params ...string) (Shown, error)

// Shown is what a statement answered.
type Shown struct {
	Rows [][]string
	Tag  string
}

// Block runs an interactive transaction: begin, what do does, COMMIT. An error
// of do ends it by ROLLBACK.
func (c *Client) Block(ctx context.Context, begin string, do func(q Query) error) Answer {
	if err := c.connect(ctx); err != nil {
		return Answer{Err: err, Outcome: check.Aborted}
	}
	before := c.token()
	query := func(sql string, params ...string) (Shown, error) {
		results, err := c.request(ctx, c.statement(Statement{sql, params}))
		if err != nil {
			return Shown{}, err
		}
		return Shown{rows(results), results[len(results)-1].CommandTag.String()}, nil
	}
	_, err := query(begin)
	if err == nil {
		err = do(query)
	}
	if err != nil {
		if !c.conn.IsClosed() && c.conn.TxStatus() != 'I' {
			if _, atEnd := query("ROLLBACK"); atEnd != nil {
				c.Close()
			}
		}
		return fail(err, false)
	}
	results, err := c.request(ctx, c.script("COMMIT"))
	if err != nil {
		return fail(err, true)
	}
	if tag := results[0].CommandTag.String(); tag != "COMMIT" {
		return fail(fmt.Errorf("COMMIT answers %s", tag), false)
	}
	return c.done(results, before)
}

// rows are those of the last query, or of what returned any, as text; NULL is "".
func rows(results []*pgconn.Result) [][]string {
	for _, r := range slices.Backward(results) {
		if r.CommandTag.Select() || len(r.Rows) > 0 {
			return table(r)
		}
	}
	return nil
}

func table(r *pgconn.Result) [][]string {
	out := make([][]string, len(r.Rows))
	for i, row := range r.Rows {
		out[i] = make([]string, len(row))
		for j, v := range row {
			out[i][j] = string(v)
		}
	}
	return out
}

// NewClient returns a client that is no part of a run.
func NewClient(number int, seed uint64, servers *Servers) *Client {
	return &Client{Number: number, Rand: rand.New(rand.NewPCG(seed, uint64(number))), servers: servers}
}
