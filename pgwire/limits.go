package pgwire

import "time"

// Everything a client can make grow has a limit here.
const (
	// maxStartupPacket is PostgreSQL's MAX_STARTUP_PACKET_LENGTH, in bytes.
	maxStartupPacket = 10_000

	// maxAuthFrame caps a message body, in bytes, until the client is authenticated.
	maxAuthFrame = 8 << 10

	// maxFrame caps a message body, in bytes, afterwards.
	maxFrame = 64 << 20

	// maxSmallFrame caps, in bytes, messages that only ever hold a name:
	// PostgreSQL's PQ_SMALL_MESSAGE_LIMIT.
	maxSmallFrame = 10_000

	// maxRowMessage caps an outgoing row, in bytes: clients refuse bigger ones, and
	// the length field is signed.
	maxRowMessage = 1 << 30

	// maxErrorField caps, in bytes, one field of an error, which may quote the
	// client's own text.
	maxErrorField = 32 << 10

	// maxNames caps the names of statements and portals that a connection
	// remembers to avoid allocating them again.
	maxNames = 1024

	// maxKeptParams is the number of parameters up to which the slices of a Bind
	// are reused.
	maxKeptParams = 1024
)

// Buffer sizes, in bytes.
const (
	startReadBuffer = 512       // enough for any ordinary startup packet, cheap for half-open connections
	readBuffer      = 8 << 10   // once authenticated
	maxReadAhead    = 64 << 10  // grown to this for a client that pipelines or copies
	maxKeptRead     = 256 << 10 // a read buffer bigger than this is given back after its message
	flushThreshold  = 64 << 10  // output is written when it exceeds this, Sync or not
	maxKeptOutput   = 256 << 10 // an output buffer bigger than this is given back
)

// Defaults of Config.
const (
	DefaultMaxConnections = 500
	DefaultAuthTimeout    = 10 * time.Second
	DefaultWriteTimeout   = 60 * time.Second

	// DefaultMessageMemory is the number of bytes that all connections together
	// may hold in read buffers beyond their ordinary ones: four of the largest
	// messages at once.
	DefaultMessageMemory = 4 * maxFrame

	// DefaultMaxPending is how many connections may be between accept and the
	// end of authentication; the oldest makes room for a new one.
	DefaultMaxPending = 1024
)

const (
	// watchInterval is how often the watcher looks at all connections. It bounds
	// the precision of the write and idle timeouts.
	watchInterval = time.Second

	// disconnectCheckAfter is how long a statement runs before the watcher looks
	// whether its client is still there.
	disconnectCheckAfter = time.Second

	// shutdownWriteGrace is how long a terminated connection may take to accept
	// what is still to be written to it.
	shutdownWriteGrace = 2 * time.Second

	// lingerTime and lingerBytes bound how long, and how much, a connection that
	// is closed for a protocol error is still read, so that the client gets to
	// read the reason instead of a reset.
	lingerTime  = 2 * time.Second
	lingerBytes = 1 << 30

	keepAliveIdle     = 60 * time.Second
	keepAliveInterval = 10 * time.Second
	keepAliveCount    = 6

	// acceptBackoffMax is the longest pause after a failed accept (out of file
	// descriptors, mostly).
	acceptBackoffMax = time.Second
)

// Limits of relayed connections.
const (
	// relayBuffer is how many bytes are on their way in each direction.
	relayBuffer = 16 << 10
	// relayDialTimeout bounds connecting to the other node, in all attempts.
	relayDialTimeout = 5 * time.Second
	// relayAttempts is how many addresses are tried.
	relayAttempts = 3
	// maxHops is how often a connection may be handed on. Nodes can disagree about
	// who has a database for a moment; then one more hop helps, and no loop lasts.
	maxHops = 2
	// A node that is gone without a word is found out sooner than a client: others
	// have what it had.
	nodeAliveIdle     = 5 * time.Second
	nodeAliveInterval = 2 * time.Second
	nodeAliveCount    = 3
	nodeGoneAfter     = nodeAliveIdle + nodeAliveCount*nodeAliveInterval
	// cancelTimeout bounds handing a cancel request on.
	cancelTimeout = 5 * time.Second
)
