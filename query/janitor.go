package query

import (
	"context"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
)

// How large transactions that nobody will finish are cleaned up.
const (
	// janitorEvery is how often a node looks for them.
	janitorEvery = time.Second
	// sweepRows is how many rows one entry removes: few enough that everybody
	// else's writes hardly wait, with sweepPause between two entries.
	sweepRows  = 2000
	sweepPause = 5 * time.Millisecond
	// orphanAfter is after how long without a chunk another node's transaction
	// is given up: its node will not come back for it.
	orphanAfter = time.Hour
)

// Maintain cleans up after large transactions and sessions with slots, has replicas
// compared and raises the floor of history, until ctx ends. The log must be ready.
func (e *Engine) Maintain(ctx context.Context) {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { e.compare(ctx) })
	beside.Go(func() { e.tend(ctx) })
	beside.Go(func() { e.retain(ctx) })
	ticker := time.NewTicker(janitorEvery)
	defer ticker.Stop()
	for {
		if err := e.Tidy(ctx); err != nil && ctx.Err() == nil {
			e.cfg.Logger.Warn("cleaning up after large transactions failed", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Tidy gives up the large transactions whose owner is gone and removes what given
// up ones have left, as far as that is this node's to do.
func (e *Engine) Tidy(ctx context.Context) error {
	if e.cfg.Replica.Halted() != nil {
		return nil // nothing can be done about them now
	}
	for _, l := range e.cfg.Replica.Loads() {
		late := e.now()-l.Touched > orphanAfter.Microseconds()
		mine := l.Owner.Node == e.owner.Node
		switch {
		case l.Status == sm.LoadOpen && (mine && l.Owner != e.owner || !mine && late):
			if err := e.unstage(ctx, l.Stage, 0); err != nil {
				return err
			}
		case l.Status == sm.LoadOpen || !mine && !late:
			continue
		}
		if err := e.sweep(ctx, l.Stage); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what a given up transaction has left, piece by piece.
func (e *Engine) sweep(ctx context.Context, id log.StageID) error {
	for e.staged(id) {
		if err := e.unstage(ctx, id, sweepRows); err != nil {
			return err
		}
		select {
		case <-time.After(sweepPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (e *Engine) staged(id log.StageID) bool {
	for _, l := range e.cfg.Replica.Loads() {
		if l.Stage == id {
			return l.Status == sm.LoadAborted
		}
	}
	return false
}

// unstage gives up what is staged under id, or with a number of rows removes so
// many of them.
func (e *Engine) unstage(ctx context.Context, id log.StageID, sweep int) error {
	res, err := e.append(ctx, &log.Entry{Kind: log.KindUnstage, Time: e.now(), Stage: &log.Stage{ID: id, Sweep: sweep}})
	if err == nil && res.Err != nil {
		err = sm.ErrorOf(res.Err)
	}
	return err
}
