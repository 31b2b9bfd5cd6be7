package sm

import (
	"slices"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Row is one row as it was read. An iterator reuses its Row, Values included;
// Clone keeps one. The datums in Values may be kept without cloning: what they
// point to is never reused.
type Row struct {
	// Values has one datum for each column the table ever had, by column
	// position; columns that were not wanted are NULL.
	Values []types.Datum

	// Key is the row's primary key in its stored form, or the hidden row id of a
	// table without a primary key: what Get takes.
	Key []byte

	// Changed is the commit offset of the transaction that wrote this version,
	// Created of the one that inserted the row. Both are 0 when the transaction
	// that reads the row did so itself.
	Changed, Created log.Offset

	// stored is the row as it is stored, for the change record and the checksum
	// of an Update or Delete.
	stored []byte
}

// Handle is what names a row that was read, so that it can be updated or deleted
// after its Row has been reused: everything of it but Values.
type Handle struct {
	Key              []byte
	Changed, Created log.Offset
	Stored           []byte
}

// Handle returns the row's handle; its slices belong to the caller.
func (r *Row) Handle() Handle {
	return Handle{Key: slices.Clone(r.Key), Changed: r.Changed, Created: r.Created, Stored: slices.Clone(r.stored)}
}

// RowOf returns the row that h names; values are all its columns, as they were
// read.
func RowOf(h Handle, values []types.Datum) *Row {
	return &Row{Values: values, Key: h.Key, Changed: h.Changed, Created: h.Created, stored: h.Stored}
}

// Clone returns a copy that stays valid when the iterator moves on.
func (r *Row) Clone() *Row {
	return &Row{
		Values:  slices.Clone(r.Values),
		Key:     slices.Clone(r.Key),
		Changed: r.Changed,
		Created: r.Created,
		stored:  slices.Clone(r.stored),
	}
}
