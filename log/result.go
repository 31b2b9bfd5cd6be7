package log

// Repeat says whether an answer is that of the entry's execution.
type Repeat uint8

// The answers of an entry. Numbers are stored.
const (
	// Executed is the answer of the execution itself.
	Executed Repeat = 0
	// Repeated says that the entry had been applied before. Offset and the code of
	// Err are those of then; nothing else is known.
	Repeated Repeat = 1
	// TooLate says that the entry came so late that it may have been applied
	// before without anybody remembering. It was not applied this time.
	TooLate Repeat = 2
)

// Result is the outcome of one applied entry, the same on every replica.
type Result struct {
	// Offset is the commit offset of a committed entry; for a failed one it is
	// the position of the log at which it failed (the last commit before it).
	Offset Offset

	// Err is the recorded failure, or nil. A failed entry changed nothing.
	Err *Failure

	// Statements has one outcome for each statement that was executed.
	Statements []Outcome

	// Drawn are the sequence values that were drawn, the newest of each
	// sequence, for currval and lastval. For KindReserve it holds the first
	// value of the block.
	Drawn []DrawnValue

	// Repeat is not zero for an entry that was not executed.
	Repeat Repeat
}

// IsExecuted reports whether an encoded result is the answer of an execution; so
// is, to be safe, whatever cannot be decoded.
func IsExecuted(answer []byte) bool {
	r, err := DecodeResult(answer)
	return err != nil || r.Repeat == Executed
}

// IsTooLate reports whether an encoded result says that the entry came too late.
func IsTooLate(answer []byte) bool {
	r, err := DecodeResult(answer)
	return err == nil && r.Repeat == TooLate
}

// Outcome is what one statement answered.
type Outcome struct {
	Tag     string
	Columns []Column // nil when the statement returns no rows
	Rows    [][]byte // each types.AppendRow
	Notices []Failure
}

// Column describes one result column.
type Column struct {
	Name   string
	Type   uint32
	Typmod int32
	Table  uint32
	AttNum int16
}

// Failure is a SQL error in a form that travels: the fields of the wire
// protocol by their letters.
type Failure struct {
	Code   string
	Fields map[string]string
}
