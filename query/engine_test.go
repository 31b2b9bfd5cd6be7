package query

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// scripted is a log that answers as a test says.
type scripted struct {
	entries []*log.Entry
	answers []any // a log.Result or an error
}

func (s *scripted) Append(_ context.Context, data []byte) ([]byte, error) {
	e, err := log.DecodeEntry(data)
	if err != nil {
		return nil, err
	}
	s.entries = append(s.entries, e)
	answer := s.answers[0]
	s.answers = s.answers[1:]
	if err, ok := answer.(error); ok {
		return nil, err
	}
	res := answer.(log.Result)
	return res.Append(nil)
}

func (s *scripted) ReadIndex(context.Context) error { return nil }
func (s *scripted) Close() error                    { return nil }

func scriptedEngine(t *testing.T, answers ...any) (*Engine, *scripted) {
	executor := NewExecutor("db")
	r, err := sm.Open(sm.Options{Dir: "data", FS: vfs.NewMem(), Log: 2, Executor: executor})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	s := &scripted{answers: answers}
	return NewEngine(EngineConfig{Database: "db", LogID: 2, Replica: r, Log: s, Executor: executor}), s
}

// TestEntriesAreToldApart: they have a seed, and say where they can be at the earliest.
func TestEntriesAreToldApart(t *testing.T) {
	e, s := scriptedEngine(t, log.Result{}, log.Result{})
	seed := log.Seed{1}
	for _, entry := range []*log.Entry{{Kind: log.KindUnstage}, {Kind: log.KindCommand, Seed: seed}} {
		_, err := e.append(t.Context(), entry)
		require.NoError(t, err)
	}
	require.NotZero(t, s.entries[0].Seed)
	require.Equal(t, seed, s.entries[1].Seed)
	require.EqualValues(t, 1, s.entries[0].Earliest)
}

// TestLostAnswers shows what clients hear whose entry was applied and whose answer
// was not kept.
func TestLostAnswers(t *testing.T) {
	lost := log.Result{Offset: 77, Repeat: log.Repeated}
	e, s := scriptedEngine(t, lost, lost, lost, log.Result{Drawn: []log.DrawnValue{{Sequence: 1, Value: 33}}},
		log.Result{Repeat: log.Repeated, Err: &log.Failure{Code: "23505"}})
	res, err := e.append(t.Context(), &log.Entry{Kind: log.KindTransaction})
	require.NoError(t, err, "COMMIT has nothing else to say")
	require.EqualValues(t, 77, res.Offset)

	_, err = e.append(t.Context(), &log.Entry{Kind: log.KindCommand})
	require.Equal(t, sqlstate.TransactionResolutionUnknown, sqlstate.As(err).Code)
	require.Contains(t, sqlstate.As(err).Detail, "has been committed")

	res, err = e.append(t.Context(), &log.Entry{Kind: log.KindReserve, Reserve: &log.Reserve{Sequence: 1, Count: 1}})
	require.NoError(t, err)
	require.EqualValues(t, 33, res.Drawn[0].Value)
	require.NotEqual(t, s.entries[2].Seed, s.entries[3].Seed, "another block")

	res, err = e.append(t.Context(), &log.Entry{Kind: log.KindCommand})
	require.NoError(t, err)
	require.Equal(t, "23505", res.Err.Code)
}

// TestFullDiskError is the error of a write while the disk is full.
func TestFullDiskError(t *testing.T) {
	e, _ := scriptedEngine(t, fmt.Errorf("%w: 1 MB of 64 MB are free", log.ErrDiskFull))
	_, err := e.append(t.Context(), &log.Entry{Kind: log.KindCommand})
	full := sqlstate.As(err)
	require.EqualValues(t, "53100", full.Code)
	require.Contains(t, full.Message, "the disk is full")
	require.Equal(t, "1 MB of 64 MB are free.", full.Detail)
	require.Contains(t, full.Hint, "disk space")
}
