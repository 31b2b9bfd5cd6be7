package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// askPause is between two looks at what the nodes say.
const askPause = 20 * time.Millisecond

// Leader waits until exactly one of the nodes that run says that it leads a
// database, and returns it.
func (c *Cluster) Leader(ctx context.Context, database string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	want := fmt.Sprintf("tidemark_replica_leads{database=%q} 1\n", database)
	for {
		var leaders []int
		for node := 1; node <= c.Nodes(); node++ {
			if !c.serves(node) {
				continue
			}
			if text, err := c.ask(ctx, node, "/metrics"); err == nil && strings.Contains(text, want) {
				leaders = append(leaders, node)
			}
		}
		if len(leaders) == 1 {
			return leaders[0], nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%v say that they lead %s: %w", leaders, database, ctx.Err())
		case <-time.After(askPause):
		}
	}
}

// serves reports whether a node runs and is not paused.
func (c *Cluster) serves(node int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.processes[node-1] != nil && !c.paused[node-1]
}

// ask is Get with a bound.
func (c *Cluster) ask(ctx context.Context, node int, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return c.Get(ctx, node, path)
}

// AwaitVoters waits until a node sees that a database has so many replicas, that all
// of them vote and run, and that its own one is among them. One that is to leave its
// group counts until it has.
func (c *Cluster) AwaitVoters(ctx context.Context, node int, database string, count int) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	all := fmt.Sprintf("SELECT count(*) FROM tidemark.replicas r JOIN tidemark.nodes n ON n.id = r.node WHERE r.database = '%s'", database)
	voters := all + " AND r.role IN ('leader', 'follower') AND r.state = 'running'"
	for {
		have, err := c.number(ctx, node, voters)
		own, ownErr := c.number(ctx, node, voters+" AND n.is_self")
		total, allErr := c.number(ctx, node, all)
		if err = errors.Join(err, ownErr, allErr); err == nil && have == count && total == count && own == 1 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%d of %d replicas of %s vote, as node %d sees it", have, count, database, node), err)
		case <-time.After(askPause):
		}
	}
}

// number asks a node for one number.
func (c *Cluster) number(ctx context.Context, node int, sql string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := Dial(ctx, c.Addrs(node).SQL)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // what was asked is known, or lost
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(results[0].Rows[0][0]))
}

// AwaitWhole waits until every node is ready and every database, with the
// cluster's own one, has a replica that votes on each.
func (c *Cluster) AwaitWhole(ctx context.Context) error {
	for node := 1; node <= c.Nodes(); node++ {
		if err := c.AwaitReady(ctx, node); err != nil {
			return err
		}
	}
	for node := 1; node <= c.Nodes(); node++ {
		for _, database := range []string{"_tidemark", "postgres"} {
			if err := c.AwaitVoters(ctx, node, database, c.Nodes()); err != nil {
				return err
			}
		}
	}
	return nil
}
