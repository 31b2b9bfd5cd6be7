package logical

import (
	"context"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Stream is what one consumer gets: the transactions of a ChangeReader as messages
// of an output plugin.
type Stream struct {
	reader *ChangeReader
	plugin plugin
	until  log.Offset
}

// StreamConfig says what a stream is of.
type StreamConfig struct {
	Replica *sm.Replica
	From    log.Offset // the first transaction is the one that commits here or later
	Until   log.Offset // there are none that commit later; 0 for no end
	Plugin  string
	Options []Option
	Format  *types.Format // how values become text
	Sink    Sink
}

// NewStream returns a stream. Nothing is read yet: its errors are about the plugin
// and its options.
func NewStream(c StreamConfig) (*Stream, error) {
	p, err := newPlugin(c.Plugin, c.Options, c.Format, c.Sink)
	if err != nil {
		return nil, err
	}
	return &Stream{reader: NewChangeReader(c.Replica, c.From), plugin: p, until: c.Until}, nil
}

// Binary reports whether the messages are no text.
func (s *Stream) Binary() bool { return s.plugin.binary() }

// Next goes one step on and hands the messages that come of it to the sink. sent
// says, at a Commit, whether the consumer got anything of the transaction.
func (s *Stream) Next() (step Step, sent bool, err error) {
	if step, err = s.reader.Next(); err != nil {
		return step, false, err
	}
	switch step {
	case Begin:
		if s.until != 0 && s.reader.Header().Commit > s.until {
			return CaughtUp, false, nil
		}
		err = s.plugin.begin(s.reader)
	case Change:
		err = s.plugin.change(s.reader)
	case Commit:
		sent, err = s.plugin.commit(s.reader)
	}
	return step, sent, err
}

// Outside reports whether the Change that Next has come to is a message outside of
// transactions, and where it is.
func (s *Stream) Outside() (log.Offset, bool) {
	c := s.reader.Change()
	return c.Offset, c.Op == sm.OpMessage && !c.Transactional
}

// TransactionID is the number that the transaction has in the messages.
func (s *Stream) TransactionID() uint32 { return transactionID(s.reader.Header().Start) }

// Position is the end of what has been handed out whole: every transaction that has
// not, commits at this offset or later.
func (s *Stream) Position() log.Offset { return s.reader.Position() }

// Park lets go of what is held of the store, until the next step.
func (s *Stream) Park() { s.reader.Park() }

// Wait returns when there is another transaction.
func (s *Stream) Wait(ctx context.Context) error { return s.reader.Wait(ctx) }
