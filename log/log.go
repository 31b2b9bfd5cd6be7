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
	// answered. Errors: ErrTooLarge, ErrBusy and ErrDiskFull mean that nothing was
	// appended;
	// ErrUnknownOutcome means that it may or may not have been; ErrClosed that
	// the log has been closed (together with ErrUnknownOutcome when that happened
	// while the entry was on its way) and ErrHalted that this replica was halted
	// before and nothing was appended.
	Append(ctx context.Context, data []byte) ([]byte, error)

	// ReadIndex returns once everything acknowledged by any node before the
	// call has been applied on this node. Errors: ErrClosed, ErrBusy, the
	// context's, and ErrHalted when others may have gone on without this replica.
	ReadIndex(ctx context.Context) error

	// Close stops the log: once it returns, the state machine is not called any
	// more. The state machine stays open; it belongs to who opened it.
	Close() error
}

// freesSpace is the key of what FreesSpace puts into a context.
type freesSpace struct{}

// FreesSpace returns a context for appending an entry that is small and makes room
// on the disk: it is accepted while others are refused for lack of space, as long as
// what is kept back of the disk lasts.
func FreesSpace(ctx context.Context) context.Context {
	return context.WithValue(ctx, freesSpace{}, true)
}

// IsFreeingSpace reports whether ctx is for such an entry.
func IsFreeingSpace(ctx context.Context) bool { return ctx.Value(freesSpace{}) != nil }

// StateMachine applies committed entries. Calls to Apply and Restore come from
// one goroutine at a time; Applied and Save may run beside Apply.
type StateMachine interface {
	// Apply applies the entries in order and returns one answer for each. When it
	// halts, it answers that entry and all later ones with a refusal. An error
	// means that this replica's storage cannot go on, and ends the process.
	Apply(entries []Committed) ([][]byte, error)

	// Applied returns the index of the last entry whose effects are durable at
	// start-up; later it is the last applied one.
	Applied() Index

	// Halted returns why the state machine has stopped applying, an error that is
	// ErrHalted, or nil.
	Halted() error

	// Sync makes everything applied durable, also when it is halted; then it
	// returns ErrHalted.
	Sync() error

	// Prepare fixes a point-in-time image for Save. It returns ErrHalted when the
	// state machine is halted.
	Prepare() (any, error)

	// Save writes the image that Prepare returned.
	Save(image any, w io.Writer, stop <-chan struct{}) error

	// Restore replaces the whole state by an image, atomically.
	Restore(r io.Reader, stop <-chan struct{}) error

	Close() error
}
