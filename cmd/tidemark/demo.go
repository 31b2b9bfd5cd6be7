package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/tidemark-db/tidemark"
)

// The demonstration cluster.
const (
	demoNodes = 3
	demoPort  = 7432 // the first node's, for SQL; the others follow
	demoStep  = 10   // between the ports of two nodes
)

// demo runs three nodes in one process.
func (p *program) demo(ctx context.Context, args []string) error {
	f := p.flags("demo", "[FLAGS]")
	dir := f.String("data", "", "data `directory`; without one the data goes when the demonstration ends")
	port := f.Int("port", demoPort, "SQL `port` of the first node; the two ports behind it and those of the others follow")
	if err := parse(f, args); err != nil {
		return err
	}
	if *dir == "" {
		temp, err := os.MkdirTemp("", "tidemark-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		*dir = temp
	}
	logger, err := newLogger(p, "text")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	failed := make(chan error, demoNodes)
	var nodes []*tidemark.Node
	defer func() {
		grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		for _, n := range nodes {
			if err := n.Close(grace); err != nil {
				logger.Error("a node did not close", "error", err)
			}
		}
	}()
	for i := range demoNodes {
		cfg := tidemark.Config{Dir: filepath.Join(*dir, "node"+strconv.Itoa(i+1)), Logger: logger.With("node", i+1)}
		first := *port + i*demoStep
		cfg.SQLAddr, cfg.RaftAddr, cfg.HTTPAddr = local(first), local(first+1), local(first+2)
		if i > 0 {
			cfg.Join = nodes[0].SQLAddr()
		}
		n, err := tidemark.Open(ctx, cfg)
		if err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
		nodes = append(nodes, n)
		go func() { failed <- <-n.Failed() }()
	}
	p.showDemo(nodes)
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return errors.Join(errors.New("a node failed"), err)
	}
}

// local is an address of this machine.
func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// showDemo says how to use the cluster.
func (p *program) showDemo(nodes []*tidemark.Node) {
	fmt.Fprintf(p.stdout, "Three nodes of Tidemark %s are ready.\n\n", tidemark.Version)
	for i, n := range nodes {
		host, port, err := net.SplitHostPort(n.SQLAddr())
		if err != nil {
			continue // it is our own listener's
		}
		fmt.Fprintf(p.stdout, "  Node %d    psql -h %s -p %s postgres\n", i+1, host, port)
	}
	fmt.Fprintf(p.stdout, "\nWrite on one, read on another. SELECT * FROM tidemark.replicas shows who has what.\nPress Ctrl-C to stop.\n")
}
