package workload

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/tidemark-db/tidemark/tests/check"
)

// childParents is how many parents there may be at a time.
const childParents = 12

// foreignKeyViolation is the SQLSTATE of an orphan that was prevented.
const foreignKeyViolation = "23503"

// Children inserts and deletes parents while others give them children, in one
// table that keeps such parents and in one that takes the children with them.
// Nobody ever sees an orphan.
type Children struct {
	done, refused, conflicts, unknown, looked atomic.Int64
}

// Setup implements Workload.
func (w *Children) Setup(ctx context.Context, c *Client) error {
	_, err := must(ctx, c, "CREATE TABLE parents (id int PRIMARY KEY); "+
		"CREATE TABLE kept (id serial PRIMARY KEY, parent int NOT NULL REFERENCES parents (id)); "+
		"CREATE TABLE taken (id serial PRIMARY KEY, parent int NOT NULL REFERENCES parents (id) ON DELETE CASCADE)")
	return err
}

// Done implements Workload.
func (w *Children) Done() bool { return false }

// Step implements Workload.
func (w *Children) Step(ctx context.Context, c *Client) error {
	p := c.Rand.IntN(childParents)
	table := []string{"kept", "taken"}[c.Rand.IntN(2)]
	statements := [][]string{
		{fmt.Sprintf("INSERT INTO parents VALUES (%d) ON CONFLICT DO NOTHING", p)},
		{fmt.Sprintf("INSERT INTO %s (parent) VALUES (%d)", table, p)},
		{fmt.Sprintf("DELETE FROM parents WHERE id = %d", p)},
		{fmt.Sprintf("DELETE FROM kept WHERE parent = %d", p), fmt.Sprintf("DELETE FROM parents WHERE id = %d", p)},
		{fmt.Sprintf("SELECT id FROM parents WHERE id = %d", p), fmt.Sprintf("INSERT INTO %s (parent) VALUES (%d)", table, p)},
		{fmt.Sprintf("UPDATE %s SET parent = %d WHERE parent = %d", table, (p+1)%childParents, p)},
		nil,
	}[c.Rand.IntN(7)]
	if statements == nil {
		return w.look(ctx, c)
	}
	var a Answer
	if len(statements) == 1 && c.Rand.IntN(2) == 0 {
		a = c.Run(ctx, statements[0])
	} else {
		a = c.Block(ctx, "BEGIN", func(q Query) error {
			for _, sql := range statements {
				if _, err := q(sql); err != nil {
					return err
				}
			}
			return nil
		})
	}
	switch {
	case a.Err == nil:
		w.done.Add(1)
	case a.Outcome == check.Unknown:
		w.unknown.Add(1)
	case a.Code == Conflict:
		w.conflicts.Add(1)
	case a.Code == foreignKeyViolation:
		w.refused.Add(1)
	}
	return unexpected(a, Conflict, foreignKeyViolation)
}

// look counts the orphans.
func (w *Children) look(ctx context.Context, c *Client) error {
	w.looked.Add(1)
	for _, table := range []string{"kept", "taken"} {
		a := c.Run(ctx, fmt.Sprintf("SELECT c.id, c.parent FROM %s c LEFT JOIN parents p ON p.id = c.parent WHERE p.id IS NULL", table))
		if a.Err != nil {
			return unexpected(a)
		}
		if len(a.Rows) > 0 {
			return fmt.Errorf("orphans in %s: %q", table, a.Rows)
		}
	}
	return nil
}

// Check implements Workload.
func (w *Children) Check(ctx context.Context, c *Client) error {
	if _, err := must(ctx, c, "SELECT 1"); err != nil {
		return err
	}
	return w.look(ctx, c)
}

// String implements Workload.
func (w *Children) String() string {
	return fmt.Sprintf("children: %d transactions, %d kept from making orphans, %d conflicts, %d unknown, %d looks", w.done.Load(), w.refused.Load(), w.conflicts.Load(), w.unknown.Load(), w.looked.Load())
}
