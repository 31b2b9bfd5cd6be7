package consume

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/tests/check"
)

// The kinds of changes.
const (
	Insert   byte = 'I'
	Update   byte = 'U'
	Delete   byte = 'D'
	Truncate byte = 'T'
	Message  byte = 'M'
)

// Key is the name of the column that all tables have as their key.
const Key = "id"

// Value is a column's, in the text that PostgreSQL prints, but booleans are true
// and false.
type Value struct{ Column, Text string }

// Row has the values that are not NULL, in the order of their columns' names.
type Row []Value

// set adds a value; sorted makes a row of what was added.
func (r *Row) set(column, text string) { *r = append(*r, Value{column, text}) }

func (r Row) sorted() Row {
	slices.SortFunc(r, func(a, b Value) int { return strings.Compare(a.Column, b.Column) })
	return r
}

// Get returns a value, "" for NULL.
func (r Row) Get(column string) string {
	for i := range r {
		if r[i].Column == column {
			return r[i].Text
		}
	}
	return ""
}

// only keeps one column.
func (r Row) only(column string) Row {
	for i := range r {
		if r[i].Column == column {
			return r[i : i+1]
		}
	}
	return nil
}

// Change is one change of a row or a table, or a message.
type Change struct {
	At    log.Offset
	Op    byte
	Table string // of a message it is the prefix
	// Old is the key of a row that is gone or has another key now, or the whole row
	// where the table is published so; nil else.
	Old Row
	New Row
	// Content is a message's.
	Content string
}

// Sum stands for everything in the change.
func (c *Change) Sum() check.Sum {
	var d xxhash.Digest
	d.Reset()
	var head [9]byte
	binary.BigEndian.PutUint64(head[:], uint64(c.At))
	head[8] = c.Op
	_, _ = d.Write(head[:]) // a digest takes everything
	word(&d, c.Table)
	word(&d, c.Content)
	for _, r := range []Row{c.Old, c.New} {
		binary.BigEndian.PutUint64(head[:], uint64(len(r)))
		_, _ = d.Write(head[:8])
		for _, v := range r {
			word(&d, v.Column)
			word(&d, v.Text)
		}
	}
	return check.Sum(d.Sum64())
}

// word adds a text and its length, so that no two lists of texts are alike.
func word(d *xxhash.Digest, s string) {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(s)))
	_, _ = d.Write(n[:])
	_, _ = d.WriteString(s)
}

// Event is what a message of a stream says.
type Event struct {
	Kind   EventKind
	Commit log.Offset // of a begin, where the plugin says it, and of an end
	Change Change
}

// EventKind is what an Event is.
type EventKind int

// The kinds of events. Outside is a message that belongs to no transaction.
const (
	Nothing EventKind = iota
	Begun
	Changed
	Ended
	Outside
)

// Decoder understands the messages of one connection.
type Decoder interface {
	Decode(at log.Offset, message []byte) (Event, error)
}
