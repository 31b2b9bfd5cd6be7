package pgwire

import (
	"encoding/hex"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgproto3/v2"
	"github.com/stretchr/testify/require"
)

// TestScripts runs the conversations in testdata. The commands are
//
//	connect             a new connection, start-up done, nothing shown
//	dial                a new connection on which nothing was said
//	startup [version=3.0] [until=NAME]
//	                    a start-up packet of the name=value lines of the input
//	ssl, gss            a request for encryption; shows the byte that answers it
//	send [until=NAME]   sends the messages of the input, one a line, in one write,
//	                    and shows what comes back up to the named message
//	running             waits until a statement is running
//	cancel [wrong]      a CancelRequest for the connection, or with a wrong key
//
// and the messages
//
//	Query SQL            Parse NAME|SQL|OID,…       Describe S|P NAME
//	Bind PORTAL|STATEMENT|VALUE,…|FORMAT,…|FORMAT,…  Execute PORTAL|N
//	Close S|P NAME       CopyData TEXT              CopyFail REASON
//	raw HEX              Sync, Flush, CopyDone, Terminate
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := startServer(t, nil)
		var c *wireClient
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			until := ""
			d.MaybeScanArgs(t, "until", &until)
			switch d.Cmd {
			case "connect":
				c = connect(t, s)
				return ""
			case "dial":
				c = dial(t, s)
				return ""
			case "startup":
				version := "3.0"
				d.MaybeScanArgs(t, "version", &version)
				c.raw(startupOf(t, version, d.Input))
			case "ssl", "gss":
				code := map[string]uint32{"ssl": codeSSL, "gss": codeGSSENC}[d.Cmd]
				c.raw(startup(code, ""))
				b, err := c.r.ReadByte()
				require.NoError(t, err)
				return string(b)
			case "send":
				var out []byte
				for line := range strings.Lines(d.Input) {
					out = append(out, messageOf(t, strings.TrimSuffix(line, "\n"))...)
				}
				c.raw(out)
			case "running":
				require.Eventually(t, func() bool { return s.stats.running.Load() == 1 }, clientTimeout, time.Millisecond)
			case "cancel":
				sendCancel(t, s, c.key, d.HasArg("wrong"))
			default:
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			if until == "" {
				return ""
			}
			return strings.Join(c.until(until), "\n")
		})
	})
}

func startupOf(t *testing.T, version, input string) []byte {
	major, minor, _ := strings.Cut(version, ".")
	var body string
	for line := range strings.Lines(input) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		body += name + "\x00" + value + "\x00"
	}
	return startup(uint32(atoi(t, major)<<16|atoi(t, minor)), body+"\x00")
}

// sendCancel makes a CancelRequest and waits until the server has seen it.
func sendCancel(t testing.TB, s *testServer, key pgproto3.BackendKeyData, wrong bool) {
	nc, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	c := newWireClient(t, nc)
	if wrong {
		key.SecretKey++
	}
	c.send(&pgproto3.CancelRequest{ProcessID: key.ProcessID, SecretKey: key.SecretKey})
	require.Equal(t, []string{"close"}, c.until("close"))
}

func atoi(t testing.TB, s string) int {
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

func messageOf(t *testing.T, line string) []byte {
	word, rest, _ := strings.Cut(line, " ")
	part := append(strings.Split(rest, "|"), make([]string, 5)...)
	kind := append([]byte(rest), 0)[0]
	name := strings.TrimPrefix(strings.TrimPrefix(rest, string(kind)), " ")
	switch word {
	case "raw":
		b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		require.NoError(t, err)
		return b
	case "Query":
		return encode(t, &pgproto3.Query{String: rest})
	case "Parse":
		var oids []uint32
		for _, n := range splitList(part[2]) {
			oids = append(oids, uint32(atoi(t, n)))
		}
		return encode(t, &pgproto3.Parse{Name: part[0], Query: part[1], ParameterOIDs: oids})
	case "Bind":
		m := &pgproto3.Bind{DestinationPortal: part[0], PreparedStatement: part[1],
			ParameterFormatCodes: int16s(t, part[3]), ResultFormatCodes: int16s(t, part[4])}
		for _, v := range splitList(part[2]) {
			value := []byte(v)
			if v == "NULL" {
				value = nil
			}
			m.Parameters = append(m.Parameters, value)
		}
		return encode(t, m)
	case "Describe":
		return encode(t, &pgproto3.Describe{ObjectType: kind, Name: name})
	case "Close":
		return encode(t, &pgproto3.Close{ObjectType: kind, Name: name})
	case "Execute":
		n := 0
		if part[1] != "" {
			n = atoi(t, part[1])
		}
		return encode(t, &pgproto3.Execute{Portal: part[0], MaxRows: uint32(n)})
	case "CopyData":
		return encode(t, &pgproto3.CopyData{Data: []byte(rest)})
	case "CopyFail":
		return encode(t, &pgproto3.CopyFail{Message: rest})
	}
	types := map[string]byte{"Sync": msgSync, "Flush": msgFlush, "CopyDone": msgCopyDone, "Terminate": msgTerminate}
	require.Contains(t, types, word)
	return frame(types[word], "")
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func int16s(t *testing.T, s string) []int16 {
	var out []int16
	for _, n := range splitList(s) {
		out = append(out, int16(atoi(t, n)))
	}
	return out
}
