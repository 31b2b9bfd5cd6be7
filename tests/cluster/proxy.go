package cluster

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Proxy carries connections to one address, and can be cut.
type Proxy struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu     sync.Mutex
	cut    bool
	stall  chan struct{} // closed when bytes may flow; nil while they do
	closed bool
	conns  map[net.Conn]struct{} // both ends of each connection
}

// NewProxy listens on addr for connections to target, which need not be there yet.
func NewProxy(addr, target string) (*Proxy, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns the address to dial instead of the target's.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut breaks all connections and lets no new one through, until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.conns {
		_ = c.Close() // it is to be broken
	}
}

// Stall lets no byte through in either direction and breaks nothing, until Heal:
// what was sent meanwhile arrives then, late, as it does when a network drops
// packets for a while.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stall == nil {
		p.stall = make(chan struct{})
	}
}

// Heal ends a Cut and a Stall.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	if p.stall != nil {
		close(p.stall)
		p.stall = nil
	}
}

// Close ends the proxy with all of its connections.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Heal()
	p.mu.Lock()
	for c := range p.conns {
		_ = c.Close() // it is to be broken
	}
	p.mu.Unlock()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the peer has gone already
		}
		p.running.Go(func() { p.carry(in) })
	}
}

// carry copies both directions of a connection until one end is gone.
func (p *Proxy) carry(in net.Conn) {
	if !p.keep(in) {
		return
	}
	defer p.drop(in)
	if !p.pass() {
		return
	}
	out, err := net.Dial("tcp", p.target)
	if err != nil {
		return // as if the target's machine had refused it
	}
	if !p.keep(out) {
		return
	}
	defer p.drop(out)
	done := make(chan struct{}, 2)
	for _, c := range [][2]net.Conn{{in, out}, {out, in}} {
		p.running.Go(func() {
			p.copy(c[1], c[0])
			_ = c[1].(*net.TCPConn).CloseWrite() // it may be gone
			done <- struct{}{}
		})
	}
	<-done
	<-done
}

// copyBytes is how much is on its way through the proxy at most.
const copyBytes = 64 << 10

func (p *Proxy) copy(to io.Writer, from io.Reader) {
	buf := make([]byte, copyBytes)
	for {
		n, err := from.Read(buf)
		if !p.pass() {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits while bytes may not flow, and says whether they may now.
func (p *Proxy) pass() bool {
	p.mu.Lock()
	stall := p.stall
	p.mu.Unlock()
	if stall != nil {
		<-stall
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.closed && !p.cut
}

// keep notes a connection that a cut must break, or closes it.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut || p.closed {
		_ = c.Close() // it is to be broken
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = c.Close() // it may be closed already
	delete(p.conns, c)
}
