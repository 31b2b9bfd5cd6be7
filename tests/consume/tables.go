package consume

import (
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/tidemark-db/tidemark/tests/check"
)

// Tables are tables as changes make them: their rows by key.
type Tables map[string]map[string]Row

// NewTables returns empty tables. What changes say of others is not for them.
func NewTables(names []string) Tables {
	t := Tables{}
	for _, n := range names {
		t[n] = map[string]Row{}
	}
	return t
}

// Clone returns tables with the same rows.
func (t Tables) Clone() Tables {
	out := Tables{}
	for name, rows := range t { // order does not matter
		out[name] = maps.Clone(rows)
	}
	return out
}

// Put adds a row that is there from the beginning.
func (t Tables) Put(table string, r Row) { t[table][r.Get(Key)] = r }

// Apply does what a change says. It is an error if it cannot be done to what there
// is. before is the row as it was, where that is known.
func (t Tables) Apply(c *Change, before Row) error {
	rows := t[c.Table]
	old, key := c.Old.Get(Key), c.New.Get(Key)
	switch c.Op {
	case Message:
		return nil
	case Truncate:
		clear(rows)
		return nil
	case Insert:
		old = ""
	case Update:
		old = cmp.Or(old, key)
	}
	if old != "" {
		was, ok := rows[old]
		if !ok {
			return fmt.Errorf("%c of row %s of %s at %s, which is not there", c.Op, old, c.Table, c.At)
		}
		if before != nil && !slices.Equal(was, before) {
			return fmt.Errorf("%c of row %s of %s at %s: it was %v, and is said to have been %v", c.Op, old, c.Table, c.At, was, before)
		}
		delete(rows, old)
	}
	if c.Op == Delete {
		return nil
	}
	if _, ok := rows[key]; ok || key == "" {
		return fmt.Errorf("%c makes row %q of %s at %s, which is there", c.Op, key, c.Table, c.At)
	}
	rows[key] = c.New
	return nil
}

// Digest is the MD5 of a table's rows in the order of their keys.
func (t Tables) Digest(table string) string {
	type row struct {
		id int64
		r  Row
	}
	all := make([]row, 0, len(t[table]))
	for key, r := range t[table] { // they are sorted
		id, err := strconv.ParseInt(key, 10, 64)
		if err != nil {
			return "a key that is no number: " + key
		}
		all = append(all, row{id, r})
	}
	slices.SortFunc(all, func(a, b row) int { return cmp.Compare(a.id, b.id) })
	h := md5.New()
	for _, r := range all {
		fmt.Fprintf(h, "%q\n", r.r)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Told is the change as a ledger of writes knows it. note is the prefix of messages
// whose content is the number of a write; other rows have theirs in column w.
func (c *Change) Told(note string) (check.RowChange, error) {
	out := check.RowChange{Op: c.Op, Table: c.Table}
	number := func(text string) (int64, error) {
		if text == "" {
			return 0, nil
		}
		return strconv.ParseInt(text, 10, 64)
	}
	write := c.New.Get("w")
	if c.Op == Message && c.Table == note {
		write = c.Content
	}
	key, err := number(c.New.Get(Key))
	if err != nil {
		return out, err
	}
	old, err := number(c.Old.Get(Key))
	if err != nil {
		return out, err
	}
	w, err := number(write)
	out.Key, out.Write = key, check.Write(w)
	switch {
	case c.Op == Delete:
		out.Key = old
	case old != key:
		out.Old = old
	}
	return out, err
}
