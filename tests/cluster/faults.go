package cluster

import (
	"fmt"
	"os"
	"time"
)

// Kill ends a node as a crash would.
func (c *Cluster) Kill(node int) error {
	p, err := c.take(node)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.killed[node-1] = time.Now()
	c.mu.Unlock()
	p.Kill()
	return nil
}

// Killed returns when the node at an SQL address was killed, if it was and has not
// been started again.
func (c *Cluster) Killed(addr string) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, a := range c.addrs {
		if a.SQL == addr && c.processes[i] == nil {
			return c.killed[i], !c.killed[i].IsZero()
		}
	}
	return time.Time{}, false
}

// Stop ends a node as an operator would.
func (c *Cluster) Stop(node int) error {
	p, err := c.take(node)
	if err != nil {
		return err
	}
	if err := p.Stop(stopPatience); err != nil {
		return fmt.Errorf("node %d: %w", node, err)
	}
	return nil
}

// take returns the process of a node that is about to end.
func (c *Cluster) take(node int) (*Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.processes[node-1]
	if p == nil {
		return nil, fmt.Errorf("node %d does not run", node)
	}
	c.processes[node-1] = nil
	return p, nil
}

// Pause stops a node where it stands: it answers nobody, and knows nothing of it.
func (c *Cluster) Pause(node int) error { return c.setPaused(node, true) }

// Resume lets a paused node go on.
func (c *Cluster) Resume(node int) error { return c.setPaused(node, false) }

func (c *Cluster) setPaused(node int, paused bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.processes[node-1]
	if p == nil {
		return fmt.Errorf("node %d does not run", node)
	}
	c.paused[node-1] = paused
	if paused {
		return p.Pause()
	}
	return p.Resume()
}

// Wipe removes the data of a node that does not run. When it starts again, it has
// to join again.
func (c *Cluster) Wipe(node int) error {
	if c.Running(node) {
		return fmt.Errorf("node %d runs", node)
	}
	return os.RemoveAll(c.Dir(node))
}

// Move gives a node that does not run other addresses. No proxies lie in front of
// them: others find out where it is, and cannot be cut off from it any more.
func (c *Cluster) Move(node int) error {
	if c.Running(node) {
		return fmt.Errorf("node %d runs", node)
	}
	addrs, err := freeAddresses(1)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addrs[node-1] = addrs[0]
	return nil
}

// Running reports whether a node runs, paused or not.
func (c *Cluster) Running(node int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.processes[node-1] != nil
}

// Output returns what a running node has written.
func (c *Cluster) Output(node int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.processes[node-1]; p != nil {
		return p.Output.String()
	}
	return ""
}

// SQLAddrs returns the addresses of the nodes that clients would find: those that
// run and are not paused.
func (c *Cluster) SQLAddrs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for i, p := range c.processes {
		if p != nil && !c.paused[i] {
			out = append(out, c.addrs[i].SQL)
		}
	}
	return out
}

// close ends everything at the end of the test.
func (c *Cluster) close() {
	for i, p := range c.processes {
		if p == nil {
			continue
		}
		p.Kill()
		if c.t.Failed() {
			c.t.Logf("node %d has said:\n%s", i+1, p.Output)
		}
	}
	if err := c.Net.Close(); err != nil {
		c.t.Logf("the network did not close: %v", err)
	}
}
