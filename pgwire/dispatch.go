package pgwire

import (
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// dispatch handles one message. An error ends the connection; the errors of
// statements are sent to the client here.
func (c *conn) dispatch(typ byte, body []byte) error {
	if c.skip {
		switch typ {
		case msgSync, msgTerminate, msgFlush:
		default:
			return nil
		}
	}
	switch typ {
	case msgBind:
		return c.bind(body)
	case msgExecute:
		return c.execute(body)
	case msgSync:
		return c.sync(body)
	case msgDescribe:
		return c.describe(body)
	case msgParse:
		return c.parse(body)
	case msgQuery:
		return c.query(body)
	case msgClose:
		return c.closeTarget(body)
	case msgFlush:
		return c.out.flush()
	case msgFunctionCall:
		return c.refuse(sqlstate.New(sqlstate.FeatureNotSupported, "function calls by the fast-path protocol are not supported").
			WithHint("Call the function in a SELECT."))
	case msgTerminate:
		return errTerminate
	case msgCopyData, msgCopyDone, msgCopyFail:
		// A client that has not yet noticed that its COPY failed; the protocol
		// says to ignore these.
		return nil
	}
	return fatal(sqlstate.ProtocolViolation, "invalid frontend message type %d", typ)
}

// query runs a simple query.
func (c *conn) query(src []byte) error {
	sql, err := text(src)
	if err != nil {
		return c.refuse(err)
	}
	ctx := c.stmt.begin(c.srv.clock.now())
	err = c.session.SimpleQuery(ctx, string(sql), &c.results)
	c.stmt.end()
	if err != nil {
		if end := c.sendError(err); end != nil {
			return end
		}
	}
	return c.ready()
}

// refuse answers a message outside the extended protocol that the session
// never sees. As with any error, the transaction is failed or, if it was an
// implicit one, rolled back.
func (c *conn) refuse(err error) error {
	if end := c.sendError(err); end != nil {
		return end
	}
	c.session.Failed()
	return c.endBatch()
}

// sync ends a batch of the extended protocol.
func (c *conn) sync(src []byte) error {
	c.skip = false
	if len(src) > 0 {
		return c.refuse(sqlstate.New(sqlstate.ProtocolViolation, "invalid message format"))
	}
	return c.endBatch()
}

func (c *conn) endBatch() error {
	ctx := c.stmt.begin(c.srv.clock.now())
	err := c.session.Sync(ctx, &c.results)
	c.stmt.end()
	if err != nil {
		if end := c.sendError(err); end != nil {
			return end
		}
	}
	return c.ready()
}

// ready says that the next query may come, and writes all there is to say.
func (c *conn) ready() error {
	c.out.readyForQuery(c.session.TxStatus())
	return c.out.flush()
}

// failed answers an error in the extended protocol: everything up to the next
// Sync is skipped.
func (c *conn) failed(err error) error {
	c.session.Failed()
	c.skip = true
	return c.sendError(err)
}

func (c *conn) parse(src []byte) error {
	m := &c.parseMsg
	if err := m.decode(src); err != nil {
		return c.failed(err)
	}
	ctx := c.stmt.begin(c.srv.clock.now())
	err := c.session.Parse(ctx, c.name(m.name), string(m.sql), m.oids)
	c.stmt.end()
	m.oids = trim(m.oids)
	if err != nil {
		return c.failed(err)
	}
	c.out.empty(msgParseComplete)
	return c.out.spill()
}

func (c *conn) bind(src []byte) error {
	m := &c.bindMsg
	if err := m.decode(src); err != nil {
		return c.failed(err)
	}
	ctx := c.stmt.begin(c.srv.clock.now())
	err := c.session.Bind(ctx, c.name(m.portal), c.name(m.statement), m.params, m.paramFormats, m.resultFormats)
	c.stmt.end()
	m.params = trim(m.params)
	if err != nil {
		return c.failed(err)
	}
	c.out.empty(msgBindComplete)
	return c.out.spill()
}

func (c *conn) describe(src []byte) error {
	m := &c.targetMsg
	if err := m.decode(src, "DESCRIBE"); err != nil {
		return c.failed(err)
	}
	if m.kind == targetStatement {
		params, cols, err := c.session.DescribeStatement(c.name(m.name))
		if err != nil {
			return c.failed(err)
		}
		c.out.parameterDescription(params)
		c.out.rowDescription(cols, nil)
		return c.out.spill()
	}
	cols, formats, err := c.session.DescribePortal(c.name(m.name))
	if err != nil {
		return c.failed(err)
	}
	c.out.rowDescription(cols, formats)
	return c.out.spill()
}

func (c *conn) execute(src []byte) error {
	m := &c.executeMsg
	if err := m.decode(src); err != nil {
		return c.failed(err)
	}
	portal := c.name(m.portal)
	// A client does not wait for the result before it has sent Sync or Flush, so
	// this does not wait for it in vain. A session that knows that Sync follows
	// can commit a single statement at its place in the log.
	next, err := c.in.peek()
	if err != nil {
		return c.readFailed(err)
	}
	cols, formats, err := c.session.DescribePortal(portal)
	if err != nil {
		return c.failed(err)
	}
	c.results.expect(cols, formats)
	ctx := c.stmt.begin(c.srv.clock.now())
	suspended, err := c.session.Execute(ctx, portal, m.maxRows, next == msgSync, &c.results)
	c.stmt.end()
	if err != nil {
		return c.failed(err)
	}
	if suspended {
		c.out.empty(msgPortalSuspended)
	}
	return c.out.spill()
}

// closeTarget closes a prepared statement or a portal.
func (c *conn) closeTarget(src []byte) error {
	m := &c.targetMsg
	if err := m.decode(src, "CLOSE"); err != nil {
		return c.failed(err)
	}
	if m.kind == targetStatement {
		c.session.CloseStatement(c.name(m.name))
	} else {
		c.session.ClosePortal(c.name(m.name))
	}
	c.out.empty(msgCloseComplete)
	return c.out.spill()
}

// maxNameKept is the length, in bytes, up to which names are remembered.
const maxNameKept = 128

// name turns the name of a statement or portal into a string. Names come again
// and again, so they are remembered rather than allocated for each message.
func (c *conn) name(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := c.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(s) > maxNameKept {
		return s
	}
	if c.names == nil || len(c.names) >= maxNames {
		c.names = make(map[string]string)
	}
	c.names[s] = s
	return s
}
