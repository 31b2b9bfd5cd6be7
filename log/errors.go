package log

import (
	"errors"
	"fmt"
)

// Errors of Append. Only ErrUnknownOutcome leaves the fate of the entry open.
var (
	ErrTooLarge       = errors.New("log entry too large")
	ErrBusy           = errors.New("log is busy: the entry was not appended")
	ErrUnknownOutcome = errors.New("the outcome of the append is unknown")
	ErrClosed         = errors.New("log is closed")
	ErrDiskFull       = errors.New("the disk is full: the entry was not appended")
)

// ErrHalted says that a state machine has stopped applying because an entry could
// not be executed. Its state is intact up to the entry before, so it still serves
// reads; the log keeps the entries from there on and must record no snapshot
// beyond that point.
var ErrHalted = errors.New("the state machine is halted")

// ErrStopped is what Save and Restore return when they were told to stop before
// the end.
var ErrStopped = errors.New("stopped before the end")

// ErrMalformed says that bytes are not an encoded entry or result.
var ErrMalformed = errors.New("malformed log record")

// FormatError says that a record was written in a format that this code does
// not know. Guessing at it could make replicas differ, so nobody may.
type FormatError struct{ Version uint8 }

func (e *FormatError) Error() string {
	return fmt.Sprintf("log record has format version %d, this program knows up to %d", e.Version, FormatVersion)
}
