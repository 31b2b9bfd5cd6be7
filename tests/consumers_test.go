package tests

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	judge "github.com/tidemark-db/tidemark/tests/check"
	"github.com/tidemark-db/tidemark/tests/cluster"
	"github.com/tidemark-db/tidemark/tests/consume"
	"github.com/tidemark-db/tidemark/tests/workload"
)

const (
	// feedClients write, at all nodes.
	feedClients = 6
	// feedRun is for how long they do, unless TIDEMARK_FAULTS says otherwise.
	feedRun = 20 * time.Second
	// feedPause is the longest time between two faults.
	feedPause = 4 * time.Second
	// consumerLife is for how long a consumer lives on average.
	consumerLife = 1500 * time.Millisecond
	// drainPatience is for how long consumers may take to read what is left.
	drainPatience = 10 * time.Minute
	// resumeBound is far more than a consumer may wait for its stream after the death
	// of its node: a second, or two when that node has led.
	resumeBound = 30 * time.Second
	// referencePause is between two looks at tidemark.changes.
	referencePause = 500 * time.Millisecond
	// feedHistory is how much of the history is retained: less than comes about, so
	// that its beginning goes while consumers read what is behind it.
	feedHistory = "12MB"
	// eachMutant is how many mutants of each kind are made of each stream.
	eachMutant = 3
)

// feedEnough is how many changes are enough, for a run by TIDEMARK_FAULTS: it ends
// when there are so many, or after its time.
const feedEnough = 1_000_000

func feedTables() []string { return slices.Sorted(maps.Keys(workload.FeedTables)) }

// newConsumers are six that differ in what they ask for and how they acknowledge.
func newConsumers() []*consume.Consumer {
	pgoutput := func(more ...string) []string {
		return append([]string{"proto_version '1'", "publication_names 'feed'"}, more...)
	}
	list := []*consume.Consumer{
		{Slot: "plain", Args: pgoutput(), Decoder: consume.NewPgoutput},
		{Slot: "binaries", Args: pgoutput("binary 'true'", "messages 'true'"), Decoder: consume.NewPgoutput, Messages: true},
		{Slot: "decoding", Args: []string{`"skip-empty-xacts" 'on'`}, Decoder: consume.NewTestDecoding, Messages: true},
		{Slot: "worker", Args: pgoutput(), Decoder: consume.NewPgoutput, Acks: consume.AckWithWork, Work: &consume.Work{Slot: "worker", Table: "work"}},
		{Slot: "reckless", Args: pgoutput(), Decoder: consume.NewPgoutput, Acks: consume.AckReckless},
		// Its messages are longer than what they take in the log, so that their lengths
		// lead behind what it has.
		{Slot: "careless", Args: []string{`"skip-empty-xacts" 'on'`}, Decoder: consume.NewTestDecoding, Acks: consume.AckReckless, Messages: true},
	}
	for _, c := range list {
		c.Life = consumerLife
	}
	return list
}

func pluginOf(c *consume.Consumer) string {
	if c.Messages && len(c.Args) == 1 {
		return "test_decoding"
	}
	return "pgoutput"
}

// feedTest is an ordeal under way.
type feedTest struct {
	t         *testing.T
	c         *cluster.Cluster
	seed      uint64
	feed      *workload.Feed
	faults    *faults
	servers   *consume.Servers
	reference *consume.Reference
	origin    log.Offset // of the reference: what came before made the tables
}

func newFeedTest(t *testing.T) *feedTest {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := startNodes(t)
	f := &feedTest{t: t, c: c, seed: seed, feed: &workload.Feed{}, faults: newFaults(t, c, seed, allFaults())}
	if os.Getenv("TIDEMARK_FAULTS") != "" {
		f.feed.Enough = feedEnough
	}
	f.servers = &consume.Servers{Addrs: c.SQLAddrs, Killed: c.Killed}
	return f
}

// on runs statements on a node; an empty answer is none.
func (f *feedTest) on(node int, sql string) [][]string {
	f.t.Helper()
	conn, err := cluster.Dial(f.t.Context(), f.c.Addrs(node).SQL)
	require.NoError(f.t, err)
	defer conn.Close(context.Background())
	rows, err := execute(f.t.Context(), conn, sql)
	require.NoError(f.t, err, sql)
	return rows
}

// begin makes what is to be consumed, and the slots. Whoever begins to read there
// has the tables as they are then.
func (f *feedTest) begin(consumers []*consume.Consumer) {
	f.on(1, "CREATE PUBLICATION feed FOR TABLE "+joined(feedTables()))
	for _, c := range consumers {
		if c.Work != nil {
			f.on(1, c.Work.Define())
		}
	}
	for i, c := range consumers {
		f.on(1+i%f.c.Nodes(), fmt.Sprintf("SELECT pg_create_logical_replication_slot('%s', '%s')", c.Slot, pluginOf(c)))
	}
	f.on(1, "SELECT pg_create_logical_replication_slot('reference', 'test_decoding')")
	f.on(2, fmt.Sprintf("ALTER DATABASE postgres SET tidemark.history_size = '%s'", feedHistory))
	conn, err := cluster.Dial(f.t.Context(), f.c.Addrs(1).SQL)
	require.NoError(f.t, err)
	defer conn.Close(context.Background())
	tables, err := consume.ReadTables(f.t.Context(), conn, feedTables())
	require.NoError(f.t, err)
	for _, c := range consumers {
		c.Tables = tables.Clone()
	}
	rows, err := execute(f.t.Context(), conn, "SELECT pg_current_wal_lsn()")
	require.NoError(f.t, err)
	from, err := log.ParseOffset(rows[0][0])
	require.NoError(f.t, err)
	f.origin, f.reference = from, consume.NewReference(from, tables)
	f.reference.Note, f.reference.Whole = workload.FeedNote, workload.FeedWhole
}

func joined(names []string) string {
	out := names[0]
	for _, n := range names[1:] {
		out += ", " + n
	}
	return out
}

// follow reads tidemark.changes until told to stop.
func (f *feedTest) follow(stop <-chan struct{}) error {
	rnd := rand.New(rand.NewPCG(f.seed, 5))
	var conn *pgconn.PgConn
	drop := func() {
		if conn != nil {
			_ = conn.Close(context.Background()) // it may be lost already
		}
		conn = nil
	}
	defer drop()
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(referencePause):
		}
		addrs := f.c.SQLAddrs()
		if len(addrs) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(f.t.Context(), streamPatience)
		var err error
		if conn == nil {
			conn, err = cluster.Dial(ctx, addrs[rnd.IntN(len(addrs))])
		}
		if err == nil {
			err = f.reference.Read(ctx, conn)
		}
		if err == nil { // what has been read may go
			_, err = execute(ctx, conn, fmt.Sprintf("SELECT pg_replication_slot_advance('reference', '%s')", f.reference.Last()+1))
		}
		cancel()
		if err != nil {
			drop()
		}
	}
}

// run lets writers and consumers loose while faults happen, and returns when the
// consumers have received everything.
func (f *feedTest) run(consumers []*consume.Consumer) error {
	duration := feedRun
	if os.Getenv("TIDEMARK_FAULTS") != "" {
		duration = faultDuration(f.t)
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), duration+drainPatience)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = errors.Join(failed, err)
	}
	stop := make(chan struct{})
	writers := &begunFeed{Feed: f.feed}
	wg.Go(func() { note(f.follow(stop)) })
	for i, c := range consumers {
		wg.Go(func() {
			err := c.Run(ctx, f.servers, f.seed+uint64(i))
			if c.Work != nil {
				c.Work.Close()
			}
			if err != nil {
				f.t.Log(err)
				writers.over.Store(true)
				cancel()
			}
			note(err)
		})
	}
	o := workload.Options{Clients: feedClients, Duration: duration, Pause: feedPause, Seed: f.seed}
	// The writers are not told by ctx, without which they would fail as fast as they can.
	err := workload.Run(f.t.Context(), &workload.Servers{Addrs: f.c.SQLAddrs, Disturb: f.faults.disturb}, o, writers)
	f.t.Log(f.feed)
	f.t.Logf("faults: %v", f.faults.count)
	if err == nil {
		err = f.finish()
	}
	if err != nil {
		cancel()
	}
	close(stop)
	wg.Wait()
	return errors.Join(err, failed)
}

// begunFeed is a Feed whose tables are there already, and that ends when a consumer
// has failed.
type begunFeed struct {
	*workload.Feed
	over atomic.Bool
}

// Done implements workload.Workload.
func (b *begunFeed) Done() bool { return b.over.Load() || b.Feed.Done() }

// Setup implements workload.Workload.
func (*begunFeed) Setup(context.Context, *workload.Client) error { return nil }

// finish tells the consumers what is the last commit.
func (f *feedTest) finish() error {
	if err := f.c.AwaitWhole(f.t.Context()); err != nil {
		return err
	}
	// Unknown transactions may still come. What others do then is at their end.
	f.on(1, "ALTER DATABASE postgres RESET tidemark.history_size")
	f.on(1, "INSERT INTO ended VALUES (1)")
	last, err := log.ParseOffset(f.on(1, "SELECT pg_current_wal_lsn()")[0][0])
	if err != nil {
		return err
	}
	f.servers.Final.Store(uint64(last))
	return nil
}

// TestConsumersUnderFaults has writers on all nodes and consumers that crash, while
// nodes die, hang, lose their disks and each other. Everybody's stream must be the
// log's, and that be what the writers know.
func TestConsumersUnderFaults(t *testing.T) {
	f := newFeedTest(t)
	f.setUp()
	consumers := newConsumers()
	f.begin(consumers)
	err := f.run(consumers)
	for _, c := range consumers {
		t.Logf("%-9s received %d transactions, %d again; %d crashes, %d ends, %d servers killed, %d times not free", c.Slot,
			len(c.Received), judge.Repeated(c.Received), c.Crashes, c.Finished, c.Killed, c.Refused)
	}
	require.NoError(t, err)
	f.readRest(1)
	f.judgeWrites()
	for _, c := range consumers {
		f.judgeStream(c)
	}
	f.judgeWork(consumers)
	f.judgeReplay()
	f.reportResumed(consumers)
}

// setUp makes the tables.
func (f *feedTest) setUp() {
	require.NoError(f.t, f.feed.Setup(f.t.Context(), workload.NewClient(0, f.seed, &workload.Servers{Addrs: f.c.SQLAddrs})))
	f.on(1, "CREATE TABLE ended (n int)")
}

// reportResumed tells how long it took from the death of a consumer's node until its
// stream came from another one.
func (f *feedTest) reportResumed(consumers []*consume.Consumer) {
	var all []time.Duration
	for _, c := range consumers {
		all = append(all, c.Resumed...)
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	f.t.Logf("resumed %d times after the death of the consumer's node: median %s, longest %s", len(all), all[len(all)/2], all[len(all)-1])
	require.Less(f.t, all[len(all)-1], resumeBound)
}

// readRest reads what is left of tidemark.changes, on a node.
func (f *feedTest) readRest(node int) {
	conn, err := cluster.Dial(f.t.Context(), f.c.Addrs(node).SQL)
	require.NoError(f.t, err)
	defer conn.Close(context.Background())
	require.NoError(f.t, f.reference.Read(f.t.Context(), conn))
	require.NoError(f.t, f.reference.Problems(), "changes that contradict those before them")
	now, err := consume.ReadTables(f.t.Context(), conn, feedTables())
	require.NoError(f.t, err)
	for _, name := range feedTables() {
		require.Equal(f.t, now.Digest(name), f.reference.Tables().Digest(name), "table %s, and what the changes make of it", name)
	}
}

// judgeWrites compares what the writers know with what the log tells.
func (f *feedTest) judgeWrites() {
	told := f.reference.Told()
	require.Empty(f.t, f.feed.Ledger().Judge(told))
	f.t.Logf("the log has %d changes in %d transactions, the last one at %s", f.reference.Changes(), len(told), f.reference.Last())
}

// judgeStream compares what a consumer received with what the log tells; and does so
// again with streams that are made bad.
func (f *feedTest) judgeStream(c *consume.Consumer) {
	published := f.reference.Published(c.Messages)
	require.Empty(f.t, judge.Streams(published, c.Received), c.Slot)
	for _, name := range feedTables() {
		require.Equal(f.t, f.reference.Tables().Digest(name), c.Tables.Digest(name), "%s: table %s, rebuilt from the stream", c.Slot, name)
	}
	rnd := rand.New(rand.NewPCG(f.seed, 9))
	for _, m := range judge.StreamMutations {
		for range eachMutant {
			if bad, ok := m.Do(rnd, c.Received); ok {
				require.NotEmpty(f.t, judge.Streams(published, bad), "%s: %s", c.Slot, m.Name)
			}
		}
	}
}

// judgeWork compares what a consumer has stored with what there was to store.
func (f *feedTest) judgeWork(consumers []*consume.Consumer) {
	conn, err := cluster.Dial(f.t.Context(), f.c.Addrs(1).SQL)
	require.NoError(f.t, err)
	defer conn.Close(context.Background())
	for _, c := range consumers {
		if c.Work == nil {
			continue
		}
		stored, err := c.Work.Stored(f.t.Context(), conn)
		require.NoError(f.t, err)
		var want []consume.Done
		for _, p := range f.reference.Published(c.Messages) {
			want = append(want, consume.DoneOf(p))
		}
		require.Equal(f.t, want, stored, "each transaction once")
		f.t.Logf("%s had stored its work %d times without hearing of it", c.Slot, c.Work.Again)
	}
}

// judgeReplay has a node without data receive the log from its beginning, unless
// others have but a snapshot of it, and compares what it tells of the history that
// is retained.
func (f *feedTest) judgeReplay() {
	const node = 2
	require.NoError(f.t, f.c.Kill(node))
	require.NoError(f.t, f.c.Wipe(node))
	require.NoError(f.t, f.c.Start(f.t.Context(), node))
	require.NoError(f.t, f.c.AwaitWhole(f.t.Context()))
	if os.Getenv("TIDEMARK_FAULTS") == "" {
		require.NotContains(f.t, f.c.Output(node), "restored from a snapshot", "this run is short enough for the log to be there from its beginning")
	}
	for n := range f.c.Nodes() {
		floor, err := log.ParseOffset(f.on(n+1, "SELECT floor_lsn FROM tidemark.databases WHERE database = current_database()")[0][0])
		require.NoError(f.t, err)
		floor = max(floor, f.origin)
		again := consume.NewTail(floor, feedTables())
		again.Note, again.Whole = f.reference.Note, f.reference.Whole
		conn, err := cluster.Dial(f.t.Context(), f.c.Addrs(n+1).SQL)
		require.NoError(f.t, err)
		defer conn.Close(context.Background())
		require.NoError(f.t, again.Read(f.t.Context(), conn))
		all := f.reference.Published(true)
		from, _ := slices.BinarySearchFunc(all, floor+1, func(p judge.Published, at log.Offset) int { return cmp.Compare(p.Commit, at) })
		require.NotEmpty(f.t, all[from:], "nothing is retained")
		require.Equal(f.t, all[from:], again.Published(true), "node %d", n+1)
		tables, err := consume.ReadTables(f.t.Context(), conn, feedTables())
		require.NoError(f.t, err)
		for _, name := range feedTables() {
			require.Equal(f.t, f.reference.Tables().Digest(name), tables.Digest(name), "table %s of node %d", name, n+1)
		}
		f.t.Logf("node %d tells the same of the last %d transactions; %d are no longer retained", n+1, len(all)-from, from)
	}
}
