package query

import (
	"errors"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// This file holds what a session and the wire must agree on. The types live
// here, and not in pgwire, because pgwire imports query and never the other
// way round.

// Column describes one result column.
type Column struct {
	Name     string
	TableOID types.OID // the table the column comes from; 0 when it is computed
	AttNum   int16     // its number in that table; 0 when it is computed
	Type     *types.Type
	Typmod   int32 // types.NoTypmod when the type has no modifier
}

// Setting is one run-time parameter and its value as text.
type Setting struct {
	Name  string
	Value string
}

// StartupParams is what a client said when it connected, and the hooks by
// which the server's other sessions can reach this connection.
type StartupParams struct {
	User     string
	Database string // the user name when the client named no database

	// Settings are the remaining start-up parameters in the order in which they
	// must be applied, so that a later one overrides an earlier one: first what
	// "options" held (-c name=value), then the parameters of the packet.
	Settings []Setting

	Replication string // the start-up parameter of that name as sent, "" when absent
	RemoteAddr  string // host:port of the client; "" for a local socket
	ProcessID   int32  // what BackendKeyData tells the client; unique among live connections

	// Cancel stops the statement that the connection is running and does nothing
	// when it is idle. The statement's context is cancelled with the cause, or
	// with 57014 "canceling statement due to user request" for nil. Any goroutine
	// may call it: it is what pg_cancel_backend needs.
	Cancel func(cause *sqlstate.Error)

	// Terminate ends the connection, running or idle, with the cause, or with
	// 57P01 for nil. Any goroutine may call it: it is what pg_terminate_backend
	// needs.
	Terminate func(cause *sqlstate.Error)
}

// CopyReader yields what the client sends after a CopyIn.
type CopyReader interface {
	// Next returns the data of one CopyData message. The slice is valid until
	// the following call; message borders mean nothing, a row may be cut anywhere.
	// After CopyDone it returns io.EOF, after CopyFail a *sqlstate.Error 57014
	// "COPY from stdin failed: …". Any other error means that the connection or
	// the statement is at its end (cancelled, shut down, disconnected): return it.
	Next() ([]byte, error)
}

// ResultWriter receives what a statement produces. The wire implements it, and
// a session calls it from the goroutine that called the session. Messages are
// buffered; Row and CopyData may block while the client is slow to read. After
// an error from any method the client cannot be reached: stop and return it.
type ResultWriter interface {
	// RowDescription announces the rows of a statement of a simple query, before
	// the first Row and also when there will be none. In the extended protocol
	// Execute does not call it. The slice must stay unchanged until the statement
	// is complete.
	RowDescription(cols []Column) error

	// Row sends one row. The values are encoded before it returns, as the columns
	// of RowDescription or of the portal say, so the slice may be reused.
	Row(values []types.Datum) error

	// CommandComplete ends a statement with its tag, such as "SELECT 1".
	CommandComplete(tag string) error

	// EmptyQuery stands in for CommandComplete when the text holds no statement.
	EmptyQuery() error

	// Notice sends a message that is no error; an empty severity means NOTICE.
	Notice(n *sqlstate.Error) error

	// ParameterStatus reports a setting that clients follow.
	ParameterStatus(name, value string) error

	// CopyIn asks the client for data: CopyInResponse, flushed.
	CopyIn(binary bool, columns int) (CopyReader, error)

	// CopyOut begins a copy to the client, CopyData sends a piece of it (normally
	// one row; it is copied before the call returns) and CopyDone ends it.
	// CommandComplete follows.
	CopyOut(binary bool, columns int) error
	CopyData(b []byte) error
	CopyDone() error
}

// StreamWriter is what a ResultWriter can do as well that may have to wait for its
// rows.
type StreamWriter interface {
	// Flush sends what is buffered.
	Flush() error
	// BeforeWrite sets what is called before anything is written to the client, who
	// may be slow to read; nil for nothing.
	BeforeWrite(f func())
}

// CopyBothWriter is what the ResultWriter of a replication connection can do as
// well.
type CopyBothWriter interface {
	// CopyBoth begins a copy in both directions: CopyBothResponse, flushed.
	CopyBoth() (CopyBoth, error)
}

// CopyBoth is a copy in both directions. One goroutine sends, the one that called
// CopyBoth; another one may receive at the same time.
type CopyBoth interface {
	// CopyReader receives. A client that is gone is an error, and so is Stop.
	CopyReader

	// Queue adds a message, head followed by body, to what is to be sent and
	// returns how many bytes that is. It never blocks.
	Queue(head, body []byte) int
	// Flush sends what was queued. It blocks while the client is slow to read.
	Flush() error
	// Done sends what was queued, and that nothing more will come.
	Done() error

	// Stop makes Next return ErrCopyStopped, now if it waits. When Next has
	// returned, Resume makes the connection readable again for who comes next.
	Stop()
	Resume()
}

// ErrCopyStopped is what CopyBoth's Next returns after Stop.
var ErrCopyStopped = errors.New("copy stopped")
