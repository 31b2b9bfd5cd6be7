package consume

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/tests/check"
)

// Reference is what tidemark.changes tells, read piece by piece while it grows, so
// that it is whole even if its beginning is removed meanwhile.
type Reference struct {
	// Note is the prefix of the messages whose content is the number of a write.
	Note string
	// Whole is the table whose old rows are published whole.
	Whole string

	tables   Tables
	all      []check.Published // with messages
	plain    []check.Published // without
	told     []check.Told
	only     bool       // the tables at the beginning are not known
	last     log.Offset // read so far
	problems []error
	changes  int
}

// NewReference begins at an offset, at which the tables are as given.
func NewReference(from log.Offset, at Tables) *Reference {
	return &Reference{tables: at, last: from}
}

// NewTail begins at an offset at which the tables are not known: only what is told
// of those named counts.
func NewTail(from log.Offset, tables []string) *Reference {
	return &Reference{tables: NewTables(tables), last: from, only: true}
}

// toldTxn is a transaction being read.
type toldTxn struct {
	commit  log.Offset
	changes []Change
	before  []Row
}

// Read reads what has been added. After an error it may be called again, also on
// another node.
func (r *Reference) Read(ctx context.Context, conn *pgconn.PgConn) (err error) {
	m := conn.Exec(ctx, fmt.Sprintf("SELECT lsn, commit_lsn, op, table_name, before, after, prefix, convert_from(content, 'UTF8'), transactional FROM tidemark.changes WHERE lsn > '%s'", r.last))
	defer func() { err = errors.Join(err, m.Close()) }()
	var txns []toldTxn
	last := r.last
	for m.NextResult() {
		rows := m.ResultReader()
		for rows.NextRow() {
			commit, c, before, err := r.row(rows.Values())
			if err != nil {
				return err
			}
			last = max(last, commit)
			if _, ours := r.tables[c.Table]; !ours && c.Op != Message {
				continue
			}
			if n := len(txns); n == 0 || txns[n-1].commit != commit {
				txns = append(txns, toldTxn{commit: commit})
			}
			t := &txns[len(txns)-1]
			t.changes, t.before = append(t.changes, c), append(t.before, before)
		}
		if _, err := rows.Close(); err != nil {
			return err
		}
	}
	for i := range txns {
		r.add(&txns[i])
	}
	r.last = last
	return nil
}

// row reads a row. A message that stands alone is a transaction where it is.
func (r *Reference) row(v [][]byte) (commit log.Offset, c Change, before Row, err error) {
	if c.At, err = log.ParseOffset(string(v[0])); err != nil {
		return 0, c, nil, err
	}
	if commit, err = log.ParseOffset(string(v[1])); err != nil {
		return 0, c, nil, err
	}
	c.Table = string(v[3])
	if before, err = object(v[4]); err != nil {
		return 0, c, nil, err
	}
	if c.New, err = object(v[5]); err != nil {
		return 0, c, nil, err
	}
	switch op := string(v[2]); op {
	case "insert":
		c.Op = Insert
	case "update":
		c.Op = Update
		if c.Table == r.Whole {
			c.Old = before
		} else if before.Get(Key) != c.New.Get(Key) {
			c.Old = before.only(Key)
		}
	case "delete":
		c.Op, c.Old = Delete, before
		if c.Table != r.Whole {
			c.Old = before.only(Key)
		}
	case "truncate":
		c.Op = Truncate
	case "message":
		c.Op, c.Table, c.Content = Message, string(v[6]), string(v[7])
		if string(v[8]) != "t" {
			commit = c.At
		}
	default:
		err = fmt.Errorf("op is %q", op)
	}
	return commit, c, before, err
}

// object makes a row of a JSON object.
func object(text []byte) (Row, error) {
	if text == nil {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var fields map[string]any
	if err := d.Decode(&fields); err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	row := make(Row, 0, len(fields))
	for name, v := range fields { // they are sorted
		switch v := v.(type) {
		case nil:
		case json.Number:
			row.set(name, v.String())
		case string:
			row.set(name, v)
		case bool:
			row.set(name, strconv.FormatBool(v))
		default:
			return nil, fmt.Errorf("%s is %v", name, v)
		}
	}
	return row.sorted(), nil
}

// maxProblems bounds what is noted of one bug with many faces.
const maxProblems = 20

// add takes a transaction in.
func (r *Reference) add(t *toldTxn) {
	all, plain := check.Published{Commit: t.commit}, check.Published{Commit: t.commit}
	told := check.Told{Commit: t.commit}
	for i := range t.changes {
		c := &t.changes[i]
		rc, err := c.Told(r.Note)
		if err == nil && !r.only {
			err = r.tables.Apply(c, t.before[i])
		}
		if err != nil && len(r.problems) < maxProblems {
			r.problems = append(r.problems, err)
		}
		told.Changes = append(told.Changes, rc)
		all.Changes = append(all.Changes, c.Sum())
		if c.Op != Message {
			plain.Changes = append(plain.Changes, c.Sum())
		}
	}
	r.changes += len(t.changes)
	r.all, r.told = append(r.all, all), append(r.told, told)
	if len(plain.Changes) > 0 {
		r.plain = append(r.plain, plain)
	}
}

// Published is what consumers should receive, with messages or without.
func (r *Reference) Published(messages bool) []check.Published {
	if messages {
		return r.all
	}
	return r.plain
}

// Told is what the ledger of writes judges.
func (r *Reference) Told() []check.Told { return r.told }

// Tables are the tables as the changes make them.
func (r *Reference) Tables() Tables { return r.tables }

// Last is the last commit that has been read.
func (r *Reference) Last() log.Offset { return r.last }

// Changes counts what was read.
func (r *Reference) Changes() int { return r.changes }

// Problems are changes that contradict those before them.
func (r *Reference) Problems() error { return errors.Join(r.problems...) }

// ReadTables reads what is in tables now.
func ReadTables(ctx context.Context, conn *pgconn.PgConn, names []string) (Tables, error) {
	t := NewTables(names)
	for _, name := range names {
		results, err := conn.Exec(ctx, "SELECT * FROM "+name).ReadAll()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, values := range results[0].Rows {
			var row Row
			for i, v := range values {
				if v == nil {
					continue
				}
				f, text := &results[0].FieldDescriptions[i], string(v)
				if f.DataTypeOID == oidBool {
					text = strconv.FormatBool(text == "t")
				}
				row.set(f.Name, text)
			}
			t.Put(name, row.sorted())
		}
	}
	return t, nil
}
