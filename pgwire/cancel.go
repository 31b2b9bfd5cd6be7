package pgwire

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"io"
	"time"
)

// cancelRequest interrupts what a connection is running, here or on the node that
// serves it. Whoever asks learns nothing, not even whether such a connection exists.
func (s *Server) cancelRequest(key cancelKey) {
	s.mu.Lock()
	c := s.active[key.processID]
	addr, elsewhere := s.relayed[key]
	s.mu.Unlock()
	switch {
	case c != nil && subtle.ConstantTimeEq(int32(c.secret), int32(key.secret)) == 1:
		c.stmt.interrupt(userCancel())
	case elsewhere:
		s.forwardCancel(addr, key)
	default:
		s.log.Info("cancel request with a wrong key", "pid", key.processID)
	}
}

// forwardCancel asks another node to cancel, and waits until it has done so: it
// closes the connection then.
func (s *Server) forwardCancel(addr string, key cancelKey) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelTimeout)
	defer cancel()
	nc, err := dialNode(ctx, addr)
	if err != nil {
		s.log.Warn("cannot hand a cancel request on", "node", addr, "err", err)
		return
	}
	defer nc.Close()
	b := binary.BigEndian.AppendUint32(nil, 16)
	b = binary.BigEndian.AppendUint32(b, codeCancel)
	b = binary.BigEndian.AppendUint32(b, uint32(key.processID))
	b = binary.BigEndian.AppendUint32(b, key.secret)
	if nc.SetDeadline(time.Now().Add(cancelTimeout)) != nil {
		return
	}
	if _, err := nc.Write(b); err == nil {
		_, _ = io.CopyN(io.Discard, nc, 1) // it sends nothing
	}
}

// admitRelay makes room for a connection that another node serves.
func (s *Server) admitRelay(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.room(c); err != nil {
		return err
	}
	s.relays++
	return nil
}

func (s *Server) relayEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.relays--
}

// rememberRelay and forgetRelay keep the keys of relayed connections.
func (s *Server) rememberRelay(r *relay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.relayed[r.key] = r.addr
}

func (s *Server) forgetRelay(r *relay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.relayed, r.key)
}
