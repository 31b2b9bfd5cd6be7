package tidemark

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/log"
)

// Nodes exchange their status over HTTP: one asks the other with its own and is
// answered with the other's.
const (
	statusPath      = "/v1/status"
	statusEvery     = time.Second
	statusTimeout   = 2 * time.Second
	statusBytesMax  = 8 << 20
	statusContent   = "application/json"
	statusIdleConns = 2
)

// errRemovedFromCluster says that other nodes know this one as removed.
var errRemovedFromCluster = errors.New("this node was removed from the cluster; to use the machine again, start it with --join and an empty data directory")

// peers knows the other nodes and talks with them.
type peers struct {
	node   *Node
	client *http.Client

	mu    sync.Mutex
	known map[log.NodeID]peer
}

func newPeers(n *Node) *peers {
	p := &peers{node: n, known: map[log.NodeID]peer{}}
	p.client = &http.Client{
		Timeout: statusTimeout,
		Transport: &http.Transport{
			DialContext:         n.cfg.dial,
			MaxIdleConnsPerHost: statusIdleConns,
			IdleConnTimeout:     10 * statusEvery,
		},
	}
	for _, known := range n.local.get().Peers {
		p.learn(known)
	}
	return p
}

// dial connects to an address, through the one that stands for it if there is.
func (c *Config) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, c.via(addr))
}

func (c *Config) via(addr string) string {
	if other, ok := c.Via[addr]; ok {
		return other
	}
	return addr
}

// learn takes in what is known of a node, and reports whether it was news.
func (p *peers) learn(other peer) bool {
	if other.Node == "" || other.Node == p.node.self() || p.node.isRemoved(other.Node) {
		return false
	}
	p.mu.Lock()
	old, ok := p.known[other.Node]
	news := !ok || other.Incarnation > old.Incarnation
	if news {
		p.known[other.Node] = other
		p.node.host.SetAddress(other.Node, other.Raft) // in the order of the news
	}
	p.mu.Unlock()
	return news
}

// forget removes nodes that are not part of the cluster any more.
func (p *peers) forget(gone []log.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range gone {
		delete(p.known, id)
	}
}

// all returns the known nodes in order.
func (p *peers) all() []peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]peer, 0, len(p.known))
	for _, other := range p.known {
		out = append(out, other)
	}
	slices.SortFunc(out, func(a, b peer) int { return bytes.Compare([]byte(a.Node), []byte(b.Node)) })
	return out
}

// get returns what is known of a node.
func (p *peers) get(id log.NodeID) (peer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	other, ok := p.known[id]
	return other, ok
}

// save records the known nodes for the next start.
func (p *peers) save() error {
	all := p.all()
	if slices.Equal(all, p.node.local.get().Peers) {
		return nil
	}
	return p.node.local.change(func(c *localContents) { c.Peers = all })
}

// exchange asks every node that has not been heard lately, until ctx ends.
func (p *peers) exchange(ctx context.Context) {
	p.round(ctx)
	every(ctx, statusEvery, func() { p.round(ctx) })
}

// round asks those nodes once, all at the same time.
func (p *peers) round(ctx context.Context) {
	var asked sync.WaitGroup
	for _, other := range p.all() {
		if !p.node.board.silent(other.Node, statusEvery/2) {
			continue
		}
		asked.Go(func() {
			if err := p.ask(ctx, other.HTTP); errors.Is(err, errRemovedFromCluster) {
				p.node.fail(err)
			} else if err != nil && ctx.Err() == nil {
				p.node.cfg.Logger.Debug("a node does not answer", "node", other.Node, "error", err)
			}
		})
	}
	asked.Wait()
	if err := p.save(); err != nil {
		p.node.cfg.Logger.Error("the addresses of other nodes could not be recorded", "error", err)
	}
}

// ask exchanges statuses with the node at an address.
func (p *peers) ask(ctx context.Context, addr string) error {
	body, err := json.Marshal(p.node.status())
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+statusPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", statusContent)
	answer, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusGone:
		return errRemovedFromCluster
	default:
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	s := &nodeStatus{}
	if err := json.NewDecoder(io.LimitReader(answer.Body, statusBytesMax)).Decode(s); err != nil {
		return err
	}
	p.take(s)
	return nil
}

// HolderAlive implements query.Cluster: the owner's node is asked for its status.
func (n *Node) HolderAlive(ctx context.Context, owner log.Owner) bool {
	for _, other := range n.peers.all() {
		if nodeNumber(other.Node) != owner.Node {
			continue
		}
		if err := n.peers.ask(ctx, other.HTTP); err != nil {
			return false
		}
		s, _ := n.board.get(other.Node)
		return s != nil && slices.ContainsFunc(s.Replicas, func(r replicaStatus) bool { return r.Process == owner.Process })
	}
	return false
}

// take takes in another node's status.
func (p *peers) take(s *nodeStatus) {
	if s.Node == "" || s.Node == p.node.self() || s.Cluster != p.node.cluster() || p.node.isRemoved(s.Node) {
		return
	}
	p.learn(s.peer)
	for _, other := range s.Peers {
		p.learn(other)
	}
	p.node.board.put(s)
}

// serveStatus answers another node.
func (p *peers) serveStatus(w http.ResponseWriter, r *http.Request) {
	s := &nodeStatus{}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, statusBytesMax)).Decode(s); err != nil {
		http.Error(w, "not a status: "+err.Error(), http.StatusBadRequest)
		return
	}
	if s.Node == "" {
		http.Error(w, "not a status: it names no node", http.StatusBadRequest)
		return
	}
	if s.Cluster != p.node.cluster() {
		http.Error(w, "this node belongs to another cluster", http.StatusConflict)
		return
	}
	if p.node.isRemoved(s.Node) {
		http.Error(w, errRemovedFromCluster.Error(), http.StatusGone)
		return
	}
	p.take(s)
	w.Header().Set("Content-Type", statusContent)
	if err := json.NewEncoder(w).Encode(p.node.status()); err != nil {
		p.node.cfg.Logger.Debug("answering a status failed", "error", err)
	}
}

// close ends the connections to other nodes.
func (p *peers) close() { p.client.CloseIdleConnections() }
