package workload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
)

// Tokens writes on one connection and reads on another one, mostly of another
// server, which is only asked for what the token of the write stands for. It must
// see that write, and whatever this client has seen before.
type Tokens struct {
	mu                          sync.Mutex
	rows                        map[int]*tokenRow // by client
	writes, reads, late, unsure int
}

// tokenRow is what one client knows about its row.
type tokenRow struct {
	acknowledged, tried int // the highest numbers
	reader              *Client
}

// Setup implements Workload.
func (w *Tokens) Setup(ctx context.Context, c *Client) error {
	w.rows = map[int]*tokenRow{}
	_, err := must(ctx, c, "CREATE TABLE marks (id int PRIMARY KEY, n bigint NOT NULL)")
	return err
}

// Done implements Workload.
func (w *Tokens) Done() bool { return false }

// row returns the client's own row.
func (w *Tokens) row(c *Client) *tokenRow {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rows[c.Number]
	if r == nil {
		r = &tokenRow{reader: &Client{Number: c.Number, Rand: c.Rand, servers: c.servers}}
		w.rows[c.Number] = r
	}
	return r
}

// Step implements Workload.
func (w *Tokens) Step(ctx context.Context, c *Client) error {
	r := w.row(c)
	r.tried++
	a := c.Run(ctx, "INSERT INTO marks VALUES ($1::int, $2::bigint) ON CONFLICT (id) DO UPDATE SET n = excluded.n", strconv.Itoa(c.Number), strconv.Itoa(r.tried))
	if a.Err != nil {
		w.count(&w.unsure)
		return unexpected(a)
	}
	r.acknowledged = r.tried
	w.count(&w.writes)
	token := c.conn.ParameterStatus("tidemark.token")
	if token == "" {
		return errors.New("there is no token after a commit")
	}
	if c.Rand.IntN(4) == 0 {
		r.reader.Close() // the next one may be another server's
	}
	return w.read(ctx, r, c.Number, token)
}

// read looks at the row with a token, at the lowest level.
func (w *Tokens) read(ctx context.Context, r *tokenRow, number int, token string) error {
	a := r.reader.Run(ctx, fmt.Sprintf("SET tidemark.read_consistency = 'session'; SET tidemark.read_after = '%s'; SELECT n FROM marks WHERE id = %d", token, number))
	if a.Err != nil {
		w.count(&w.late)
		r.reader.Close()
		return unexpected(a)
	}
	w.count(&w.reads)
	if len(a.Rows) != 1 {
		return fmt.Errorf("client %d does not see its row with %s", number, token)
	}
	n, err := strconv.Atoi(a.Rows[0][0])
	if err != nil {
		return fmt.Errorf("a mark is no number: %w", err)
	}
	if n < r.acknowledged || n > r.tried {
		return fmt.Errorf("client %d reads %d with %s, it has written %d", number, n, token, r.acknowledged)
	}
	return nil
}

func (w *Tokens) count(n *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n++
}

// Check implements Workload.
func (w *Tokens) Check(ctx context.Context, c *Client) error {
	for number, r := range w.rows {
		r.reader.Close()
		if r.acknowledged == 0 {
			continue
		}
		rows, err := must(ctx, c, fmt.Sprintf("SELECT n FROM marks WHERE id = %d", number))
		if err != nil {
			return err
		}
		if n, err := strconv.Atoi(rows[0][0]); err != nil || n < r.acknowledged || n > r.tried {
			return fmt.Errorf("client %d has %s (%v), it has written %d", number, rows[0][0], err, r.acknowledged)
		}
	}
	return nil
}

// String implements Workload.
func (w *Tokens) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("tokens: %d writes, %d reads elsewhere, %d of them too late, %d writes lost or unknown", w.writes, w.reads, w.late, w.unsure)
}
