package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Servers is what clients connect to.
type Servers struct {
	// Addrs are the SQL addresses to try now, or whole connection strings; a
	// restart may change them. It is called by many goroutines.
	Addrs func() []string
	// Disturb lets one thing go wrong, such as a kill and the restart after it or
	// a partition, and returns when a client can be served again. nil: nothing
	// goes wrong.
	Disturb func(ctx context.Context) error
}

// Workload is what clients do to tables of its own.
type Workload interface {
	// Setup makes the tables.
	Setup(ctx context.Context, c *Client) error
	// Step does one thing. An error is a violation, and ends the run; that a
	// server went away is none.
	Step(ctx context.Context, c *Client) error
	// Check compares what is there in the end with what is known.
	Check(ctx context.Context, c *Client) error
	// Done reports whether enough was done, for a workload that counts.
	Done() bool
	// String says what was done, for the test's output.
	String() string
}

// Options are those of a run.
type Options struct {
	Clients int // of each workload
	// Duration is how long to run; workloads that are done end earlier.
	Duration time.Duration
	// Pause is the longest time between two disturbances.
	Pause time.Duration
	Seed  uint64
}

// Run lets clients do the workloads all at once, while servers are disturbed,
// and checks them in the end. The error says which promises were broken.
func Run(ctx context.Context, servers *Servers, o Options, workloads ...Workload) error {
	client := func(n int) *Client {
		return &Client{Number: n, Rand: rand.New(rand.NewPCG(o.Seed, uint64(n))), servers: servers}
	}
	first := client(0)
	defer first.Close()
	for _, w := range workloads {
		if err := w.Setup(ctx, first); err != nil {
			return fmt.Errorf("set up %s: %w", w, err)
		}
	}
	var mu sync.Mutex
	var failed error
	var stop atomic.Bool
	report := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = errors.Join(failed, err)
		stop.Store(true)
	}
	timer := time.AfterFunc(o.Duration, func() { stop.Store(true) })
	defer timer.Stop()
	var clients, disturber sync.WaitGroup
	for i, w := range workloads {
		for n := range o.Clients {
			clients.Go(func() {
				c := client(1 + i*o.Clients + n)
				defer c.Close()
				for !stop.Load() && !w.Done() {
					if err := w.Step(ctx, c); err != nil {
						report(fmt.Errorf("%s: client %d: %w", w, c.Number, err))
						return
					}
				}
			})
		}
	}
	quiet, end := context.WithCancel(ctx)
	if servers.Disturb != nil {
		disturber.Go(func() {
			rnd := rand.New(rand.NewPCG(o.Seed, 1<<32))
			for {
				select {
				case <-quiet.Done():
					return
				case <-time.After(time.Duration(rnd.Int64N(int64(o.Pause)))):
				}
				if err := servers.Disturb(ctx); err != nil {
					report(fmt.Errorf("disturb: %w", err))
					return
				}
			}
		})
	}
	clients.Wait()
	end()
	disturber.Wait()
	if failed != nil {
		return failed
	}
	for _, w := range workloads {
		if err := w.Check(ctx, first); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: in the end: %w", w, err))
		}
	}
	return failed
}

// unexpected is the violation in an answer that is neither a success nor one of
// the refusals, unless the server went away.
func unexpected(a Answer, codes ...string) error {
	if a.Err == nil || a.Broken() || a.Refused(codes...) {
		return nil
	}
	return fmt.Errorf("an answer that may not be: %w", a.Err)
}

// must runs a script that has to succeed, for setting up and checking. A server
// that has just been started may still refuse; clients have waited for it.
func must(ctx context.Context, c *Client, sql string) ([][]string, error) {
	a := c.Run(ctx, sql)
	if a.Err != nil && a.Broken() { // the last disturbance took the connection
		a = c.Run(ctx, sql)
	}
	return a.Rows, a.Err
}
