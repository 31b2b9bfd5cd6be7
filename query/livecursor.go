package query

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// openLive makes a portal the cursor of a query that subscribes. Its rows are not
// computed first: there is no last one. What it shows is history, which nothing
// changes, so COMMIT has nothing of it to validate, and a cursor WITH HOLD goes on.
func (s *Session) openLive(p *portal, st *statement, prog *exec.Program) error {
	if !prog.Statement.Streams() {
		return sqlstate.New(sqlstate.FeatureNotSupported, "a cursor over %s() cannot sort, group or join its rows", expr.SubscribeName)
	}
	if err := st.check(wireColumns(prog.Statement)); err != nil {
		return err
	}
	q := s.newLive(st, prog)
	q.pauses = true
	if err := q.open(); err != nil {
		return err
	}
	q.park()
	p.live, p.started = q, true
	if s.tx != nil {
		p.tx, p.born = s.tx, s.tx.portals
		s.tx.portals++
	}
	return nil
}

// declareLive is DECLARE … CURSOR for such a query.
func (s *Session) declareLive(c *plan.DeclareCursor, prog *exec.Program, w ResultWriter) error {
	if c.Scroll {
		return sqlstate.New(sqlstate.FeatureNotSupported, "a cursor over %s() can only scan forward", expr.SubscribeName)
	}
	p := &portal{name: c.Name, hold: c.Hold, cursor: true, cols: wireColumns(prog.Statement)}
	if err := s.openLive(p, &statement{query: c.Query}, prog); err != nil {
		return err
	}
	s.portals[c.Name] = p
	return w.CommandComplete("DECLARE CURSOR")
}

// fetchLive is FETCH and MOVE.
func (s *Session) fetchLive(p *portal, c *plan.Fetch, w ResultWriter, describe bool) error {
	if c.Backward || c.Count < 0 || c.Absolute || c.Relative {
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "cursor can only scan forward").
			WithHint("There is no way back in a cursor over %s().", expr.SubscribeName)
	}
	word, to := "FETCH", w
	if c.Move {
		word, to = "MOVE", nil
	} else if describe {
		if err := w.RowDescription(p.cols); err != nil {
			return err
		}
	}
	n, err := p.live.fetch(s.running, c.Count, w, to)
	if err != nil {
		return err
	}
	return w.CommandComplete(fmt.Sprintf("%s %d", word, n))
}

// executeLive is the message Execute of such a portal.
func (s *Session) executeLive(ctx context.Context, p *portal, maxRows int, w ResultWriter) (suspended bool, err error) {
	ctx, cancel := s.timed(ctx)
	defer cancel()
	limit := int64(maxRows)
	if limit == 0 {
		limit = math.MaxInt64
	}
	n, err := p.live.fetch(ctx, limit, w, w)
	if err != nil {
		return false, err
	}
	if maxRows > 0 && !p.live.ended {
		return true, nil
	}
	return false, w.CommandComplete(fmt.Sprintf("SELECT %d", n))
}

// fetch sends rows to a client, at most limit of them and at least one if there is
// one in time. to is nil when they are to be passed over.
func (q *liveQuery) fetch(ctx context.Context, limit int64, w, to ResultWriter) (int64, error) {
	q.rt.Cancel = ctx
	q.deadline = time.Now().Add(q.timeout)
	defer q.to(w)()
	for q.sent < limit && !q.ended {
		row, err := q.cur.Next()
		switch {
		case errors.Is(err, errPause):
			return q.sent, nil
		case err != nil:
			return q.sent, err
		case row == nil:
			q.ended = true
		case to == nil:
			q.sent++
		default:
			if err := q.send(to, row); err != nil {
				return q.sent, err
			}
		}
	}
	return q.sent, nil
}
