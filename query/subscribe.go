package query

import (
	"context"
	"errors"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/logical"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// liveQuery is a query that calls tidemark.subscribe(): where the log ends it does
// not, but waits for more. It holds nothing of the store while it waits, for the log
// or for its client.
type liveQuery struct {
	s    *Session
	prog *exec.Program
	rt   *exec.Runtime
	cur  *exec.Cursor
	out  StreamWriter // of the statement that is running; nil if that has none
	feed *logical.Feed
	row  []types.Datum

	// bounded: it waits for timeout at most, which begins anew with each row.
	bounded  bool
	timeout  time.Duration
	deadline time.Time
	flushed  time.Time

	// pauses: it is a cursor. Where the log ends FETCH does with the rows it has; and
	// after timeout without any.
	pauses bool
	sent   int64 // rows of the current statement
	ended  bool
}

// errPause says that a cursor's query has no more rows for this FETCH. It passes
// through the operators, which go on from where they are with the next one.
var errPause = sqlstate.New(sqlstate.SuccessfulCompletion, "no more rows at this time")

// flushEvery is how often rows are sent while others are passed over.
const flushEvery = time.Second

// subscription returns the program of a statement that subscribes, nil for any other
// one and for one with errors: those are found again on the ordinary way.
func (s *Session) subscription(st *statement) *exec.Program {
	if !st.query.MaySubscribe() || s.tx != nil && s.tx.failed {
		return nil
	}
	prog, err := s.program(st, s.catalog(), exec.ContextInputs{TxnTime: s.e.now(), StmtTime: s.e.now()}, false)
	if err != nil || !prog.Statement.Subscribes {
		return nil
	}
	return prog
}

// newLive prepares a query that subscribes.
func (s *Session) newLive(st *statement, prog *exec.Program) *liveQuery {
	now := s.e.now()
	in := exec.ContextInputs{TxnTime: now, StmtTime: now, ClockTime: s.e.now, Seed: s.e.cfg.Seed(), Sequences: sessionSequences{s}}
	if s.tx != nil {
		in.TxnTime = s.tx.began
	}
	ec := s.context(s.catalog(), in)
	ec.Params = st.params
	rt := &exec.Runtime{Expr: ec, Cancel: s.running, SearchPath: s.meaning.SearchPath, User: s.start.User, Text: st.query.Text()}
	return &liveQuery{s: s, prog: prog, rt: rt}
}

// open begins the query.
func (q *liveQuery) open() error {
	q.s.live = q
	defer func() { q.s.live = nil }()
	var err error
	q.cur, err = q.prog.Open(q.rt)
	return err
}

// runLive runs a query that subscribes, and sends its rows as they come.
func (s *Session) runLive(ctx context.Context, st *statement, prog *exec.Program, w ResultWriter) error {
	if err := st.check(wireColumns(prog.Statement)); err != nil {
		return err
	}
	q := s.newLive(st, prog)
	q.rt.Cancel = ctx
	if err := s.describe(st, prog, w); err != nil {
		return err
	}
	defer q.to(w)()
	if err := q.open(); err != nil {
		return err
	}
	defer q.cur.Close()
	for {
		row, err := q.cur.Next()
		if err != nil {
			return err
		}
		if row == nil {
			return w.CommandComplete(exec.Tag(prog.Statement, q.sent))
		}
		if err := q.send(w, row); err != nil {
			return err
		}
	}
}

func (q *liveQuery) send(w ResultWriter, row []types.Datum) error {
	q.sent++
	if q.bounded && !q.pauses {
		q.deadline = time.Now().Add(q.timeout)
	}
	return w.Row(row)
}

// to directs the query to a statement's client, until the function it returns is
// called.
func (q *liveQuery) to(w ResultWriter) (done func()) {
	if c, ok := w.(*copyWriter); ok {
		w = c.ResultWriter
	}
	q.out, _ = w.(StreamWriter)
	if q.out != nil {
		q.out.BeforeWrite(q.park)
	}
	q.sent = 0
	return func() {
		if q.out != nil {
			q.out.BeforeWrite(nil)
		}
		q.park()
		q.out = nil
	}
}

func (q *liveQuery) park() {
	if q.feed != nil {
		q.feed.Park()
	}
}

// subscribe is tidemark.subscribe().
func (s *Session) subscribe(args []types.Datum) (expr.RowIter, error) {
	q := s.live
	switch {
	case q == nil:
		return nil, sqlstate.New(sqlstate.FeatureNotSupported, "%s() cannot be used here", expr.SubscribeName).
			WithHint("Use it in SELECT, in COPY (SELECT …) TO STDOUT or in DECLARE … CURSOR.")
	case q.feed != nil:
		return nil, sqlstate.New(sqlstate.FeatureNotSupported, "%s() can be called once in a statement", expr.SubscribeName)
	case args[expr.SubscribeFrom].IsNull():
		return nil, sqlstate.New(sqlstate.NullValueNotAllowed, "from_lsn must not be null")
	}
	c := logical.FeedConfig{After: log.Offset(args[expr.SubscribeFrom].LSN()), Format: s.format}
	if d := args[expr.SubscribeProgress]; !d.IsNull() {
		c.Progress = d.Bool()
	}
	if d := args[expr.SubscribeTable]; !d.IsNull() {
		c.SelectTable(d.Str())
	}
	if d := args[expr.SubscribePublication]; !d.IsNull() {
		var err error
		if c.Publications, err = logical.PublicationNames(d.Str()); err != nil {
			return nil, err
		}
	}
	if d := args[expr.SubscribeTimeout]; !d.IsNull() {
		q.bounded, q.timeout = true, waitDuration(d.Interval())
	}
	if err := s.arrive(c.After); err != nil {
		return nil, err
	}
	var err error
	if q.feed, err = s.e.feed(c); err != nil {
		return nil, err
	}
	q.deadline = time.Now().Add(q.timeout)
	return q, nil
}

// arrive waits until this node is up to date as far as the session wants it to be,
// and has what precedes a position.
func (s *Session) arrive(after log.Offset) error {
	if err := s.reach(s.running); err != nil {
		return err
	}
	inner, cancel := context.WithTimeout(s.running, s.waitTimeout())
	defer cancel()
	return s.waitFor(s.running, inner, after.String(), false)
}

// Next implements expr.RowIter.
func (q *liveQuery) Next() ([]types.Datum, bool, error) {
	for {
		row, caughtUp, err := q.feed.Next()
		switch {
		case err != nil:
			return nil, false, appendError(err)
		case row != nil:
			q.row = row.AppendDatums(q.row[:0])
			return q.row, true, nil
		case !caughtUp:
			if err := q.pass(); err != nil {
				return nil, false, err
			}
			continue
		}
		if more, err := q.wait(); err != nil || !more {
			return nil, false, err
		}
	}
}

// pass is what there is to do while nothing is of interest.
func (q *liveQuery) pass() error {
	if q.rt.Cancel.Err() != nil {
		return exec.Canceled(q.rt.Cancel)
	}
	if time.Since(q.flushed) < flushEvery {
		return nil
	}
	return q.flush()
}

func (q *liveQuery) flush() error {
	q.flushed = time.Now()
	if q.out == nil {
		return nil
	}
	return q.out.Flush()
}

// wait waits for more at the end of the log; more is false when there is none in
// time.
func (q *liveQuery) wait() (more bool, err error) {
	if q.pauses && q.sent > 0 {
		return false, errPause
	}
	if err := q.flush(); err != nil {
		return false, err
	}
	ctx := q.rt.Cancel
	if q.bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, q.deadline)
		defer cancel()
	}
	err = q.feed.Wait(ctx)
	switch {
	case err == nil:
		return true, nil
	case q.rt.Cancel.Err() != nil:
		return false, exec.Canceled(q.rt.Cancel)
	case ctx.Err() == nil:
		return false, appendError(err)
	case q.pauses:
		return false, errPause
	}
	return false, nil
}

// feed opens a feed of the engine's replica.
func (e *Engine) feed(c logical.FeedConfig) (*logical.Feed, error) {
	v, err := e.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	for _, name := range c.Publications {
		if v.Catalog().Publication(name) == nil {
			return nil, sqlstate.New(sqlstate.UndefinedObject, "publication \"%s\" does not exist", name)
		}
	}
	if floor := e.cfg.Replica.Position().Floor; c.After < floor {
		return nil, logical.NotRetained(c.After, floor)
	}
	c.Replica = e.cfg.Replica
	return logical.NewFeed(c), nil
}

// Feed opens a feed for a consumer that has no session. It waits until this node has
// everything that was acknowledged to anybody. Errors: 22023 for a position past the
// end of the log, 55000 for one that is no longer retained, 42704 for a publication
// that does not exist, 57014 when this node cannot find out how far the log is before
// ctx ends.
func (e *Engine) Feed(ctx context.Context, c logical.FeedConfig) (*logical.Feed, error) {
	if err := e.fresh.confirm(ctx); err != nil {
		if errors.Is(err, log.ErrClosed) || errors.Is(err, log.ErrHalted) {
			return nil, appendError(err)
		}
		return nil, sqlstate.New(sqlstate.QueryCanceled, "timed out while waiting for this node to be up to date").
			WithDetail("This node has applied the log up to %s.%s", e.cfg.Replica.Position().Offset, e.behind())
	}
	if pos := e.cfg.Replica.Position(); c.After > pos.End {
		return nil, sqlstate.New(sqlstate.InvalidParameterValue, "\"%s\" is past the end of the log", c.After).
			WithDetail("The last commit is at %s.", pos.Offset)
	}
	if c.Format == nil {
		c.Format = types.DefaultFormat()
	}
	return e.feed(c)
}
