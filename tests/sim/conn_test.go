package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// conn is a client's session on one node.
type conn struct {
	n       *node
	session *query.Session
	copyIn  string // for the next COPY … FROM STDIN
	token   string // the last one it was told
}

func (n *node) connect() (*conn, error) {
	s, _, err := n.engine.NewSession(context.Background(), query.StartupParams{
		User: "tester", Database: databaseName, ProcessID: int32(n.w.rnd.Int32N(1 << 30)),
		Settings: []query.Setting{{Name: "application_name", Value: fmt.Sprintf("sim%d", n.id)}},
	})
	if err != nil {
		return nil, err
	}
	return &conn{n: n, session: s}, nil
}

// answer is what a client was shown: rows and tags line by line, or an error.
type answer struct {
	out string
	err *sqlstate.Error
}

// code is the error's SQLSTATE, or "".
func (a answer) code() string {
	if a.err == nil {
		return ""
	}
	return string(a.err.Code)
}

// shown is what the model is compared with.
func (a answer) shown() string {
	if a.err != nil {
		return "ERROR " + a.code()
	}
	return a.out
}

func (c *conn) writer() *writer {
	w := &writer{format: c.session.Format(), rnd: c.n.w.rnd, copyIn: c.copyIn}
	c.copyIn = ""
	return w
}

// simple runs a query string.
func (c *conn) simple(sql string) answer {
	w := c.writer()
	return c.done(w, c.session.SimpleQuery(context.Background(), sql, w))
}

// extended runs one statement with Parse, Bind, Execute and Sync, or without
// Sync as the first of a pipeline.
func (c *conn) extended(sql string, params ...string) answer {
	w := c.writer()
	ctx := context.Background()
	err := c.session.Parse(ctx, "", sql, nil)
	if err == nil {
		values := make([][]byte, len(params))
		for i, p := range params {
			values[i] = []byte(p)
		}
		err = c.session.Bind(ctx, "", "", values, nil, nil)
	}
	if err == nil {
		w.cols, _, err = c.session.DescribePortal("")
	}
	if err == nil {
		_, err = c.session.Execute(ctx, "", 0, c.n.w.rnd.IntN(4) > 0, w)
	}
	if err != nil {
		c.session.Failed()
	}
	if atSync := c.session.Sync(ctx, w); err == nil {
		err = atSync
	}
	return c.done(w, err)
}

func (c *conn) done(w *writer, err error) answer {
	if w.token != "" {
		c.token = w.token
	}
	c.n.link.next = noFault // it was for this statement
	if err == nil {
		return answer{out: strings.Join(w.out, "\n")}
	}
	var e *sqlstate.Error
	if !errors.As(err, &e) {
		e = sqlstate.New(sqlstate.InternalError, "error without SQLSTATE: %v", err)
	}
	c.n.w.count.codes[string(e.Code)]++
	return answer{err: e}
}
