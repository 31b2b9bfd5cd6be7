package tests

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/workload"
)

const (
	listClients      = 20
	listTransactions = 4_000
	// fullListTransactions are done when TIDEMARK_SIM=full.
	fullListTransactions = 100_000
	// fullTimeout is for what has a number of transactions to do, and not a time.
	fullTimeout = 15 * time.Minute
)

// full reports whether workloads have their full length.
func full() bool { return os.Getenv("TIDEMARK_SIM") == "full" }

// restarting is one server that is killed and started again on its data.
type restarting struct {
	t   *testing.T
	dir string

	mu    sync.Mutex
	p     *process
	kills int
}

func newRestarting(t *testing.T) *restarting {
	r := &restarting{t: t, dir: t.TempDir()}
	r.p = startProcess(t, r.dir)
	return r
}

func (r *restarting) addrs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return []string{r.p.addr}
}

// killAndRestart is what a crash and a supervisor do.
func (r *restarting) killAndRestart(context.Context) error {
	r.mu.Lock()
	p := r.p
	r.mu.Unlock()
	p.kill()
	next, err := launch(r.t, r.dir)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.p = next
	r.kills++
	return nil
}

// TestHistories lets clients append to lists and read them in every way there
// is, and has two judges look at what they saw: no anomaly, real time included.
func TestHistories(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := newRestarting(t)
	w := &workload.Lists{Transactions: listTransactions}
	if full() {
		w.Transactions = fullListTransactions
	}
	began := time.Now()
	require.NoError(t, workload.Run(t.Context(), &workload.Servers{Addrs: r.addrs}, workload.Options{Clients: listClients, Duration: fullTimeout, Seed: seed}, w))
	t.Logf("%s: %s", time.Since(began).Round(time.Millisecond), w)
	require.GreaterOrEqual(t, w.Len(), w.Transactions)
}

const (
	// killClients are those of each workload.
	killClients = 3
	killRun     = 4 * time.Second
	fullKillRun = 60 * time.Second
	// killPause is the longest time between a restart and the next kill.
	killPause = 1500 * time.Millisecond
	killLists = 100_000 // more than can be done
)

// workloads are those that run under kills.
func workloads() []workload.Workload {
	return []workload.Workload{&workload.Bank{}, &workload.Unique{}, &workload.Counter{}, &workload.Set{}, &workload.Children{}, &workload.Lists{Transactions: killLists}}
}

// TestWorkloadsUnderKills runs all workloads at once on a server that is killed
// again and again.
func TestWorkloadsUnderKills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := newRestarting(t)
	o := workload.Options{Clients: killClients, Duration: killRun, Pause: killPause, Seed: seed}
	if full() {
		o.Duration = fullKillRun
	}
	all := workloads()
	err := workload.Run(t.Context(), &workload.Servers{Addrs: r.addrs, Disturb: r.killAndRestart}, o, all...)
	for _, w := range all {
		t.Log(w)
	}
	t.Logf("%d kills", r.kills)
	require.NoError(t, err)
	require.Positive(t, r.kills)
}

// noticeRun bounds how long a lost update may take to happen, and be noticed.
const noticeRun = 20 * time.Second

// TestWorkloadsNotice lets PostgreSQL run at READ COMMITTED what its clients take
// for serializable: a test of the tests.
func TestWorkloadsNotice(t *testing.T) {
	url := reference(t) + " default_transaction_isolation='read committed'"
	conn, err := pgconn.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	for _, x := range []struct {
		w     workload.Workload
		table string
		want  string
	}{
		{&workload.Bank{}, "accounts", "together|all at once"}, // whichever is seen first
		{&workload.Counter{ClientSide: true}, "counter", "given twice"},
	} {
		drop := "DROP TABLE IF EXISTS " + x.table
		_, err := execute(t.Context(), conn, drop)
		require.NoError(t, err)
		err = workload.Run(t.Context(), &workload.Servers{Addrs: func() []string { return []string{url} }}, workload.Options{Clients: killClients, Duration: noticeRun, Seed: 1}, x.w)
		require.Error(t, err)
		require.Regexp(t, x.want, err.Error())
		_, err = execute(t.Context(), conn, drop)
		require.NoError(t, err)
	}
}
