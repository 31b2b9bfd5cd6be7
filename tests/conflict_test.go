package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/tests/workload"
)

const (
	// tpcbAccounts is how many accounts scale 1 has, fewAccounts how many are used
	// to see enough conflicts.
	tpcbAccounts = 100_000
	fewAccounts  = 500
	// tpcbTransactions of all clients together are run for a measurement, and
	// fullFactor times as many when TIDEMARK_SIM=full.
	tpcbTransactions = 640
	fullFactor       = 10
	// conflictSlack is by how much a rate may exceed the expected one: commits
	// that wait for the disk meet more others.
	conflictSlack = 20
	// nearCommits is within how many commits of each client before a conflict the
	// transaction must be that it conflicts with.
	nearCommits = 10

	hotClients = 16
	hotRun     = time.Second
)

// fewScript is pgbench's TPC-B with fewer accounts.
var fewScript = fmt.Sprintf(`\set aid random(1, %d)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
`, fewAccounts)

// TestConflictRates measures how many of TPC-B's transactions are refused. All of
// them change the one branch and one of ten tellers, which conflicts with nobody;
// only two on the same account do, as a transaction is shown its balance.
func TestConflictRates(t *testing.T) {
	tool(t, "pgbench")
	p := startProcess(t, t.TempDir())
	runTool(t, p, "pgbench", "-i", "-s", "1", "-q")
	few := filepath.Join(t.TempDir(), "few.sql")
	require.NoError(t, os.WriteFile(few, []byte(fewScript), 0o600))
	for _, m := range []struct {
		script   []string
		clients  int
		accounts int
		total    int // the rarer conflicts are, the more it takes to see some
	}{
		{[]string{"-b", "tpcb-like"}, 64, tpcbAccounts, tpcbTransactions},
		{[]string{"-b", "tpcb-like"}, 16, tpcbAccounts, rareTransactions()},
		{[]string{"-f", few}, 16, fewAccounts, 2 * tpcbTransactions},
	} {
		total := m.total
		if full() {
			total *= fullFactor
		}

		from, began := lastCommit(t, p), time.Now()
		out := runTool(t, p, "pgbench", append(m.script, "-n", "-c", strconv.Itoa(m.clients), "-j", "2", "-t", strconv.Itoa(total/m.clients))...)
		failed := number(t, out, `number of failed transactions: (\d+) `)
		done := number(t, out, `number of transactions actually processed: (\d+)`)
		require.Equal(t, total, done+failed, out)
		expected := float64(total) * float64(m.clients-1) / float64(m.accounts)
		t.Logf("TPC-B in %s on %d accounts, %d clients: %d of %d transactions refused, 1 in %s (with every other client once between snapshot and commit it would be %.1f)",
			time.Since(began).Round(time.Millisecond), m.accounts, m.clients, failed, total, oneIn(total, failed), expected)
		require.LessOrEqual(t, float64(failed), conflictSlack*(1+expected), out)
		if m.accounts == fewAccounts {
			require.Positive(t, failed, "two on the same account have to conflict")
		}
		require.Equal(t, failed, sameAccount(t, p, from, nearCommits*m.clients), "conflicts in the log")
	}
	conn := p.connect(t)
	rows, err := execute(t.Context(), conn, "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history), (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(tbalance) FROM pgbench_tellers)")
	require.NoError(t, err)
	require.Equal(t, []string{"t", "t"}, rows[0])
}

// rareTransactions are those with 16 clients on all accounts, where about one in
// ten thousand conflicts.
func rareTransactions() int {
	if full() {
		return 4 * tpcbTransactions
	}
	return tpcbTransactions
}

func oneIn(total, n int) string {
	if n == 0 {
		return "infinity"
	}
	return strconv.Itoa(total / n)
}

func number(t *testing.T, text, pattern string) int {
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	require.NotNil(t, m, text)
	n, err := strconv.Atoi(m[1])
	require.NoError(t, err)
	return n
}

func lastCommit(t *testing.T, p *process) string {
	rows, err := execute(t.Context(), p.connect(t), "SELECT pg_current_wal_lsn()")
	require.NoError(t, err)
	return rows[0][0]
}

var accountText = regexp.MustCompile(`WHERE aid = (\d+)`)

// sameAccount counts the refused transactions behind an offset. Each of them must
// be on an account that another transaction, shortly before it, has changed.
func sameAccount(t *testing.T, p *process, from string, near int) int {
	rows, err := execute(t.Context(), p.connect(t), "SELECT command, coalesce(sqlstate, '') FROM tidemark.log WHERE lsn > '"+from+"' AND command LIKE '%pgbench_accounts%' ORDER BY lsn, seq")
	require.NoError(t, err)
	var committed []string
	conflicts := 0
	for _, r := range rows {
		m := accountText.FindStringSubmatch(r[0])
		require.NotNil(t, m, r[0])
		switch r[1] {
		case "":
			committed = append(committed, m[1])
		case workload.Conflict:
			conflicts++
			recent := committed[max(0, len(committed)-near):]
			require.Contains(t, recent, m[1], "refused, and nobody else was at account %s: %s", m[1], strings.TrimSpace(r[0]))
		default:
			require.Fail(t, "another error", "%s: %s", r[1], r[0])
		}
	}
	return conflicts
}

// TestHotRowInClients lets clients read the one row that all of them want, and
// write what follows from it. Most are refused, and no update is lost.
func TestHotRowInClients(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := newRestarting(t)
	w := &workload.Counter{ClientSide: true}
	require.NoError(t, workload.Run(t.Context(), &workload.Servers{Addrs: r.addrs}, workload.Options{Clients: hotClients, Duration: hotRun, Seed: seed}, w))
	refused, of := w.Conflicts()
	t.Logf("%s: %d clients, %.1f %% refused", w, hotClients, 100*float64(refused)/float64(of))
	require.Positive(t, refused)
	require.Less(t, refused, of)
}
