package query

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// maxPortalBytes bounds the rows a portal or cursor keeps.
const maxPortalBytes = 1 << 30

// portal is a bound statement, or a cursor. Rows that are asked for in parts are
// all computed first and kept: what the transaction writes later does not change
// them, and COMMIT can validate them as one answer.
type portal struct {
	name     string
	prepared *prepared // nil for a cursor of DECLARE
	params   []types.Datum
	cols     []Column
	formats  []int16

	started bool
	hold    bool
	scroll  bool
	rows    [][]types.Datum
	tag     string
	pos     int // how many rows have been passed: 0 is before the first
	cursor  bool

	live *liveQuery // what has no end is not computed first

	tx   *transaction // the one that has computed the rows, while it runs
	born int          // in the order of that transaction's portals
}

func itoa(i int) string { return strconv.Itoa(i) }

func (s *Session) portal(name string) (*portal, error) {
	if p, ok := s.portals[name]; ok {
		return p, nil
	}
	return nil, sqlstate.New(sqlstate.InvalidCursorName, "portal \"%s\" does not exist", name)
}

// DescribePortal returns a portal's columns and result formats.
func (s *Session) DescribePortal(name string) ([]Column, []int16, error) {
	if err := s.refuseExtended(); err != nil {
		return nil, nil, err
	}
	p, err := s.portal(name)
	if err != nil {
		return nil, nil, err
	}
	return p.cols, p.formats, nil
}

// ClosePortal forgets a portal.
func (s *Session) ClosePortal(name string) { delete(s.portals, name) }

func (s *Session) closePortals(which func(*portal) bool) {
	for name, p := range s.portals {
		if which(p) {
			delete(s.portals, name)
		}
	}
}

// endPortals closes what does not outlive a transaction.
func (s *Session) endPortals() {
	s.closePortals(func(p *portal) bool {
		p.tx = nil
		return !p.hold && p.started
	})
}

// undoPortals closes what a transaction has computed, from its portal of that
// number on: it is being undone.
func (s *Session) undoPortals(tx *transaction, from int) {
	s.closePortals(func(p *portal) bool { return p.tx == tx && p.born >= from })
}

// materialize runs a portal's statement in the transaction and keeps its rows.
func (s *Session) materialize(ctx context.Context, p *portal, st *statement, w ResultWriter) error {
	size := 0
	tag, err := s.ahead(ctx, st, w, func([]Column) (exec.Sink, error) {
		return func(row []types.Datum) error {
			size += len(types.AppendRow(nil, row))
			if size > maxPortalBytes {
				return sqlstate.New(sqlstate.OutOfMemory, "out of memory").
					WithDetail("A cursor may keep at most %d MB.", maxPortalBytes>>20)
			}
			p.rows = append(p.rows, slices.Clone(row))
			return nil
		}, nil
	}, false)
	if err != nil {
		return err
	}
	p.started, p.tag = true, tag
	p.tx, p.born = s.tx, s.tx.portals
	s.tx.portals++
	return nil
}

// fetchPortal sends the next rows of a portal that keeps them.
func (s *Session) fetchPortal(p *portal, maxRows int, w ResultWriter) (bool, error) {
	if !p.cursor && p.rows == nil && p.tag == "" {
		return false, w.CommandComplete("SELECT 0") // it has run to its end before
	}
	n := len(p.rows) - p.pos
	if maxRows > 0 {
		n = min(n, maxRows)
	}
	for _, row := range p.rows[p.pos : p.pos+n] {
		if err := w.Row(row); err != nil {
			return false, err
		}
	}
	p.pos += n
	if p.pos < len(p.rows) || (maxRows > 0 && n == maxRows && p.pos == len(p.rows) && n > 0 && !p.cursor) {
		return true, nil
	}
	if st := p.prepared; st != nil && st.program != nil && st.program.Statement.Root == nil {
		return false, w.CommandComplete(p.tag)
	}
	return false, w.CommandComplete(fmt.Sprintf("SELECT %d", n))
}

// declare is DECLARE … CURSOR.
func (s *Session) declare(ctx context.Context, c *plan.DeclareCursor, w ResultWriter) error {
	if !c.Hold && (s.tx == nil || !s.tx.explicit) {
		return sqlstate.New(sqlstate.NoActiveSQLTransaction, "DECLARE CURSOR can only be used in transaction blocks")
	}
	if c.Binary {
		return sqlstate.New(sqlstate.FeatureNotSupported, "DECLARE BINARY CURSOR is not supported")
	}
	if _, dup := s.portals[c.Name]; dup {
		return sqlstate.New(sqlstate.DuplicateCursor, "cursor \"%s\" already exists", c.Name)
	}
	if len(s.portals) >= maxPortals {
		return sqlstate.New(sqlstate.ConfigurationLimitExceeded, "a session may have at most %d portals", maxPortals)
	}
	if prog := s.subscription(&statement{query: c.Query}); prog != nil {
		return s.declareLive(c, prog, w)
	}
	alone := s.tx == nil
	if alone {
		if err := s.begin(false, plan.TransactionModes{}); err != nil {
			return err
		}
	}
	p := &portal{name: c.Name, hold: c.Hold, scroll: c.Scroll, cursor: true}
	st := &statement{query: c.Query}
	in := exec.ContextInputs{TxnTime: s.e.now(), StmtTime: s.e.now()}
	if err := s.present(ctx); err != nil {
		return err
	}
	prog, err := s.program(st, s.tx.txn.Catalog(), in, false)
	if err != nil {
		return err
	}
	p.cols = wireColumns(prog.Statement)
	if err := s.materialize(ctx, p, st, w); err != nil {
		return err
	}
	s.portals[c.Name] = p
	return w.CommandComplete("DECLARE CURSOR")
}

// fetch is FETCH and MOVE.
func (s *Session) fetch(c *plan.Fetch, w ResultWriter, describe bool) error {
	p, ok := s.portals[c.Name]
	if !ok {
		return sqlstate.New(sqlstate.InvalidCursorName, "cursor \"%s\" does not exist", c.Name)
	}
	if p.live != nil {
		return s.fetchLive(p, c, w, describe)
	}
	rows, err := p.move(c)
	if err != nil {
		return err
	}
	if c.Move {
		return w.CommandComplete(fmt.Sprintf("MOVE %d", len(rows)))
	}
	if describe {
		if err := w.RowDescription(p.cols); err != nil {
			return err
		}
	}
	for _, r := range rows {
		if err := w.Row(r); err != nil {
			return err
		}
	}
	return w.CommandComplete(fmt.Sprintf("FETCH %d", len(rows)))
}

// move moves a cursor and returns the rows it passes. pos is the number of the
// row the cursor is on, counted from 1; 0 is before the first and len+1 after
// the last.
func (p *portal) move(c *plan.Fetch) ([][]types.Datum, error) {
	last := len(p.rows)
	one := func(pos int) [][]types.Datum {
		p.pos = min(max(pos, 0), last+1)
		if pos < 1 || pos > last {
			return nil
		}
		return p.rows[pos-1 : pos]
	}
	n := int(min(max(c.Count, -math.MaxInt32), math.MaxInt32))
	if (c.Backward || n < 0) && !p.scroll && !c.Absolute && !c.Relative {
		return nil, sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "cursor can only scan forward").
			WithHint("Declare it with SCROLL option to enable backward scan.")
	}
	switch {
	case c.Absolute && n < 0:
		return one(last + 1 + n), nil
	case c.Absolute:
		return one(n), nil
	case c.Relative:
		return one(p.pos + n), nil
	}
	if n == 0 {
		return one(p.pos), nil
	}
	if c.Backward {
		n = -n
	}
	var out [][]types.Datum
	for ; n > 0 && p.pos <= last; n-- {
		if p.pos++; p.pos <= last {
			out = append(out, p.rows[p.pos-1])
		}
	}
	for ; n < 0 && p.pos > 0; n++ {
		if p.pos--; p.pos > 0 {
			out = append(out, p.rows[p.pos-1])
		}
	}
	return out, nil
}

func (s *Session) closeCursor(c *plan.CloseCursor, w ResultWriter) error {
	if c.Name == "" {
		s.closePortals(func(p *portal) bool { return p.cursor })
		return w.CommandComplete("CLOSE CURSOR ALL")
	}
	if _, ok := s.portals[c.Name]; !ok {
		return sqlstate.New(sqlstate.InvalidCursorName, "cursor \"%s\" does not exist", c.Name)
	}
	delete(s.portals, c.Name)
	return w.CommandComplete("CLOSE CURSOR")
}
