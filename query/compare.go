package query

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
)

// How often the replicas of a log are compared. Nothing is compared twice: a log
// that stands still costs nothing.
const (
	// checkEvery and checkEntries: whichever comes first.
	checkEvery   = time.Minute
	checkEntries = 10_000
	// scanEvery is how often everything that is stored is read back, in log time.
	scanEvery = 24 * time.Hour
	// compareEvery is how often it is looked whether there is something to do.
	compareEvery = time.Second
	// votersTimeout bounds the question who may vote.
	votersTimeout = 5 * time.Second
)

// comparer proposes checks where the log is led from, and on every node the votes
// of its replica.
type comparer struct {
	e *Engine
	// seen is the newest check that the replica has met, since says from when on.
	seen  log.Index
	since time.Time
	// scanned are the checks whose scan is running or done here.
	scanned map[log.Index]bool
	scans   sync.WaitGroup
}

// compare has replicas compared until ctx ends.
func (e *Engine) compare(ctx context.Context) {
	if e.cfg.Voters == nil {
		return
	}
	c := &comparer{e: e, since: time.Now(), scanned: map[log.Index]bool{}}
	defer c.scans.Wait()
	ticker := time.NewTicker(min(compareEvery, e.cfg.CheckEvery))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := c.step(ctx); err != nil && ctx.Err() == nil {
			e.cfg.Logger.Warn("comparing replicas failed", "error", err)
		}
	}
}

// step does what is due.
func (c *comparer) step(ctx context.Context) error {
	r := c.e.cfg.Replica
	ballots := r.Ballots()
	if len(ballots) == 0 {
		clear(c.scanned)
	}
	for _, b := range ballots {
		switch {
		case !b.Scan:
			if err := c.vote(ctx, b); err != nil {
				return err
			}
		case !c.scanned[b.Check]:
			c.scanned[b.Check] = true
			c.scans.Go(func() { c.scan(ctx, b) })
		}
	}
	s := r.CheckState()
	if newest := max(s.Last.Index, s.LastScan.Index); newest != c.seen {
		c.seen, c.since = newest, time.Now()
	}
	if s.Err != nil || !c.e.cfg.Leads() {
		return nil
	}
	return c.propose(ctx, s)
}

// propose asks the replicas for their votes when it is time to.
func (c *comparer) propose(ctx context.Context, s sm.CheckState) error {
	pos := c.e.cfg.Replica.Position()
	if pos.Offset == max(s.Last.Offset, s.LastScan.Offset) {
		return nil
	}
	if time.Since(c.since) < c.e.cfg.CheckEvery && pos.Index < c.seen+checkEntries {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, votersTimeout)
	defer cancel()
	voters, err := c.e.cfg.Voters(ctx)
	if err != nil || len(voters) < 2 {
		return err
	}
	scan := s.LastScan.Index == 0 || time.Duration(pos.Time-s.LastScan.Time)*time.Microsecond >= scanEvery
	return c.e.propose(ctx, &log.Entry{Kind: log.KindCheck, Check: &log.Check{Scan: scan, Voters: voters}})
}

// scan reads everything, and gives its vote to the log however often that has to
// be tried: it was too much work to be lost.
func (c *comparer) scan(ctx context.Context, b sm.Ballot) {
	v, err := c.e.cfg.Replica.Vote(ctx, b)
	if errors.Is(err, sm.ErrAbstains) {
		return
	}
	for err == nil && c.waiting(b) {
		if err = c.e.propose(ctx, &log.Entry{Kind: log.KindVote, Vote: v}); err == nil || ctx.Err() != nil {
			return
		}
		c.e.cfg.Logger.Warn("the vote of a replica was not appended", "error", err)
		select {
		case <-time.After(compareEvery):
			err = nil
		case <-ctx.Done():
		}
	}
	if err != nil && ctx.Err() == nil {
		c.e.cfg.Logger.Error("the scan of a replica ended without a vote", "error", err)
	}
}

// waiting reports whether the vote is still wanted.
func (c *comparer) waiting(b sm.Ballot) bool {
	return slices.ContainsFunc(c.e.cfg.Replica.Ballots(), func(x sm.Ballot) bool { return x.Check == b.Check })
}

func (c *comparer) vote(ctx context.Context, b sm.Ballot) error {
	v, err := c.e.cfg.Replica.Vote(ctx, b)
	if err != nil {
		return err
	}
	return c.e.propose(ctx, &log.Entry{Kind: log.KindVote, Vote: v})
}
