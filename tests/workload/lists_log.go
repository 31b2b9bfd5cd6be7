package workload

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/tests/check"
)

// valueText finds values in the text of a command.
var valueText = regexp.MustCompile(`\d{7,}`)

// logPage is how many commands are read from the log at a time.
const logPage = 5_000

// consultLog reads tidemark.log. A transaction of unknown outcome that it has is
// given its offset; an acknowledged one must be there, at the offset that its
// client was told, and one that was refused must not.
func (w *Lists) consultLog(ctx context.Context, c *Client) error {
	logged := map[*check.Txn]log.Offset{}
	after := log.Offset(0)
	for {
		rows, err := must(ctx, c, fmt.Sprintf("SELECT lsn, command || ' ' || coalesce(params::text, '') FROM tidemark.log "+
			"WHERE lsn > '%s' AND sqlstate IS NULL AND command LIKE '%%lists_%%' ORDER BY lsn LIMIT %d", after, logPage))
		if err != nil {
			return err
		}
		for _, row := range rows {
			if after, err = log.ParseOffset(row[0]); err != nil {
				return fmt.Errorf("the log has an offset that is none: %w", err)
			}
			if err := w.entry(logged, after, row[1]); err != nil {
				return err
			}
		}
		if len(rows) < logPage {
			break
		}
	}
	for _, t := range w.history {
		off, ok := logged[t]
		switch {
		case t.Outcome == check.Unknown:
			t.Offset = off
		case t.Outcome == check.Aborted && ok:
			return fmt.Errorf("the log has a transaction that was refused, at %s: %s", off, t)
		case ok && off != t.Offset:
			return fmt.Errorf("the log has it at %s: %s", off, t)
		case !ok && t.Outcome == check.Committed && writes(t):
			return fmt.Errorf("the log does not have it: %s", t)
		}
	}
	return nil
}

// entry notes whose transaction a command of the log is.
func (w *Lists) entry(logged map[*check.Txn]log.Offset, at log.Offset, command string) error {
	var owner *check.Txn
	for _, text := range valueText.FindAllString(command, -1) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("the log has a value that is none: %w", err)
		}
		sender, ok := w.senders.Load(check.Value(n))
		if !ok || owner != nil && sender != owner {
			return fmt.Errorf("the log has at %s what nobody sent: %s", at, command)
		}
		owner = sender.(*check.Txn)
	}
	if owner == nil {
		return nil // it makes a table
	}
	if other, twice := logged[owner]; twice {
		return fmt.Errorf("the log has it twice, at %s and %s: %s", other, at, owner)
	}
	logged[owner] = at
	return nil
}

func writes(t *check.Txn) bool {
	for _, o := range t.Ops {
		if o.Kind == check.Append {
			return true
		}
	}
	return false
}
