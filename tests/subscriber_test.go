package tests

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/consume"
	"github.com/tidemark-db/tidemark/tests/workload"
)

const (
	// subscribeAfter is for how long there are writers before there is a subscriber,
	// so that the first copy of its tables is made while others write.
	subscribeAfter = 3 * time.Second
	// subscriberPatience is for how long a subscriber may be behind in the end.
	subscriberPatience = 5 * time.Minute
	subscriberPause    = 250 * time.Millisecond
)

// subscriber is a PostgreSQL that subscribes to a cluster.
type subscriber struct {
	*postgresServer
	f       *feedTest
	first   int // node, in the list of hosts
	crashes int
}

// newSubscriber starts a PostgreSQL with the tables of a feed, empty.
func newSubscriber(f *feedTest) *subscriber {
	f.t.Helper()
	p, err := newPostgres(tool(f.t, "initdb"), tool(f.t, "postgres"))
	f.t.Cleanup(p.remove)
	require.NoError(f.t, err)
	// It shall not wait for longer than a fault takes.
	p.args = []string{"-c", "wal_retrieve_retry_interval=100ms", "-c", "wal_receiver_timeout=5s", "-c", "wal_receiver_status_interval=1s",
		"-c", "logging_collector=off"}
	require.NoError(f.t, p.start())
	s := &subscriber{postgresServer: p, f: f, first: 1}
	for name, columns := range workload.FeedTables { // order does not matter
		if name == "shape" { // definitions are not replicated
			for i := range workload.FeedColumns {
				columns += fmt.Sprintf(", %s text", workload.FeedColumn(i))
			}
		}
		s.must(f.t.Context(), fmt.Sprintf("CREATE TABLE %s (%s)", name, columns))
	}
	return s
}

// connect waits until the subscriber answers.
func (s *subscriber) connect(ctx context.Context) *pgconn.PgConn {
	var conn *pgconn.PgConn
	require.Eventually(s.f.t, func() (ok bool) {
		var err error
		conn, err = pgconn.Connect(ctx, s.url())
		return err == nil
	}, startTimeout, 50*time.Millisecond, "PostgreSQL does not answer")
	return conn
}

func (s *subscriber) try(ctx context.Context, sql string) ([][]string, error) {
	conn := s.connect(ctx)
	defer conn.Close(context.Background())
	return execute(ctx, conn, sql)
}

func (s *subscriber) must(ctx context.Context, sql string) [][]string {
	s.f.t.Helper()
	rows, err := s.try(ctx, sql)
	require.NoError(s.f.t, err, sql)
	return rows
}

// hosts is a connection string with all nodes, another one first each time.
func (s *subscriber) hosts() string {
	var hosts, ports []string
	for i := range s.f.c.Nodes() {
		host, port, err := net.SplitHostPort(s.f.c.Addrs(1 + (s.first+i)%s.f.c.Nodes()).SQL)
		require.NoError(s.f.t, err)
		hosts, ports = append(hosts, host), append(ports, port)
	}
	s.first++
	return fmt.Sprintf("host=%s port=%s user=subscriber dbname=postgres sslmode=disable", strings.Join(hosts, ","), strings.Join(ports, ","))
}

// subscribe makes the subscription, as often as it takes: while nodes die, an attempt
// may fail and leave its slot behind.
func (s *subscriber) subscribe(ctx context.Context) error {
	sql := fmt.Sprintf("CREATE SUBSCRIPTION feed_sub CONNECTION '%s' PUBLICATION feed WITH (binary = true)", s.hosts())
	for {
		_, err := s.try(ctx, sql)
		if err == nil {
			return nil
		}
		s.f.t.Logf("subscribe: %v", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(subscriberPause):
		}
		if strings.Contains(err.Error(), "already exists") {
			conn, err := pgconn.Connect(ctx, "postgres://tester@"+s.f.c.SQLAddrs()[0]+"/postgres?sslmode=disable")
			if err == nil {
				_, err = execute(ctx, conn, "SELECT pg_drop_replication_slot('feed_sub')")
				_ = conn.Close(ctx) // it was for this only
			}
			s.f.t.Logf("remove the slot that an attempt has left: %v", err)
		}
	}
}

// crashed crashes the subscriber, and has it go on elsewhere.
func (s *subscriber) crashed(_ *faults, ctx context.Context) error {
	s.crash()
	s.crashes++
	if err := s.start(); err != nil {
		return err
	}
	if _, err := s.try(ctx, fmt.Sprintf("ALTER SUBSCRIPTION feed_sub CONNECTION '%s'", s.hosts())); err != nil && codeOf(err) != "42704" {
		return err
	}
	return nil
}

// caughtUp waits until the subscriber has everything.
func (s *subscriber) caughtUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, subscriberPatience)
	defer cancel()
	last := s.f.on(1, "SELECT pg_current_wal_lsn()")[0][0]
	for {
		conn := s.connect(ctx)
		states, err := execute(ctx, conn, "SELECT count(*) FILTER (WHERE srsubstate <> 'r'), count(*) FROM pg_subscription_rel")
		_ = conn.Close(ctx) // it was for this only
		if err != nil {
			return err
		}
		at := s.f.on(1, "SELECT confirmed_flush_lsn > '"+last+"', confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'feed_sub'")
		if len(at) == 1 && at[0][0] == "t" && states[0][0] == "0" && states[0][1] == fmt.Sprint(len(workload.FeedTables)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the subscriber is behind: %v of the tables are not ready, and it has %v of %s", states, at, last)
		case <-time.After(subscriberPause):
		}
	}
}

// TestSubscriberUnderFaults has a PostgreSQL subscribe to a cluster in the middle of
// everything, and crash now and then, while nodes do as well. In the end its tables
// are ours, and nothing of it stays when it goes.
func TestSubscriberUnderFaults(t *testing.T) {
	tool(t, "initdb")
	f := newFeedTest(t)
	f.setUp()
	f.begin(nil)
	s := newSubscriber(f)
	f.faults.kinds = append(f.faults.kinds, fault{"crash the subscriber", s.crashed}, fault{"crash the subscriber again", s.crashed})
	subscribed := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		time.Sleep(subscribeAfter)
		subscribed <- s.subscribe(ctx)
	}()
	err := f.run(nil)
	require.NoError(t, err)
	require.NoError(t, <-subscribed)
	require.NoError(t, s.caughtUp(t.Context()))
	f.readRest(1)
	f.judgeWrites()
	conn := s.connect(t.Context())
	theirs, err := consume.ReadTables(t.Context(), conn, feedTables())
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	for _, name := range feedTables() {
		require.Equal(t, f.reference.Tables().Digest(name), theirs.Digest(name), "table %s of the subscriber", name)
	}
	t.Logf("the subscriber has crashed %d times", s.crashes)
	s.must(t.Context(), "DROP SUBSCRIPTION feed_sub")
	require.Equal(t, [][]string{{"reference"}}, f.on(2, "SELECT slot_name FROM pg_replication_slots"), "no slot stays")
}
