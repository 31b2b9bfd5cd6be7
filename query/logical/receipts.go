package logical

import (
	"sort"
	"sync"

	"github.com/tidemark-db/tidemark/log"
)

// Receipts says what a consumer's acknowledgement is good for. Consumers that
// acknowledge the end of a transaction mean just that. Others acknowledge, after any
// message, its position plus one, or plus its length, as if the log were made of the
// messages: that may lie behind the ends of small transactions which they have not
// seen yet. What is accepted is always the end of a transaction that the consumer
// must have, whichever way it counts.
//
// One goroutine sends, another one accepts.
type Receipts struct {
	reach log.Offset // the furthest that a message sent so far reaches, counted by its length

	mu       sync.Mutex
	sent     []receipt // in order; the oldest ones are dropped
	accepted log.Offset
	lengths  bool // the consumer's last word was a commit plus its length
}

// receipt is a position up to which everything has been sent.
type receipt struct{ end, reach log.Offset }

// maxReceipts bounds what is kept. Acknowledgements of what is older are taken as
// they are.
const maxReceipts = 4096

// commitLength is the length of pgoutput's commit message.
const commitLength = 26

// Message notes a message that is sent.
func (r *Receipts) Message(at log.Offset, length int) {
	if at != 0 {
		r.reach = max(r.reach, at+log.Offset(length))
	}
}

// Whole notes that everything that commits before end has been sent.
func (r *Receipts) Whole(end log.Offset) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.sent); n > 0 && r.sent[n-1].end >= end {
		return
	}
	if len(r.sent) == maxReceipts {
		r.sent = r.sent[:copy(r.sent, r.sent[maxReceipts/2:])]
	}
	r.sent = append(r.sent, receipt{end, r.reach})
}

// Accept returns the position that the consumer has acknowledged by saying at, and
// whether that is more than before.
func (r *Receipts) Accept(at log.Offset) (log.Offset, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := r.meant(at)
	if end <= r.accepted {
		return r.accepted, false
	}
	r.accepted = end
	return end, true
}

func (r *Receipts) meant(at log.Offset) log.Offset {
	n := sort.Search(len(r.sent), func(i int) bool { return r.sent[i].end > at })
	if n == 0 {
		if len(r.sent) == 0 {
			return 0
		}
		return at
	}
	switch last := r.sent[n-1].end; at - last {
	case commitLength:
		r.lengths = true
		return last
	case 0, 1:
		// Who counts by lengths never means the end of a transaction: this is a
		// message from before it, which only seems to reach there. Anybody else
		// says the same again, and is believed then.
		byChance := r.lengths
		r.lengths = false
		if !byChance {
			return last
		}
	}
	n = sort.Search(n, func(i int) bool { return r.sent[i].reach >= at })
	if n == 0 {
		return 0
	}
	return r.sent[n-1].end
}
