package query

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// The levels of tidemark.read_consistency.
const (
	readLinearizable = "linearizable"
	readSession      = "session"
	readBounded      = "bounded"
	readLocal        = "local"
)

var readLevels = []string{readLinearizable, readSession, readBounded, readLocal}

// readView opens a view that shows at least what tidemark.read_consistency and
// tidemark.read_after ask for.
func (s *Session) readView(ctx context.Context) (*sm.View, error) {
	if err := s.reach(ctx); err != nil {
		return nil, err
	}
	return s.e.view()
}

// reach waits until what the session may read can be read here. It holds no
// snapshot meanwhile.
func (s *Session) reach(ctx context.Context) error {
	level, _ := s.settings.get(settingReadConsistency)
	after := s.hint
	if after == "" {
		after, _ = s.settings.get(settingReadAfter)
	}
	if after == "" && s.here(level) {
		return nil
	}
	inner, cancel := context.WithTimeout(ctx, s.waitTimeout())
	defer cancel()
	asked := level == readLinearizable
	var err error
	switch level {
	case readLinearizable:
		err = s.e.fresh.confirm(inner)
	case readBounded:
		err = s.e.fresh.confirmWithin(inner, s.duration(settingMaxStaleness))
	case readSession:
		err = s.e.cfg.Replica.Wait(inner, s.token.Offset)
	}
	if err != nil {
		return s.readError(ctx, err, s.token.Offset)
	}
	if after == "" {
		return nil
	}
	return s.waitFor(ctx, inner, after, asked)
}

// here reports whether what a level asks for is here already, for those that can
// tell without asking anybody.
func (s *Session) here(level string) bool {
	switch level {
	case readBounded:
		return s.e.fresh.within(s.duration(settingMaxStaleness))
	case readSession:
		return s.e.cfg.Replica.Position().End >= s.token.Offset
	}
	return level == readLocal
}

// duration is a setting that is one; it was checked when it was set.
func (s *Session) duration(name string) time.Duration {
	v, _ := s.settings.get(name)
	d, _ := parser.ParseDuration(v)
	return d
}

// confirm waits until everything acknowledged by anybody before can be read here,
// whatever the session's level: for what it is about to write.
func (s *Session) confirm(ctx context.Context) error {
	inner, cancel := context.WithTimeout(ctx, s.waitTimeout())
	defer cancel()
	if err := s.e.fresh.confirm(inner); err != nil {
		return s.readError(ctx, err, 0)
	}
	return nil
}

// readError is what a client is told when its read has to be given up, for want of
// the log up to off, or of an answer how far it goes.
func (s *Session) readError(ctx context.Context, err error, off log.Offset) error {
	pos := s.e.cfg.Replica.Position()
	switch {
	case ctx.Err() != nil:
		return exec.Canceled(ctx)
	case errors.Is(err, log.ErrClosed), errors.Is(err, log.ErrHalted):
		return appendError(err)
	case off > pos.End:
		return sqlstate.New(sqlstate.QueryCanceled, "timed out while waiting for LSN %s", off).
			WithDetail("This node has applied the log up to %s, %d bytes behind.%s", pos.Offset, uint64(off-pos.End), s.e.behind()).
			WithHint("Raise tidemark.wait_timeout, or ask another node.")
	}
	return sqlstate.New(sqlstate.QueryCanceled, "timed out while waiting for this node to be up to date").
		WithDetail("This node has applied the log up to %s.%s", pos.Offset, s.e.behind()).
		WithHint("Raise %s, ask another node, or read what is here with SET %s = '%s'.", settingWaitTimeout, settingReadConsistency, readLocal)
}

// behind says how far behind this node is, as far as it knows; it begins with a
// blank.
func (e *Engine) behind() string {
	out := " It is not known to have been up to date since it started."
	if last := e.fresh.began.Load(); last != nil {
		out = fmt.Sprintf(" It was last known to be up to date %s ago.", age(*last).Round(time.Millisecond))
	}
	if r, ok := e.self(); ok && r.Known && r.LagBytes > 0 {
		out += fmt.Sprintf(" The leader was seen %d bytes and %s ahead.", r.LagBytes, r.Lag.Round(time.Millisecond))
	}
	return out
}

// self is this node's replica of the database as the cluster knows it.
func (e *Engine) self() (ReplicaInfo, bool) {
	if e.cfg.Cluster == nil {
		return ReplicaInfo{}, false
	}
	var me log.NodeID
	for _, n := range e.cfg.Cluster.Nodes() {
		if n.Self {
			me = n.ID
		}
	}
	for _, r := range e.cfg.Cluster.Replicas() {
		if r.Node == me && r.Log == e.cfg.LogID {
			return r, true
		}
	}
	return ReplicaInfo{}, false
}

// target reads a token or an LSN. A token of another log or of an abandoned
// epoch is an error at once.
func (s *Session) target(text string) (off log.Offset, isToken bool, err error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, ".") {
		if off, err = log.ParseOffset(text); err != nil {
			return 0, false, sqlstate.New(sqlstate.InvalidTextRepresentation, "invalid input syntax for type pg_lsn: \"%s\"", text)
		}
		return off, false, nil
	}
	t, err := log.ParseToken(text)
	if err != nil {
		return 0, true, sqlstate.New(sqlstate.InvalidTextRepresentation, "invalid token: \"%s\"", text).
			WithHint("A token reads <log>.<epoch>.<LSN>, for example %s.", s.e.token(s.e.cfg.Replica.Position().Offset))
	}
	epoch := s.e.cfg.Replica.Position().Epoch
	switch {
	case t.Log != s.e.cfg.LogID:
		return 0, true, sqlstate.New(sqlstate.InvalidParameterValue, "token \"%s\" is of another log", text).
			WithDetail("Database \"%s\" is log %d.", s.start.Database, s.e.cfg.LogID)
	case t.Epoch != epoch:
		return 0, true, sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "token \"%s\" is from an abandoned history", text).
			WithDetail("The log is in epoch %d.", epoch)
	}
	return t.Offset, true, nil
}

// waitFor waits until a token or LSN has been applied, for as long as inner, made
// of ctx, lasts. What lies past the end of the log cannot have been handed out and
// is an error at once; asked says that the log has just been asked for its end.
func (s *Session) waitFor(ctx, inner context.Context, text string, asked bool) error {
	off, _, err := s.target(text)
	if err != nil || s.e.cfg.Replica.Position().End >= off {
		return err
	}
	if asked {
		return s.pastEnd(text)
	}
	wait, stop := context.WithCancelCause(inner)
	defer stop(nil)
	go func() {
		err := s.e.fresh.confirm(wait)
		switch {
		case err == nil && s.e.cfg.Replica.Position().End < off:
			stop(errPastEnd)
		case errors.Is(err, log.ErrClosed), errors.Is(err, log.ErrHalted):
			stop(err)
		}
	}()
	if err = s.e.cfg.Replica.Wait(wait, off); err == nil {
		return nil
	}
	if cause := context.Cause(wait); errors.Is(cause, errPastEnd) {
		return s.pastEnd(text)
	} else if cause != nil {
		err = cause
	}
	return s.readError(ctx, err, off)
}

// errPastEnd says that everything there is has been applied, and an offset has not.
var errPastEnd = errors.New("past the end of the log")

func (s *Session) pastEnd(text string) error {
	return sqlstate.New(sqlstate.InvalidParameterValue, "\"%s\" is past the end of the log", text).
		WithDetail("The last commit is at %s.", s.e.cfg.Replica.Position().Offset)
}

func (s *Session) waitTimeout() time.Duration {
	return max(s.duration(settingWaitTimeout), time.Millisecond)
}

// waitUntil waits until off has been applied. When time is up the error says
// how far behind this node is.
func (s *Session) waitUntil(ctx context.Context, off log.Offset, timeout time.Duration) error {
	if s.e.cfg.Replica.Position().End >= off {
		return nil
	}
	inner, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.e.cfg.Replica.Wait(inner, off); err != nil {
		return s.readError(ctx, err, off)
	}
	return nil
}
