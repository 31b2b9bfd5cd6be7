package pgwire

import (
	"bytes"
	"encoding/binary"
)

// trackedBody is how much of a message's body a frameTracker keeps: enough for a
// cancel key, and for the severity that an error begins with.
const trackedBody = 16

// frameTracker follows the borders of messages in a stream of bytes that is passed on
// unread.
type frameTracker struct {
	head [frameHeader + trackedBody]byte
	have int // bytes of head
	left int // bytes of the message that are still to come behind head
	want int // bytes of head that the message has

	last  byte // the type of the last complete message
	fatal bool // it was an error that ends the connection
}

// between reports whether the stream is between two messages.
func (f *frameTracker) between() bool { return f.have == 0 && f.left == 0 }

// missing is the number of bytes that are known to be missing to the end of what the
// tracker is in: the message, or its header.
func (f *frameTracker) missing() int {
	if f.have < frameHeader {
		return frameHeader - f.have
	}
	return f.want - f.have + f.left
}

// feed takes the next piece of the stream and calls note with the type and the
// beginning of the body of each message that is complete with it.
func (f *frameTracker) feed(b []byte, note func(typ byte, body []byte)) {
	for len(b) > 0 {
		if f.have < frameHeader {
			n := copy(f.head[f.have:frameHeader], b)
			f.have, b = f.have+n, b[n:]
			if f.have < frameHeader {
				return
			}
			// A length that makes no sense loses the borders; then there is just no
			// good moment any more.
			body := max(0, int(int32(binary.BigEndian.Uint32(f.head[1:])))-4)
			f.want = frameHeader + min(body, trackedBody)
			f.left = body - (f.want - frameHeader)
		}
		n := copy(f.head[f.have:f.want], b)
		f.have, b = f.have+n, b[n:]
		n = min(len(b), f.left)
		f.left, b = f.left-n, b[n:]
		if f.have == f.want && f.left == 0 {
			body := f.head[frameHeader:f.want]
			f.last = f.head[0]
			f.fatal = f.last == msgErrorResponse && (bytes.HasPrefix(body, []byte("SFATAL")) || bytes.HasPrefix(body, []byte("SPANIC")))
			note(f.last, body)
			f.have = 0
		}
	}
}
