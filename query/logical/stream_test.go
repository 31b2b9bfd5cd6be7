package logical_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/logical"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// message is one message as the sink got it.
type message struct {
	at   log.Offset
	data []byte
}

// collector is a stream and what has come of it so far.
type collector struct {
	stream   *logical.Stream
	messages []message
}

func collect(t *testing.T, c logical.StreamConfig) *collector {
	t.Helper()
	out := &collector{}
	c.Format = types.DefaultFormat()
	c.Sink = func(at log.Offset, data []byte) error {
		out.messages = append(out.messages, message{at, append([]byte(nil), data...)})
		return nil
	}
	var err error
	out.stream, err = logical.NewStream(c)
	require.NoError(t, err)
	t.Cleanup(out.stream.Park)
	return out
}

// more returns what has been committed since the last call.
func (c *collector) more(t *testing.T) []message {
	t.Helper()
	c.messages = nil
	for {
		step, _, err := c.stream.Next()
		require.NoError(t, err)
		if step == logical.CaughtUp {
			return c.messages
		}
	}
}

func options(pairs ...string) (out []logical.Option) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, logical.Option{Name: pairs[i], Value: pairs[i+1], Set: true})
	}
	return out
}

// pgoutput makes a stream of a publication.
func pgoutput(t *testing.T, r *sm.Replica, from log.Offset, more ...string) *collector {
	return collect(t, logical.StreamConfig{Replica: r, From: from, Plugin: "pgoutput",
		Options: append(options("proto_version", "1", "publication_names", "p"), options(more...)...)})
}

// reader takes a message apart.
type reader struct{ b []byte }

func (r *reader) take(n int) []byte {
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}
func (r *reader) byte() byte  { return r.take(1)[0] }
func (r *reader) u16() int    { return int(binary.BigEndian.Uint16(r.take(2))) }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }
func (r *reader) str() string {
	i := strings.IndexByte(string(r.b), 0)
	s := string(r.take(i))
	r.take(1)
	return s
}

func (r *reader) tuple() string {
	var words []string
	for range r.u16() {
		switch k := r.byte(); k {
		case 't':
			words = append(words, string(r.take(int(r.u32()))))
		case 'b':
			words = append(words, hex.EncodeToString(r.take(int(r.u32()))))
		default:
			words = append(words, "~"+string(k))
		}
	}
	return "(" + strings.Join(words, ",") + ")"
}

// described is a pgoutput message in words; tables go by their name.
func (m message) described(names map[uint32]string) string {
	r := &reader{m.data}
	defer func() {
		if len(r.b) > 0 {
			panic(fmt.Sprintf("%d bytes behind message %x", len(r.b), m.data))
		}
	}()
	switch k := r.byte(); k {
	case 'B':
		r.take(20)
		return "B"
	case 'C':
		r.take(25)
		return "C"
	case 'R':
		id, schema, name := r.u32(), r.str(), r.str()
		names[id] = name
		s := fmt.Sprintf("R %s.%s %c", schema, name, r.byte())
		for range r.u16() {
			s += fmt.Sprintf(" %d", r.byte()) + " " + r.str()
			s += fmt.Sprintf(":%d", r.u32())
			if mod := int32(r.u32()); mod != -1 {
				s += fmt.Sprintf("/%d", mod)
			}
		}
		return s
	case 'I', 'U', 'D':
		s := string(k) + " " + names[r.u32()]
		for len(r.b) > 0 {
			s += " " + string(r.byte()) + r.tuple()
		}
		return s
	case 'T':
		n, flags := r.u32(), r.byte()
		s := fmt.Sprintf("T %d", flags)
		for range n {
			s += " " + names[r.u32()]
		}
		return s
	case 'M':
		flags, at, prefix := r.byte(), r.u64(), r.str()
		s := fmt.Sprintf("M %d %s %s", flags, prefix, r.take(int(r.u32())))
		if log.Offset(at) != m.at {
			s += " at another position"
		}
		return s
	}
	return "?" + string(m.data)
}

func words(messages []message, names map[uint32]string) []string {
	out := []string{}
	for _, m := range messages {
		out = append(out, m.described(names))
	}
	return out
}

// TestPgoutput compares the messages with those that PostgreSQL 15 sends for the
// same statements.
func TestPgoutput(t *testing.T) {
	r := newReplica(t)
	must(t, r, "CREATE TABLE a (id int PRIMARY KEY, name text, n numeric(8,2))", "CREATE TABLE b (k text PRIMARY KEY, v bigint)",
		"CREATE TABLE hidden (id int)", "CREATE PUBLICATION p FOR TABLE a, b")
	names := map[uint32]string{}
	s := pgoutput(t, r, 0, "messages", "true")
	s.more(t)
	s.stream.Position()
	for _, k := range []struct {
		statements []string
		want       []string
	}{
		{[]string{"INSERT INTO a VALUES (1, 'one', 1.5), (2, NULL, NULL)"},
			[]string{"B", "R public.a d 1 id:23 0 name:25 0 n:1700/524294", "I a N(1,one,1.50)", "I a N(2,~n,~n)", "C"}},
		{[]string{"UPDATE a SET name = 'uno' WHERE id = 1", "UPDATE a SET id = 3 WHERE id = 2", "DELETE FROM a WHERE id = 3"},
			[]string{"B", "U a N(1,uno,1.50)", "U a K(2,~n,~n) N(3,~n,~n)", "D a K(3,~n,~n)", "C"}},
		{[]string{"INSERT INTO hidden VALUES (1)"}, []string{}},
		{[]string{"CREATE TABLE later (id int)"}, []string{}},
		{[]string{"TRUNCATE a, b"}, []string{"B", "R public.b d 1 k:25 0 v:20", "T 0 a b", "C"}},
		{[]string{"INSERT INTO b VALUES ('x', 1)", "TRUNCATE a", "TRUNCATE b", "INSERT INTO hidden VALUES (2)", "TRUNCATE a", "INSERT INTO b VALUES ('y', 2)"},
			[]string{"B", "I b N(x,1)", "T 0 a b", "T 0 a", "I b N(y,2)", "C"}},
		{[]string{"TRUNCATE a", "TRUNCATE a, b", "TRUNCATE b"}, []string{"B", "T 0 a", "T 0 a b", "T 0 b", "C"}},
		{[]string{"TRUNCATE a", "TRUNCATE b CASCADE", "TRUNCATE a, b RESTART IDENTITY", "TRUNCATE a RESTART IDENTITY CASCADE"},
			[]string{"B", "T 0 a", "T 1 b", "T 2 a b", "T 3 a", "C"}},
		{[]string{"INSERT INTO b VALUES ('y', 2)"}, []string{"B", "I b N(y,2)", "C"}},
		{[]string{"ALTER TABLE b REPLICA IDENTITY FULL", "UPDATE b SET v = NULL", "DELETE FROM b"},
			[]string{"B", "R public.b f 1 k:25 1 v:20", "U b O(y,2) N(y,~n)", "D b O(y,~n)", "C"}},
		{[]string{"ALTER TABLE a DROP COLUMN name", "ALTER TABLE a ADD COLUMN x bool DEFAULT true", "INSERT INTO a (id) VALUES (4)"},
			[]string{"B", "R public.a d 1 id:23 0 n:1700/524294 0 x:16", "I a N(4,~n,t)", "C"}},
		{[]string{"ALTER PUBLICATION p SET TABLE a (id)"}, []string{}},
		{[]string{"UPDATE a SET n = 7", "INSERT INTO b VALUES ('z', 3)"},
			[]string{"B", "R public.a d 1 id:23", "U a N(4)", "C"}},
		{[]string{"INSERT INTO a VALUES (5)", "DROP TABLE a"}, []string{"B", "I a N(5)", "C"}},
	} {
		must(t, r, k.statements...)
		got := words(s.more(t), names)
		kept := []string{} // DDL makes messages of its own
		for _, m := range got {
			if !strings.HasPrefix(m, "M 1 tidemark.ddl") {
				kept = append(kept, m)
			}
		}
		if len(kept) == 2 && len(got) > 2 {
			kept = []string{} // B and C of nothing else
		}
		require.Equal(t, k.want, kept, "%v", k.statements)
	}
}

// TestPgoutputFilter has the transitions of a row filter.
func TestPgoutputFilter(t *testing.T) {
	r := newReplica(t)
	must(t, r, "CREATE TABLE a (id int PRIMARY KEY, v text)", "CREATE PUBLICATION p FOR TABLE a WHERE (id > 10)")
	names := map[uint32]string{}
	s := pgoutput(t, r, 0)
	for _, k := range []struct{ sql, want string }{
		{"INSERT INTO a VALUES (1, 'x')", ""},
		{"INSERT INTO a VALUES (11, 'y')", "B|R public.a d 1 id:23 0 v:25|I a N(11,y)|C"},
		{"UPDATE a SET v = 'z' WHERE id = 11", "B|U a N(11,z)|C"},
		{"UPDATE a SET v = 'z' WHERE id = 1", ""},
		{"UPDATE a SET id = 2 WHERE id = 11", "B|D a K(11,~n)|C"},
		{"UPDATE a SET id = 12 WHERE id = 2", "B|I a N(12,z)|C"},
		{"UPDATE a SET id = 13 WHERE id = 12", "B|U a K(12,~n) N(13,z)|C"},
		{"DELETE FROM a", "B|D a K(13,~n)|C"},
		{"TRUNCATE a", "B|T 0 a|C"},
	} {
		must(t, r, k.sql)
		require.Equal(t, k.want, strings.Join(words(s.more(t), names), "|"), k.sql)
	}
}

// TestPgoutputBinary compares values in binary form.
func TestPgoutputBinary(t *testing.T) {
	r := newReplica(t)
	must(t, r, "CREATE TABLE a (id int PRIMARY KEY, t text, b bool, at timestamptz, ns int[])", "CREATE PUBLICATION p FOR ALL TABLES")
	s := pgoutput(t, r, 0, "binary", "on")
	must(t, r, `INSERT INTO a VALUES (258, 'é', true, '2000-01-01 00:00:01+00', '{1}')`)
	got := words(s.more(t), map[uint32]string{})
	require.Equal(t, "I a N(00000102,c3a9,01,00000000000f4240,0000000100000000000000170000000100000001"+"0000000400000001)", got[2])
}

// TestPgoutputBytes compares every byte of a transaction.
func TestPgoutputBytes(t *testing.T) {
	r := newReplica(t)
	must(t, r, "CREATE TABLE a (id int PRIMARY KEY)", "CREATE PUBLICATION p FOR TABLE a")
	c := current(t, r)
	id := fmt.Sprintf("%08x", uint32(tableNamed(c, "a").ID))
	s := pgoutput(t, r, r.Position().End)
	must(t, r, "INSERT INTO a VALUES (7)")
	got := s.more(t)
	h := header(t, r)
	u64 := func(v uint64) string { return fmt.Sprintf("%016x", v) }
	at := u64(uint64(h.Time))
	require.Equal(t, []message{
		{h.Start, unhex("42" + u64(uint64(h.Commit)) + at + fmt.Sprintf("%08x", uint32(h.Start/8)))},
		{0, unhex("52" + id + "7075626c696300" + "6100" + "64" + "0001" + "01" + "696400" + "00000017" + "ffffffff")},
		{h.Start, unhex("49" + id + "4e" + "0001" + "74" + "00000001" + "37")},
		{h.End, unhex("43" + "00" + u64(uint64(h.Commit)) + u64(uint64(h.End)) + at)},
	}, got)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// header returns the last transaction.
func header(t *testing.T, r *sm.Replica) sm.TxnHeader {
	t.Helper()
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	it := v.Transactions(0)
	defer it.Close()
	var h sm.TxnHeader
	for it.Next() {
		h = it.Header()
	}
	require.NoError(t, it.Err())
	return h
}

// TestTestDecoding has text that PostgreSQL 15's plugin wrote for the same
// statements.
func TestTestDecoding(t *testing.T) {
	r := newReplica(t)
	must(t, r, "CREATE TABLE a (id int PRIMARY KEY, name text, n numeric(8,2), ok bool, at timestamptz)", `CREATE TABLE "B x" (i int, "Order" varchar(3))`)
	s := collect(t, logical.StreamConfig{Replica: r, Plugin: "test_decoding", Options: options("include-xids", "0", "skip-empty-xacts", "1")})
	s.more(t)
	for _, k := range []struct{ sql, want string }{
		{"INSERT INTO a VALUES (1, 'one', 1.5, true, '2020-01-02 03:04:05.6+00'), (2, NULL, NULL, NULL, NULL)",
			"BEGIN|table public.a: INSERT: id[integer]:1 name[text]:'one' n[numeric]:1.50 ok[boolean]:true at[timestamp with time zone]:'2020-01-02 03:04:05.6+00'" +
				"|table public.a: INSERT: id[integer]:2 name[text]:null n[numeric]:null ok[boolean]:null at[timestamp with time zone]:null|COMMIT"},
		{"UPDATE a SET id = 3, name = 'it''s' WHERE id = 2",
			"BEGIN|table public.a: UPDATE: old-key: id[integer]:2 new-tuple: id[integer]:3 name[text]:'it''s' n[numeric]:null ok[boolean]:null at[timestamp with time zone]:null|COMMIT"},
		{"DELETE FROM a WHERE id = 3", "BEGIN|table public.a: DELETE: id[integer]:3|COMMIT"},
		{`INSERT INTO "B x" VALUES (1, 'v')`, `BEGIN|table public."B x": INSERT: i[integer]:1 "Order"[character varying]:'v'|COMMIT`},
		{`DELETE FROM "B x"`, `BEGIN|table public."B x": DELETE: (no-tuple-data)|COMMIT`},
		{`TRUNCATE a, "B x"`, `BEGIN|table public.a, public."B x": TRUNCATE: (no-flags)|COMMIT`},
		{`TRUNCATE a; TRUNCATE a`, `BEGIN|table public.a: TRUNCATE: (no-flags)|table public.a: TRUNCATE: (no-flags)|COMMIT`},
		{`TRUNCATE a RESTART IDENTITY CASCADE; TRUNCATE a CASCADE`,
			`BEGIN|table public.a: TRUNCATE: restart_seqs cascade|table public.a: TRUNCATE: cascade|COMMIT`},
	} {
		must(t, r, strings.Split(k.sql, "; ")...)
		var got []string
		for _, m := range s.more(t) {
			got = append(got, string(m.data))
		}
		require.Equal(t, k.want, strings.Join(got, "|"), k.sql)
	}
}

// TestPluginOptions has what PostgreSQL says of options that it does not take.
func TestPluginOptions(t *testing.T) {
	for _, k := range []struct {
		plugin  string
		options []string
		code    sqlstate.Code
		text    string
	}{
		{"pgoutput", nil, "22023", "proto_version option missing"},
		{"pgoutput", []string{"proto_version", "1"}, "22023", "publication_names option missing"},
		{"pgoutput", []string{"proto_version", "x"}, "22023", "invalid proto_version"},
		{"pgoutput", []string{"proto_version", "4294967296"}, "22023", `proto_version "4294967296" out of range`},
		{"pgoutput", []string{"proto_version", "4", "publication_names", "p"}, "0A000", "client sent proto_version=4 but we only support protocol 3 or lower"},
		{"pgoutput", []string{"proto_version", "0", "publication_names", "p"}, "0A000", "client sent proto_version=0 but we only support protocol 1 or higher"},
		{"pgoutput", []string{"proto_version", "1", "publication_names", "p", "streaming", "on"}, "0A000", "requested proto_version=1 does not support streaming, need 2 or higher"},
		{"pgoutput", []string{"proto_version", "2", "publication_names", "p", "two_phase", "on"}, "0A000", "requested proto_version=2 does not support two-phase commit, need 3 or higher"},
		{"pgoutput", []string{"proto_version", "1", "proto_version", "1"}, "42601", "conflicting or redundant options"},
		{"pgoutput", []string{"proto_version", "1", "publication_names", "a,,b"}, "42602", "invalid publication_names syntax"},
		{"pgoutput", []string{"proto_version", "1", "publication_names", "p", "binary", "maybe"}, "42601", "binary requires a Boolean value"},
		{"pgoutput", []string{"origin", "none"}, "XX000", "unrecognized pgoutput option: origin"},
		{"test_decoding", []string{"include-xids", "maybe"}, "22023", `could not parse value "maybe" for parameter "include-xids"`},
		{"test_decoding", []string{"nonsense", "1"}, "22023", `option "nonsense" = "1" is unknown`},
		{"wal2json", nil, "58P01", `could not access file "wal2json": No such file or directory`},
	} {
		_, err := logical.NewStream(logical.StreamConfig{Plugin: k.plugin, Options: options(k.options...), Format: types.DefaultFormat()})
		require.Error(t, err, k.text)
		require.Equal(t, k.text, sqlstate.As(err).Message)
		require.Equal(t, k.code, sqlstate.As(err).Code, k.text)
	}
	_, err := logical.NewStream(logical.StreamConfig{Plugin: "pgoutput", Format: types.DefaultFormat(),
		Options: options("proto_version", "3", "publication_names", `"P""x", b`, "streaming", "on", "two_phase", "on", "binary", "false", "messages", "on")})
	require.NoError(t, err)
}

// TestStreamFrom begins at positions around a transaction: it is sent when it
// commits at the position or later, and then whole.
func TestStreamFrom(t *testing.T) {
	r := newReplica(t)
	must(t, r, "CREATE TABLE a (id int PRIMARY KEY)", "CREATE PUBLICATION p FOR TABLE a")
	must(t, r, "INSERT INTO a VALUES (1), (2)")
	first := header(t, r)
	must(t, r, "INSERT INTO a VALUES (3)")
	second := header(t, r)
	require.GreaterOrEqual(t, second.Start, first.End+1)
	for at, want := range map[log.Offset]int{0: 2, first.Start: 2, first.Start + 1: 2, first.Commit: 2, first.End: 1, second.Start: 1, second.Commit: 1, second.End: 0} {
		s := pgoutput(t, r, at)
		got := s.more(t)
		n, last := 0, log.Offset(0)
		for _, m := range got {
			if m.data[0] == 'C' {
				n++
			}
			if m.at != 0 {
				require.GreaterOrEqual(t, m.at, last)
				last = m.at
			}
		}
		require.Equal(t, want, n, "from %s", at)
		if want == 2 {
			require.Len(t, got, 1+1+2+1+3, "from %s", at)
		}
	}
}

// TestReaderParks reads a transaction while its view is given up after each step:
// nothing is skipped and nothing comes twice.
func TestReaderParks(t *testing.T) {
	r := newReplica(t)
	must(t, r, "CREATE TABLE a (id int PRIMARY KEY)")
	must(t, r, "INSERT INTO a SELECT generate_series(1, 100)", "TRUNCATE a", "INSERT INTO a SELECT generate_series(1, 10)")
	must(t, r, "CREATE TABLE b (id int)")
	must(t, r, "INSERT INTO a VALUES (11)")
	read := func(park bool) (out []string) {
		x := logical.NewChangeReader(r, 0)
		defer x.Park()
		for {
			step, err := x.Next()
			require.NoError(t, err)
			switch step {
			case logical.CaughtUp:
				require.Equal(t, r.Position().End, x.Position())
				return out
			case logical.Change:
				out = append(out, fmt.Sprint(x.Change().Offset, x.Change().Op))
			default:
				out = append(out, fmt.Sprint(step, x.Header().Commit))
			}
			if park {
				x.Park()
			}
		}
	}
	want := read(false)
	require.Greater(t, len(want), 111)
	require.Equal(t, want, read(true))
}

// TestReaderWaits is woken by a commit.
func TestReaderWaits(t *testing.T) {
	r := newReplica(t)
	x := logical.NewChangeReader(r, 0)
	step, err := x.Next()
	require.NoError(t, err)
	require.Equal(t, logical.CaughtUp, step)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, x.Wait(ctx), context.DeadlineExceeded)
	woken := make(chan error, 1)
	go func() { woken <- x.Wait(t.Context()) }()
	must(t, r, "CREATE TABLE a (id int)")
	require.NoError(t, <-woken)
	step, err = x.Next()
	require.NoError(t, err)
	require.Equal(t, logical.Begin, step)
	x.Park()
}
