package log

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files of the stored formats")

// sampleEntries has one entry of each kind, with every field in use somewhere.
func sampleEntries() map[string]*Entry {
	head := Entry{
		Semantics: SemanticsFirst, Time: 845_000_000_000_123,
		Seed: Seed{0: 1, 15: 0xff}, Role: "ada", Application: "psql", ClientAddr: "127.0.0.1:50000",
		Settings: []Setting{{"TimeZone", "UTC"}, {"search_path", `"$user", public`}},
		Budget:   Budget{Rows: 1_000_000, Bytes: 1 << 30, Steps: 1 << 24},
	}
	with := func(kind Kind, change func(*Entry)) *Entry {
		e := head
		e.Kind = kind
		change(&e)
		return &e
	}
	return map[string]*Entry{
		"command": with(KindCommand, func(e *Entry) {
			e.IdempotencyKey, e.IdempotencyWindow = "order-17", 3_600_000_000
			e.Statements = []Statement{{
				Text: "INSERT INTO t VALUES ($1, $2)", Time: e.Time + 5,
				Params: []Param{{Type: 23, Value: []byte{1, 2, 3}}, {Type: 25, Value: nil}},
			}}
		}),
		"transaction": with(KindTransaction, func(e *Entry) {
			e.Snapshot, e.Isolation = 1<<24+264, ReadCommitted
			e.Statements = []Statement{
				{Action: ActionSavepoint, Text: "s1", Time: -1},
				{Text: "SELECT 1", Digest: bytes.Repeat([]byte{0xab}, 16), Drawn: []DrawnValue{{16384, 1}, {16384, math.MaxInt64}}},
				{Action: ActionRollbackTo, Text: "s1", Digest: []byte{}},
				{Action: ActionRelease, Text: "s1"},
				{Text: "DELETE FROM t", Settings: []Setting{{"TimeZone", "Europe/Berlin"}}},
			}
		}),
		"copy_inline": with(KindCommand, func(e *Entry) {
			e.Statements = []Statement{{Text: "COPY t FROM STDIN", Copy: &CopyData{Rows: []byte("\x03abc\x01d")}}}
		}),
		"copy_staged": with(KindCommand, func(e *Entry) {
			e.Statements = []Statement{{Text: "COPY t FROM STDIN", Copy: &CopyData{Stage: StageID{7: 9}, Chunks: 3}}}
		}),
		"copy_loaded": with(KindCommand, func(e *Entry) {
			e.Statements = []Statement{{Text: "COPY t FROM STDIN", Copy: &CopyData{Stage: StageID{7: 9}, Chunks: 3, Loaded: true, Sum: []byte{7, 8}}}}
		}),
		"load": with(KindStage, func(e *Entry) {
			e.Statements = []Statement{{Text: "COPY t FROM STDIN"}}
			e.Stage = &Stage{ID: StageID{7: 9}, Rows: []byte("\x01x"), Load: &Load{
				Table: 16384, Owner: Owner{Node: 1, Process: math.MaxUint64}, Fresh: true, Beside: []StageID{{1: 1}}, Line: 2,
			}}
		}),
		"sweep":   with(KindUnstage, func(e *Entry) { e.Stage = &Stage{ID: StageID{7: 9}, Sweep: 1000} }),
		"stage":   with(KindStage, func(e *Entry) { e.Stage = &Stage{ID: StageID{7: 9}, Chunk: 2, Rows: []byte("\x01x")} }),
		"unstage": with(KindUnstage, func(e *Entry) { e.Stage = &Stage{ID: StageID{7: 9}} }),
		"reserve": with(KindReserve, func(e *Entry) { e.Reserve = &Reserve{Sequence: 16390, Count: -32} }),
		"check": with(KindCheck, func(e *Entry) {
			e.Time, e.Check = math.MinInt64, &Check{Scan: true, Voters: []ReplicaID{1, math.MaxUint64}}
		}),
		"vote": with(KindVote, func(e *Entry) { e.Vote = &Vote{Check: 1 << 40, Replica: 3, Digest: Digest{0: 1, 15: 0xff}} }),
		"slot_create": with(KindSlot, func(e *Entry) {
			e.Slot = &SlotChange{Op: SlotCreate, Name: "orders", Plugin: "pgoutput", Temporary: true, Owner: Owner{Node: math.MaxUint64, Process: 7}, Session: math.MinInt32}
		}),
		"slot_advance": with(KindSlot, func(e *Entry) {
			e.Slot = &SlotChange{Op: SlotRewind, Name: "orders", Session: 17, Generation: math.MaxUint64, To: math.MaxUint64, Steal: true}
		}),
		"truncate": with(KindTruncate, func(e *Entry) { e.Truncate = &Truncate{Floor: math.MaxUint64} }),
		"fence":    with(KindFence, func(e *Entry) { e.Semantics = 2; e.Earliest = 1 << 40 }),
	}
}

func sampleResults() map[string]*Result {
	return map[string]*Result{
		"result_empty": {},
		"result_rows": {
			Offset: 1<<24 + 1000,
			Statements: []Outcome{
				{Tag: "INSERT 0 2", Columns: []Column{{"id", 20, -1, 16384, 1}, {"name", 1043, 14, 0, -3}}, Rows: [][]byte{{1}, nil, {}}},
				{Tag: "SELECT 1", Columns: []Column{}, Notices: []Failure{{Code: "00000", Fields: map[string]string{"S": "NOTICE", "M": "hello"}}}},
			},
			Drawn: []DrawnValue{{16390, 7}},
		},
		"result_repeated": {Offset: 1<<24 + 1000, Repeat: Repeated},
		"result_failed": {
			Offset: 1 << 24,
			Err:    &Failure{Code: "23505", Fields: map[string]string{"S": "ERROR", "M": "duplicate key", "D": "Key (id)=(1)", "n": "t_pkey"}},
		},
	}
}

// TestGoldenFormats pins the stored formats: a log written today must be read
// for ever.
func TestGoldenFormats(t *testing.T) {
	check := func(name string, encoded []byte, decode func([]byte) (any, error), want any) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".hex")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(path, []byte(wrapHex(encoded)), 0o644))
			}
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			stored, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
			require.NoError(t, err)
			require.Equal(t, stored, encoded, "the stored format has changed")
			got, err := decode(stored)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	for name, e := range sampleEntries() {
		b, err := e.Append(nil)
		require.NoError(t, err)
		check(name, b, func(b []byte) (any, error) { return DecodeEntry(b) }, e)
	}
	for name, r := range sampleResults() {
		b, err := r.Append(nil)
		require.NoError(t, err)
		check(name, b, func(b []byte) (any, error) { return DecodeResult(b) }, r)
	}
}

func wrapHex(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		n := min(32, len(b))
		fmt.Fprintf(&out, "%x\n", b[:n])
		b = b[n:]
	}
	return out.String()
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	e := sampleEntries()["command"]
	alone, err := e.Append(nil)
	require.NoError(t, err)
	b, err := e.Append([]byte("prefix"))
	require.NoError(t, err)
	require.Equal(t, append([]byte("prefix"), alone...), b)
}

func TestEntryTooLarge(t *testing.T) {
	e := &Entry{Kind: KindStage, Stage: &Stage{Rows: make([]byte, MaxEntryBytes-100)}}
	b, err := e.Append(nil)
	require.NoError(t, err)
	require.LessOrEqual(t, len(b), MaxEntryBytes)
	_, err = DecodeEntry(b)
	require.NoError(t, err)

	e.Stage.Rows = make([]byte, MaxEntryBytes)
	b, err = e.Append([]byte("kept"))
	require.ErrorIs(t, err, ErrTooLarge)
	require.Equal(t, "kept", string(b))
	_, err = DecodeEntry(make([]byte, MaxEntryBytes+1))
	require.ErrorIs(t, err, ErrMalformed)
}

func TestDecodeRefuses(t *testing.T) {
	good, err := sampleEntries()["transaction"].Append(nil)
	require.NoError(t, err)

	var format *FormatError
	newer := append([]byte{FormatVersion + 1}, good[1:]...)
	_, err = DecodeEntry(newer)
	require.ErrorAs(t, err, &format)
	require.Equal(t, uint8(FormatVersion+1), format.Version)

	for n := range good {
		_, err = DecodeEntry(good[:n])
		require.Error(t, err, "cut at %d", n)
	}
	cases := map[string][]byte{
		"bytes after the end":     append(bytes.Clone(good), 0),
		"unknown kind":            replace(good, 4, 0x7f),
		"fewer fields":            {FormatVersion, 0x91, 1},
		"a float for an integer":  replace(good, 4, 0xcb),
		"a nil for an integer":    replace(good, 4, 0xc0),
		"array beyond the input":  append([]byte{FormatVersion}, 0xdd, 0xff, 0xff, 0xff, 0xff),
		"no array":                {FormatVersion, 0x01},
		"an entry that is a null": {FormatVersion, 0xc0},
	}
	for name, b := range cases {
		_, err := DecodeEntry(b)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

// replace returns b with one byte changed. Byte 4 of an entry is its kind: it
// follows the version and the three bytes of the array's header.
func replace(b []byte, i int, c byte) []byte {
	b = bytes.Clone(b)
	b[i] = c
	return b
}

// TestDecodeAllocatesLittle feeds announcements that are far bigger than the
// input; memory must follow the input.
func TestDecodeAllocatesLittle(t *testing.T) {
	good, err := sampleResults()["result_empty"].Append(nil)
	require.NoError(t, err)
	hostile := append(bytes.Clone(good[:4]), 0xdd, 0x00, 0x0f, 0xff, 0xff) // statements: 1M elements
	hostile = append(hostile, bytes.Repeat([]byte{0xc1}, 8<<20)...)
	allocated := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			_, err := DecodeResult(hostile)
			require.ErrorIs(b, err, ErrMalformed)
		}
	}).AllocedBytesPerOp()
	require.Less(t, allocated, int64(1<<20))
}

// TestMutatedRecords decodes damaged records: an error or a record, no panic.
func TestMutatedRecords(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, e := range sampleEntries() {
		good, err := e.Append(nil)
		require.NoError(t, err)
		for range 2000 {
			b := bytes.Clone(good)
			for range 1 + rnd.IntN(3) {
				b[1+rnd.IntN(len(b)-1)] = byte(rnd.Uint32())
			}
			if got, err := DecodeEntry(b); err == nil {
				_, err = got.Append(nil)
				require.NoError(t, err)
			} else {
				require.True(t, errors.Is(err, ErrMalformed), err)
			}
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	for _, e := range sampleEntries() {
		b, err := e.Append(nil)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEntry(b)
		if err != nil {
			return
		}
		again, err := e.Append(nil)
		require.NoError(t, err)
		e2, err := DecodeEntry(again)
		require.NoError(t, err)
		require.Equal(t, e, e2)
	})
}

func FuzzDecodeResult(f *testing.F) {
	for _, r := range sampleResults() {
		b, err := r.Append(nil)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeResult(b)
		if err != nil {
			return
		}
		again, err := r.Append(nil)
		require.NoError(t, err)
		r2, err := DecodeResult(again)
		require.NoError(t, err)
		require.Equal(t, r, r2)
	})
}

func BenchmarkEntryAppend(b *testing.B) {
	e := sampleEntries()["command"]
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = e.Append(buf[:0])
	}
}

func BenchmarkEntryDecode(b *testing.B) {
	data, err := sampleEntries()["command"].Append(nil)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = DecodeEntry(data)
	}
}

func BenchmarkResultAppend(b *testing.B) {
	r := sampleResults()["result_rows"]
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = r.Append(buf[:0])
	}
}
