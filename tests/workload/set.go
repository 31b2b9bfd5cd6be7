package workload

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/tidemark-db/tidemark/tests/check"
)

// Set inserts numbers, each once, into a table that would take them twice.
type Set struct {
	mu           sync.Mutex
	next         int
	acknowledged map[int]bool
	unknown      map[int]int // with the first one of their transaction
	undone       int
}

// Setup implements Workload.
func (w *Set) Setup(ctx context.Context, c *Client) error {
	w.acknowledged, w.unknown = map[int]bool{}, map[int]int{}
	_, err := must(ctx, c, "CREATE TABLE elements (v bigint NOT NULL)")
	return err
}

// Done implements Workload.
func (w *Set) Done() bool { return false }

// setTogether is how many numbers are inserted at once at most.
const setTogether = 4

// Step implements Workload.
func (w *Set) Step(ctx context.Context, c *Client) error {
	n := 1 + c.Rand.IntN(setTogether)
	w.mu.Lock()
	first := w.next
	w.next += n
	w.mu.Unlock()
	var all []Statement
	for i := range n {
		all = append(all, Statement{"INSERT INTO elements VALUES ($1)", []string{strconv.Itoa(first + i)}})
	}
	var a Answer
	rollBack := false
	switch c.Rand.IntN(4) {
	case 0:
		a = c.Run(ctx, fmt.Sprintf("INSERT INTO elements SELECT g FROM generate_series(%d, %d) g", first, first+n-1))
	case 1:
		a = c.Pipeline(ctx, all)
	default:
		rollBack = c.Rand.IntN(5) == 0
		a = c.Block(ctx, "BEGIN", func(q Query) error {
			for i, s := range all {
				if i == 1 { // what is undone leaves nothing
					for _, sql := range []string{"SAVEPOINT s", fmt.Sprintf("INSERT INTO elements VALUES (-%d)", first+1), "ROLLBACK TO s"} {
						if _, err := q(sql); err != nil {
							return err
						}
					}
				}
				if _, err := q(s.SQL, s.Params...); err != nil {
					return err
				}
			}
			if rollBack {
				return ErrRollback
			}
			return nil
		})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range n {
		switch a.Outcome {
		case check.Committed:
			w.acknowledged[first+i] = true
		case check.Unknown:
			w.unknown[first+i] = first
		default:
			w.undone++
		}
	}
	if rollBack {
		return nil
	}
	return unexpected(a)
}

// Check implements Workload.
func (w *Set) Check(ctx context.Context, c *Client) error {
	rows, err := must(ctx, c, "SELECT v FROM elements")
	if err != nil {
		return err
	}
	have := map[int]bool{}
	for _, r := range rows {
		v, err := strconv.Atoi(r[0])
		if err != nil {
			return fmt.Errorf("an element is no number: %w", err)
		}
		if _, unknown := w.unknown[v]; !unknown && !w.acknowledged[v] {
			return fmt.Errorf("%d is there, which was not sent or was rolled back", v)
		}
		if have[v] {
			return fmt.Errorf("%d is there twice", v)
		}
		have[v] = true
	}
	for v := range w.acknowledged {
		if !have[v] {
			return fmt.Errorf("%d was acknowledged and is lost", v)
		}
	}
	for v, first := range w.unknown {
		if have[v] != have[first] {
			return fmt.Errorf("half a transaction: %d is there: %t, %d: %t", first, have[first], v, have[v])
		}
	}
	return nil
}

// String implements Workload.
func (w *Set) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("set: %d acknowledged, %d not done, %d unknown", len(w.acknowledged), w.undone, len(w.unknown))
}
