package workload

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/tests/check"
)

// Feed makes changes of all kinds for those who consume them, and keeps a ledger of
// them. A row's key is the number of the write that made it, so no key is used
// twice; only the rows of hot and mark stay.
type Feed struct {
	// Enough is how many acknowledged changes are enough; 0 for no end.
	Enough int

	start  time.Time
	ledger check.Ledger

	mu      sync.Mutex
	own     map[int]*feedRows
	changes int
	columns int // that were added to shape
}

// FeedTables are what a Feed writes to, with the definitions that a subscriber
// needs. Each has a key named id.
var FeedTables = map[string]string{
	"cold":  "id bigint PRIMARY KEY, w bigint, n int, s text, b bytea, ok boolean",
	"hot":   "id bigint PRIMARY KEY, w bigint, n bigint",
	"whole": "id bigint PRIMARY KEY, w bigint, s text",
	"brief": "id bigint PRIMARY KEY, w bigint",
	"bulk":  "id bigint PRIMARY KEY, w bigint, s text",
	"shape": "id bigint PRIMARY KEY, w bigint",
	"mark":  "id bigint PRIMARY KEY, w bigint",
}

// FeedWhole is the table that is published with all of its old rows.
const FeedWhole = "whole"

// FeedColumns is how many columns are added to the table shape at most; they are
// named by FeedColumn.
const FeedColumns = 30

// FeedColumn is the name of a column that is added.
func FeedColumn(i int) string { return fmt.Sprintf("c%d", i) }

const (
	feedHot     = 8  // rows that everybody updates
	feedMarks   = 64 // more than there are clients
	feedKept    = 64 // rows of its own that a client knows
	feedBlocks  = 3  // blocks of its own that a client has at once
	feedAtOnce  = 5
	feedBlock   = 200  // rows in a block at most
	feedCopied  = 9000 // rows of a COPY that has more than one chunk
	feedPadding = 150  // bytes in each of them
)

// feedRows are the rows that a client knows to be there, because nobody else
// touches them.
type feedRows struct {
	cold, whole []int64
	blocks      []feedBlockRows
}

// feedBlockRows are rows with keys one after the other.
type feedBlockRows struct {
	first int64
	n     int
}

// Setup implements Workload.
func (w *Feed) Setup(ctx context.Context, c *Client) error {
	w.start, w.own = time.Now(), map[int]*feedRows{}
	var b strings.Builder
	for name, columns := range FeedTables { // order does not matter
		fmt.Fprintf(&b, "CREATE TABLE %s (%s); ", name, columns)
	}
	fmt.Fprintf(&b, "ALTER TABLE %s REPLICA IDENTITY FULL; ", FeedWhole)
	fmt.Fprintf(&b, "INSERT INTO hot SELECT g, 0, 0 FROM generate_series(1, %d) g; INSERT INTO mark SELECT g, 0 FROM generate_series(0, %d) g", feedHot, feedMarks)
	_, err := must(ctx, c, b.String())
	return err
}

// Ledger is what was done.
func (w *Feed) Ledger() *check.Ledger { return &w.ledger }

// Done implements Workload.
func (w *Feed) Done() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Enough > 0 && w.changes >= w.Enough
}

// Check implements Workload: those who consume the changes check them.
func (w *Feed) Check(context.Context, *Client) error { return nil }

// String implements fmt.Stringer.
func (w *Feed) String() string {
	o := w.ledger.Outcomes()
	return fmt.Sprintf("feed: %d changes acknowledged, in %d transactions; %d refused, %d unknown", w.ledger.Changes(), o[check.Committed], o[check.Aborted], o[check.Unknown])
}

// feedOps are what a client does, each so many times of a thousand.
var feedOps = []struct {
	times int
	do    func(f *feeder) error
}{
	{260, (*feeder).insert}, {120, (*feeder).insertBlock}, {130, (*feeder).update}, {100, (*feeder).updateHot}, {80, (*feeder).interactive},
	{60, (*feeder).moveKey}, {70, (*feeder).remove}, {70, (*feeder).updateBlock}, {40, (*feeder).fail}, {30, (*feeder).savepoints},
	{15, (*feeder).message}, {10, (*feeder).messageOutside}, {10, (*feeder).define}, {4, (*feeder).truncate}, {2, (*feeder).copyIn}, {1, (*feeder).failToCopy},
}

// feeder is a client in one step.
type feeder struct {
	w   *Feed
	ctx context.Context
	c   *Client
	own *feedRows
}

// Step implements Workload.
func (w *Feed) Step(ctx context.Context, c *Client) error {
	w.mu.Lock()
	own := w.own[c.Number]
	if own == nil {
		own = &feedRows{}
		w.own[c.Number] = own
	}
	w.mu.Unlock()
	f := &feeder{w, ctx, c, own}
	total := 0
	for _, o := range feedOps {
		total += o.times
	}
	n := c.Rand.IntN(total)
	for _, o := range feedOps {
		if n -= o.times; n < 0 {
			return o.do(f)
		}
	}
	return nil
}

// begin takes numbers for a transaction.
func (f *feeder) begin(numbers int) (*check.Attempt, int64) {
	a, first := f.w.ledger.Begin(numbers, check.Instant(time.Since(f.w.start)))
	return a, int64(first)
}

// end notes what came of a transaction. It reports whether the rows are now known to
// be as it leaves them, and an answer that may not be.
func (f *feeder) end(x *check.Attempt, a Answer, changes []check.RowChange, codes ...string) (bool, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	x.Outcome, x.Offset = a.Outcome, a.Offset
	if a.Outcome != check.Aborted { // of what must not be there nothing needs to be known
		x.Changes = changes
	}
	if a.Err == nil {
		x.End = check.Instant(time.Since(f.w.start))
		f.w.changes += len(changes)
	}
	return a.Err == nil, unexpected(a, codes...)
}

// change tells of a change of a row.
func change(op byte, table string, key, write int64) check.RowChange {
	return check.RowChange{Op: op, Table: table, Key: key, Write: check.Write(write)}
}

// mark updates the client's own row of mark, for transactions that would bear no
// number.
func (f *feeder) mark(write int64) (string, check.RowChange) {
	id := int64(f.c.Number % feedMarks)
	return fmt.Sprintf("UPDATE mark SET w = %d WHERE id = %d", write, id), change('U', "mark", id, write)
}

// oneOf takes one of some keys out of their list.
func (f *feeder) oneOf(keys *[]int64) (int64, bool) {
	n := len(*keys)
	if n == 0 {
		return 0, false
	}
	i := f.c.Rand.IntN(n)
	k := (*keys)[i]
	(*keys)[i] = (*keys)[n-1]
	*keys = (*keys)[:n-1]
	return k, true
}

// keep notes a row, unless there are enough.
func keep(keys *[]int64, key int64) {
	if len(*keys) < feedKept {
		*keys = append(*keys, key)
	}
}
