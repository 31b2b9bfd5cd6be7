package workload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tidemark-db/tidemark/tests/check"
)

// coldRow is an INSERT of a row whose values are hard to write down.
func (f *feeder) coldRow(w int64) Statement {
	n, ok := strconv.FormatInt(w%1000-500, 10), strconv.FormatBool(w%3 == 0)
	s := fmt.Sprintf("it's \"%d\" \\ %s\n\täöü🌊 %s", w, strings.Repeat("x", int(w%40)), "[text]:'null'")
	if w%11 == 0 {
		return Statement{"INSERT INTO cold (id, w, s) VALUES ($1, $1::bigint, '')", []string{strconv.FormatInt(w, 10)}}
	}
	return Statement{"INSERT INTO cold VALUES ($1, $1::bigint, $2, $3, $4, $5)", []string{strconv.FormatInt(w, 10), n, s, fmt.Sprintf("\\x%08x00ff", w), ok}}
}

// insert inserts some rows together.
func (f *feeder) insert() error {
	n := 1 + f.c.Rand.IntN(feedAtOnce)
	x, w := f.begin(n)
	var all []Statement
	var changes []check.RowChange
	for i := range int64(n) {
		table, s := "cold", f.coldRow(w+i)
		if id := strconv.FormatInt(w+i, 10); i%3 == 2 {
			table, s = FeedWhole, Statement{"INSERT INTO whole VALUES ($1, $1::bigint, 's' || $1::text)", []string{id}}
		} else if i%5 == 3 {
			table, s = "brief", Statement{"INSERT INTO brief VALUES ($1, $1::bigint)", []string{id}}
		}
		all, changes = append(all, s), append(changes, change('I', table, w+i, w+i))
	}
	a := f.c.Pipeline(f.ctx, all)
	known, err := f.end(x, a, changes)
	if known {
		for _, ch := range changes {
			switch ch.Table {
			case "cold":
				keep(&f.own.cold, ch.Key)
			case FeedWhole:
				keep(&f.own.whole, ch.Key)
			}
		}
	}
	return err
}

// insertBlock inserts many rows by one statement.
func (f *feeder) insertBlock() error {
	if len(f.own.blocks) == feedBlocks {
		return f.removeBlock()
	}
	n := 1 + f.c.Rand.IntN(feedBlock)
	x, w := f.begin(n)
	a := f.c.Run(f.ctx, fmt.Sprintf("INSERT INTO bulk SELECT g, g, 'block ' || g FROM generate_series(%d, %d) g", w, w+int64(n)-1))
	return f.endBlock(x, a, w, n)
}

func (f *feeder) endBlock(x *check.Attempt, a Answer, w int64, n int) error {
	changes := make([]check.RowChange, n)
	for i := range changes {
		changes[i] = change('I', "bulk", w+int64(i), w+int64(i))
	}
	known, err := f.end(x, a, changes)
	if known {
		f.own.blocks = append(f.own.blocks, feedBlockRows{w, n})
	}
	return err
}

// copyIn brings more rows by COPY than one entry of the log takes.
func (f *feeder) copyIn() error {
	if len(f.own.blocks) == feedBlocks {
		return f.removeBlock()
	}
	x, w := f.begin(feedCopied)
	return f.endBlock(x, f.c.copyIn(f.ctx, "COPY bulk FROM STDIN", copiedRows(w).Bytes()), w, feedCopied)
}

// copiedRows are the rows of such a COPY.
func copiedRows(w int64) *bytes.Buffer {
	var b bytes.Buffer
	for i := range int64(feedCopied) {
		fmt.Fprintf(&b, "%d\t%d\t%s\n", w+i, w+i, strings.Repeat("c", feedPadding))
	}
	return &b
}

// failToCopy brings as many rows, and then one again that was among them.
func (f *feeder) failToCopy() error {
	x, w := f.begin(feedCopied)
	b := copiedRows(w)
	fmt.Fprintf(b, "%d\t%d\tagain\n", w, w)
	_, err := f.end(x, f.c.copyIn(f.ctx, "COPY bulk FROM STDIN", b.Bytes()), []check.RowChange{change('I', "bulk", w, w)}, errFeedRefused)
	return err
}

// copyIn runs a COPY as a transaction of its own.
func (c *Client) copyIn(ctx context.Context, sql string, data []byte) Answer {
	if err := c.connect(ctx); err != nil {
		return Answer{Err: err, Outcome: check.Aborted}
	}
	return c.alone(ctx, func(ctx context.Context) ([]*pgconn.Result, error) {
		_, err := c.conn.CopyFrom(ctx, bytes.NewReader(data), sql)
		return nil, err
	})
}

// takeBlock takes one of the client's blocks.
func (f *feeder) takeBlock() (feedBlockRows, bool) {
	n := len(f.own.blocks)
	if n == 0 {
		return feedBlockRows{}, false
	}
	b := f.own.blocks[0]
	f.own.blocks = f.own.blocks[1:]
	return b, true
}

// updateBlock updates many rows by one statement.
func (f *feeder) updateBlock() error {
	b, ok := f.takeBlock()
	if !ok {
		return f.insertBlock()
	}
	x, w := f.begin(b.n)
	last := b.first + int64(b.n) - 1
	a := f.c.Run(f.ctx, fmt.Sprintf("UPDATE bulk SET w = %d + (id - %d) WHERE id BETWEEN %d AND %d", w, b.first, b.first, last))
	changes := make([]check.RowChange, b.n)
	for i := range changes {
		changes[i] = change('U', "bulk", b.first+int64(i), w+int64(i))
	}
	known, err := f.end(x, a, changes)
	if known {
		f.own.blocks = append(f.own.blocks, b)
	}
	return err
}

func (f *feeder) removeBlock() error {
	b, _ := f.takeBlock()
	x, w := f.begin(1)
	mark, marked := f.mark(w)
	a := f.c.Run(f.ctx, fmt.Sprintf("%s; DELETE FROM bulk WHERE id BETWEEN %d AND %d", mark, b.first, b.first+int64(b.n)-1))
	changes := []check.RowChange{marked}
	for i := range b.n {
		changes = append(changes, change('D', "bulk", b.first+int64(i), 0))
	}
	_, err := f.end(x, a, changes)
	return err
}

// update updates a row or two of the client's own.
func (f *feeder) update() error {
	cold, ok := f.oneOf(&f.own.cold)
	if !ok {
		return f.insert()
	}
	whole, both := f.oneOf(&f.own.whole)
	x, w := f.begin(2)
	all := []Statement{{"UPDATE cold SET w = $2, n = n + 1, ok = NOT ok WHERE id = $1", []string{strconv.FormatInt(cold, 10), strconv.FormatInt(w, 10)}}}
	changes := []check.RowChange{change('U', "cold", cold, w)}
	if both {
		all = append(all, Statement{"UPDATE whole SET w = $2, s = CASE WHEN s IS NULL THEN 'back' END WHERE id = $1", []string{strconv.FormatInt(whole, 10), strconv.FormatInt(w+1, 10)}})
		changes = append(changes, change('U', FeedWhole, whole, w+1))
	}
	known, err := f.end(x, f.c.Pipeline(f.ctx, all), changes)
	if known {
		keep(&f.own.cold, cold)
		if both {
			keep(&f.own.whole, whole)
		}
	}
	return err
}

// updateHot updates a row that everybody updates.
func (f *feeder) updateHot() error {
	x, w := f.begin(1)
	id := 1 + f.c.Rand.Int64N(feedHot)
	a := f.c.Run(f.ctx, "UPDATE hot SET w = $1, n = n + 1 WHERE id = $2", strconv.FormatInt(w, 10), strconv.FormatInt(id, 10))
	_, err := f.end(x, a, []check.RowChange{change('U', "hot", id, w)})
	return err
}

// interactive reads a hot row and writes what comes of it, which others may make
// untrue meanwhile.
func (f *feeder) interactive() error {
	x, w := f.begin(2)
	id := 1 + f.c.Rand.Int64N(feedHot)
	a := f.c.Block(f.ctx, "BEGIN", func(q Query) error {
		seen, err := q(fmt.Sprintf("SELECT n FROM hot WHERE id = %d", id))
		if err != nil {
			return err
		}
		if _, err := q(fmt.Sprintf("UPDATE hot SET w = %d, n = %s + 1 WHERE id = %d", w, seen.Rows[0][0], id)); err != nil {
			return err
		}
		s := f.coldRow(w + 1)
		_, err = q(s.SQL, s.Params...)
		return err
	})
	_, err := f.end(x, a, []check.RowChange{change('U', "hot", id, w), change('I', "cold", w+1, w+1)}, Conflict)
	return err
}

// moveKey gives a row another key.
func (f *feeder) moveKey() error {
	old, ok := f.oneOf(&f.own.cold)
	if !ok {
		return f.insert()
	}
	x, w := f.begin(1)
	ch := change('U', "cold", w, w)
	ch.Old = old
	known, err := f.end(x, f.c.Run(f.ctx, fmt.Sprintf("UPDATE cold SET id = %d, w = %d WHERE id = %d", w, w, old)), []check.RowChange{ch})
	if known {
		keep(&f.own.cold, w)
	}
	return err
}

// remove deletes rows.
func (f *feeder) remove() error {
	cold, ok := f.oneOf(&f.own.cold)
	if !ok {
		return f.insert()
	}
	x, w := f.begin(1)
	sql, marked := f.mark(w)
	changes := []check.RowChange{marked, change('D', "cold", cold, 0)}
	sql += fmt.Sprintf("; DELETE FROM cold WHERE id = %d", cold)
	if whole, ok := f.oneOf(&f.own.whole); ok {
		changes = append(changes, change('D', FeedWhole, whole, 0))
		sql += fmt.Sprintf("; DELETE FROM whole WHERE id = %d", whole)
	}
	_, err := f.end(x, f.c.Run(f.ctx, sql), changes)
	return err
}

// truncate empties a table.
func (f *feeder) truncate() error {
	x, w := f.begin(2)
	sql, marked := f.mark(w)
	a := f.c.Run(f.ctx, fmt.Sprintf("%s; TRUNCATE brief; INSERT INTO brief VALUES (%d, %d)", sql, w+1, w+1))
	_, err := f.end(x, a, []check.RowChange{marked, {Op: 'T', Table: "brief"}, change('I', "brief", w+1, w+1)})
	return err
}

// FeedDDL is the prefix of the messages that tell of definitions.
const FeedDDL = "tidemark.ddl"

// define changes a table's definition and uses it.
func (f *feeder) define() error {
	x, w := f.begin(1)
	f.w.mu.Lock()
	i := f.w.columns
	f.w.columns++
	f.w.mu.Unlock()
	sql := fmt.Sprintf("ALTER TABLE shape ALTER COLUMN w SET DEFAULT %d; INSERT INTO shape VALUES (%d, %d)", w, w, w)
	if i < FeedColumns {
		c := FeedColumn(i)
		sql = fmt.Sprintf("ALTER TABLE shape ADD COLUMN %s text; INSERT INTO shape (id, w, %s) VALUES (%d, %d, 'first')", c, c, w, w)
	}
	_, err := f.end(x, f.c.Run(f.ctx, sql), []check.RowChange{{Op: 'M', Table: FeedDDL}, change('I', "shape", w, w)})
	return err
}

// errFeedRefused are how a transaction with a duplicate key ends.
const errFeedRefused = "23505"

// rolledBack makes the client's own ROLLBACK a refusal that is expected.
func rolledBack(a Answer) Answer {
	if errors.Is(a.Err, ErrRollback) {
		a.Code = errFeedRefused
	}
	return a
}

// fail does what leaves nothing: it is rolled back, by the client or by an error.
func (f *feeder) fail() error {
	x, w := f.begin(2)
	one, two := f.coldRow(w), f.coldRow(w+1)
	var a Answer
	if f.c.Rand.IntN(2) == 0 {
		a = f.c.Pipeline(f.ctx, []Statement{one, two, one})
	} else {
		a = f.c.Block(f.ctx, "BEGIN", func(q Query) error {
			for _, s := range []Statement{one, two} {
				if _, err := q(s.SQL, s.Params...); err != nil {
					return err
				}
			}
			return ErrRollback
		})
		a = rolledBack(a)
	}
	_, err := f.end(x, a, []check.RowChange{change('I', "cold", w, w), change('I', "cold", w+1, w+1)}, errFeedRefused)
	return err
}

// savepoints undoes a part of a transaction.
func (f *feeder) savepoints() error {
	x, w := f.begin(3)
	a := f.c.Block(f.ctx, "BEGIN", func(q Query) error {
		for _, s := range []Statement{f.coldRow(w), {SQL: "SAVEPOINT s"}, f.coldRow(w + 1), {SQL: "ROLLBACK TO s"}, f.coldRow(w + 2), {SQL: "RELEASE s"}} {
			if _, err := q(s.SQL, s.Params...); err != nil {
				return err
			}
		}
		return nil
	})
	_, err := f.end(x, a, []check.RowChange{change('I', "cold", w, w), change('I', "cold", w+2, w+2)})
	return err
}

// FeedNote is the prefix of the messages whose content is the number of a write.
const FeedNote = "note"

// message puts a message among the changes of a transaction.
func (f *feeder) message() error {
	x, w := f.begin(2)
	emit := fmt.Sprintf("SELECT 1 FROM pg_logical_emit_message(true, '%s', '%d')", FeedNote, w)
	row := f.coldRow(w + 1)
	changes := []check.RowChange{change('M', FeedNote, 0, w), change('I', "cold", w+1, w+1)}
	a := f.c.Pipeline(f.ctx, []Statement{{emit, []string{}}, row})
	_, err := f.end(x, a, changes)
	return err
}

// messageOutside emits a message that stays although the transaction around it is
// rolled back.
func (f *feeder) messageOutside() error {
	x, w := f.begin(1)
	y, undone := f.begin(1)
	sent, heard := false, false
	a := f.c.Block(f.ctx, "BEGIN", func(q Query) error {
		s := f.coldRow(undone)
		if _, err := q(s.SQL, s.Params...); err != nil {
			return err
		}
		sent = true
		if _, err := q(fmt.Sprintf("SELECT pg_logical_emit_message(false, '%s', '%d')", FeedNote, w)); err != nil {
			return err
		}
		heard = true
		return ErrRollback
	})
	outcome := a
	switch {
	case heard:
		outcome = Answer{}
	case sent && a.lost():
		outcome.Outcome = check.Unknown
	}
	if _, err := f.end(x, outcome, []check.RowChange{change('M', FeedNote, 0, w)}); err != nil {
		return err
	}
	_, err := f.end(y, rolledBack(a), []check.RowChange{change('I', "cold", undone, undone)}, errFeedRefused)
	return err
}
