package query

import (
	"sync/atomic"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/syscat"
)

// senderStats is what pg_stat_replication shows of a stream. The stream's goroutines
// write it, other sessions read it.
type senderStats struct {
	slot                        string
	sent, write, flush, applied atomic.Uint64
	replied                     atomic.Int64
	caught                      atomic.Bool // it had been sent everything at some time
}

// heard notes what the consumer says of itself.
func (st *senderStats) heard(write, flush, applied uint64, now int64) {
	st.write.Store(write)
	st.flush.Store(flush)
	st.applied.Store(applied)
	st.replied.Store(now)
}

// setSender notes the stream that the session is, nil when it is none any more.
func (s *Session) setSender(st *senderStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sender = st
}

// Senders implements syscat.Session.
func (i sessionInfo) Senders() []syscat.Sender {
	e := i.s.e
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []syscat.Sender
	for t := range e.sessions { // pg_stat_replication has no order
		t.mu.Lock()
		st, status := t.sender, t.status
		t.mu.Unlock()
		if st == nil {
			continue
		}
		state := "catchup"
		if st.caught.Load() {
			state = "streaming"
		}
		out = append(out, syscat.Sender{
			PID: t.start.ProcessID, User: t.start.User, Application: status.application, Address: t.start.RemoteAddr,
			Began: status.began, State: state, Sent: log.Offset(st.sent.Load()), Write: log.Offset(st.write.Load()),
			Flush: log.Offset(st.flush.Load()), Applied: log.Offset(st.applied.Load()), Replied: st.replied.Load(),
		})
	}
	return out
}
