package consume

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/tests/check"
)

const (
	// startTimeout is for how long a server may take to begin a stream.
	startTimeout = 10 * time.Second
	// retryPause is between two attempts.
	retryPause = 10 * time.Millisecond
	// endTimeout is for how long an orderly end may take.
	endTimeout = 5 * time.Second
	// maxAckPause is the longest time between two acknowledgements.
	maxAckPause = 500 * time.Millisecond
	// maxAway is for how long a consumer is away at most after a crash of its own;
	// mostly it is not.
	maxAway = 4 * time.Second
)

// Acks is how a consumer acknowledges.
type Acks int

const (
	// AckWhole acknowledges the end of what has come whole, now and then.
	AckWhole Acks = iota
	// AckReckless acknowledges, in the middle of transactions as well, the position
	// of a message plus one, or plus its length.
	AckReckless
	// AckWithWork leaves it to what Work does.
	AckWithWork
)

// Servers is what a consumer knows of the servers.
type Servers struct {
	// Addrs are those that run now.
	Addrs func() []string
	// Killed says since when the server at an address does not run.
	Killed func(addr string) (time.Time, bool)
	// Final is the last commit there is, when there will be no other; 0 before.
	Final atomic.Uint64
}

// Consumer is one that reads from a slot. It is used by one goroutine until Run has
// returned.
type Consumer struct {
	Slot     string
	Args     []string // of START_REPLICATION
	Decoder  func() Decoder
	Acks     Acks
	Messages bool // what it receives has messages
	// Life is for how long a connection lasts on average.
	Life time.Duration
	// Work, if there is any, does something for transactions that came whole, and
	// acknowledges them with it.
	Work   *Work
	Tables Tables

	// What has happened.
	Received                  []check.Delivery
	Crashes, Finished, Killed int
	Refused                   int // the slot was not free yet
	// Resumed is how long it took from the death of the server until something came
	// from another one.
	Resumed []time.Duration

	servers    *Servers
	rnd        *rand.Rand
	connection int
	end        log.Offset // of the last transaction that came whole
	last       log.Offset // the last commit that the tables have
	acked      log.Offset // what commits before it is durably acknowledged
	killed     time.Time  // of the server that was used last; zero when it was not
}

// errEnough ends the last connection.
var errEnough = errors.New("everything has come")

// Run reads until everything has come, or something comes that may not.
func (c *Consumer) Run(ctx context.Context, servers *Servers, seed uint64) error {
	c.servers, c.rnd = servers, rand.New(rand.NewPCG(seed, 3))
	for {
		err := c.connect(ctx)
		switch {
		case errors.Is(err, errEnough):
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s has not received everything, but what commits before %s: %w", c.Slot, c.end, err)
		case err != nil && !bearable(err):
			return fmt.Errorf("%s on connection %d: %w", c.Slot, c.connection, err)
		}
	}
}

// bearable reports whether an error is only that of a server that is not there, or
// cannot serve now, or of a slot that is not free yet.
func bearable(err error) bool {
	var impossible *streamError
	if errors.As(err, &impossible) {
		return false
	}
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return true
	}
	return e.Code == "55006" || e.Code == "57014" || strings.HasPrefix(e.Code, "57P") || strings.HasPrefix(e.Code, "08") || strings.HasPrefix(e.Code, "53")
}

// streamError is about what a stream says.
type streamError struct{ error }

// Unwrap returns the error.
func (e *streamError) Unwrap() error { return e.error }

// connect reads through one connection until that is lost or given up.
func (c *Consumer) connect(ctx context.Context) error {
	addrs := c.servers.Addrs()
	if len(addrs) == 0 {
		c.killed = time.Time{}
		return pause(ctx, retryPause)
	}
	addr := addrs[c.rnd.IntN(len(addrs))]
	s := &session{c: c, decoder: c.Decoder()}
	err := s.start(ctx, addr)
	if err != nil {
		if _, dead := c.servers.Killed(addr); dead {
			c.killed = time.Time{} // there is more than one
		}
		if codeOf(err) == "55006" {
			c.Refused++
		}
		if bearable(err) {
			return pause(ctx, retryPause)
		}
		return err
	}
	c.connection++
	err = s.read(ctx)
	s.note(false)
	s.close()
	if at, dead := c.servers.Killed(addr); dead && err != nil {
		c.killed = at
		c.Killed++
	}
	if err == nil && c.rnd.IntN(5) == 0 {
		return pause(ctx, time.Duration(c.rnd.Int64N(int64(maxAway))))
	}
	return err
}

func codeOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// session is one connection of a consumer.
type session struct {
	c       *Consumer
	conn    *pgconn.PgConn
	decoder Decoder

	had     log.Offset // what commits before it has come on this connection
	inside  bool
	current check.Delivery
	changes []Change // of current
	batch   []Done   // transactions that Work is to do
	ackAt   time.Time
}

// start connects and begins the stream, at the slot's position or at the consumer's
// own.
func (s *session) start(ctx context.Context, addr string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s.conn, err = pgconn.Connect(ctx, "postgres://consumer@"+addr+"/postgres?sslmode=disable&connect_timeout=3&replication=database")
	if err != nil {
		return err
	}
	var from pglogrepl.LSN
	if s.c.Acks == AckWhole && s.c.rnd.IntN(2) == 0 {
		from = pglogrepl.LSN(s.c.end)
	}
	if err = pglogrepl.StartReplication(ctx, s.conn, s.c.Slot, from, pglogrepl.StartReplicationOptions{PluginArgs: s.c.Args}); err != nil {
		s.close()
	}
	return err
}

// close ends the connection without a word.
func (s *session) close() {
	if t, ok := s.conn.Conn().(*net.TCPConn); ok && s.c.rnd.IntN(2) == 0 {
		_ = t.SetLinger(0) // it is about to be closed; so the server hears of it by a reset
	}
	_ = s.conn.Conn().Close() // it may be lost already
}

// read reads until the consumer has had enough of this connection.
func (s *session) read(ctx context.Context) error {
	c := s.c
	life := time.Now().Add(time.Duration(c.rnd.ExpFloat64() * float64(c.Life)))
	for {
		if time.Now().After(life) {
			if c.rnd.IntN(3) == 0 {
				c.Finished++
				return s.finish(ctx)
			}
			c.Crashes++
			return nil
		}
		if err := s.acknowledge(ctx); err != nil {
			return err
		}
		m, err := s.receive(ctx, min(time.Until(life), time.Until(s.ackAt)))
		if err == nil && m == nil {
			err = s.work(ctx, true)
		}
		if err != nil {
			return err
		}
		if m == nil {
			continue
		}
		if !c.killed.IsZero() {
			c.Resumed = append(c.Resumed, time.Since(c.killed))
			c.killed = time.Time{}
		}
		if err := s.hear(ctx, m); err != nil {
			return err
		}
	}
}

// receive returns the next piece of the stream, nil when there is none in time.
func (s *session) receive(ctx context.Context, wait time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, max(wait, time.Millisecond))
	defer cancel()
	m, err := s.conn.ReceiveMessage(ctx)
	switch {
	case pgconn.Timeout(err) && !s.conn.IsClosed():
		return nil, nil
	case err != nil:
		return nil, err
	}
	switch m := m.(type) {
	case *pgproto3.CopyData:
		return m.Data, nil
	case *pgproto3.ErrorResponse:
		return nil, pgconn.ErrorResponseToPgError(m)
	}
	return nil, fmt.Errorf("the stream has ended with %T", m)
}

// hear takes a piece of the stream in.
func (s *session) hear(ctx context.Context, b []byte) error {
	switch b[0] {
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		k, err := pglogrepl.ParsePrimaryKeepaliveMessage(b[1:])
		if err != nil {
			return &streamError{err}
		}
		return s.alive(ctx, log.Offset(k.ServerWALEnd), k.ReplyRequested)
	case pglogrepl.XLogDataByteID:
		x, err := pglogrepl.ParseXLogData(b[1:])
		if err != nil {
			return &streamError{err}
		}
		return s.data(ctx, log.Offset(x.WALStart), x.WALData)
	}
	return &streamError{fmt.Errorf("a message %q", b[0])}
}

// alive hears that everything before end has been sent.
func (s *session) alive(ctx context.Context, end log.Offset, reply bool) error {
	if reply {
		s.ackAt = time.Now()
	}
	if s.inside {
		return nil
	}
	s.reached(end)
	return s.enough(ctx)
}

// reached notes that everything that commits before end has come.
func (s *session) reached(end log.Offset) {
	s.had = max(s.had, end)
	s.c.end = max(s.c.end, end)
}

// enough ends the connection when everything has come.
func (s *session) enough(ctx context.Context) error {
	final := log.Offset(s.c.servers.Final.Load())
	if final == 0 || s.c.end <= final {
		return nil
	}
	if err := s.work(ctx, true); err != nil {
		return err
	}
	if err := s.finish(ctx); err != nil {
		return err
	}
	return errEnough
}

// data takes a message in.
func (s *session) data(ctx context.Context, at log.Offset, b []byte) error {
	e, err := s.decoder.Decode(at, b)
	if err != nil {
		return &streamError{err}
	}
	switch e.Kind {
	case Begun:
		if s.inside {
			s.note(false) // the judge will see that there was no end
		}
		s.begin(e.Commit)
	case Outside:
		if s.inside {
			return &streamError{fmt.Errorf("a message at %s stands inside of a transaction", at)}
		}
		s.begin(e.Commit)
		s.add(&e.Change)
		err = s.whole(ctx, e.Commit, e.Commit)
	case Changed:
		if !s.inside {
			return &streamError{fmt.Errorf("a change at %s outside of a transaction", at)}
		}
		s.add(&e.Change)
	case Ended:
		if !s.inside || s.current.Commit != 0 && s.current.Commit != e.Commit {
			return &streamError{fmt.Errorf("the end of %s, where that of %s should be", e.Commit, s.current.Commit)}
		}
		err = s.whole(ctx, e.Commit, e.Commit+1)
	}
	if err != nil {
		return err
	}
	if s.c.Acks == AckReckless && s.c.rnd.IntN(4) == 0 {
		return s.status(at + log.Offset([]int{1, len(b)}[s.c.connection%2]))
	}
	return nil
}

func (s *session) begin(commit log.Offset) {
	s.inside, s.changes = true, s.changes[:0]
	s.current = check.Delivery{Connection: s.c.connection, Commit: commit}
}

// add notes a change, unless it is of a table that is nobody's business.
func (s *session) add(c *Change) {
	if _, ours := s.c.Tables[c.Table]; ours || c.Op == Message {
		s.changes = append(s.changes, *c)
		s.current.Changes = append(s.current.Changes, c.Sum())
	}
}

// whole notes that a transaction has come to its end. Its changes are for the
// tables, unless it came before.
func (s *session) whole(ctx context.Context, commit, end log.Offset) error {
	if commit < s.c.acked {
		return &streamError{fmt.Errorf("%s has come again, and everything before %s was acknowledged", commit, s.c.acked)}
	}
	s.current.Commit = commit
	s.note(true)
	s.reached(end)
	if commit > s.c.last && len(s.changes) > 0 {
		s.c.last = commit
		for i := range s.changes {
			if err := s.c.Tables.Apply(&s.changes[i], nil); err != nil {
				return &streamError{err}
			}
		}
	}
	if s.c.Work != nil && len(s.changes) > 0 {
		s.batch = append(s.batch, done(commit, end, s.changes))
		if err := s.work(ctx, false); err != nil {
			return err
		}
	}
	return s.enough(ctx)
}

// note keeps what has come of a transaction, whole or not.
func (s *session) note(whole bool) {
	if s.inside && len(s.current.Changes) > 0 {
		s.current.Whole = whole
		s.current.Changes = slices.Clip(s.current.Changes)
		s.c.Received = append(s.c.Received, s.current)
	}
	s.inside = false
}

// acknowledge says how far the consumer is, when it is time to.
func (s *session) acknowledge(context.Context) error {
	now := time.Now()
	if now.Before(s.ackAt) {
		return nil
	}
	s.ackAt = now.Add(time.Duration(s.c.rnd.Int64N(int64(maxAckPause))))
	switch s.c.Acks {
	case AckWhole:
		return s.status(s.had)
	case AckReckless:
		if !s.inside { // as an idle consumer answers a keepalive
			return s.status(s.c.end)
		}
		return s.status(1)
	}
	return s.status(0)
}

// status sends an acknowledgement.
func (s *session) status(at log.Offset) error {
	return pglogrepl.SendStandbyStatusUpdate(context.Background(), s.conn, pglogrepl.StandbyStatusUpdate{WALWritePosition: pglogrepl.LSN(at)})
}

// finish ends the stream in order. What the consumer has from earlier connections, and
// has not been sent on this one, an acknowledgement is not good for.
func (s *session) finish(ctx context.Context) error {
	if s.c.Acks == AckWhole {
		if err := s.status(s.had); err != nil {
			return err
		}
	}
	s.note(false)
	if err := s.conn.Conn().SetDeadline(time.Now().Add(endTimeout)); err != nil {
		return err
	}
	if _, err := pglogrepl.SendStandbyCopyDone(ctx, s.conn); err != nil {
		return err
	}
	if s.c.Acks == AckWhole {
		s.c.acked = max(s.c.acked, s.had)
	}
	return nil
}
