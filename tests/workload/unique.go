package workload

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tidemark-db/tidemark/tests/check"
)

// uniqueRivals is how many attempts are made for each name, about.
const uniqueRivals = 8

// uniqueViolation is the SQLSTATE of a second row with the same key.
const uniqueViolation = "23505"

// Unique inserts rows with the same name, as many clients as there are for each:
// one gets it at most.
type Unique struct {
	tries atomic.Int64

	mu        sync.Mutex
	winner    map[string]string // name to the mark of who was told it is theirs
	sent      map[string]bool   // marks that may be there
	duplicate int
	conflicts int
	unknown   int
}

// Setup implements Workload.
func (w *Unique) Setup(ctx context.Context, c *Client) error {
	w.winner, w.sent = map[string]string{}, map[string]bool{}
	_, err := must(ctx, c, "CREATE TABLE names (id serial PRIMARY KEY, name text NOT NULL UNIQUE, mark text NOT NULL)")
	return err
}

// Done implements Workload.
func (w *Unique) Done() bool { return false }

// Step implements Workload.
func (w *Unique) Step(ctx context.Context, c *Client) error {
	n := w.tries.Add(1)
	name, mark := fmt.Sprintf("name %d", n/uniqueRivals), fmt.Sprintf("mark %d", n)
	w.note(func() { w.sent[mark] = true })
	insert := fmt.Sprintf("INSERT INTO names (name, mark) VALUES ('%s', '%s')", name, mark)
	var a Answer
	taken := false // somebody else has it, and that was no error
	switch c.Rand.IntN(4) {
	case 0:
		a = c.Run(ctx, insert)
	case 1: // never an error, whoever comes between
		a = c.Run(ctx, insert+" ON CONFLICT (name) DO NOTHING")
		if a.Code == uniqueViolation {
			return fmt.Errorf("ON CONFLICT DO NOTHING answers %w", a.Err)
		}
		taken = a.Err == nil && a.Results[0].CommandTag.RowsAffected() == 0
	case 2: // a program that looks first
		a = c.Block(ctx, "BEGIN", func(q Query) error {
			shown, err := q("SELECT id FROM names WHERE name = $1", name)
			if err != nil {
				return err
			}
			if taken = len(shown.Rows) > 0; taken {
				return nil
			}
			_, err = q(insert)
			return err
		})
	default:
		a = c.Block(ctx, "BEGIN", func(q Query) error { _, err := q(insert); return err })
	}
	w.note(func() {
		switch {
		case a.Outcome == check.Unknown:
			w.unknown++
			return
		case a.Code == Conflict:
			w.conflicts++
		case a.Code == uniqueViolation:
			w.duplicate++
		}
		if a.Err != nil || taken {
			delete(w.sent, mark)
		}
	})
	if a.Err == nil && !taken {
		return w.won(name, mark)
	}
	return unexpected(a, Conflict, uniqueViolation)
}

func (w *Unique) note(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
}

func (w *Unique) won(name, mark string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if other, twice := w.winner[name]; twice {
		return fmt.Errorf("%s was given to %s and to %s", name, other, mark)
	}
	w.winner[name] = mark
	return nil
}

// Check implements Workload.
func (w *Unique) Check(ctx context.Context, c *Client) error {
	rows, err := must(ctx, c, "SELECT name, mark FROM names ORDER BY id")
	if err != nil {
		return err
	}
	have := map[string]string{}
	for _, r := range rows {
		name, mark := r[0], r[1]
		if other, twice := have[name]; twice {
			return fmt.Errorf("%s is there twice, for %s and %s", name, other, mark)
		}
		have[name] = mark
		if !w.sent[mark] {
			return fmt.Errorf("%s has %s, whose insert was refused", mark, name)
		}
	}
	for name, mark := range w.winner {
		if have[name] != mark {
			return fmt.Errorf("%s was given to %s, it has %q", name, mark, have[name])
		}
		byIndex, err := must(ctx, c, "SELECT mark FROM names WHERE name = '"+name+"'")
		if err != nil {
			return err
		}
		if len(byIndex) != 1 || byIndex[0][0] != mark {
			return fmt.Errorf("the index finds %q for %s", byIndex, name)
		}
	}
	return nil
}

// String implements Workload.
func (w *Unique) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("unique: %d names given, %d duplicates refused, %d conflicts, %d unknown", len(w.winner), w.duplicate, w.conflicts, w.unknown)
}
