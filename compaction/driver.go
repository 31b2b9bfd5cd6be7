package compaction

import (
	"context"
	"time"

	"github.com/tidemark-db/tidemark/log"
)

// Source is what a Driver works on: one log, on the node that leads it.
type Source interface {
	// Policy returns what the database wants now.
	Policy() Policy
	// State returns what the floor under that policy depends on.
	State(p Policy) (State, error)
	// LastCommit returns the offset of the last commit at or before off, which is not
	// below the floor.
	LastCommit(off log.Offset) (log.Offset, error)
	// Truncate puts the entry into the log that raises the floor.
	Truncate(ctx context.Context, floor log.Offset) error
}

// Driver raises the floor of one log as its policy says. It belongs to one
// goroutine.
type Driver struct {
	source Source
	now    func() time.Time
	last   time.Time // when the floor was raised, or the driver made
}

// NewDriver returns a driver. now is the clock; nil means the machine's.
func NewDriver(source Source, now func() time.Time) *Driver {
	if now == nil {
		now = time.Now
	}
	return &Driver{source: source, now: now, last: now()}
}

// Step raises the floor if that is due.
func (d *Driver) Step(ctx context.Context) error {
	p := d.source.Policy()
	if !p.Limited() {
		return nil
	}
	s, err := d.source.State(p)
	if err != nil {
		return err
	}
	now := d.now()
	since := now.Sub(d.last)
	floor := Floor(p, s)
	if !Worth(s, floor, since) {
		return nil
	}
	// The floor will be a commit. An entry for an offset inside of a large
	// transaction would free nothing, and be due again at once.
	if floor, err = d.source.LastCommit(floor); err != nil || !Worth(s, floor, since) {
		return err
	}
	d.last = now
	return d.source.Truncate(ctx, floor)
}
