package sm

import (
	"errors"
	"fmt"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// ErrRowChanged is returned by Update and Delete when the row they are given is
// not the one that is stored now: the same transaction has changed it since it
// was read. Nothing is written then.
var ErrRowChanged = errors.New("sm: the row has changed since it was read")

// UniqueViolationError is returned by Insert and Update, before anything is
// written, when a unique index already has the key, and by BuildIndex.
type UniqueViolationError struct {
	Table *catalog.Table
	Index *catalog.Index
	// Key has one datum for each column of the index.
	Key []types.Datum
	// ExistingKey is the primary key of the row that has it already.
	ExistingKey []byte
}

// Error implements error.
func (e *UniqueViolationError) Error() string {
	return fmt.Sprintf("duplicate key value violates unique constraint %q", e.Index.Name)
}

// As makes it a *sqlstate.Error for those who look for one: 23505. The detail
// that names the key's values needs a client's formats, so query adds it.
func (e *UniqueViolationError) As(target any) bool {
	p, ok := target.(**sqlstate.Error)
	if !ok {
		return false
	}
	*p = sqlstate.New(sqlstate.UniqueViolation, "%s", e.Error())
	(*p).Table, (*p).Constraint = e.Table.Name, e.Index.Name
	return true
}

// HaltedError says that a replica has stopped applying its log because an
// entry could not be applied. It wraps log.ErrHalted.
type HaltedError struct {
	// At is the last commit offset before the entry, Index the entry's own.
	At    log.Offset
	Index log.Index
	// Cause is what happened.
	Cause error
}

// Error implements error.
func (e *HaltedError) Error() string {
	return fmt.Sprintf("log is halted at %s (entry %d): %v", e.At, e.Index, e.Cause)
}

// Unwrap makes errors.Is(err, log.ErrHalted) true.
func (e *HaltedError) Unwrap() []error { return []error{log.ErrHalted, e.Cause} }

// FailureOf returns the form of err that travels in a log.Result. An error
// without a SQLSTATE becomes XX000.
func FailureOf(err error) *log.Failure {
	e := sqlstate.As(err)
	severity := e.Severity
	if severity == "" {
		severity = "ERROR"
	}
	f := &log.Failure{Code: string(e.Code), Fields: map[string]string{
		"S": severity, "V": severity, "C": string(e.Code), "M": e.Message,
	}}
	for _, x := range failureFields(e) {
		if *x.value != "" {
			f.Fields[x.letter] = *x.value
		}
	}
	if e.Position > 0 {
		f.Fields["P"] = fmt.Sprint(e.Position)
	}
	return f
}

// ErrorOf returns the error that f records.
func ErrorOf(f *log.Failure) *sqlstate.Error {
	e := &sqlstate.Error{Code: sqlstate.Code(f.Code), Severity: f.Fields["S"], Message: f.Fields["M"]}
	for _, x := range failureFields(e) {
		*x.value = f.Fields[x.letter]
	}
	if p := f.Fields["P"]; p != "" {
		if _, err := fmt.Sscan(p, &e.Position); err != nil {
			e.Position = 0
		}
	}
	return e
}

type failureField struct {
	letter string
	value  *string
}

// failureFields pairs the fields of e with their letters in the wire protocol.
func failureFields(e *sqlstate.Error) []failureField {
	return []failureField{
		{"D", &e.Detail}, {"H", &e.Hint}, {"W", &e.Where}, {"s", &e.Schema}, {"t", &e.Table},
		{"c", &e.Column}, {"d", &e.DataType}, {"n", &e.Constraint},
	}
}
