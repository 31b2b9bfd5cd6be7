package pgwire

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgproto3/v2"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

func TestReadBufferShrinksAfterABigMessage(t *testing.T) {
	budget := &memoryBudget{limit: 64 << 20}
	stream := append(frame('Q', strings.Repeat("x", 5<<20)), frame('Q', "small")...)
	f := newFrameReader(io.MultiReader(bytes.NewReader(stream), bytes.NewReader(frame('S', ""))), budget)
	f.limit = maxFrame
	_, body, err := f.next()
	require.NoError(t, err)
	require.Len(t, body, 5<<20)
	require.Greater(t, budget.used.Load(), int64(5<<20))
	_, body, err = f.next()
	require.NoError(t, err)
	require.Equal(t, "small", string(body))
	_, _, err = f.next()
	require.NoError(t, err)
	require.Equal(t, readBuffer, len(f.buf))
	require.Zero(t, budget.used.Load())
}

func TestReadBufferGrowsForAClientThatPipelines(t *testing.T) {
	var stream []byte
	for range 10_000 {
		stream = append(stream, frame('d', strings.Repeat("y", 100))...)
	}
	counting := &countingReader{r: bytes.NewReader(stream)}
	f := newFrameReader(counting, nil)
	f.limit = maxFrame
	for range 10_000 {
		_, body, err := f.next()
		require.NoError(t, err)
		require.Len(t, body, 100)
	}
	require.LessOrEqual(t, len(f.buf), maxReadAhead)
	require.Less(t, counting.reads, 40, "messages per read")
	_, _, err := f.next()
	require.Equal(t, io.EOF, err)
}

type countingReader struct {
	r     io.Reader
	reads int
}

func (c *countingReader) Read(b []byte) (int, error) {
	c.reads++
	return c.r.Read(b)
}

func TestOneWriteForABatch(t *testing.T) {
	s := startServer(t, nil)
	ours, theirs := net.Pipe()
	counted := &countingConn{Conn: theirs}
	s.ServeConn(counted)
	c := newWireClient(t, ours)
	c.send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u"}})
	c.until("ReadyForQuery")
	require.EqualValues(t, 1, counted.writes.Load(), "the whole greeting")
	counted.writes.Store(0)
	c.send(&pgproto3.Parse{Query: "rows 20"}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{})
	require.Len(t, c.until("ReadyForQuery"), 25)
	require.EqualValues(t, 1, counted.writes.Load())
}

type countingConn struct {
	net.Conn
	writes atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestErrorFieldsAreCleaned(t *testing.T) {
	require.Equal(t, `a\0b`, cleanField("a\x00b"))
	require.Equal(t, "a\uFFFDb", cleanField("a\xffb"))
	for _, unit := range []string{"x", "ä", "€", "😀"} {
		for shift := range 4 {
			long := cleanField(strings.Repeat("x", shift) + strings.Repeat(unit, maxErrorField))
			require.LessOrEqual(t, len(long), maxErrorField)
			require.Greater(t, len(long), maxErrorField-8)
			require.True(t, utf8.ValidString(long))
			require.NotContains(t, long, "\uFFFD")
		}
	}
}

func TestStatementContextIsReusedUntilItIsCancelled(t *testing.T) {
	parent, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var s statementContext
	s.init(parent)
	defer func() { s.close() }()
	first := s.begin(1)
	s.end()
	s.interrupt(userCancel()) // idle
	second := s.begin(1)
	require.Same(t, first, second)
	require.NoError(t, second.Err())
	s.interrupt(userCancel())
	require.Equal(t, sqlstate.QueryCanceled, sqlstate.CodeOf(s.cause()))
	s.end()
	third := s.begin(1)
	require.NoError(t, third.Err())
	require.NoError(t, s.cause())
	cancel(adminShutdown())
	require.Equal(t, sqlstate.AdminShutdown, sqlstate.CodeOf(s.cause()))
	s.end()
	require.Error(t, s.begin(1).Err(), "the connection is over")
}
