package logical

import (
	"slices"
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
	last  log.Offset   // how far the last message reaches, counted by its length
	reach log.Offset   // the furthest that any has reached
	over  []log.Offset // how far those before the last one reach, of those that reach beyond what was sent since

	mu       sync.Mutex
	sent     []receipt // in order; the older, the fewer are kept
	accepted log.Offset
	counts   bool // the consumer has acknowledged what is no end: it counts by messages
}

// receipt is a position up to which everything has been sent, and how far the last
// message before it, and all messages, reach.
type receipt struct {
	end, last, reach log.Offset
	// doubtful says that an earlier message reaches just as far as what would be
	// taken for this receipt: its end, what follows that, or what the last message
	// reaches. That matters with a consumer that counts by messages.
	doubtful [3]bool
}

// maxReceipts bounds what is kept.
const maxReceipts = 4096

// minOver is how long the list of messages that reach far may get before it is looked
// through.
const minOver = 64

// Message notes a message that is sent.
func (r *Receipts) Message(at log.Offset, length int) {
	if at == 0 {
		return
	}
	if r.last > at {
		if r.over = append(r.over, r.last); len(r.over) >= minOver && len(r.over) == cap(r.over) {
			r.forget(at)
		}
	}
	r.last = at + log.Offset(length)
	r.reach = max(r.reach, r.last)
}

// forget forgets messages that do not reach beyond a position that has been passed.
func (r *Receipts) forget(passed log.Offset) {
	r.over = slices.DeleteFunc(r.over, func(p log.Offset) bool { return p <= passed })
}

// Whole notes that everything that commits before end has been sent.
func (r *Receipts) Whole(end log.Offset) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.sent); n > 0 && r.sent[n-1].end >= end {
		return
	}
	if len(r.sent) == maxReceipts {
		r.thin()
	}
	x := receipt{end: end, last: r.last, reach: r.reach}
	for _, p := range r.over {
		for i, taken := range x.taken() {
			x.doubtful[i] = x.doubtful[i] || p == taken
		}
	}
	r.forget(end)
	r.sent = append(r.sent, x)
}

// taken are the acknowledgements that stand for the receipt, if no earlier message
// reaches just as far.
func (x *receipt) taken() [3]log.Offset { return [3]log.Offset{x.end, x.end + 1, x.last} }

// thin drops every other one of the older receipts: what is between two of them is
// taken for the one before, so fewer of them are safe. The first one stays.
func (r *Receipts) thin() {
	n := 0
	for i := range r.sent {
		if i >= maxReceipts/2 || i%2 == 0 {
			r.sent[n] = r.sent[i]
			n++
		}
	}
	r.sent = r.sent[:n]
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
	x := &r.sent[n-1]
	known := false
	for i, taken := range x.taken() {
		if at == taken && (!x.doubtful[i] || !r.counts) {
			return x.end
		}
		known = known || at == taken
	}
	r.counts = r.counts || !known
	n = sort.Search(n, func(i int) bool { return r.sent[i].reach >= at })
	if n == 0 {
		return 0
	}
	return r.sent[n-1].end
}
