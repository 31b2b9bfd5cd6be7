package query

import (
	"context"
	"strconv"
	"time"

	"github.com/tidemark-db/tidemark/compaction"
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// retainEvery is how often the node that leads looks whether the floor is due.
const retainEvery = time.Second

// setRetention makes what ALTER DATABASE says of one setting part of a policy.
func setRetention(p *compaction.Policy, c *plan.SetRetention) {
	fallback, value := compaction.DefaultPolicy(), log.Offset(c.Value)
	switch c.Setting {
	case plan.SettingHistoryRetention:
		p.Age = time.Duration(c.Value) * time.Microsecond
		if c.Reset {
			p.Age = fallback.Age
		}
	case plan.SettingHistorySize:
		p.Size = value
		if c.Reset {
			p.Size = fallback.Size
		}
	case plan.SettingMaxSlotLag:
		p.SlotLag = value
		if c.Reset {
			p.SlotLag = fallback.SlotLag
		}
	}
}

// showRetention prints one setting of a policy.
func showRetention(name string, p compaction.Policy) string {
	switch name {
	case plan.SettingHistoryRetention:
		if p.Age == 0 {
			return "0"
		}
		return types.IntervalType.Text(types.DefaultFormat(), types.IntervalDatum(types.Interval{
			Days: int32(p.Age / day), Micros: (p.Age % day).Microseconds(),
		}))
	case plan.SettingHistorySize:
		return strconv.FormatUint(uint64(p.Size), 10)
	}
	return strconv.FormatUint(uint64(p.SlotLag), 10)
}

const day = 24 * time.Hour

// policy is how much history the database retains.
func (e *Engine) policy() compaction.Policy {
	if info, ok := e.info(); ok {
		return info.Retention
	}
	return compaction.DefaultPolicy()
}

// retain raises the floor of history as the policy says until ctx ends.
func (e *Engine) retain(ctx context.Context) {
	d := compaction.NewDriver(history{e}, e.cfg.Now)
	ticker := time.NewTicker(retainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if !e.cfg.Leads() || e.cfg.Replica.Halted() != nil {
			continue
		}
		if err := d.Step(ctx); err != nil && ctx.Err() == nil {
			e.cfg.Logger.Warn("raising the floor of history failed", "error", err)
		}
	}
}

// history is an engine as the driver sees it.
type history struct{ e *Engine }

var _ compaction.Source = history{}

// Policy implements compaction.Source.
func (h history) Policy() compaction.Policy { return h.e.policy() }

// State implements compaction.Source.
func (h history) State(p compaction.Policy) (compaction.State, error) {
	r := h.e.cfg.Replica
	v, err := r.View()
	if err != nil {
		return compaction.State{}, err
	}
	defer v.Close()
	s := compaction.State{Floor: v.Floor(), End: r.Position().End}
	if p.Age > 0 {
		s.Expired, err = v.OffsetAt(h.e.now() - p.Age.Microseconds())
		if sqlstate.CodeOf(err) == sqlstate.InvalidParameterValue {
			s.Expired, err = 0, nil // nothing is that old
		}
	}
	for _, slot := range r.Slots() {
		if slot.Invalid == "" {
			s.Slots = append(s.Slots, slot.Confirmed)
		}
	}
	return s, err
}

// LastCommit implements compaction.Source.
func (h history) LastCommit(off log.Offset) (log.Offset, error) { return h.e.lastCommit(off) }

// Truncate implements compaction.Source.
func (h history) Truncate(ctx context.Context, floor log.Offset) error {
	return h.e.propose(log.FreesSpace(ctx), &log.Entry{Kind: log.KindTruncate, Truncate: &log.Truncate{Floor: floor}})
}
