package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// shapeOp draws a statement that gives table shape a column, takes one away or
// shows its one row.
func shapeOp(rnd *rand.Rand) op {
	c := rnd.IntN(shapeColumns)
	switch rnd.IntN(4) {
	case 0:
		return op{sql: fmt.Sprintf("ALTER TABLE shape ADD COLUMN c%d int DEFAULT %d", c, c), writes: true, do: func(s *state) string {
			if slices.Contains(s.shape, c) {
				return "ERROR 42701"
			}
			s.shape = append(s.shape, c)
			return "ALTER TABLE"
		}}
	case 1:
		return op{sql: fmt.Sprintf("ALTER TABLE shape DROP COLUMN c%d", c), writes: true, do: func(s *state) string {
			i := slices.Index(s.shape, c)
			if i < 0 {
				return "ERROR 42703"
			}
			s.shape = slices.Delete(s.shape, i, i+1)
			return "ALTER TABLE"
		}}
	}
	return op{sql: showShape, do: (*state).showShape}
}

const showShape = "SELECT * FROM shape"

func (s *state) showShape() string {
	row := "0"
	for _, c := range s.shape {
		row += "|" + strconv.Itoa(c)
	}
	return row + "\nSELECT 1"
}

// extraOp draws a statement on a table that comes and goes.
func extraOp(rnd *rand.Rand, unique int) op {
	k := rnd.IntN(extras)
	x := op{writes: true}
	wants := func(there bool, code string, do func(s *state) string) func(*state) string {
		return func(s *state) string {
			if (s.extra[k] != noTable) != there {
				return "ERROR " + code
			}
			return do(s)
		}
	}
	switch rnd.IntN(5) {
	case 0, 1:
		x.sql = fmt.Sprintf("CREATE TABLE extra%d (id int PRIMARY KEY)", k)
		x.do = wants(false, "42P07", func(s *state) string { s.extra[k] = 0; return "CREATE TABLE" })
	case 2:
		x.sql = fmt.Sprintf("DROP TABLE extra%d", k)
		x.do = wants(true, "42P01", func(s *state) string { s.extra[k] = noTable; return "DROP TABLE" })
	case 3:
		x.sql = fmt.Sprintf("INSERT INTO extra%d VALUES (%d)", k, unique)
		x.do = wants(true, "42P01", func(s *state) string { s.extra[k]++; return "INSERT 0 1" })
	default:
		x.sql, x.writes = countExtra(k), false
		x.do = func(s *state) string { return s.countExtra(k) }
	}
	return x
}

func countExtra(k int) string { return fmt.Sprintf("SELECT count(*) FROM extra%d", k) }

func (s *state) countExtra(k int) string {
	if s.extra[k] == noTable {
		return "ERROR 42P01"
	}
	return fmt.Sprintf("%d\nSELECT 1", s.extra[k])
}

// ticketOp draws from a sequence, ahead of the commit. Which number it gets is not
// known before: one that nobody else was ever shown, whatever became of them.
func (w *world) ticketOp(unique int) op {
	return op{sql: fmt.Sprintf("INSERT INTO tickets (what) VALUES (%d) RETURNING id", unique), writes: true, given: func(a answer) func(*state) string {
		text, _, _ := strings.Cut(a.out, "\n")
		id, err := strconv.Atoi(text)
		return func(s *state) string {
			if err != nil {
				return "a number"
			}
			if what, taken := w.shown[id]; taken && what != unique {
				return fmt.Sprintf("a number of its own: %d was shown for %d", id, what)
			}
			w.shown[id] = unique
			s.tickets[id] = unique
			return fmt.Sprintf("%d\nINSERT 0 1", id)
		}
	}}
}
