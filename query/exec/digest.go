package exec

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Digest sums up what a client was shown of one statement: its tag, its rows
// and its error. Rows without an ORDER BY count in any order. Equal answers
// have equal digests; different ones collide with a chance of 2^-128.
type Digest struct {
	ordered bool
	lanes   [2]uint64
	rows    uint64
	buf     []byte
}

// laneSalt makes the second lane's hash independent of the first's.
const laneSalt = "tidemark"

// NewDigest begins a digest; ordered says that the order of rows counts.
func NewDigest(ordered bool) *Digest { return &Digest{ordered: ordered} }

// Row adds a result row.
func (d *Digest) Row(row []types.Datum) {
	d.buf = types.AppendRow(d.buf[:0], row)
	d.add(d.buf)
	d.rows++
}

func (d *Digest) add(b []byte) {
	h0 := xxhash.Sum64(b)
	var x xxhash.Digest
	x.Reset()
	_, _ = x.WriteString(laneSalt)
	_, _ = x.Write(b)
	h1 := x.Sum64()
	if d.ordered {
		// The position counts: multiply what is there before adding.
		d.lanes[0] = d.lanes[0]*0x9E3779B97F4A7C15 + h0
		d.lanes[1] = d.lanes[1]*0xC2B2AE3D27D4EB4F + h1
		return
	}
	d.lanes[0] += h0
	d.lanes[1] += h1
}

// Sum finishes a digest with the command tag.
func (d *Digest) Sum(tag string) []byte {
	var head [8]byte
	binary.LittleEndian.PutUint64(head[:], d.rows)
	d.ordered = true
	d.add(head[:])
	d.add([]byte(tag))
	out := binary.LittleEndian.AppendUint64(nil, d.lanes[0])
	return binary.LittleEndian.AppendUint64(out, d.lanes[1])
}

// ErrorDigest is the digest of a statement that failed: its SQLSTATE and
// message are what the client acts on.
func ErrorDigest(err error) []byte {
	e := sqlstate.As(err)
	d := NewDigest(true)
	d.add([]byte(e.Code))
	d.add([]byte(e.Message))
	return d.Sum("ERROR")
}
