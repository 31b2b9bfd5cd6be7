package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/tests/check"
)

// The tables that are modelled, and how many rows of each there may be.
const (
	accounts = 6
	lists    = 5
	doctors  = 6
	teams    = 2
	// extras are tables that come and go, shapeColumns the columns that a table
	// gets and loses.
	extras       = 3
	shapeColumns = 4
)

const modelSchema = `
CREATE TABLE bank (id int PRIMARY KEY, bal bigint NOT NULL);
CREATE TABLE lists (k int PRIMARY KEY, vals int[] NOT NULL);
CREATE TABLE duty (id int PRIMARY KEY, team int NOT NULL, on_call boolean NOT NULL);
CREATE INDEX duty_team ON duty (team);
CREATE TABLE wide (id bigint PRIMARY KEY, pad text);
CREATE TABLE tickets (id serial PRIMARY KEY, what int NOT NULL);
CREATE TABLE shape (id int PRIMARY KEY);
INSERT INTO shape VALUES (0);
`

// state is what the modelled tables hold. A nil list is a row that is not there.
type state struct {
	bal  [accounts]int64
	list [lists][]int
	duty [doctors]bool
	// tickets are what was drawn by the sequence, with what it is for.
	tickets map[int]int
	// shape are the columns of table shape, in order; extra has the number of rows
	// of a table, noTable when there is none.
	shape []int
	extra [extras]int
}

const noTable = -1

func newState() state {
	s := state{}
	for i := range s.bal {
		s.bal[i] = 100
	}
	for i := range s.duty {
		s.duty[i] = true
	}
	for i := range s.extra {
		s.extra[i] = noTable
	}
	s.tickets = map[int]int{}
	return s
}

func (s *state) clone() *state {
	c := *s
	for i := range c.list {
		c.list[i] = slices.Clone(s.list[i])
	}
	c.tickets, c.shape = maps.Clone(s.tickets), slices.Clone(s.shape)
	return &c
}

// fill returns the statements that make the tables hold s.
func (s *state) fill() string {
	var b strings.Builder
	for i, v := range s.bal {
		fmt.Fprintf(&b, "INSERT INTO bank VALUES (%d, %d);", i, v)
	}
	for i, v := range s.duty {
		fmt.Fprintf(&b, "INSERT INTO duty VALUES (%d, %d, %t);", i, i%teams, v)
	}
	return b.String()
}

// op is one statement on the modelled tables, with what it must answer in a
// state and do to it.
type op struct {
	sql    string
	params []string // with the extended protocol when there are any
	do     func(*state) string
	writes bool
	// given makes do of what the statement showed, where only that tells what it
	// has done.
	given func(a answer) func(*state) string
}

// definition reports whether the statement changes the catalog.
func (o *op) definition() bool {
	return strings.HasPrefix(o.sql, "CREATE") || strings.HasPrefix(o.sql, "ALTER") || strings.HasPrefix(o.sql, "DROP")
}

// step is the statement as a step of a transaction, with what it showed.
func (o *op) step(shown string) check.Step[*state] {
	name := o.sql
	if o.params != nil {
		name = fmt.Sprintf("%s %v", o.sql, o.params)
	}
	return check.Step[*state]{Name: name, Shown: shown, Do: o.do}
}

func array(v []int) string {
	s := make([]string, len(v))
	for i, x := range v {
		s[i] = strconv.Itoa(x)
	}
	return "{" + strings.Join(s, ",") + "}"
}

func updated(n int) string { return fmt.Sprintf("UPDATE %d", n) }

// randomOp draws a statement. unique is a number never used before.
func randomOp(rnd *rand.Rand, unique int) op {
	a, k, d, team := rnd.IntN(accounts), rnd.IntN(lists), rnd.IntN(doctors), rnd.IntN(teams)
	delta := int64(rnd.IntN(41) - 20)
	switch rnd.IntN(20) {
	case 18:
		return shapeOp(rnd)
	case 19:
		return extraOp(rnd, unique)
	case 0, 1:
		return op{sql: fmt.Sprintf("SELECT bal FROM bank WHERE id = %d", a),
			do: func(s *state) string { return fmt.Sprintf("%d\nSELECT 1", s.bal[a]) }}
	case 2:
		return op{sql: "SELECT sum(bal) FROM bank", do: func(s *state) string {
			sum := int64(0)
			for _, v := range s.bal {
				sum += v
			}
			return fmt.Sprintf("%d\nSELECT 1", sum)
		}}
	case 3:
		return op{sql: "UPDATE bank SET bal = $1 WHERE id = $2", params: []string{strconv.Itoa(unique), strconv.Itoa(a)}, writes: true,
			do: func(s *state) string { s.bal[a] = int64(unique); return updated(1) }}
	case 4, 5:
		return op{sql: fmt.Sprintf("UPDATE bank SET bal = bal + %d WHERE id = %d", delta, a), writes: true,
			do: func(s *state) string { s.bal[a] += delta; return updated(1) }}
	case 6:
		return op{sql: "UPDATE bank SET bal = bal + $1 WHERE id = $2 RETURNING bal", params: []string{fmt.Sprint(delta), strconv.Itoa(a)}, writes: true,
			do: func(s *state) string { s.bal[a] += delta; return fmt.Sprintf("%d\n", s.bal[a]) + updated(1) }}
	case 7, 8:
		return op{sql: fmt.Sprintf("UPDATE lists SET vals = vals || %d WHERE k = %d", unique, k), writes: true, do: func(s *state) string {
			if s.list[k] == nil {
				return updated(0)
			}
			s.list[k] = append(s.list[k], unique)
			return updated(1)
		}}
	case 9:
		return op{sql: fmt.Sprintf("INSERT INTO lists VALUES (%d, '{%d}') ON CONFLICT (k) DO UPDATE SET vals = lists.vals || excluded.vals", k, unique), writes: true,
			do: func(s *state) string { s.list[k] = append(s.list[k], unique); return "INSERT 0 1" }}
	case 10:
		return op{sql: "SELECT vals FROM lists WHERE k = $1", params: []string{strconv.Itoa(k)}, do: func(s *state) string {
			if s.list[k] == nil {
				return "SELECT 0"
			}
			return array(s.list[k]) + "\nSELECT 1"
		}}
	case 11:
		return op{sql: "SELECT k, vals FROM lists ORDER BY k DESC", do: func(s *state) string {
			out, n := "", 0
			for i := lists - 1; i >= 0; i-- {
				if s.list[i] != nil {
					out += fmt.Sprintf("%d|%s\n", i, array(s.list[i]))
					n++
				}
			}
			return fmt.Sprintf("%sSELECT %d", out, n)
		}}
	case 12:
		return op{sql: fmt.Sprintf("DELETE FROM lists WHERE k = %d AND cardinality(vals) > 12", k), writes: true, do: func(s *state) string {
			if len(s.list[k]) <= 12 {
				return "DELETE 0"
			}
			s.list[k] = nil
			return "DELETE 1"
		}}
	case 13, 14:
		return op{sql: fmt.Sprintf("SELECT count(*) FROM duty WHERE team = %d AND on_call", team), do: func(s *state) string {
			return fmt.Sprintf("%d\nSELECT 1", s.onCall(team))
		}}
	case 15:
		to := rnd.IntN(2) == 0
		return op{sql: fmt.Sprintf("UPDATE duty SET on_call = %t WHERE id = %d", to, d), writes: true,
			do: func(s *state) string { s.duty[d] = to; return updated(1) }}
	case 16: // in one statement: the last one of a team stays
		return op{sql: fmt.Sprintf("UPDATE duty SET on_call = false WHERE id = %d AND (SELECT count(*) FROM duty o WHERE o.team = duty.team AND o.on_call) > 1", d), writes: true,
			do: func(s *state) string {
				if s.onCall(d%teams) <= 1 {
					return updated(0)
				}
				s.duty[d] = false
				return updated(1)
			}}
	}
	return failingOp(rnd, a, k, unique)
}

// failingOp draws a statement that fails always, or in some states.
func failingOp(rnd *rand.Rand, a, k, unique int) op {
	switch rnd.IntN(3) {
	case 0:
		return op{sql: fmt.Sprintf("INSERT INTO bank VALUES (%d, 1)", a), writes: true, do: func(*state) string { return "ERROR 23505" }}
	case 1:
		return op{sql: fmt.Sprintf("UPDATE bank SET bal = bal / (bal - bal) WHERE id = %d", a), writes: true, do: func(*state) string { return "ERROR 22012" }}
	}
	return op{sql: fmt.Sprintf("INSERT INTO lists VALUES (%d, '{%d}')", k, unique), writes: true, do: func(s *state) string {
		if s.list[k] != nil {
			return "ERROR 23505"
		}
		s.list[k] = []int{unique}
		return "INSERT 0 1"
	}}
}

func (s *state) onCall(team int) int {
	n := 0
	for i, on := range s.duty {
		if on && i%teams == team {
			n++
		}
	}
	return n
}

// readAll is what the tables must answer at the end.
const readAll = `SELECT 'b', id, bal::text FROM bank UNION ALL SELECT 'd', id, on_call::text FROM duty UNION ALL SELECT 'l', k, vals::text FROM lists UNION ALL SELECT 't', id, what::text FROM tickets ORDER BY 1, 2`

func (s *state) all() string {
	var b strings.Builder
	n := accounts + doctors
	for i, v := range s.bal {
		fmt.Fprintf(&b, "b|%d|%d\n", i, v)
	}
	for i, v := range s.duty {
		fmt.Fprintf(&b, "d|%d|%t\n", i, v)
	}
	for i, v := range s.list {
		if v != nil {
			fmt.Fprintf(&b, "l|%d|%s\n", i, array(v))
			n++
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.tickets)) {
		fmt.Fprintf(&b, "t|%d|%d\n", id, s.tickets[id])
		n++
	}
	return fmt.Sprintf("%sSELECT %d", b.String(), n)
}
