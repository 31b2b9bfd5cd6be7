package raftlog

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"
)

// The transport carries the engine's messages to other nodes over TCP. The
// engine's own would do, but it writes and reads each message in three pieces,
// each a packet of its own that wakes the other side. Where a commit takes six
// messages that is most of what the nodes do.
//
// A message is a frame: the size of what follows the header, a checksum of it,
// and its kind.
const (
	frameSizeAt     = 0
	frameChecksumAt = 4
	frameKindAt     = 8
	frameHeader     = 9
)

// frameKind says what is in a frame.
type frameKind byte

const (
	frameMessages frameKind = 1 // a batch of Raft messages
	frameChunk    frameKind = 2 // a piece of a snapshot
)

// Bounds of connections.
const (
	maxFrameBytes  = 256 << 20        // a greater size is not one
	frameStep      = 1 << 20          // no more is reserved before it has come
	keptFrameBytes = 1 << 20          // of buffers that are used again
	readAheadBytes = 64 << 10         // of a connection
	dialTimeout    = 10 * time.Second // to another node
	sendTimeout    = 10 * time.Second // of a small frame
	sendTimePerMiB = time.Second      // more for a large one
	acceptPause    = 50 * time.Millisecond
	keepAlive      = 10 * time.Second
	bytesPerMiB    = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// transports makes the transport of a host.
type transports struct{ logger *slog.Logger }

var _ config.TransportFactory = transports{}

// Create implements config.TransportFactory.
func (t transports) Create(cfg config.NodeHostConfig, messages raftio.MessageHandler, chunks raftio.ChunkHandler) raftio.ITransport {
	return &transport{
		listen: cfg.GetListenAddress(), logger: t.logger,
		messages: messages, chunks: chunks, open: map[net.Conn]bool{},
	}
}

// Validate implements config.TransportFactory.
func (transports) Validate(addr string) bool { return config.IsValidAddress(addr) }

// transport sends to other nodes and hands on what they send.
type transport struct {
	listen   string
	logger   *slog.Logger
	messages raftio.MessageHandler
	chunks   raftio.ChunkHandler

	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]bool // from other nodes
	closed bool
}

// Name implements raftio.ITransport.
func (t *transport) Name() string { return "tidemark-tcp" }

// Start implements raftio.ITransport.
func (t *transport) Start() (err error) {
	if t.listener, err = net.Listen("tcp", t.listen); err != nil {
		return fmt.Errorf("listen for other nodes: %w", err)
	}
	t.running.Go(t.accept)
	return nil
}

// Close implements raftio.ITransport.
func (t *transport) Close() error {
	t.mu.Lock()
	t.closed = true
	for c := range t.open {
		_ = c.Close() // its reader ends
	}
	t.mu.Unlock()
	err := t.listener.Close()
	t.running.Wait()
	return err
}

func (t *transport) accept() {
	for {
		conn, err := t.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as too many open files
			t.logger.Warn("accepting a connection from another node failed", "error", err)
			time.Sleep(acceptPause)
			continue
		}
		if !t.enter(conn) {
			_ = conn.Close()
			return
		}
		t.running.Go(func() {
			defer t.leave(conn)
			if err := t.serve(conn); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				t.logger.Debug("a connection from another node ended", "from", conn.RemoteAddr().String(), "error", err)
			}
		})
	}
}

func (t *transport) enter(c net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.open[c] = true
	}
	return !t.closed
}

func (t *transport) leave(c net.Conn) {
	_ = c.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, c)
}

// serve hands on what comes from one connection, and says why it ended.
func (t *transport) serve(conn net.Conn) error {
	if err := tune(conn); err != nil {
		return err
	}
	in := bufio.NewReaderSize(conn, readAheadBytes)
	var buf []byte // what is decoded keeps nothing of it
	for {
		kind, body, err := readFrame(in, buf)
		if err != nil {
			return err
		}
		if err := t.deliver(kind, body); err != nil {
			return err
		}
		if cap(body) <= keptFrameBytes {
			buf = body
		}
	}
}

func (t *transport) deliver(kind frameKind, body []byte) error {
	switch kind {
	case frameMessages:
		var batch raftpb.MessageBatch
		if err := batch.Unmarshal(body); err != nil {
			return fmt.Errorf("decode messages: %w", err)
		}
		t.messages(batch)
	case frameChunk:
		var chunk raftpb.Chunk
		if err := chunk.Unmarshal(body); err != nil {
			return fmt.Errorf("decode a piece of a snapshot: %w", err)
		}
		if !t.chunks(chunk) {
			return errors.New("a piece of a snapshot was refused")
		}
	default:
		return fmt.Errorf("frame of kind %d", kind)
	}
	return nil
}

// readFrame reads a frame, into buf if it fits.
func readFrame(in io.Reader, buf []byte) (frameKind, []byte, error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return 0, nil, err
	}
	size := int(binary.BigEndian.Uint32(header[frameSizeAt:]))
	if size > maxFrameBytes {
		return 0, nil, fmt.Errorf("frame of %d bytes", size)
	}
	for buf = buf[:0]; len(buf) < size; {
		at := len(buf)
		buf = slices.Grow(buf, min(size-at, frameStep))[:min(size, at+frameStep)]
		if _, err := io.ReadFull(in, buf[at:]); err != nil {
			return 0, nil, err
		}
	}
	if crc32.Checksum(buf, castagnoli) != binary.BigEndian.Uint32(header[frameChecksumAt:]) {
		return 0, nil, errors.New("frame with a wrong checksum")
	}
	return frameKind(header[frameKindAt]), buf, nil
}

// GetConnection implements raftio.ITransport.
func (t *transport) GetConnection(ctx context.Context, target string) (raftio.IConnection, error) {
	return dialNode(ctx, target)
}

// GetSnapshotConnection implements raftio.ITransport.
func (t *transport) GetSnapshotConnection(ctx context.Context, target string) (raftio.ISnapshotConnection, error) {
	return dialNode(ctx, target)
}

// peerConn is a connection to another node. Nothing comes back on it.
type peerConn struct {
	conn net.Conn
	buf  []byte
}

func dialNode(ctx context.Context, target string) (*peerConn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	if err := tune(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &peerConn{conn: conn}, nil
}

// tune makes a connection notice that the other end is gone.
func tune(conn net.Conn) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	return tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive})
}

// Close implements raftio.IConnection and raftio.ISnapshotConnection. What was
// sent still arrives.
func (c *peerConn) Close() { _ = c.conn.Close() }

// SendMessageBatch implements raftio.IConnection.
func (c *peerConn) SendMessageBatch(batch raftpb.MessageBatch) error {
	return c.send(frameMessages, batch.SizeUpperLimit(), batch.MarshalTo)
}

// SendChunk implements raftio.ISnapshotConnection.
func (c *peerConn) SendChunk(chunk raftpb.Chunk) error {
	return c.send(frameChunk, chunk.Size(), chunk.MarshalTo)
}

// send writes a frame at once. most is how long its body may be.
func (c *peerConn) send(kind frameKind, most int, marshal func([]byte) (int, error)) error {
	buf := c.buf
	if frameHeader+most > len(buf) {
		buf = make([]byte, frameHeader+most)
	}
	if len(buf) <= keptFrameBytes {
		c.buf = buf
	}
	size, err := marshal(buf[frameHeader:])
	if err != nil {
		return fmt.Errorf("encode a frame: %w", err)
	}
	if size > maxFrameBytes {
		return fmt.Errorf("frame of %d bytes", size)
	}
	body := buf[frameHeader : frameHeader+size]
	binary.BigEndian.PutUint32(buf[frameSizeAt:], uint32(size))
	binary.BigEndian.PutUint32(buf[frameChecksumAt:], crc32.Checksum(body, castagnoli))
	buf[frameKindAt] = byte(kind)
	patience := sendTimeout + sendTimePerMiB*time.Duration(size/bytesPerMiB)
	if err := c.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = c.conn.Write(buf[:frameHeader+size])
	return err
}
