package snapshots_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/snapshots"
)

var manifest = snapshots.Manifest{Log: 3, Epoch: 2, Offset: 100, End: 101, Index: 55, Checksum: [16]byte{1, 2, 3}}

func write(t testing.TB, fs vfs.FS, name string, content []byte) {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(bytes.Clone(content)) // a file of a build with checks on spoils what it has written
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// stream makes a snapshot of a few files: an empty one, a small one and one of
// several chunks.
func stream(t testing.TB) (files map[string][]byte, b []byte) {
	fs := vfs.NewMem()
	require.NoError(t, fs.MkdirAll("/from", 0o755))
	big := make([]byte, 2<<20+17)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range big {
		big[i] = byte(rnd.Uint32())
	}
	files = map[string][]byte{"empty": {}, "small": []byte("hello"), "big": big}
	for name, content := range files {
		write(t, fs, "/from/"+name, content)
	}
	var buf bytes.Buffer
	require.NoError(t, snapshots.Write(&buf, fs, "/from", manifest, nil))
	return files, buf.Bytes()
}

func restore(t testing.TB, b []byte) (vfs.FS, *snapshots.Manifest, error) {
	fs := vfs.NewMem()
	require.NoError(t, fs.MkdirAll("/to", 0o755))
	m, err := snapshots.Read(bytes.NewReader(b), fs, "/to", nil)
	return fs, m, err
}

func TestRoundTrip(t *testing.T) {
	files, b := stream(t)
	fs := vfs.NewMem()
	require.NoError(t, fs.MkdirAll("/to", 0o755))
	m, err := snapshots.Read(iotest.HalfReader(bytes.NewReader(b)), fs, "/to", nil)
	require.NoError(t, err)
	require.Len(t, m.Files, len(files))
	m.Files = nil
	require.Equal(t, manifest, *m)
	for name, content := range files {
		f, err := fs.Open("/to/" + name)
		require.NoError(t, err)
		got := make([]byte, len(content)+1)
		n, _ := f.ReadAt(got, 0)
		require.Equal(t, content, got[:n])
		require.NoError(t, f.Close())
	}
}

// TestDamage: no flipped bit and no missing tail goes unnoticed.
func TestDamage(t *testing.T) {
	_, b := stream(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for i := range 120 {
		at := rnd.IntN(len(b))
		switch {
		case i < 40:
			at = i // the head
		case i < 80:
			at = len(b) - 1 - (i - 40) // the tail
		}
		bad := bytes.Clone(b)
		bad[at] ^= 1 << rnd.IntN(8)
		_, _, err := restore(t, bad)
		require.Error(t, err, "flipped bit at %d", at)
		_, _, err = restore(t, b[:at])
		require.ErrorIs(t, err, snapshots.ErrCorrupt, "cut at %d", at)
	}
}

func TestHostileNames(t *testing.T) {
	for _, name := range []string{"../up", "a/b", "", ".", "..", `a\b`, "nul\x00"} {
		fs := vfs.NewMem()
		require.NoError(t, fs.MkdirAll("/from", 0o755))
		write(t, fs, "/from/placeholder", []byte("x"))
		var buf bytes.Buffer
		require.NoError(t, snapshots.Write(&buf, fs, "/from", manifest, nil))
		b := snapshots.Rename(t, buf.Bytes(), name)
		_, _, err := restore(t, b)
		require.ErrorIs(t, err, snapshots.ErrCorrupt, "%q", name)
	}
}

func TestStopAndErrors(t *testing.T) {
	_, b := stream(t)
	stop := make(chan struct{})
	close(stop)
	fs := vfs.NewMem()
	require.NoError(t, fs.MkdirAll("/to", 0o755))
	_, err := snapshots.Read(bytes.NewReader(b), fs, "/to", stop)
	require.ErrorIs(t, err, log.ErrStopped)
	lost := errors.New("connection lost")
	_, err = snapshots.Read(iotest.ErrReader(lost), fs, "/to", nil)
	require.ErrorIs(t, err, lost)
	require.NoError(t, fs.MkdirAll("/from/dir", 0o755))
	require.Error(t, snapshots.Write(&bytes.Buffer{}, fs, "/from", manifest, nil))
	require.Error(t, snapshots.Write(&bytes.Buffer{}, fs, "/nowhere", manifest, nil))
}

func FuzzRead(f *testing.F) {
	fs := vfs.NewMem()
	require.NoError(f, fs.MkdirAll("/from", 0o755))
	write(f, fs, "/from/a", []byte("hello"))
	var buf bytes.Buffer
	require.NoError(f, snapshots.Write(&buf, fs, "/from", manifest, nil))
	f.Add(buf.Bytes())
	f.Add([]byte("TIDESNAP\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, m, err := restore(t, b)
		if err == nil {
			require.NotNil(t, m)
		}
	})
}
