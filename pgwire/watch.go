package pgwire

import (
	"sync/atomic"
	"time"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// coarseClock is a clock that costs one load to read. The watcher moves it on,
// so it is as precise as the watcher is frequent.
type coarseClock struct {
	began time.Time
	nanos atomic.Int64
}

func (c *coarseClock) start() {
	c.began = time.Now()
	c.nanos.Store(1)
}

// now is in nanoseconds since the start, and never 0.
func (c *coarseClock) now() int64 { return c.nanos.Load() }

func (c *coarseClock) tick() int64 {
	now := int64(time.Since(c.began)) + 1
	c.nanos.Store(now)
	return now
}

// watch looks at every connection again and again for what its own goroutine
// cannot see, because it is blocked in a write or in a statement. One goroutine
// and one timer do for all connections what would else be a deadline for each
// message.
func (s *Server) watch() {
	ticker := time.NewTicker(s.watchInterval())
	defer ticker.Stop()
	var conns []*conn
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
		}
		now := s.clock.tick()
		conns = s.snapshot(conns[:0])
		for _, c := range conns {
			s.inspect(c, now)
		}
		clear(conns)
	}
}

// watchInterval is shorter than usual only for unusually short timeouts.
func (s *Server) watchInterval() time.Duration {
	interval := min(watchInterval, s.cfg.WriteTimeout/4)
	if s.cfg.IdleTimeout > 0 {
		interval = min(interval, s.cfg.IdleTimeout/4)
	}
	return max(interval, time.Millisecond)
}

func (s *Server) snapshot(conns []*conn) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

func (s *Server) inspect(c *conn, now int64) {
	if t := c.out.since.Load(); t != 0 && now-t > int64(s.cfg.WriteTimeout) {
		s.log.Info("client does not read", "remote", c.remote(), "timeout", s.cfg.WriteTimeout)
		_ = c.raw.SetWriteDeadline(time.Unix(1, 0)) // fails only if it is closed already
		return
	}
	if t := c.idle.Load(); t != 0 && s.cfg.IdleTimeout > 0 && now-t > int64(s.cfg.IdleTimeout) {
		c.terminate(sqlstate.New(sqlstate.IdleSessionTimeout, "terminating connection due to idle-session timeout"))
		return
	}
	if t := c.stmt.since.Load(); t != 0 && now-t >= int64(disconnectCheckAfter) && peerClosed(c.raw) {
		c.stmt.interrupt(fatal(sqlstate.ConnectionFailure, "connection to client lost"))
	}
}
