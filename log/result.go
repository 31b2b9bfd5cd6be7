package log

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
