package workload

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/tests/check"
)

// store is a table of lists, one row each, in one way to store them.
type store struct {
	table string
	typ   string
	// one is an expression for a list of one value, with %s for it.
	one   string
	parse func(text string) ([]check.Value, error)
}

// stores have the lists: a key's is that of its remainder.
var stores = []*store{
	{"lists_array", "int[]", "ARRAY[%s::int]", func(text string) ([]check.Value, error) {
		return parseValues(strings.Split(strings.Trim(text, "{}"), ","))
	}},
	{"lists_text", "text", "' ' || (%s::int)", func(text string) ([]check.Value, error) {
		return parseValues(strings.Fields(text))
	}},
	{"lists_json", "jsonb", "jsonb_build_array(%s::int)", func(text string) (l []check.Value, err error) {
		return l, json.Unmarshal([]byte(text), &l)
	}},
}

func storeOf(k check.Key) *store { return stores[int(k)%len(stores)] }

func parseValues(texts []string) ([]check.Value, error) {
	var out []check.Value
	for _, s := range texts {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("a list has something else: %w", err)
		}
		out = append(out, check.Value(n))
	}
	return out, nil
}

func (s *store) create() string {
	return fmt.Sprintf("CREATE TABLE %s (k int PRIMARY KEY, v %s NOT NULL)", s.table, s.typ)
}

// parseRow reads a row of a key and its list.
func (s *store) parseRow(row []string) (check.Key, []check.Value, error) {
	k, err := strconv.Atoi(row[0])
	if err != nil {
		return 0, nil, fmt.Errorf("a key is no number: %w", err)
	}
	l, err := s.parse(row[1])
	return check.Key(k), l, err
}

// texts writes a statement's numbers into it, or makes parameters of them.
func texts(extended bool, format string, numbers ...int) Statement {
	var s Statement
	args := make([]any, len(numbers))
	for i, n := range numbers {
		args[i] = strconv.Itoa(n)
		if extended {
			s.Params = append(s.Params, strconv.Itoa(n))
			args[i] = fmt.Sprintf("$%d", i+1)
		}
	}
	s.SQL = fmt.Sprintf(format, args...)
	return s
}

// update appends to a list that is there.
func (s *store) update(extended bool, k check.Key, v check.Value) Statement {
	return texts(extended, "UPDATE "+s.table+" SET v = v || "+s.one+" WHERE k = %s::int", int(v), int(k))
}

// upsert appends to a list that may not be there, and may show it.
func (s *store) upsert(extended, returning bool, k check.Key, v check.Value) Statement {
	sql := "INSERT INTO " + s.table + " VALUES (%s::int, " + s.one + ") ON CONFLICT (k) DO UPDATE SET v = " + s.table + ".v || excluded.v"
	if returning {
		sql += " RETURNING k, v"
	}
	return texts(extended, sql, int(k), int(v))
}

// read reads one list.
func (s *store) read(extended bool, k check.Key) Statement {
	return texts(extended, "SELECT k, v FROM "+s.table+" WHERE k = %s::int", int(k))
}

// readRange reads the lists of some keys.
func (s *store) readRange(extended bool, first, last check.Key) Statement {
	return texts(extended, "SELECT k, v FROM "+s.table+" WHERE k BETWEEN %s::int AND %s::int", int(first), int(last))
}
