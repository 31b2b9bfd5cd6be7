package main

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// demoPatience is for how long three nodes may take to come up.
const demoPatience = 60 * time.Second

// startDemo runs the demonstration until stop is called.
func startDemo(t *testing.T, dir, port string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var out, logs buffer
	p := &program{stdout: &out, stderr: &logs}
	ended := make(chan int, 1)
	go func() { ended <- p.main(ctx, []string{"demo", "--data", dir, "--port", port}) }()
	t.Cleanup(cancel)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "are ready") }, demoPatience, 20*time.Millisecond, "%s", &logs)
	return func() {
		cancel()
		require.Equal(t, exitOK, <-ended, "%s", &logs)
	}
}

// freePort finds a port for the demonstration, below those that the system gives
// to outgoing connections.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		free := true
		for i := range demoNodes * demoStep {
			l, err := net.Listen("tcp", local(port+i))
			if free = free && err == nil; err == nil {
				require.NoError(t, l.Close())
			}
		}
		if free {
			return strconv.Itoa(port)
		}
	}
	t.Fatal("no ports are free")
	return ""
}

// TestDemo runs the demonstration twice with the same data, the second time at
// other ports, and the commands that look at a cluster.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	stop := startDemo(t, dir, freePort(t))
	stop()
	port := freePort(t)
	stop = startDemo(t, dir, port)
	defer stop()
	require.Eventually(t, func() bool {
		code, stdout, _ := run(t, "node", "list", "--port", port)
		return code == exitOK && strings.Count(stdout, " yes ") == demoNodes
	}, demoPatience, 50*time.Millisecond)
	code, stdout, stderr := run(t, "check", "--port", port)
	require.Equal(t, exitOK, code, stderr)
	require.Contains(t, stdout, "checksum")
	for args, want := range map[string]string{
		"drain nothing":             "does not exist",
		"replace 127.0.0.1:" + port: "is alive",
	} {
		code, _, stderr = run(t, append([]string{"node", "--port", port}, strings.Fields(args)...)...)
		require.Equal(t, exitFailure, code)
		require.Contains(t, stderr, want)
	}
	code, stdout, stderr = run(t, "node", "drain", "127.0.0.1:"+port, "--port", port)
	require.Equal(t, exitOK, code, stderr)
	require.Contains(t, stdout, "draining")
}
