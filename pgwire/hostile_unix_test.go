//go:build unix

package pgwire

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"
	"github.com/stretchr/testify/require"
)

// requireAlive checks that the server still serves an ordinary client.
func requireAlive(t testing.TB, s *testServer) {
	t.Helper()
	c := connect(t, s)
	c.send(&pgproto3.Query{String: "rows 1"})
	require.Len(t, c.until("ReadyForQuery"), 4)
	c.send(&pgproto3.Terminate{})
	c.until("close")
}

// heap is the memory in use after a collection, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The first is what makes a bare pgproto3 panic: a length that does not count
// itself. The others make it allocate what they announce.
func TestImpossibleLengths(t *testing.T) {
	s := startServer(t, nil)
	before := heap()
	for _, length := range []uint32{0, 1, 3, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff} {
		head := binary.BigEndian.AppendUint32(nil, length)
		c := dial(t, s)
		c.raw(head)
		require.Contains(t, c.until("close")[0], "C=08P01 M=invalid length of startup packet")
		for _, typ := range []byte("BCDEFHPQSXcdf") {
			c := connect(t, s)
			c.raw(append([]byte{typ}, head...))
			got := c.until("close")
			require.Contains(t, got[0], "S=FATAL", "type %c length %d", typ, int32(length))
			c.conn.Close()
		}
	}
	require.Less(t, heap()-before, int64(16<<20))
	requireAlive(t, s)
}

// Lengths that are allowed, of which next to nothing arrives: nothing may be
// allocated for the promise.
func TestPromisedBytesAreNotAllocated(t *testing.T) {
	s := startServer(t, nil)
	before := heap()
	for range 200 {
		c := connect(t, s)
		c.raw([]byte{'B', 3, 0, 0, 0, 'x', 'y'})
	}
	require.Less(t, heap()-before, int64(16<<20), "200 messages of 48 MiB were promised")
	require.Zero(t, s.budget.used.Load())
	requireAlive(t, s)
}

func TestQueryOfAHundredMegabytes(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	before := heap()
	const size = 100 << 20
	header := binary.BigEndian.AppendUint32([]byte{'Q'}, size+4)
	_, err := c.conn.Write(header)
	require.NoError(t, err)
	chunk := make([]byte, 1<<20)
	for range size / len(chunk) {
		if _, err := c.conn.Write(chunk); err != nil {
			break // the server need not read all of it
		}
	}
	require.Equal(t, []string{"ErrorResponse S=FATAL V=FATAL C=54000 M=query is too long D=The message has 104857600 bytes, the limit is 67108864 bytes.", "close"}, c.until("close"))
	require.Less(t, heap()-before, int64(16<<20))
	requireAlive(t, s)
}

func TestLargeMessagesAreTakenAndTheirMemoryGivenBack(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	sql := "rows 0" + strings.Repeat(" ", 40<<20)
	before := heap()
	c.send(&pgproto3.Query{String: sql}, &pgproto3.Query{String: "rows 0"})
	c.until("ReadyForQuery")
	c.until("ReadyForQuery")
	c.send(&pgproto3.Parse{Query: "syntax" + sql}, &pgproto3.Sync{}, &pgproto3.Query{String: "rows 0"})
	c.until("ReadyForQuery")
	c.until("ReadyForQuery")
	c.send(&pgproto3.Parse{Query: "rows 0"}, &pgproto3.Bind{Parameters: [][]byte{[]byte(sql)}, PreparedStatement: "none"}, &pgproto3.Sync{}, &pgproto3.Query{String: "rows 0"})
	c.until("ReadyForQuery")
	c.until("ReadyForQuery")
	require.Eventually(t, func() bool { return s.budget.used.Load() == 0 }, clientTimeout, time.Millisecond)
	require.Less(t, heap()-before, int64(8<<20))
	runtime.KeepAlive(sql) // it was there before, too
}

func TestMessageMemoryIsShared(t *testing.T) {
	s := startServer(t, func(c *Config) { c.MessageMemory = 4 << 20 })
	holder := connect(t, s)
	holder.raw(append(binary.BigEndian.AppendUint32([]byte{'Q'}, 3<<20), make([]byte, 2<<20)...))
	require.Eventually(t, func() bool { return s.budget.used.Load() > 2<<20 }, clientTimeout, time.Millisecond)
	c := connect(t, s)
	c.send(&pgproto3.Query{String: strings.Repeat(" ", 3<<20)})
	require.Contains(t, c.until("close")[0], "S=FATAL V=FATAL C=53200 M=out of memory")
	requireAlive(t, s)
}

// Five thousand connections that say nothing, or half a word.
func TestHalfOpenConnections(t *testing.T) {
	const wanted = 5000
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	count := min(wanted, int(min(limit.Cur, 1<<20))/2-200) // both ends are ours
	s := startServer(t, nil)
	before, began := heap(), time.Now()
	conns := make([]net.Conn, 0, count)
	defer func() {
		for _, nc := range conns {
			nc.Close()
		}
	}()
	for i := range count {
		nc, err := net.Dial("tcp", s.addr)
		require.NoError(t, err)
		conns = append(conns, nc)
		if i%2 == 0 {
			_, err = nc.Write([]byte{0, 0, 1})
			require.NoError(t, err)
		}
		if i%1000 == 0 {
			requireAlive(t, s)
		}
	}
	requireAlive(t, s)
	s.mu.Lock()
	pending := s.pending.Len()
	s.mu.Unlock()
	require.LessOrEqual(t, pending, DefaultMaxPending)
	require.Less(t, heap()-before, int64(64<<20))
	require.Less(t, time.Since(began), 30*time.Second)
}

func TestDisconnectInTheMiddleOfCopy(t *testing.T) {
	s := startServer(t, nil)
	for _, last := range [][]byte{frame('d', "abc"), []byte("d\x00\x00"), frame('X', "")} {
		c := connect(t, s)
		c.send(&pgproto3.Query{String: "copyin"})
		c.until("CopyInResponse")
		c.raw(last)
		c.conn.Close()
		s.waitConnections(t, 0)
		require.Zero(t, s.stats.running.Load())
	}
	c := connect(t, s)
	c.send(&pgproto3.Query{String: "copyout 10000000"})
	c.until("CopyData")
	c.conn.Close()
	s.waitConnections(t, 0)
}

func TestStatementOfALostClientIsCancelled(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	c.send(&pgproto3.Query{String: "wait"})
	s.waitRunning(t, 1)
	c.conn.Close()
	s.waitConnections(t, 0)
}

func TestSlowReaderIsCutOff(t *testing.T) {
	s := startServer(t, func(c *Config) { c.WriteTimeout = 50 * time.Millisecond })
	c := connect(t, s)
	before := heap()
	c.send(&pgproto3.Query{String: "rows 100000000 1000"})
	s.waitConnections(t, 0)
	require.Less(t, heap()-before, int64(16<<20))
	requireAlive(t, s)
}

func TestOneHugeRow(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	c.send(&pgproto3.Query{String: "rows 2 5000000"})
	got := c.until("ReadyForQuery")
	require.Len(t, got, 5)
	require.Greater(t, len(got[2]), 5_000_000)
}

func TestManyParameters(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	params := make([][]byte, 65535)
	for i := range params {
		params[i] = []byte("v")
	}
	c.send(&pgproto3.Parse{Query: "echo" + strings.Repeat(" $", len(params))}, &pgproto3.Bind{Parameters: params}, &pgproto3.Execute{}, &pgproto3.Sync{})
	got := c.until("ReadyForQuery")
	require.Equal(t, 65535, strings.Count(got[2], `"v"`))
}

// Garbage, before and after authentication, alone and between good messages.
func TestRandomGarbage(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := startServer(t, nil)
	good := [][]byte{
		frame('Q', "rows 1\x00"), frame('P', "\x00echo $1\x00\x00\x00"), frame('B', "\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00"),
		frame('E', "\x00\x00\x00\x00\x00"), frame('D', "P\x00"), frame('S', ""), frame('Q', "copyin\x00"), frame('d', "x"), frame('c', ""), frame('H', ""),
	}
	for range 400 {
		nc, err := net.Dial("tcp", s.addr)
		require.NoError(t, err)
		var out []byte
		if rnd.IntN(4) > 0 {
			out = startup(protocolMajor<<16, "user\x00u\x00\x00")
		}
		for range rnd.IntN(12) {
			msg := bytes.Clone(good[rnd.IntN(len(good))])
			for range rnd.IntN(3) {
				msg[rnd.IntN(len(msg))] = byte(rnd.Uint32())
			}
			out = append(out, msg...)
		}
		_, _ = nc.Write(out)               // the server may have closed already
		_ = nc.(*net.TCPConn).CloseWrite() // likewise
		require.NoError(t, nc.SetDeadline(time.Now().Add(clientTimeout)))
		_, err = io.Copy(io.Discard, nc)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server neither answers nor closes")
		nc.Close()
	}
	s.waitConnections(t, 0)
	requireAlive(t, s)
}
