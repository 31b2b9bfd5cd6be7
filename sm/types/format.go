package types

import (
	"time"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// DateStyle is the output style of dates and timestamps.
type DateStyle uint8

// The date styles.
const (
	DateStyleISO DateStyle = iota
	DateStyleSQL
	DateStylePostgres
	DateStyleGerman
)

// DateOrder says how an ambiguous date such as 1/2/2003 is read.
type DateOrder uint8

// The date orders.
const (
	DateOrderMDY DateOrder = iota
	DateOrderDMY
	DateOrderYMD
)

// IntervalStyle is the output style of intervals.
type IntervalStyle uint8

// The interval styles.
const (
	IntervalStylePostgres IntervalStyle = iota
	IntervalStyleVerbose
	IntervalStyleSQL
	IntervalStyleISO8601
)

// ByteaOutput is the output style of bytea.
type ByteaOutput uint8

// The bytea styles.
const (
	ByteaHex ByteaOutput = iota
	ByteaEscape
)

// Format holds the session settings that input and output of values depend
// on. It must not be changed while it is in use.
type Format struct {
	DateStyle        DateStyle
	DateOrder        DateOrder
	Location         *time.Location // the session's time zone; nil means UTC
	LocationName     string         // as SHOW TimeZone prints it
	IntervalStyle    IntervalStyle
	ExtraFloatDigits int
	ByteaOutput      ByteaOutput
	Now              int64 // microseconds since 2000-01-01 UTC; what 'now', 'today', 'tomorrow', 'yesterday' mean

	// RegOut prints the OID of a reg type (regclass …) as a name; nil or a
	// false result prints the number.
	RegOut func(t *Type, oid OID) (string, bool)
	// RegIn resolves a name to the OID a reg type holds; when nil, only
	// numbers are accepted (0A000 otherwise).
	RegIn func(t *Type, name string) (OID, error)
}

// DefaultFormat returns PostgreSQL's defaults with the time zone UTC.
func DefaultFormat() *Format {
	return &Format{Location: time.UTC, LocationName: "UTC", ExtraFloatDigits: 1}
}

func (f *Format) location() *time.Location {
	if f.Location == nil {
		return time.UTC
	}
	return f.Location
}

func invalidSyntax(t *Type, s string) error {
	return sqlstate.New(sqlstate.InvalidTextRepresentation, "invalid input syntax for type %s: \"%s\"", t.SQLName, s)
}

func outOfRange(t *Type, s string) error {
	return sqlstate.New(sqlstate.NumericValueOutOfRange, "value \"%s\" is out of range for type %s", s, t.SQLName)
}
