package raftlog

import (
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"

	"github.com/tidemark-db/tidemark/log"
)

// addressBook tells the engine where the members of groups are: groups name
// their members by node, and a node may come back with another address at any
// time. The engine asks for each message.
type addressBook struct {
	logger *slog.Logger
	via    map[string]string // instead of this address, dial that one

	mu          sync.RWMutex
	connections uint64 // to each node
	members     map[raftio.NodeInfo]log.NodeID
	places      map[log.NodeID]place
}

// place is where a node listens, with the names of the connections to it. The
// names hold the address: messages to a new address must not wait for what
// became of the connections to the old one.
type place struct {
	addr        string
	connections []string
}

var (
	_ raftio.INodeRegistry       = (*addressBook)(nil)
	_ config.NodeRegistryFactory = (*addressBook)(nil)
)

func newAddressBook(logger *slog.Logger, via map[string]string) *addressBook {
	return &addressBook{
		logger:      logger,
		via:         via,
		connections: 1,
		members:     map[raftio.NodeInfo]log.NodeID{},
		places:      map[log.NodeID]place{},
	}
}

// Create implements config.NodeRegistryFactory: the book is made before the
// engine, which says here how many connections it wants to each node.
func (b *addressBook) Create(_ string, connections uint64, _ config.TargetValidator) (raftio.INodeRegistry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connections = max(connections, 1)
	return b, nil
}

// set notes where a node listens.
func (b *addressBook) set(node log.NodeID, addr string) {
	if through, ok := b.via[addr]; ok {
		addr = through
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.places[node].addr == addr {
		return
	}
	p := place{addr: addr, connections: make([]string, b.connections)}
	for i := range p.connections {
		p.connections[i] = addr + "#" + strconv.Itoa(i)
	}
	b.places[node] = p
}

// Add implements raftio.INodeRegistry. The engine calls it for members it starts
// with, for those that join, and for whoever sends a message. A number belongs
// to one node for ever, so the first node stays.
func (b *addressBook) Add(shard, replica uint64, target string) {
	key, node := raftio.GetNodeInfo(shard, replica), log.NodeID(target)
	b.mu.RLock()
	known, ok := b.members[key]
	b.mu.RUnlock()
	if ok && known == node {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok = b.members[key]
	if !ok {
		b.members[key] = node
	} else if known != node {
		b.logger.Warn("two nodes claim to be one replica", "log", shard, "replica", replica, "node", known, "other", node)
	}
}

// Remove implements raftio.INodeRegistry.
func (b *addressBook) Remove(shard, replica uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.members, raftio.GetNodeInfo(shard, replica))
}

// RemoveShard implements raftio.INodeRegistry.
func (b *addressBook) RemoveShard(shard uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.members {
		if key.ShardID == shard {
			delete(b.members, key)
		}
	}
}

// Resolve implements raftio.INodeRegistry: the address to dial, and the name of
// the connection to use.
func (b *addressBook) Resolve(shard, replica uint64) (addr, connection string, err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	node, ok := b.members[raftio.GetNodeInfo(shard, replica)]
	if !ok {
		return "", "", fmt.Errorf("nobody knows the node of replica %d of log %d", replica, shard)
	}
	p, ok := b.places[node]
	if !ok {
		return "", "", fmt.Errorf("nobody knows the address of node %s", node)
	}
	return p.addr, p.connections[shard%uint64(len(p.connections))], nil
}

// Close implements raftio.INodeRegistry.
func (b *addressBook) Close() error { return nil }
