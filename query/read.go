package query

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// readView opens a view that shows everything acknowledged by anybody before,
// and at least what tidemark.read_after asks for.
func (s *Session) readView(ctx context.Context) (*sm.View, error) {
	if err := s.e.fresh(ctx); err != nil {
		return nil, err
	}
	after := s.hint
	if after == "" {
		after, _ = s.settings.get(settingReadAfter)
	}
	if after != "" {
		if err := s.waitFor(ctx, after); err != nil {
			return nil, err
		}
	}
	return s.e.view()
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

// waitFor waits until a token or LSN has been applied, for at most
// tidemark.wait_timeout. What lies past the end of the log cannot have been
// handed out and is an error at once: the log has just been asked for its end.
func (s *Session) waitFor(ctx context.Context, text string) error {
	off, _, err := s.target(text)
	if err != nil {
		return err
	}
	if pos := s.e.cfg.Replica.Position(); off > pos.End {
		return sqlstate.New(sqlstate.InvalidParameterValue, "\"%s\" is past the end of the log", text).
			WithDetail("The last commit is at %s.", pos.Offset)
	}
	return s.waitUntil(ctx, off, s.waitTimeout())
}

func (s *Session) waitTimeout() time.Duration {
	v, _ := s.settings.get(settingWaitTimeout)
	d, err := parser.ParseDuration(v)
	if err != nil {
		return 0
	}
	return d
}

// waitUntil waits until off has been applied. When time is up the error says
// how far behind this node is.
func (s *Session) waitUntil(ctx context.Context, off log.Offset, timeout time.Duration) error {
	if s.e.cfg.Replica.Position().End >= off {
		return nil
	}
	inner, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := s.e.cfg.Replica.Wait(inner, off)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return exec.Canceled(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		pos := s.e.cfg.Replica.Position()
		return sqlstate.New(sqlstate.QueryCanceled, "timed out while waiting for LSN %s", off).
			WithDetail("This node has applied the log up to %s, %d bytes behind.", pos.Offset, uint64(off-min(off, pos.End))).
			WithHint("Raise tidemark.wait_timeout, or ask another node.")
	}
	return appendError(err)
}
