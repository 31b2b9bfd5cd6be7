package log

import (
	"context"
	"io"
)

// Index is the position of an entry in the consensus protocol's own log. It
// has gaps and is never shown to users.
type Index uint64

// Committed is an entry that consensus has committed, still encoded.
type Committed struct {
	Index Index
	Data  []byte
}

// Log is one totally ordered, durable sequence of entries.
type Log interface {
	// Append proposes an encoded entry and waits until it has been committed
	// and applied on this node. The returned bytes are what the state machine
	// answered. Errors: ErrTooLarge and ErrBusy mean that nothing was appended;
	// ErrUnknownOutcome means that it may or may not have been; ErrClosed that
	// the log has been closed.
	Append(ctx context.Context, data []byte) ([]byte, error)

	// ReadIndex returns once everything acknowledged by any node before the
	// call has been applied on this node.
	ReadIndex(ctx context.Context) error

	Close() error
}

// StateMachine applies committed entries. Calls to Apply and Restore come from
// one goroutine at a time; Applied and Save may run beside Apply.
type StateMachine interface {
	// Apply applies the entries in order and returns one answer for each. An
	// error means that this replica cannot go on.
	Apply(entries []Committed) ([][]byte, error)

	// Applied returns the index of the last entry whose effects are durable at
	// start-up; later it is the last applied one.
	Applied() Index

	// Sync makes everything applied durable.
	Sync() error

	// Prepare fixes a point-in-time image for Save.
	Prepare() (any, error)

	// Save writes the image that Prepare returned.
	Save(image any, w io.Writer, stop <-chan struct{}) error

	// Restore replaces the whole state by an image, atomically.
	Restore(r io.Reader, stop <-chan struct{}) error

	Close() error
}
