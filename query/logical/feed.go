package logical

import (
	"context"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/types"
)

// progressEvery is how often a consumer that wants to know its progress is told
// while it is behind.
const progressEvery = time.Second

// unwantedMax is how many records are passed over in one call of Next.
const unwantedMax = 1024

// Feed yields changes one by one to a consumer with a plain driver: those of
// committed transactions, in their order. Between Park, or Wait, and Next it holds
// nothing of the store, and never more than one change.
//
// It belongs to one goroutine.
type Feed struct {
	reader   *ChangeReader
	rows     *changeRows
	after    log.Offset // changes up to here are not wanted
	progress bool
	told     log.Offset // the progress told last
	toldAny  bool
	toldAt   time.Time
	row      ChangeRow // of progress
}

// FeedConfig says what a feed is of.
type FeedConfig struct {
	Replica *sm.Replica
	// After is the position that the consumer has: a change's, a commit's, or any
	// other one. What it gets comes after it.
	After log.Offset
	Selection
	// Progress: the consumer is told now and then how far it is.
	Progress bool
	Format   *types.Format // how values become text
}

// NewFeed returns a feed. Nothing is read yet.
func NewFeed(c FeedConfig) *Feed {
	return &Feed{
		reader: NewChangeReader(c.Replica, c.After+1), rows: newChangeRows(c.Selection, c.Format),
		after: c.After, progress: c.Progress, told: c.After,
	}
}

// Next returns the next row, valid until the next call. caughtUp says that there is
// none at this time; without either, nothing of what was looked at was wanted, and
// there is more: the caller may have something else to attend to. After an error the
// feed is of no more use.
func (f *Feed) Next() (row *ChangeRow, caughtUp bool, err error) {
	for range unwantedMax {
		step, err := f.reader.Next()
		if err != nil {
			return nil, false, err
		}
		switch step {
		case CaughtUp:
			if f.progress && (!f.toldAny || f.told < f.position()) {
				return f.tell(), false, nil
			}
			return nil, true, nil
		case Begin:
			f.rows.begin()
		case Change:
			row, err := f.rows.of(f.reader)
			if err != nil {
				return nil, false, err
			}
			if row != nil && row.LSN > f.after {
				return row, false, nil
			}
		case Commit:
			if f.progress && time.Since(f.toldAt) >= progressEvery {
				return f.tell(), false, nil
			}
		}
	}
	return nil, false, nil
}

// position is the commit offset of the last transaction that was passed on whole.
func (f *Feed) position() log.Offset { return f.reader.Position() - 1 }

// tell makes a row of progress.
func (f *Feed) tell() *ChangeRow {
	f.told, f.toldAny, f.toldAt = f.position(), true, time.Now()
	f.row = ChangeRow{LSN: f.told, Op: OpProgress}
	return &f.row
}

// Park lets go of what is held of the store, until the next call of Next.
func (f *Feed) Park() { f.reader.Park() }

// Wait returns when there may be more. It holds nothing of the store meanwhile.
func (f *Feed) Wait(ctx context.Context) error { return f.reader.Wait(ctx) }
