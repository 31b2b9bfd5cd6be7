package workload

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/tidemark-db/tidemark/tests/check"
)

// Counter counts in one row that all clients want, half of them in the client:
// it reads the number and writes the next one. Such a client may be refused, but
// no count is lost and no number is given twice.
type Counter struct {
	// ClientSide leaves out the counting on the server.
	ClientSide bool

	mu                           sync.Mutex
	given                        map[int]bool // numbers that clients were told are theirs
	conflicts, attempts, unknown int
	inClient                     int
}

// Setup implements Workload.
func (w *Counter) Setup(ctx context.Context, c *Client) error {
	w.given = map[int]bool{}
	_, err := must(ctx, c, "CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL); INSERT INTO counter VALUES (1, 0)")
	return err
}

// Done implements Workload.
func (w *Counter) Done() bool { return false }

// Step implements Workload.
func (w *Counter) Step(ctx context.Context, c *Client) error {
	mine := 0
	take := func(text string, add int) (err error) {
		if mine, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("a count is no number: %w", err)
		}
		mine += add
		return nil
	}
	var a Answer
	client := w.ClientSide || c.Rand.IntN(2) == 0
	if client {
		a = c.Block(ctx, "BEGIN", func(q Query) error {
			shown, err := q("SELECT n FROM counter WHERE id = 1")
			if err != nil {
				return err
			}
			if err := take(shown.Rows[0][0], 1); err != nil {
				return err
			}
			_, err = q("UPDATE counter SET n = $1 WHERE id = 1", strconv.Itoa(mine))
			return err
		})
	} else {
		a = c.Run(ctx, "UPDATE counter SET n = n + 1 WHERE id = 1 RETURNING n")
		if a.Err == nil {
			if err := take(a.Rows[0][0], 0); err != nil {
				return err
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts++
	if client {
		w.inClient++
	}
	switch {
	case a.Err == nil && w.given[mine]:
		return fmt.Errorf("number %d was given twice: an update is lost", mine)
	case a.Err == nil:
		w.given[mine] = true
	case a.Outcome == check.Unknown:
		w.unknown++
	case a.Code == Conflict && client:
		w.conflicts++
	case a.Code == Conflict:
		return fmt.Errorf("a single statement is refused: %w", a.Err)
	}
	return unexpected(a, Conflict)
}

// Check implements Workload.
func (w *Counter) Check(ctx context.Context, c *Client) error {
	rows, err := must(ctx, c, "SELECT n FROM counter WHERE id = 1")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(rows[0][0])
	if err != nil {
		return fmt.Errorf("a count is no number: %w", err)
	}
	if n < len(w.given) || n > len(w.given)+w.unknown {
		return fmt.Errorf("it counts %d, %d were acknowledged and %d are unknown", n, len(w.given), w.unknown)
	}
	for x := range w.given {
		if x > n {
			return fmt.Errorf("number %d was given, it counts %d", x, n)
		}
	}
	return nil
}

// Conflicts are the attempts that were refused, and all of those in the client.
func (w *Counter) Conflicts() (refused, of int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conflicts, w.inClient
}

// String implements Workload.
func (w *Counter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("counter: %d counted in %d attempts, %d of these in the client and %d of those refused, %d unknown", len(w.given), w.attempts, w.inClient, w.conflicts, w.unknown)
}
