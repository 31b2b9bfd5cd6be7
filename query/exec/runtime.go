package exec

import (
	"context"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

const (
	// MaxStatementMemory bounds what one statement may hold for sorting, hashing
	// and materializing, in bytes as they are estimated.
	MaxStatementMemory = 1 << 30

	// checkEvery is after how many rows a statement looks whether it has been
	// cancelled.
	checkEvery = 1024
)

// Runtime is one execution of a statement.
type Runtime struct {
	Txn     *sm.Txn
	Expr    *expr.Ctx
	Virtual *syscat.Context

	// Constraints is the state of the transaction's foreign keys; statements that
	// write need it.
	Constraints *Constraints

	// Planner plans the statements that CALL executes.
	Planner *Planner

	// Cancel ends the statement early; nil in apply, where nothing may.
	Cancel context.Context

	// SearchPath and User are the session's; DDL resolves names by them.
	SearchPath []string
	User       string

	// Text is the statement's; Announces says that consumers are told of
	// definitions: by a message with the text, and of a truncation how it was made.
	Text      string
	Announces bool

	// Notice takes what is no error but worth telling; nil drops it.
	Notice func(*sqlstate.Error)

	// Steps counts the rows looked at over the statements that share it; nil
	// counts nothing.
	Steps *Steps

	depth  int  // of CALL
	called *int // how many statements have been executed for CALL
	rows   int
	memory int64
	ctes   map[*plan.CTE]*cteState
	subs   map[*plan.Subquery]*subResult
}

// noticeDetail is notice with a detail.
func (rt *Runtime) noticeDetail(detail, format string, args ...any) {
	if rt.Notice != nil {
		n := sqlstate.New(sqlstate.SuccessfulCompletion, format, args...).WithDetail("%s", detail)
		n.Severity = "NOTICE"
		rt.Notice(n)
	}
}

func (rt *Runtime) notice(format string, args ...any) {
	if rt.Notice != nil {
		n := sqlstate.New(sqlstate.SuccessfulCompletion, format, args...)
		n.Severity = "NOTICE"
		rt.Notice(n)
	}
}

// Steps counts the rows that operators look at against a bound. It is what keeps
// one entry from stopping its log: the same on every replica, unlike time.
type Steps struct {
	Limit int64 // 0: none
	used  int64
}

// Used returns how many rows have been looked at.
func (s *Steps) Used() int64 { return s.used }

func (s *Steps) take(n int64) error {
	s.used += n
	if s.Limit > 0 && s.used > s.Limit {
		return sqlstate.New(sqlstate.ProgramLimitExceeded, "transaction looks at more than %d rows", s.Limit).
			WithHint("Statements that write are executed in the log, one after the other. Read outside of the transaction, split it, or raise %s.", SettingMaxSteps)
	}
	return nil
}

// tick counts a row and notices cancellation.
func (rt *Runtime) tick() error {
	if rt.Steps != nil {
		if err := rt.Steps.take(1); err != nil {
			return err
		}
	}
	rt.rows++
	if rt.rows%checkEvery != 0 || rt.Cancel == nil || rt.Cancel.Err() == nil {
		return nil
	}
	return Canceled(rt.Cancel)
}

// bytesPerStep is how many bytes of a value that a function has made count as one
// row looked at; shorter values are free.
const bytesPerStep = 1 << 10

// made counts a value that a function has made.
func (rt *Runtime) made(d types.Datum) error {
	n := int64(0)
	switch d.Kind() {
	case types.KindString:
		n = int64(len(d.Str()))
	case types.KindBytes:
		n = int64(len(d.Bytes()))
	case types.KindArray:
		n = int64(len(d.Array().Elems)) * datumBytes
	}
	if n < bytesPerStep {
		return nil
	}
	if rt.Steps != nil {
		if err := rt.Steps.take(n / bytesPerStep); err != nil {
			return err
		}
	}
	if rt.Cancel != nil && rt.Cancel.Err() != nil {
		return Canceled(rt.Cancel)
	}
	return nil
}

// Canceled is the error of a statement whose context has ended: its cause where
// that has a SQLSTATE, else 57014.
func Canceled(ctx context.Context) error {
	cause := context.Cause(ctx)
	if e := sqlstate.As(cause); e.Code != sqlstate.InternalError {
		return e
	}
	return sqlstate.New(sqlstate.QueryCanceled, "canceling statement due to user request")
}

// grow accounts for n more bytes.
func (rt *Runtime) grow(n int64) error {
	rt.memory += n
	if rt.memory > MaxStatementMemory {
		return sqlstate.New(sqlstate.OutOfMemory, "out of memory").
			WithDetail("The statement needs more than %d MB for intermediate results.", MaxStatementMemory>>20)
	}
	return nil
}

func (rt *Runtime) shrink(n int64) { rt.memory -= n }

// datumBytes is what a datum in memory is counted as, beside what it points to.
const datumBytes = 24

func sizeOf(d types.Datum) int64 {
	switch d.Kind() {
	case types.KindString:
		return datumBytes + int64(len(d.Str()))
	case types.KindBytes:
		return datumBytes + int64(len(d.Bytes()))
	case types.KindDecimal, types.KindInterval, types.KindUUID:
		return 3 * datumBytes
	case types.KindArray:
		n := int64(3 * datumBytes)
		for _, e := range d.Array().Elems {
			n += sizeOf(e)
		}
		return n
	case types.KindJSONB, types.KindTuple:
		return 10 * datumBytes
	}
	return datumBytes
}

// frame is what an expression is evaluated in: the current row, and around it
// the rows of the outer queries.
type frame struct {
	row   []types.Datum
	outer *frame
	rt    *Runtime

	caseArg types.Datum // plan.CaseArg
	elem    types.Datum // plan.ElemArg
}

// evalFunc computes an expression.
type evalFunc func(f *frame) (types.Datum, error)

// rowStore holds rows, with their memory accounted for.
type rowStore struct {
	rt    *Runtime
	width int
	block []types.Datum
	rows  [][]types.Datum
	bytes int64
}

// A rowStore allocates datums for a few rows at first, since many hold no more,
// and then twice as many each time.
const (
	firstRowBlock = 8 // rows
	maxRowBlock   = 2048
)

func newRowStore(rt *Runtime, width int) *rowStore { return &rowStore{rt: rt, width: width} }

// add copies a row in and returns the copy.
func (s *rowStore) add(row []types.Datum) ([]types.Datum, error) {
	if len(s.block)+len(row) > cap(s.block) {
		s.block = make([]types.Datum, 0, max(min(2*cap(s.block), maxRowBlock), firstRowBlock*len(row)))
	}
	n := len(s.block)
	s.block = append(s.block, row...)
	kept := s.block[n:len(s.block):len(s.block)]
	s.rows = append(s.rows, kept)
	size := int64(datumBytes)
	for _, d := range row {
		size += sizeOf(d)
	}
	s.bytes += size
	return kept, s.rt.grow(size)
}

// free gives the memory back.
func (s *rowStore) free() {
	if s == nil {
		return
	}
	s.rt.shrink(s.bytes)
	s.rows, s.block, s.bytes = nil, nil, 0
}
