package tidemark

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// How long a node tries to join before it gives up.
const (
	joinTimeout = 60 * time.Second
	joinPause   = 500 * time.Millisecond
	joinAttempt = 15 * time.Second
)

// admission is what a node is told when it is taken in.
type admission struct {
	Cluster string        `json:"cluster"`
	Replica log.ReplicaID `json:"replica"` // its number in the meta log's group
	Peers   []peer        `json:"peers"`
}

// join asks a member of a cluster, at its SQL address, to take this node in.
// Asking again is harmless: the answer is the same.
func (n *Node) join(ctx context.Context, addr string, j query.JoinNode) (*admission, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	said := ""
	for {
		a, err := n.askToJoin(ctx, addr, j)
		if err == nil {
			return a, nil
		}
		if refusal(err) {
			return nil, fmt.Errorf("join %s: %w", addr, err)
		}
		if text := err.Error(); text != said && ctx.Err() == nil {
			n.cfg.Logger.Warn("joining failed; trying again", "at", addr, "error", text)
			said = text
		}
		pause(ctx, joinPause)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("join %s: %w", addr, err)
		}
	}
}

// refusal says whether an error is a refusal, and not due to circumstances that
// change: a shutdown, a conflict, a leader that is missing.
func refusal(err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || len(refused.Code) < 2 {
		return false
	}
	class := refused.Code[:2]
	return class != "57" && class != "40" && class != "08" && class != "53"
}

func (n *Node) askToJoin(ctx context.Context, addr string, j query.JoinNode) (*admission, error) {
	ctx, cancel := context.WithTimeout(ctx, joinAttempt)
	defer cancel()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	to := url.URL{Scheme: "postgres", User: url.User(metaUser), Host: net.JoinHostPort(host, port), Path: firstDatabase, RawQuery: "sslmode=disable"}
	cfg, err := pgconn.ParseConfig(to.String())
	if err != nil {
		return nil, err
	}
	cfg.DialFunc = n.cfg.dial
	// That it answers must not depend on a majority, which this node may be part of.
	cfg.RuntimeParams["tidemark.read_consistency"] = "local"
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	request, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	r := conn.ExecParams(ctx, "SELECT tidemark.join_node($1)", [][]byte{request}, nil, nil, nil).Read()
	if r.Err != nil {
		return nil, r.Err
	}
	a := &admission{}
	if len(r.Rows) != 1 || json.Unmarshal(r.Rows[0][0], a) != nil || a.Cluster == "" || j.Node != "" && a.Replica == 0 {
		return nil, errors.New("the answer is not that of a Tidemark node of this version")
	}
	return a, nil
}

// JoinNode implements query.Cluster. A node that has the addresses of another one
// takes its place: that one's disk was wiped, or the machine was replaced. A node
// that does not name itself is only told which cluster this is.
func (n *Node) JoinNode(ctx context.Context, j query.JoinNode) ([]byte, error) {
	if j.Cluster != "" && j.Cluster != n.cluster() {
		return nil, sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "the node belongs to another cluster").
			WithDetail("Its cluster is %s, this one is %s.", j.Cluster, n.cluster()).
			WithHint("To use the machine here, start it with an empty data directory.")
	}
	if j == (query.JoinNode{Cluster: j.Cluster, Version: j.Version}) {
		return json.Marshal(&admission{Cluster: n.cluster(), Peers: append(n.peers.all(), n.peer())})
	}
	if j.Node == "" || j.SQLAddr == "" || j.RaftAddr == "" || j.HTTPAddr == "" {
		return nil, sqlstate.New(sqlstate.InvalidParameterValue, "a node is described by its id and its addresses")
	}
	a := admission{Cluster: n.cluster()}
	err := transact(ctx, n.meta.db, func(m *metaSession) error {
		state, err := readMeta(ctx, m)
		if err != nil {
			return err
		}
		if err := n.mayTake(state, j); err != nil {
			return err
		}
		a.Replica, err = admitNode(ctx, m, state, j)
		return err
	})
	if err != nil {
		return nil, err
	}
	a.Peers = append(n.peers.all(), n.peer())
	n.peers.learn(peer{Node: j.Node, Incarnation: 1, addresses: addresses{SQL: j.SQLAddr, Raft: j.RaftAddr, HTTP: j.HTTPAddr}})
	n.meta.poke()
	return json.Marshal(&a)
}

// mayTake refuses a node at the Raft address of one that was heard a moment ago:
// that one is not lost, or has gone to another address and said so.
func (n *Node) mayTake(state *metaState, j query.JoinNode) error {
	live := n.board.live()
	for _, id := range state.nodeIDs() {
		row := state.nodes[id]
		if id == j.Node || row.State == query.NodeRemoved || row.Addrs.Raft != j.RaftAddr {
			continue
		}
		if _, ok := live[id]; ok || id == n.self() {
			return sqlstate.New(sqlstate.CannotConnectNow, "node %s, which is alive, has the Raft address %s", id, j.RaftAddr).
				WithHint("Another node can take its place once it is gone, or use the address once it has announced another one.")
		}
	}
	return nil
}

// admitNode writes the rows of a node that joins and returns the number of its
// replica of the meta log.
func admitNode(ctx context.Context, m *metaSession, state *metaState, j query.JoinNode) (log.ReplicaID, error) {
	if old, ok := state.nodes[j.Node]; ok && old.State == query.NodeRemoved {
		return 0, sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "node %s was removed from the cluster", j.Node).
			WithHint("Start it with an empty data directory.")
	}
	for _, id := range state.nodeIDs() {
		other := state.nodes[id]
		if id == j.Node || other.State == query.NodeRemoved || other.Addrs.Raft != j.RaftAddr {
			continue
		}
		if _, err := m.run(ctx, fmt.Sprintf("UPDATE nodes SET state = 'removed' WHERE id = %s", literal(string(id)))); err != nil {
			return 0, err
		}
	}
	row := nodeRow{ID: j.Node, Addrs: addresses{SQL: j.SQLAddr, Raft: j.RaftAddr, HTTP: j.HTTPAddr}, State: query.NodeActive}
	if _, err := m.run(ctx, fmt.Sprintf("INSERT INTO nodes VALUES (%s) ON CONFLICT (id) DO UPDATE SET sql_addr = excluded.sql_addr, raft_addr = excluded.raft_addr, http_addr = excluded.http_addr", nodeValues(row))); err != nil {
		return 0, err
	}
	if r, ok := state.replicaOn(metaLog, j.Node); ok {
		return r.Replica, nil
	}
	replica := log.ReplicaID(1)
	for _, r := range state.replicas[metaLog] {
		replica = max(replica, r.Replica+1)
	}
	_, err := m.run(ctx, fmt.Sprintf("INSERT INTO replicas VALUES (%d, %d, %s, 'learner', false)", metaLog, replica, literal(string(j.Node))))
	return replica, err
}
