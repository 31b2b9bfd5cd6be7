package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// How long things may take, on a machine that is much slower than usual.
const (
	// startPatience is for a node to answer, with its log replayed.
	startPatience = 120 * time.Second
	// stopPatience is for a node to stop when it is asked to.
	stopPatience = 60 * time.Second
	askTimeout   = 5 * time.Second
	readyPause   = 20 * time.Millisecond
)

// Cluster is a number of nodes on this machine.
type Cluster struct {
	// Net is the network between the nodes.
	Net *Network
	// Args are further arguments of every start.
	Args []string

	t     testing.TB
	dir   string
	addrs []Addresses

	mu        sync.Mutex
	processes []*Process // nil for a node that does not run
	paused    []bool
	started   []bool      // ever
	killed    []time.Time // since when the node is, if it is
}

// New prepares nodes and starts none. The test ends whatever runs in the end, and
// when it fails, it shows what the nodes have said.
func New(t testing.TB, nodes int) *Cluster {
	t.Helper()
	addrs, err := freeAddresses(nodes)
	if err != nil {
		t.Fatal(err)
	}
	network, err := newNetwork(addrs)
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{
		Net: network, t: t, dir: t.TempDir(), addrs: addrs,
		processes: make([]*Process, nodes), paused: make([]bool, nodes), started: make([]bool, nodes),
		killed: make([]time.Time, nodes),
	}
	t.Cleanup(c.close)
	return c
}

// Start prepares nodes and starts them, one after the other: the first one makes
// the cluster and the others join it.
func Start(t testing.TB, nodes int, args ...string) *Cluster {
	t.Helper()
	c := New(t, nodes)
	c.Args = args
	for node := 1; node <= nodes; node++ {
		if err := c.Start(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// Nodes returns how many nodes there are.
func (c *Cluster) Nodes() int { return len(c.addrs) }

// Addrs returns where a node listens, whether it runs or not.
func (c *Cluster) Addrs(node int) Addresses { return c.addrs[node-1] }

// Dir returns a node's data directory.
func (c *Cluster) Dir(node int) string { return filepath.Join(c.dir, fmt.Sprint("node-", node)) }

// Start starts a node, for the first time or again, and waits until it is ready.
func (c *Cluster) Start(ctx context.Context, node int) error {
	if err := c.Launch(node); err != nil {
		return err
	}
	return c.AwaitReady(ctx, node)
}

// Launch starts a node and does not wait for it. One without data joins the
// cluster, unless it is the very first of all.
func (c *Cluster) Launch(node int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.processes[node-1] != nil {
		return fmt.Errorf("node %d runs already", node)
	}
	a := c.Addrs(node)
	args := []string{"start", "--data", c.Dir(node), "--sql", a.SQL, "--raft", a.Raft, "--http", a.HTTP}
	args = append(args, c.Net.Via(node)...)
	if member := c.memberFor(node); member != 0 {
		args = append(args, "--join", c.Addrs(member).SQL)
	}
	p, err := Launch(append(args, c.Args...)...)
	if err != nil {
		return fmt.Errorf("node %d: %w", node, err)
	}
	p.Addr = a.SQL
	c.processes[node-1], c.paused[node-1], c.started[node-1], c.killed[node-1] = p, false, true, time.Time{}
	return nil
}

// memberFor returns the node that a node without data joins; 0 when it has data,
// or when there was no other before.
func (c *Cluster) memberFor(node int) int {
	if _, err := os.Stat(c.Dir(node)); err == nil {
		return 0
	}
	any := 0
	for i, p := range c.processes {
		switch {
		case i == node-1 || !c.started[i]:
			continue
		case p != nil && !c.paused[i]:
			return i + 1
		case any == 0:
			any = i + 1
		}
	}
	return any
}

// AwaitReady waits until a node says that it is ready, and answers SQL.
func (c *Cluster) AwaitReady(ctx context.Context, node int) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	c.mu.Lock()
	p := c.processes[node-1]
	c.mu.Unlock()
	if p == nil {
		return fmt.Errorf("node %d does not run", node)
	}
	for {
		err := c.ready(ctx, node)
		if err == nil {
			return nil
		}
		select {
		case <-p.Ended():
			return fmt.Errorf("node %d ended: %s", node, p.Output)
		case <-ctx.Done():
			return fmt.Errorf("node %d is not ready: %w: %s", node, err, p.Output)
		case <-time.After(readyPause):
		}
	}
}

// ready asks a node over HTTP and SQL.
func (c *Cluster) ready(ctx context.Context, node int) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if _, err := c.Get(ctx, node, "/readyz"); err != nil {
		return err
	}
	conn, err := Dial(ctx, c.Addrs(node).SQL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "SELECT 1").ReadAll()
	return errors.Join(err, conn.Close(ctx))
}

// Get asks a node over HTTP. An answer that is not 200 is an error.
func (c *Cluster) Get(ctx context.Context, node int, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Addrs(node).HTTP+path, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s: %s", path, res.Status, body)
	}
	return string(body), nil
}

// Dial connects to an SQL address.
func Dial(ctx context.Context, addr string) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, "postgres://tester@"+addr+"/postgres?sslmode=disable")
}
