// Package pgwire speaks PostgreSQL's frontend/backend protocol, version 3.0: it
// accepts clients, takes their byte stream apart, hands what they ask to a
// Session and puts the answers back together. It owns sockets, limits,
// timeouts, cancellation and everything about the format of messages. It never
// looks into SQL, never decodes a parameter or a line of COPY, and knows
// nothing of transactions but the one letter in ReadyForQuery. The root package
// creates the Server and wires it to package query.
//
// # Layers
//
// From the socket inwards:
//
//	server.go     Server: listeners, who is connected, caps, shutdown, CancelRequest
//	watch.go      one goroutine that looks after all connections: slow readers,
//	              idle clients, statements whose client has gone (peer_*.go)
//	conn.go       conn: one client, one goroutine; its end, whatever the reason
//	handshake.go  from accept to the first ReadyForQuery; startup.go decodes the packet
//	frame.go      frameReader: bytes to messages, with a limit for type and state
//	dispatch.go   one method for each message; skipping to Sync after an error
//	message.go    decoders of message bodies
//	statement.go  statementContext: what a cancel request cancels
//	results.go    the query.ResultWriter: rows and tags to messages; copy.go the other way,
//	              copyboth.go both ways at once, for replication streams
//	relay.go      connections that another node serves; tracker.go knows where their
//	              messages end, cancel.go also hands cancel requests on
//	reply.go      encoders; output.go collects them and writes
//	session.go    Session: what all of this is a front end of
//	limits.go     every limit, with its unit
//
// # Life of a connection
//
//  1. Server.Serve accepts and starts conn.serve. The connection counts as
//     pending; if too many are, the oldest is turned away.
//  2. handshake answers SSLRequest and GSSENCRequest, then reads the startup
//     packet. A CancelRequest ends here. Authentication must be over within
//     Config.AuthTimeout. Loopback is trusted, other addresses are refused.
//     If Config.Route says that another node has the database, bytes are passed to
//     and fro between the client and that node from here on.
//  3. The SessionFactory makes the session. The client is told the settings, its
//     process id and its key, and that it may begin.
//  4. loop reads a message and dispatches it, for ever. Answers gather in
//     output, which is written when the client must see them: at
//     ReadyForQuery, at Flush, before COPY data is read, and when it is full.
//  5. An error in a statement is sent by sendError. An error that ends the
//     connection travels up to goodbye, the only place that sends FATAL.
//  6. close releases the session, the buffers and the place in the server.
//
// # Two rules that are easy to break
//
// The body of a message lies in the read buffer: reading on, or just peeking,
// overwrites it. Execute peeks at the message behind it, to tell the session
// whether Sync follows, so it takes its message apart before that.
//
// Only the connection's own goroutine reads, writes or calls the session, but for
// replication streams, where one more reads while the own one writes. Others act
// through terminate (a cause and deadlines in the past, which wake it up) and
// statementContext.interrupt.
//
// # Hostile clients
//
// pgproto3 gives the message types and encodes the rare messages. Its decoders
// never see a client's bytes, because a few of them suffice to make it panic or
// allocate gigabytes. Lengths are checked before reading, buffers grow as bytes
// arrive and shrink after a big message, all big buffers together are limited
// by Config.MessageMemory, counts inside a message are checked against what is
// left of it. A malformed body is an ERROR and the conversation goes on; a
// malformed header is FATAL, since the message borders are lost. A panic, in
// the session too, ends the one connection.
//
// # Where to start when debugging
//
// The conversations in testdata show what goes over the wire, message by
// message; add yours and run TestScripts with -rewrite. A client that hangs is
// mostly one that waits for something in output: look for a missing flush. A
// client that reports "lost synchronization" got a malformed message: compare
// the encoder in reply.go or results.go with the protocol's manual page.
package pgwire
