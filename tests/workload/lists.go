package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemark-db/tidemark/tests/check"
)

const (
	// listsAtATime is how many lists are read and appended to at a time, and
	// listLength about how many values one gets before another takes its place.
	listsAtATime = 18
	listLength   = 30
	// firstValue makes the values easy to find in the text of a command.
	firstValue = 1_000_000
)

// Lists appends to lists and reads them, in every way there is to run a
// transaction, and keeps the history.
type Lists struct {
	Transactions int // how many to do

	began   time.Time
	value   atomic.Int64
	known   sync.Map // keys that are there for certain
	senders sync.Map // who sent each value, also where it came to nothing
	started atomic.Int64

	mu      sync.Mutex
	history check.History
	how     map[string]int
	codes   map[string]int
}

// now is the clock that all clients share.
func (w *Lists) now() check.Instant { return check.Instant(time.Since(w.began)) }

// Setup implements Workload.
func (w *Lists) Setup(ctx context.Context, c *Client) error {
	w.began, w.how, w.codes = time.Now(), map[string]int{}, map[string]int{}
	w.value.Store(firstValue)
	for _, s := range stores {
		if _, err := must(ctx, c, s.create()); err != nil {
			return err
		}
	}
	return nil
}

// Done implements Workload.
func (w *Lists) Done() bool { return w.started.Load() >= int64(w.Transactions) }

// Step implements Workload.
func (w *Lists) Step(ctx context.Context, c *Client) error {
	w.started.Add(1)
	r := &run{w: w, c: c, t: &check.Txn{Client: c.Number, Start: w.now(), End: check.Never}}
	a, err := r.draw(ctx)
	if err != nil {
		return err
	}
	if err := unexpected(a, Conflict); err != nil && !errors.Is(a.Err, ErrRollback) {
		return fmt.Errorf("%s: %w", r.t, err)
	}
	if a.Code == Conflict && (r.t.How == "single" || r.t.How == "script" || !r.wrote) {
		return fmt.Errorf("refused, which is for transactions that were shown something before they wrote: %s: %w", r.t, a.Err)
	}
	r.t.Outcome, r.t.Offset = a.Outcome, a.Offset
	if a.Outcome != check.Unknown {
		r.t.End = w.now()
	}
	if a.Outcome == check.Committed {
		for _, o := range r.t.Ops {
			w.known.Store(o.Key, o.Kind == check.Append || len(o.List) > 0)
		}
	}
	w.add(r.t, a.Code)
	return nil
}

func (w *Lists) add(t *check.Txn, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t.ID = len(w.history)
	w.history = append(w.history, t)
	w.how[t.How]++
	if code != "" {
		w.codes[code]++
	}
}

// Check implements Workload: it reads all lists, looks into the log for what is
// unknown, and asks both judges.
func (w *Lists) Check(ctx context.Context, c *Client) error {
	if err := w.readAll(ctx, c); err != nil {
		return err
	}
	if err := w.consultLog(ctx, c); err != nil {
		return err
	}
	var errs []error
	for _, a := range append(check.Cycles(w.history), check.Witness(w.history)...) {
		errs = append(errs, errors.New(a.String()))
	}
	return errors.Join(errs...)
}

// readAll is the last transaction of the history.
func (w *Lists) readAll(ctx context.Context, c *Client) error {
	t := &check.Txn{Client: c.Number, How: "the end", Start: w.now()}
	shown := map[check.Key][]check.Value{}
	a := c.Block(ctx, "BEGIN READ ONLY", func(q Query) error {
		for _, s := range stores {
			all, err := q("SELECT k, v FROM " + s.table)
			if err != nil {
				return err
			}
			for _, row := range all.Rows {
				k, l, err := s.parseRow(row)
				if err != nil {
					return err
				}
				shown[k] = l
			}
		}
		return nil
	})
	if a.Err != nil {
		return a.Err
	}
	for k := range w.base() + listsAtATime {
		t.Ops = append(t.Ops, check.Op{Kind: check.Read, Key: k, List: shown[k]})
		delete(shown, k)
	}
	if len(shown) > 0 {
		return fmt.Errorf("lists that nobody made: %v", shown)
	}
	t.End = w.now()
	w.add(t, "")
	return nil
}

// base is the first of the lists in use.
func (w *Lists) base() check.Key {
	return check.Key((w.value.Load() - firstValue) / listLength)
}

// Len is how many transactions the history has.
func (w *Lists) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.history)
}

// String implements Workload.
func (w *Lists) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	outcomes := [3]int{}
	for _, t := range w.history {
		outcomes[t.Outcome]++
	}
	return fmt.Sprintf("lists: %d transactions, %d committed, %d refused or rolled back (%v), %d unknown; %v",
		len(w.history), outcomes[check.Committed], outcomes[check.Aborted], w.codes, outcomes[check.Unknown], w.how)
}
