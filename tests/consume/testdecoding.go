package consume

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/log"
)

// testDecoding reads the text of test_decoding.
type testDecoding struct{ inside bool }

// NewTestDecoding returns a decoder of test_decoding.
func NewTestDecoding() Decoder { return &testDecoding{} }

// Decode implements Decoder.
func (p *testDecoding) Decode(at log.Offset, message []byte) (Event, error) {
	s := string(message)
	e := Event{Kind: Changed, Change: Change{At: at}}
	word, rest, _ := strings.Cut(s, " ")
	switch word {
	case "BEGIN":
		p.inside = true
		return Event{Kind: Begun}, nil
	case "COMMIT":
		p.inside = false
		return Event{Kind: Ended, Commit: at - 1}, nil
	case "message:":
		transactional, err := parseMessage(&e.Change, rest)
		if err == nil && !transactional {
			e.Kind, e.Commit = Outside, at
		}
		return e, err
	case "table":
		return e, parseTable(&e.Change, rest)
	}
	return e, fmt.Errorf("%q is not understood", s)
}

// parseMessage reads "transactional: 1 prefix: p, sz: 1 content:c".
func parseMessage(c *Change, s string) (transactional bool, err error) {
	head, content, ok := strings.Cut(s, " content:")
	head, prefix, ok2 := strings.Cut(head, " prefix: ")
	prefix, size, ok3 := strings.Cut(prefix, ", sz: ")
	if n, err := strconv.Atoi(size); !ok || !ok2 || !ok3 || err != nil || n != len(content) {
		return false, fmt.Errorf("the message %q is not understood", s)
	}
	c.Op, c.Table, c.Content = Message, prefix, content
	return head == "transactional: 1", nil
}

// parseTable reads "public.t: INSERT: id[bigint]:1 s[text]:'x'".
func parseTable(c *Change, s string) (err error) {
	name, rest, ok := strings.Cut(s, ": ")
	op, row, ok2 := strings.Cut(rest, ":")
	_, table, ok3 := strings.Cut(name, ".")
	if !ok || !ok2 || !ok3 {
		return fmt.Errorf("%q is not understood", s)
	}
	c.Table = table
	switch op {
	case "TRUNCATE":
		c.Op = Truncate
		return nil
	case "INSERT":
		c.Op = Insert
		c.New, row, err = parseRow(row)
	case "DELETE":
		c.Op = Delete
		c.Old, row, err = parseRow(row)
	case "UPDATE":
		c.Op = Update
		if old, ok := strings.CutPrefix(row, " old-key:"); ok {
			if c.Old, row, err = parseRow(old); err != nil {
				return err
			}
			if row, ok = strings.CutPrefix(row, " new-tuple:"); !ok {
				return fmt.Errorf("an update without a new row: %q", s)
			}
		}
		c.New, row, err = parseRow(row)
	default:
		return fmt.Errorf("%q is not understood", s)
	}
	if err == nil && row != "" {
		err = fmt.Errorf("%q is left of %q", row, s)
	}
	return err
}

// parseRow reads columns until there are none, and returns the rest.
func parseRow(s string) (Row, string, error) {
	row := Row{}
	for {
		rest, ok := strings.CutPrefix(s, " ")
		if !ok || strings.HasPrefix(rest, "new-tuple:") {
			return row.sorted(), s, nil
		}
		name, rest, ok := strings.Cut(rest, "[")
		_, rest, ok2 := strings.Cut(rest, "]:")
		if !ok || !ok2 {
			return nil, "", fmt.Errorf("no column at %q", s)
		}
		if !strings.HasPrefix(rest, "'") {
			end := strings.IndexByte(rest+" ", ' ')
			if rest[:end] != "null" {
				row.set(name, rest[:end])
			}
			s = rest[end:]
			continue
		}
		text, after, err := unquote(rest[1:])
		if err != nil {
			return nil, "", err
		}
		row.set(name, text)
		s = after
	}
}

// unquote reads the rest of a quoted text, in which quotes are doubled.
func unquote(s string) (text, rest string, err error) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '\'')
		if i < 0 {
			return "", "", fmt.Errorf("a text without an end: %q", s)
		}
		b.WriteString(s[:i])
		if s = s[i+1:]; !strings.HasPrefix(s, "'") {
			return b.String(), s, nil
		}
		b.WriteByte('\'')
		s = s[1:]
	}
}
