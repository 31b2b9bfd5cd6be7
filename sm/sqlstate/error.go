// Package sqlstate is the one error type that crosses package borders when a
// statement fails: a SQLSTATE, which is the kind that callers may switch on,
// and the fields PostgreSQL sends beside it. It knows nothing of who raises or
// prints it.
package sqlstate

import (
	"errors"
	"fmt"
)

// Code is a five-character SQLSTATE.
type Code string

// Error is a failure that a client may be shown. Only Code and Message are
// always set. Position counts characters of the statement from 1; 0 is unknown.
type Error struct {
	Severity   string // empty means ERROR; NOTICE, WARNING, FATAL
	Code       Code
	Message    string
	Detail     string
	Hint       string
	Position   int
	Where      string
	Schema     string
	Table      string
	Column     string
	DataType   string
	Constraint string
}

// Error implements error.
func (e *Error) Error() string { return e.Message + " (SQLSTATE " + string(e.Code) + ")" }

// New returns an error with a formatted message.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithDetail returns e with its detail set.
func (e *Error) WithDetail(format string, args ...any) *Error {
	e.Detail = fmt.Sprintf(format, args...)
	return e
}

// WithHint returns e with its hint set.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// WithPosition returns e with its position set, if it has none yet.
func (e *Error) WithPosition(p int) *Error {
	if e.Position == 0 {
		e.Position = p
	}
	return e
}

// As returns the *Error in err's chain; an error without one becomes XX000,
// so that nothing reaches a client without a SQLSTATE.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: InternalError, Message: err.Error()}
}

// CodeOf returns the SQLSTATE of err, or "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return As(err).Code
}
