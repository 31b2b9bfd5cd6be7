package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/tidemark-db/tidemark"
)

// The demonstration cluster.
const (
	demoNodes = 3
	demoPort  = 7432 // the first node's, for SQL; the others follow
	demoStep  = 10   // between the ports of two nodes
	maxPort   = 1<<16 - 1
)

// demo runs three nodes in one process.
func (p *program) demo(ctx context.Context, args []string) error {
	f := p.flags("demo", "[FLAGS]")
	dir := f.String("data", "", "data `directory`; without one the data goes when the demonstration ends")
	port := f.Int("port", demoPort, "SQL `port` of the first node; the two ports behind it and those of the others follow")
	if err := parse(f, args); err != nil {
		return err
	}
	if last := *port + (demoNodes-1)*demoStep + 2; *port < 1 || last > maxPort {
		return usage(f, "--port %d: want 1 to %d", *port, maxPort-(last-*port))
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
	nodes, err := openDemo(ctx, *dir, *port, logger)
	defer func() {
		grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		for _, n := range nodes {
			if err := n.Close(grace); err != nil {
				logger.Error("a node did not close", "error", err)
			}
		}
	}()
	if err != nil {
		if ctx.Err() != nil {
			return nil // it was stopped before it was ready
		}
		return err
	}
	p.showDemo(nodes)
	failed := make(chan error, demoNodes)
	for _, n := range nodes {
		go func() {
			select {
			case err := <-n.Failed():
				failed <- err
			case <-ctx.Done():
			}
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return errors.Join(errors.New("a node failed"), err)
	}
}

// openDemo opens the nodes, and returns those that did open. One that has run
// before may need the others to come up, so nobody waits for those; a new one
// has to join the first.
func openDemo(ctx context.Context, dir string, port int, logger *slog.Logger) ([]*tidemark.Node, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	opened := make([]*tidemark.Node, demoNodes)
	errs := make([]error, demoNodes)
	first := make(chan struct{}) // closed when the first node has been opened, or not
	var opening sync.WaitGroup
	for i := range demoNodes {
		cfg := tidemark.Config{Dir: filepath.Join(dir, "node"+strconv.Itoa(i+1)), Logger: logger.With("node", i+1)}
		base := port + i*demoStep
		cfg.SQLAddr, cfg.RaftAddr, cfg.HTTPAddr = local(base), local(base+1), local(base+2)
		_, err := os.Stat(cfg.Dir)
		waits := i > 0 && err != nil
		if i > 0 {
			cfg.Join = local(port)
		}
		opening.Go(func() {
			if i == 0 {
				defer close(first)
			}
			if waits {
				<-first
			}
			if opened[i], errs[i] = tidemark.Open(ctx, cfg); errs[i] != nil {
				errs[i] = fmt.Errorf("node %d: %w", i+1, errs[i])
				stop() // the others need not go on
			}
		})
	}
	opening.Wait()
	opened = slices.DeleteFunc(opened, func(n *tidemark.Node) bool { return n == nil })
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return opened, err
		}
	}
	return opened, errors.Join(errs...)
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
