package pgwire

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgproto3/v2"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// serverVersion is what clients take for the version of PostgreSQL: they
// choose their catalog queries by it.
const serverVersion = "15.0"

// handshake takes the connection from accept to the first ReadyForQuery. An
// error means that the connection is at its end.
func (c *conn) handshake() error {
	// Only reads have a deadline: the client is still to be told of it. The
	// watcher takes care of writes.
	if err := c.raw.SetReadDeadline(time.Now().Add(c.srv.cfg.AuthTimeout)); err != nil {
		return err
	}
	if cause := c.cause.Load(); cause != nil {
		return cause // terminate came before and its deadline is overwritten
	}
	p, err := c.negotiate()
	if err != nil {
		return err
	}
	if err := c.authenticate(p); err != nil {
		return err
	}
	if done, err := c.route(p); done {
		return err
	}
	if p.code != protocolMajor<<16 || len(p.unknown) > 0 {
		c.out.negotiateVersion(p.unknown)
	}
	c.out.message(&pgproto3.AuthenticationOk{})
	if err := c.srv.admit(c); err != nil {
		return err
	}
	return c.establish(p.params)
}

// negotiate answers requests for encryption until the real startup packet
// arrives. Each may be made once.
func (c *conn) negotiate() (*startupPacket, error) {
	sslDone, gssDone := false, false
	for {
		src, err := c.in.startup()
		if err != nil {
			return nil, c.readFailed(err)
		}
		p, err := parseStartup(src)
		if err != nil {
			return nil, err
		}
		switch {
		case p.code == codeCancel:
			c.srv.cancelRequest(cancelKey{p.processID, p.secret})
			return nil, errTerminate
		case p.code == codeSSL && !sslDone:
			sslDone = true
			if err := c.startTLS(); err != nil {
				return nil, err
			}
		case p.code == codeGSSENC && !gssDone:
			gssDone = true
			if err := c.answerByte('N'); err != nil {
				return nil, err
			}
		case p.code == codeSSL || p.code == codeGSSENC:
			return nil, unsupportedProtocol(p.code)
		default:
			return p, nil
		}
	}
}

// answerByte answers a request for encryption, which has no message format.
func (c *conn) answerByte(b byte) error {
	if c.in.buffered() > 0 {
		// Whoever sent this could have put words into the client's mouth.
		return fatal(sqlstate.ProtocolViolation, "received unencrypted data after encryption request")
	}
	c.out.buf = append(c.out.buf, b)
	return c.out.flush()
}

func (c *conn) startTLS() error {
	if c.srv.cfg.TLS == nil {
		return c.answerByte('N')
	}
	if err := c.answerByte('S'); err != nil {
		return err
	}
	secure := tls.Server(c.raw, c.srv.cfg.TLS)
	if err := secure.HandshakeContext(c.ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.nc = secure
	c.in.src = secure
	c.out.dst = secure
	return nil
}

// authenticate trusts clients of this machine and nobody else.
func (c *conn) authenticate(p *startupPacket) error {
	addr := c.raw.RemoteAddr()
	if !local(addr) {
		return fatal(sqlstate.InvalidAuthorization, "connection from %s by user %q to database %q is not permitted",
			addr, p.params.User, p.params.Database).
			WithDetail("Only connections from the loopback address are trusted without a password.")
	}
	return nil
}

func local(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return addr.Network() == "pipe" // this very process
}

// establish makes the session and tells the client about it.
func (c *conn) establish(params query.StartupParams) error {
	if err := c.raw.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if cause := c.cause.Load(); cause != nil {
		return cause // terminate came before the deadline was lifted
	}
	params.RemoteAddr = c.remote()
	params.ProcessID = c.processID
	params.Cancel = func(cause *sqlstate.Error) {
		if cause == nil {
			cause = userCancel()
		}
		c.stmt.interrupt(cause)
	}
	params.Terminate = func(cause *sqlstate.Error) {
		if cause == nil {
			cause = adminShutdown()
		}
		c.terminate(cause)
	}
	session, settings, err := c.srv.cfg.Sessions.NewSession(c.ctx, params)
	if err != nil {
		refusal := *c.publicError(err)
		refusal.Severity = severityFatal
		return &refusal
	}
	c.session = session
	for _, s := range c.initialStatus(params, settings) {
		c.out.parameterStatus(s.Name, s.Value)
	}
	c.out.message(&pgproto3.BackendKeyData{ProcessID: uint32(c.processID), SecretKey: c.secret})
	c.in.limit = maxFrame
	return c.ready()
}

// initialStatus lists the settings that PostgreSQL 15 reports, in its order,
// with the session's values where it has one, and then the session's others.
func (c *conn) initialStatus(p query.StartupParams, session []query.Setting) []query.Setting {
	status := []query.Setting{
		{Name: "application_name", Value: ""},
		{Name: "client_encoding", Value: "UTF8"},
		{Name: "DateStyle", Value: "ISO, MDY"},
		{Name: "default_transaction_read_only", Value: "off"},
		{Name: "in_hot_standby", Value: "off"},
		{Name: "integer_datetimes", Value: "on"},
		{Name: "IntervalStyle", Value: "postgres"},
		{Name: "is_superuser", Value: "on"},
		{Name: "server_encoding", Value: "UTF8"},
		{Name: "server_version", Value: serverVersion + " (Tidemark " + c.srv.cfg.Version + ")"},
		{Name: "session_authorization", Value: p.User},
		{Name: "standard_conforming_strings", Value: "on"},
		{Name: "TimeZone", Value: "Etc/UTC"},
	}
	for _, s := range session {
		known := false
		for i := range status {
			if status[i].Name == s.Name {
				status[i].Value, known = s.Value, true
			}
		}
		if !known {
			status = append(status, s)
		}
	}
	return status
}

// newSecret makes the key that a CancelRequest must know.
func newSecret() uint32 {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic("pgwire: no random numbers: " + err.Error()) // crypto/rand never fails
	}
	return binary.BigEndian.Uint32(b[:])
}

func userCancel() *sqlstate.Error {
	return sqlstate.New(sqlstate.QueryCanceled, "canceling statement due to user request")
}

func adminShutdown() *sqlstate.Error {
	return fatal(sqlstate.AdminShutdown, "terminating connection due to administrator command")
}
