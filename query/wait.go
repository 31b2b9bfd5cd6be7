package query

import (
	"context"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// wait runs WAIT FOR.
func (s *Session) wait(ctx context.Context, c *plan.Wait, w ResultWriter, describe bool) error {
	timeout := c.Timeout
	if timeout < 0 {
		timeout = s.waitTimeout()
	}
	timeout = max(timeout, time.Millisecond)
	var err error
	if c.Slot != "" {
		err = s.waitSlot(ctx, c.Slot, c.Target, timeout)
	} else {
		err = s.waitTarget(ctx, c.Target, timeout)
	}
	status := "success"
	if err != nil {
		if !c.NoThrow || ctx.Err() != nil || sqlstate.CodeOf(err) != sqlstate.QueryCanceled {
			return err
		}
		status = "timeout"
	}
	return sendText(w, describe, "status", status, "WAIT")
}

// waitTarget is WAIT FOR LSN.
func (s *Session) waitTarget(ctx context.Context, target string, timeout time.Duration) error {
	off, isToken, err := s.target(target)
	if err != nil {
		return err
	}
	if !isToken {
		return s.waitUntil(ctx, off, timeout)
	}
	inner, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return s.waitToken(ctx, inner, target)
}

// waitToken is WAIT FOR LSN with a token.
func (s *Session) waitToken(ctx, inner context.Context, token string) error {
	level, _ := s.settings.get(settingReadConsistency)
	asked := level == readLinearizable
	if asked {
		if err := s.e.fresh.confirm(inner); err != nil {
			return s.readError(ctx, err, 0)
		}
	}
	return s.waitFor(ctx, inner, token, asked)
}

// waitSlot waits until a slot's consumer has acknowledged everything that was
// committed up to target, a token or LSN; without one, up to the session's last
// commit, or if it has none, up to now.
func (s *Session) waitSlot(ctx context.Context, name, target string, timeout time.Duration) error {
	inner, cancel := context.WithTimeout(ctx, max(timeout, time.Millisecond))
	defer cancel()
	off := s.token.Offset
	if target != "" {
		var err error
		if off, _, err = s.target(target); err != nil {
			return err
		}
		if err := s.waitFor(ctx, inner, target, false); err != nil {
			return err
		}
	}
	if off == 0 || !s.e.hasSlot(name) {
		// What others have committed, and slots they have made, may not be here yet.
		if err := s.e.fresh.confirm(inner); err != nil {
			return s.readError(ctx, err, 0)
		}
		if off == 0 {
			off = s.e.cfg.Replica.Position().Offset
		}
	}
	last, err := s.e.lastCommit(off)
	if err != nil {
		return err
	}
	for {
		changed := s.e.cfg.Replica.SlotChanged()
		slot, ok := s.e.cfg.Replica.Slot(name)
		if !ok {
			return sm.NoSlot(name)
		}
		if err := slot.Unusable(s.e.cfg.Replica.Position().Floor); err != nil {
			return err
		}
		if slot.Confirmed > last {
			return nil
		}
		select {
		case <-changed:
		case <-inner.Done():
			if ctx.Err() != nil {
				return exec.Canceled(ctx)
			}
			return slotTimeout(&slot, last)
		}
	}
}

func slotTimeout(slot *sm.Slot, last log.Offset) error {
	err := sqlstate.New(sqlstate.QueryCanceled, "timed out while waiting for replication slot \"%s\" to get past %s", slot.Name, last).
		WithDetail("Its consumer has acknowledged what comes before %s.", slot.Confirmed)
	if !slot.Active {
		return err.WithHint("Nobody reads from the slot.")
	}
	return err
}

func (e *Engine) hasSlot(name string) bool {
	_, ok := e.cfg.Replica.Slot(name)
	return ok
}

// lastCommit returns the last commit up to off, which has been applied here.
func (e *Engine) lastCommit(off log.Offset) (log.Offset, error) {
	if last := e.cfg.Replica.Position().Offset; last <= off {
		return last, nil
	}
	v, err := e.cfg.Replica.ViewAt(off)
	if sqlstate.CodeOf(err) == sqlstate.InvalidParameterValue {
		return off, nil // not retained, so there is no telling; off is not earlier
	}
	if err != nil {
		return 0, appendError(err)
	}
	defer v.Close()
	return v.Offset(), nil
}
