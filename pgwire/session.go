package pgwire

import (
	"context"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Session is one client's conversation with the database, as the wire needs
// it. All methods are called by one goroutine, one after the other.
//
// What is passed in (names and SQL text excepted) is valid only during the
// call: parameters and format codes lie in the connection's read buffer, and a
// session that keeps them copies them.
//
// An error that holds a *sqlstate.Error is shown to the client as it is, any
// other becomes XX000; one whose Severity is FATAL also ends the connection.
// The context is cancelled, with a *sqlstate.Error as its cause, by a
// CancelRequest, by shutdown, and when the client is found to have gone away.
type Session interface {
	// SimpleQuery runs all statements of sql. ErrorResponse, if any, and
	// ReadyForQuery are sent by the caller.
	SimpleQuery(ctx context.Context, sql string, w query.ResultWriter) error

	// Parse makes a prepared statement; "" is the unnamed one, which is replaced.
	// A parameter type of 0, or a missing one, is to be inferred.
	Parse(ctx context.Context, name, sql string, paramOIDs []types.OID) error

	// DescribeStatement returns the types of all parameters and the result
	// columns; nil columns mean that the statement returns no rows.
	DescribeStatement(name string) (params []types.OID, cols []query.Column, err error)

	// Bind makes a portal; "" is the unnamed one, which is replaced. A nil
	// parameter is NULL. There are none, one or len(params) parameter formats,
	// each 0 (text) or 1 (binary); the session checks the number of parameters
	// and of result formats against the statement.
	Bind(ctx context.Context, portal, statement string, params [][]byte, paramFormats, resultFormats []int16) error

	// DescribePortal returns a portal's columns, nil if it returns no rows, and
	// the result formats it was bound with. Both stay unchanged until the portal
	// is closed. It is called for every Execute and ought to be cheap.
	DescribePortal(name string) (cols []query.Column, resultFormats []int16, err error)

	// Execute runs a portal, or goes on with it, for at most maxRows rows (0: all)
	// and reports whether it stopped for that reason. last says that the next
	// message of the client is Sync, so that the statement may be committed at
	// once if it is the only one.
	Execute(ctx context.Context, portal string, maxRows int, last bool, w query.ResultWriter) (suspended bool, err error)

	// CloseStatement and ClosePortal are no error if there is no such thing.
	CloseStatement(name string)
	ClosePortal(name string)

	// Sync ends an implicit transaction: it commits, unless Failed was called.
	Sync(ctx context.Context, w query.ResultWriter) error

	// Failed tells the session that a message of the client ended in an error
	// that the client has seen: its transaction, implicit or explicit, is failed.
	// It follows errors of Parse, Bind, Describe and Execute, and also malformed
	// messages that the session has never seen. Errors of SimpleQuery and Sync
	// are the session's own affair.
	Failed()

	// TxStatus is 'I' (idle), 'T' (in a transaction) or 'E' (in a failed one).
	TxStatus() byte

	// Format says how values become text. It is asked once for each result.
	Format() *types.Format

	// Close rolls back what is open. It is called exactly once.
	Close()
}

// SessionFactory makes sessions. The settings it returns are reported to the
// client as ParameterStatus; those clients rely on that it leaves out are
// filled in with PostgreSQL's defaults. An error refuses the connection.
type SessionFactory interface {
	NewSession(ctx context.Context, p query.StartupParams) (Session, []query.Setting, error)
}

// SessionFactoryFunc is a function as a SessionFactory. Package query cannot
// name Session, so whoever wires the two together needs such a function.
type SessionFactoryFunc func(ctx context.Context, p query.StartupParams) (Session, []query.Setting, error)

// NewSession calls f.
func (f SessionFactoryFunc) NewSession(ctx context.Context, p query.StartupParams) (Session, []query.Setting, error) {
	return f(ctx, p)
}
