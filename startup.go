package tidemark

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/raftlog"
	"github.com/tidemark-db/tidemark/query"
)

// chooseCluster names the cluster of a node that has never run: a new one, or that
// of the node which it is to join. Any other node's directory says it.
func (n *Node) chooseCluster(ctx context.Context) (string, error) {
	isNew, err := raftlog.IsNew(n.cfg.Dir)
	if err != nil || !isNew {
		return "", err
	}
	if n.cfg.Join == "" {
		return raftlog.NewUUID(), nil
	}
	if n.cfg.Join == n.SQLAddr() {
		return "", fmt.Errorf("a node cannot join itself at %s; the first node of a cluster begins it without --join", n.cfg.Join)
	}
	a, err := n.join(ctx, n.cfg.Join, query.JoinNode{Version: Version})
	if err != nil {
		return "", err
	}
	return a.Cluster, nil
}

// metaReplica returns this node's replica of the meta log. A node without one
// begins a cluster, or joins the one it was told of.
func (n *Node) metaReplica(ctx context.Context) (localReplica, error) {
	r, ok := n.local.replica(metaLog)
	switch {
	case ok:
		return r, n.lookAround(ctx)
	case n.cfg.Join == "" && n.host.Identity().Joins:
		return r, fmt.Errorf("the node of data directory %s has not joined its cluster yet: start it with --join once more", n.cfg.Dir)
	case n.cfg.Join == "":
		r = localReplica{Log: metaLog, Replica: 1, Members: map[log.ReplicaID]log.NodeID{1: n.self()}}
		return r, n.local.put(r)
	}
	self := n.addresses()
	a, err := n.join(ctx, n.cfg.Join, query.JoinNode{Cluster: n.cluster(), Node: n.self(), SQLAddr: self.SQL, RaftAddr: self.Raft, HTTPAddr: self.HTTP, Version: Version})
	if err != nil {
		return r, err
	}
	r = localReplica{Log: metaLog, Replica: a.Replica, Join: true}
	err = n.local.change(func(c *localContents) {
		c.Replicas = append(c.Replicas, r)
		c.Peers = a.Peers
	})
	for _, other := range a.Peers {
		n.peers.learn(other)
	}
	return r, err
}

// lookAround asks the node that is to be joined which nodes there are, although
// this one belongs to the cluster already: the addresses of all of them may have
// changed. Nobody needs to answer, so it does not wait for long; but a member of
// another cluster is not the one that was meant.
func (n *Node) lookAround(ctx context.Context) error {
	if n.cfg.Join == "" || n.cfg.Join == n.SQLAddr() {
		return nil
	}
	attempt, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	err := n.ask(attempt, n.cfg.Join)
	if refusal(err) {
		return fmt.Errorf("join %s: %w", n.cfg.Join, err)
	}
	if err == nil {
		return nil
	}
	n.working.Go(func() {
		for n.life.Err() == nil {
			pause(n.life, joinPause)
			if err = n.ask(n.life, n.cfg.Join); err == nil || refusal(err) {
				break
			}
		}
		if n.life.Err() == nil && err != nil {
			n.cfg.Logger.Error("the node to join knows this one differently", "at", n.cfg.Join, "error", err)
		}
	})
	return nil
}

// lookPatience is how long a node that starts waits for that answer.
const lookPatience = time.Second

// ask learns from another node of the cluster which others there are.
func (n *Node) ask(ctx context.Context, addr string) error {
	a, err := n.askToJoin(ctx, addr, query.JoinNode{Cluster: n.cluster(), Version: Version})
	if err != nil {
		return err
	}
	for _, other := range a.Peers {
		n.peers.learn(other)
	}
	return nil
}

// settle brings the node to where it can serve: the logs are replayed, a new
// cluster has its first database, and what keeps the node in order runs.
func (n *Node) settle(ctx context.Context) error {
	began := time.Now()
	notice := time.AfterFunc(replayNotice, func() { n.cfg.Logger.Info("replaying the log, or waiting for other nodes") })
	defer notice.Stop()
	first := n.begins()
	if err := n.meta.refresh(ctx); err != nil && !first {
		n.cfg.Logger.Debug("the meta database cannot be read yet", "error", err)
	}
	n.reopen(ctx)
	patience, cancel := ctx, context.CancelFunc(func() {})
	if !first && n.meta.state.Load().cluster != "" { // else it has nothing to serve before
		patience, cancel = context.WithTimeout(ctx, othersPatience)
	}
	defer cancel()
	if err := n.awaitReady(ctx, patience, n.meta.db); err != nil {
		return err
	}
	if first {
		row := nodeRow{ID: n.self(), Addrs: n.addresses(), State: query.NodeActive}
		if err := bootstrapMeta(ctx, n.meta.db, n.cluster(), row); err != nil {
			return fmt.Errorf("begin a cluster: %w", err)
		}
	}
	if err := n.meta.refresh(ctx); err != nil {
		return fmt.Errorf("meta database: %w", err)
	}
	n.reconcile(ctx)
	if err := n.awaitAll(ctx, first); err != nil {
		return err
	}
	for _, work := range []func(context.Context){n.meta.follow, n.agent, n.keeper, n.place, n.announce} {
		n.working.Go(func() { work(n.life) })
	}
	n.cfg.Logger.Debug("log replayed", "took", time.Since(began))
	return nil
}

// begins says whether the node may have begun a cluster that is not recorded in
// the meta database yet.
func (n *Node) begins() bool {
	r, ok := n.local.replica(metaLog)
	return ok && !r.Join && len(n.local.get().Peers) == 0
}

// awaitAll waits until the databases hold what their logs say, for all of them
// together no longer than for one.
func (n *Node) awaitAll(ctx context.Context, alone bool) error {
	patience, cancel := ctx, context.CancelFunc(func() {})
	switch {
	case n.meta.db.waiting.Load(): // there is nobody to wait for
		patience, cancel = context.WithTimeout(ctx, alonePatience)
	case !alone:
		patience, cancel = context.WithTimeout(ctx, othersPatience)
	}
	defer cancel()
	for _, db := range n.databases.all() {
		if err := n.awaitReady(ctx, patience, db); err != nil {
			return err
		}
	}
	return nil
}

// awaitReady waits until a database holds what its log says. Where others are
// needed for that and do not come while patience lasts, the node serves what it
// can without them, and says that it is not ready.
func (n *Node) awaitReady(ctx, patience context.Context, db *database) error {
	if db.waiting.Load() {
		return nil
	}
	err := db.shard.Ready(patience)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("replay the log of database %s: %w", db.name(), err)
	}
	n.cfg.Logger.Warn("a database waits for other nodes; what needs them will wait, too", "database", db.name())
	db.waiting.Store(true)
	n.working.Go(func() {
		if db.shard.Ready(n.life) == nil {
			db.waiting.Store(false)
		}
	})
	return nil
}

// How long a node that starts waits for others, and where it has found already
// that they do not come.
const (
	othersPatience = 5 * time.Second
	alonePatience  = time.Second
)

// announce tells the cluster of this node's addresses when they have changed.
func (n *Node) announce(ctx context.Context) {
	for ctx.Err() == nil {
		row, ok := n.meta.state.Load().nodes[n.self()]
		if ok && row.Addrs == n.addresses() {
			return
		}
		a := n.addresses()
		err := transact(ctx, n.meta.db, func(m *metaSession) error {
			_, err := m.run(ctx, fmt.Sprintf("UPDATE nodes SET sql_addr = %s, raft_addr = %s, http_addr = %s WHERE id = %s",
				literal(a.SQL), literal(a.Raft), literal(a.HTTP), literal(string(n.self()))))
			return err
		})
		if err == nil {
			return
		}
		pause(ctx, joinPause)
	}
}

// replayNotice is how long replaying the log may take before it is reported.
const replayNotice = time.Second
