package query

import (
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Limits of idempotency keys.
const (
	// maxKeyBytes is how long a key may be.
	maxKeyBytes = 256
	// maxWindow is for how long an outcome can be remembered.
	maxWindow = 30 * 24 * time.Hour
)

func checkKey(v string) (string, error) {
	if len(v) > maxKeyBytes {
		return "", sqlstate.New(sqlstate.InvalidParameterValue, "an idempotency key may have at most %d bytes", maxKeyBytes)
	}
	return v, nil
}

func checkWindow(v string) (string, error) {
	d, err := parser.ParseDuration(v)
	if err != nil || d <= 0 || d > maxWindow {
		return "", sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", settingIdempotencyWindow, v).
			WithHint("It is a duration of at most %d days.", int(maxWindow.Hours()/24))
	}
	return v, nil
}

// once puts the session's idempotency key on an entry.
func (s *Session) once(e *log.Entry) {
	e.IdempotencyKey, _ = s.settings.get(settingIdempotency)
	if e.IdempotencyKey != "" {
		v, _ := s.settings.get(settingIdempotencyWindow)
		d, _ := parser.ParseDuration(v) // checked when it was set
		e.IdempotencyWindow = d.Microseconds()
	}
}

// used takes the key back once the log has answered for good: it is for one
// transaction. After a failure that may pass it stays, for the next attempt.
func (s *Session) used(e *log.Entry, res *log.Result) {
	if e.IdempotencyKey != "" && (res.Err == nil || !sm.Passing(res.Err.Code)) {
		s.settings, _ = s.settings.with(settingIdempotency, "", false, true)
		if s.tx != nil {
			s.tx.before, _ = s.tx.before.with(settingIdempotency, "", false, true)
		}
	}
}

// repeat prepares a transaction whose key has been used: it runs ahead on the
// state that the first one was executed on, with its inputs, so that the client
// is shown the same answers. COMMIT finds out whether it is the same command.
func (s *Session) repeat(v *sm.View) (*sm.View, error) {
	tx := s.tx
	key, _ := s.settings.get(settingIdempotency)
	if key == "" || tx.readOnly {
		return v, nil
	}
	o, err := v.Outcome(sm.OutcomeOfKey, key)
	if err != nil || o == nil || o.Failure != nil {
		return v, err
	}
	old, err := s.e.cfg.Replica.ViewAt(o.Prev)
	if err != nil {
		return v, nil // no longer retained: it has to do with the state of now
	}
	it := v.Commands(o.Offset - 1)
	defer it.Close()
	if !it.Next() {
		old.Close()
		return v, it.Err()
	}
	first := it.Command().Entry
	it.Close()
	v.Close()
	tx.repeats, tx.began, tx.seed = true, first.Began, first.Seed
	for i := range first.Statements {
		tx.seqs.recalled = append(tx.seqs.recalled, first.Statements[i].Drawn...)
	}
	return old, nil
}

// outcomeOf answers tidemark.outcome(key).
func (s *Session) outcomeOf(key string) (types.Datum, error) {
	v, err := s.e.view()
	if err != nil {
		return types.NullDatum, err
	}
	defer v.Close()
	o, err := v.Outcome(sm.OutcomeOfKey, key)
	if err != nil {
		return types.NullDatum, err
	}
	row := make([]types.Datum, 6)
	if o == nil {
		row[0] = types.String("unknown")
		return types.TupleDatum(&types.Tuple{Fields: row}), nil
	}
	row[0] = types.String("committed")
	if o.Failure != nil {
		row[0], row[4] = types.String("failed"), types.String(o.Failure.Code)
	} else {
		row[1], row[2] = types.LSN(uint64(o.Offset)), types.String(s.e.token(o.Offset).String())
	}
	row[3], row[5] = types.Timestamp(o.Time), types.Timestamp(o.Expires)
	return types.TupleDatum(&types.Tuple{Fields: row}), nil
}
