package raftlog

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftpb"
	"github.com/stretchr/testify/require"
)

// startTransport starts a transport that hands on what it gets.
func startTransport(t *testing.T, takesChunks bool) (addr string, batches chan raftpb.MessageBatch, chunks chan raftpb.Chunk) {
	batches, chunks = make(chan raftpb.MessageBatch, 8), make(chan raftpb.Chunk, 8)
	addr, err := freeAddress("127.0.0.1:0")
	require.NoError(t, err)
	tr := transports{logger: slog.New(slog.DiscardHandler)}.Create(config.NodeHostConfig{RaftAddress: addr},
		func(b raftpb.MessageBatch) { batches <- b },
		func(c raftpb.Chunk) bool { chunks <- c; return takesChunks })
	require.NoError(t, tr.Start())
	t.Cleanup(func() { require.NoError(t, tr.Close()) })
	return addr, batches, chunks
}

func TestTransport(t *testing.T) {
	addr, batches, chunks := startTransport(t, true)
	tr := &transport{}
	conn, err := tr.GetConnection(t.Context(), addr)
	require.NoError(t, err)
	// Buffers are used again for small frames and not for large ones.
	for i, size := range []int{10, 3 << 20, 100 << 10, 0, 200} {
		cmd := bytes.Repeat([]byte{byte(i + 1)}, size)
		sent := raftpb.MessageBatch{SourceAddress: "a", Requests: []raftpb.Message{{Type: raftpb.Replicate, ShardID: 7, Entries: []raftpb.Entry{{Index: uint64(i), Cmd: cmd}}}}}
		require.NoError(t, conn.SendMessageBatch(sent))
		got := <-batches
		require.Equal(t, uint64(7), got.Requests[0].ShardID)
		require.Equal(t, uint64(i), got.Requests[0].Entries[0].Index)
		require.True(t, bytes.Equal(cmd, got.Requests[0].Entries[0].Cmd))
	}
	conn.Close()
	pieces, err := tr.GetSnapshotConnection(t.Context(), addr)
	require.NoError(t, err)
	for i := range 5 {
		require.NoError(t, pieces.SendChunk(raftpb.Chunk{ChunkId: uint64(i), Data: make([]byte, 1<<20)}))
	}
	pieces.Close() // what was sent arrives nevertheless
	for i := range 5 {
		require.Equal(t, uint64(i), (<-chunks).ChunkId)
	}
}

// TestTransportRefusal shows that a connection ends with the first thing on it
// that is not right, and that others go on.
func TestTransportRefusal(t *testing.T) {
	addr, batches, _ := startTransport(t, false)
	good := frameOf(t, frameMessages)
	spoilt := bytes.Clone(good)
	spoilt[len(spoilt)-1] ^= 1
	for name, frame := range map[string][]byte{
		"checksum":        spoilt,
		"size":            {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, byte(frameMessages)},
		"kind":            frameOf(t, 9),
		"another content": {0, 0, 0, 1, 0x52, 0x7d, 0x53, 0x51, byte(frameMessages), 0},
		"refused piece":   frameOf(t, frameChunk),
		"another program": []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		_, err = conn.Write(frame)
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		_, err = conn.Read(make([]byte, 1))
		require.Error(t, err, name)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, name)
		require.NoError(t, conn.Close())
	}
	require.Empty(t, batches)
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write(good)
	require.NoError(t, err)
	require.Equal(t, "s", (<-batches).SourceAddress)
}

// TestFrameClaims has a header that claims far more than comes: no more is reserved
// for it than came.
func TestFrameClaims(t *testing.T) {
	var header [frameHeader]byte
	binary.BigEndian.PutUint32(header[frameSizeAt:], maxFrameBytes)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := readFrame(io.MultiReader(bytes.NewReader(header[:]), bytes.NewReader(make([]byte, 100))), nil)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8*frameStep))
}

// frameOf returns a frame with an otherwise right content.
func frameOf(t *testing.T, kind frameKind) []byte {
	here, there := net.Pipe()
	defer there.Close()
	out := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(there)
		out <- b
	}()
	c := &peerConn{conn: here}
	if kind == frameChunk {
		require.NoError(t, c.SendChunk(raftpb.Chunk{ChunkId: 1}))
	} else {
		batch := raftpb.MessageBatch{SourceAddress: "s"}
		require.NoError(t, c.send(kind, batch.SizeUpperLimit(), batch.MarshalTo))
	}
	c.Close()
	return <-out
}
