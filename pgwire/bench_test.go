package pgwire

import (
	"io"
	"net"
	"testing"

	"github.com/jackc/pgproto3/v2"
	"github.com/stretchr/testify/require"
)

// benchmarkRoundTrip measures requests over a loopback socket with a client
// that does next to nothing, so that allocations are the server's (and the
// fake session's).
func benchmarkRoundTrip(b *testing.B, setup, request []byte) {
	s := startServer(b, nil)
	nc, err := net.Dial("tcp", s.addr)
	require.NoError(b, err)
	defer nc.Close()
	buf := make([]byte, 64<<10)
	roundTrip := func(out []byte) int {
		if _, err := nc.Write(out); err != nil {
			b.Fatal(err)
		}
		// Every answer ends with ReadyForQuery.
		for n := 0; ; {
			m, err := nc.Read(buf[n:])
			if err != nil {
				b.Fatal(err)
			}
			n += m
			if n >= 6 && string(buf[n-6:n]) == "Z\x00\x00\x00\x05I" {
				return n
			}
		}
	}
	roundTrip(startup(protocolMajor<<16, "user\x00u\x00\x00"))
	roundTrip(setup)
	want := roundTrip(request)
	b.ReportAllocs()
	for b.Loop() {
		if n := roundTrip(request); n != want {
			b.Fatal("another answer of", n, "bytes")
		}
	}
}

// BenchmarkPreparedSelect is pgbench's prepared mode: Bind, Describe, Execute, Sync.
func BenchmarkPreparedSelect(b *testing.B) {
	benchmarkRoundTrip(b,
		encode(b, &pgproto3.Parse{Name: "P0_1", Query: "rows 1"}, &pgproto3.Sync{}),
		encode(b, &pgproto3.Bind{PreparedStatement: "P0_1"}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{}))
}

// BenchmarkSimpleSelect is pgbench's simple mode.
func BenchmarkSimpleSelect(b *testing.B) {
	request := encode(b, &pgproto3.Query{String: "rows 1"})
	benchmarkRoundTrip(b, request, request)
}

// BenchmarkRow is the cost of a row of an int4 and a short text.
func BenchmarkRow(b *testing.B) {
	s := NewServer(Config{})
	c := newConn(s, discardConn{})
	c.session = &fakeSession{}
	p := newFakePortal("rows 1000", nil)
	c.results.expect(rowColumns, nil)
	b.ReportAllocs()
	for b.Loop() {
		p.next = 0
		if _, err := p.rows(0, &c.results); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/row")
}

// discardConn writes to nowhere.
type discardConn struct{ net.Conn }

func (discardConn) Write(b []byte) (int, error) { return io.Discard.Write(b) }
