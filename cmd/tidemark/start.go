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
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/tidemark-db/tidemark"
)

// shutdownTimeout is how long clients may take to be told that the node stops.
const shutdownTimeout = 10 * time.Second

// gcPercent lets garbage grow to this share of what is in use before it is
// collected, unless GOGC says otherwise. A write leaves much garbage and little
// else, so collecting less often makes writes markedly cheaper, and what is in
// use is bounded by the caches.
const gcPercent = 300

func (p *program) start(ctx context.Context, args []string) error {
	f := p.flags("start", "[FLAGS]")
	cfg := tidemark.Config{}
	f.StringVar(&cfg.Dir, "data", tidemark.DefaultDir, "data `directory`")
	f.StringVar(&cfg.SQLAddr, "sql", "", "`address` for PostgreSQL clients (default: as the last time, or "+tidemark.DefaultSQLAddr+")")
	f.StringVar(&cfg.RaftAddr, "raft", "", "`address` for other nodes (default: as the last time, or "+tidemark.DefaultRaftAddr+")")
	f.StringVar(&cfg.HTTPAddr, "http", "", "`address` for health checks, metrics and other nodes (default: as the last time, or "+tidemark.DefaultHTTPAddr+")")
	format := f.String("log-format", "auto", "`form` of the log messages on standard error: text, json, or auto for text on a terminal and json elsewhere")
	f.StringVar(&cfg.Join, "join", "", "SQL `address` of a member of the cluster to join; needed once")
	f.Func("via", "`address=other`: reach this address of another node through the other one; may be repeated", func(s string) error {
		addr, other, ok := strings.Cut(s, "=")
		if !ok {
			return errors.New("want ADDRESS=OTHER")
		}
		if cfg.Via == nil {
			cfg.Via = map[string]string{}
		}
		cfg.Via[addr] = other
		return nil
	})
	if err := parse(f, args); err != nil {
		return err
	}
	logger, err := newLogger(p, *format)
	if err != nil {
		return usage(f, "%v", err)
	}
	cfg.Logger = logger
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	return p.serve(ctx, cfg)
}

// newLogger returns a logger to standard error in the given form.
func newLogger(p *program, format string) (*slog.Logger, error) {
	if format == "auto" {
		format = "json"
		if f, ok := p.stderr.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
			format = "text"
		}
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(p.stderr, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(p.stderr, nil)), nil
	}
	return nil, fmt.Errorf("--log-format %q: want text, json or auto", format)
}

// serve runs a node until a signal comes, ctx ends or a part of the node fails. A
// second signal ends the process at once; the log makes that safe.
func (p *program) serve(ctx context.Context, cfg tidemark.Config) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case s := <-signals:
			cfg.Logger.Info("stopping", "signal", s.String())
			stop(errStopped)
		case <-done:
			return
		}
		select {
		case s := <-signals:
			cfg.Logger.Warn("stopping at once", "signal", s.String())
			os.Exit(exitFailure)
		case <-done:
		}
	}()

	began := time.Now()
	node, err := tidemark.Open(ctx, cfg)
	if err != nil {
		if errors.Is(context.Cause(ctx), errStopped) {
			return nil
		}
		return err
	}
	cfg.Logger.Info("node started", "version", tidemark.Version, "sql", node.SQLAddr(), "http", node.HTTPAddr(), "data", cfg.Dir, "took", time.Since(began).Round(time.Millisecond).String())
	p.welcome(node, cfg.Dir)

	var failed error
	select {
	case <-ctx.Done():
	case failed = <-node.Failed():
		cfg.Logger.Error("a part of the node failed", "error", failed)
	}
	grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := errors.Join(failed, node.Close(grace)); err != nil {
		return err
	}
	cfg.Logger.Info("node stopped")
	return nil
}

// errStopped is the cause of a context that a signal ended.
var errStopped = errors.New("stopped by a signal")

// welcome tells a person what to do next.
func (p *program) welcome(node *tidemark.Node, dir string) {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	host, port, err := net.SplitHostPort(node.SQLAddr())
	if err != nil {
		return // it is our own listener's
	}
	follow := "tidemark tail --follow"
	if node.SQLAddr() != tidemark.DefaultSQLAddr {
		follow += " --host " + host + " --port " + port
	}
	fmt.Fprintf(p.stdout, `Tidemark %s is ready.

  Connect   psql -h %s -p %s postgres
  Follow    %s
  Metrics   http://%s/metrics
  Data      %s

Press Ctrl-C to stop.
`, tidemark.Version, host, port, follow, node.HTTPAddr(), dir)
}
