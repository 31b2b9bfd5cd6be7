package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
)

// link is a direction: what from dials at to.
type link struct{ from, to int }

// Network is what lies between the nodes: for each link one proxy for each
// address of its target.
type Network struct {
	nodes   int
	proxies map[link][]*Proxy
	via     map[int][]string // of a node: address=proxy
}

// Addresses are where a node listens.
type Addresses struct{ SQL, Raft, HTTP string }

func (a Addresses) all() []string { return []string{a.SQL, a.Raft, a.HTTP} }

// newNetwork puts proxies between nodes, which are numbered from 1.
func newNetwork(nodes []Addresses) (*Network, error) {
	n := &Network{nodes: len(nodes), proxies: map[link][]*Proxy{}, via: map[int][]string{}}
	for from := 1; from <= len(nodes); from++ {
		for to := 1; to <= len(nodes); to++ {
			if from == to {
				continue
			}
			for _, addr := range nodes[to-1].all() {
				p, err := NewProxy("127.0.0.1:0", addr)
				if err != nil {
					return nil, errors.Join(err, n.Close())
				}
				n.proxies[link{from, to}] = append(n.proxies[link{from, to}], p)
				n.via[from] = append(n.via[from], addr+"="+p.Addr())
			}
		}
	}
	return n, nil
}

// Via are the flags that tell a node its proxies.
func (n *Network) Via(node int) []string {
	var flags []string
	for _, v := range n.via[node] {
		flags = append(flags, "--via", v)
	}
	return flags
}

// Close ends all connections between the nodes.
func (n *Network) Close() error {
	var err error
	for _, ps := range n.proxies {
		for _, p := range ps {
			err = errors.Join(err, p.Close())
		}
	}
	return err
}

// CutLink cuts what from sends to to, and not what to sends to from.
func (n *Network) CutLink(from, to int) { n.each(from, to, (*Proxy).Cut) }

// StallLink is CutLink, but connections stay and what is sent arrives at the end.
func (n *Network) StallLink(from, to int) { n.each(from, to, (*Proxy).Stall) }

// HealLink ends CutLink and StallLink.
func (n *Network) HealLink(from, to int) { n.each(from, to, (*Proxy).Heal) }

func (n *Network) each(from, to int, f func(*Proxy)) {
	for _, p := range n.proxies[link{from, to}] {
		f(p)
	}
}

// Heal ends everything that was done to the network.
func (n *Network) Heal() {
	for _, ps := range n.proxies {
		for _, p := range ps {
			p.Heal()
		}
	}
}

// Split cuts the nodes into those of the group and the others.
func (n *Network) Split(group ...int) { n.split(group, n.CutLink) }

// StallSplit is Split, but connections stay and what is sent arrives at the end.
func (n *Network) StallSplit(group ...int) { n.split(group, n.StallLink) }

func (n *Network) split(group []int, cut func(from, to int)) {
	for a := 1; a <= n.nodes; a++ {
		for b := 1; b <= n.nodes; b++ {
			if slices.Contains(group, a) != slices.Contains(group, b) {
				cut(a, b)
			}
		}
	}
}

// Bridge cuts all pairs of nodes that do not contain the given node: it alone
// reaches everybody.
func (n *Network) Bridge(node int) {
	for a := 1; a <= n.nodes; a++ {
		for b := 1; b <= n.nodes; b++ {
			if a != b && a != node && b != node {
				n.CutLink(a, b)
			}
		}
	}
}

// Mute cuts what a node sends; it still hears the others. Deafen cuts what the
// others send to it.
func (n *Network) Mute(node int) {
	for other := 1; other <= n.nodes; other++ {
		n.CutLink(node, other)
	}
}

// Deafen cuts what the others send to a node; they still hear it.
func (n *Network) Deafen(node int) {
	for other := 1; other <= n.nodes; other++ {
		n.CutLink(other, node)
	}
}

// Ports that nodes listen on. They are below those that systems give to
// connections, so that nobody takes one while its node is down.
const (
	firstPort = 23_000
	ports     = 1_000
)

// freeAddresses finds addresses that nobody listens on, for so many nodes.
func freeAddresses(nodes int) ([]Addresses, error) {
	var free []string
	for _, i := range rand.Perm(ports) {
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+i)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		if free = append(free, addr); len(free) == 3*nodes {
			break
		}
	}
	if len(free) < 3*nodes {
		return nil, fmt.Errorf("only %d ports are free", len(free))
	}
	out := make([]Addresses, nodes)
	for i := range out {
		out[i] = Addresses{SQL: free[3*i], Raft: free[3*i+1], HTTP: free[3*i+2]}
	}
	return out, nil
}
