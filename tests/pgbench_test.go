package tests

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// tool returns the path of a program that a test needs. Without it the test is
// skipped, unless TIDEMARK_REQUIRE_TOOLS says that it must be there.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("TIDEMARK_REQUIRE_TOOLS") != "" {
		t.Fatalf("%s is not installed: %v", name, err)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// runTool runs a PostgreSQL client program against the server.
func runTool(t *testing.T, p *process, name string, args ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(p.addr)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Env = append(os.Environ(), "PGHOST="+host, "PGPORT="+port, "PGUSER=tester", "PGDATABASE=postgres", "PGOPTIONS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %q:\n%s", name, args, out)
	return string(out)
}

// TestPgbench runs PostgreSQL's own benchmark unmodified: its three scripts, in
// the three forms of the protocol, with 1 and 16 clients. No transaction may fail,
// and the money must add up.
//
// Transactions that are shown the balance of one account at once do conflict, so
// the seed is one that never draws an account twice in a run; the one branch and
// the ten tellers are what all clients contend for.
func TestPgbench(t *testing.T) {
	tool(t, "pgbench")
	p := startProcess(t, t.TempDir())
	runTool(t, p, "pgbench", "-i", "-s", "1", "-q")
	conn := p.connect(t)
	const (
		seed = "1"
		each = 20 // transactions of one client
	)
	updates := 0
	for _, mode := range []string{"simple", "extended", "prepared"} {
		for _, clients := range []int{1, 16} {
			for _, script := range []string{"tpcb-like", "simple-update", "select-only"} {
				out := runTool(t, p, "pgbench", "-n", "--random-seed", seed, "-M", mode, "-b", script, "-c", strconv.Itoa(clients), "-j", "2", "-t", strconv.Itoa(each))
				require.Contains(t, out, "number of failed transactions: 0 ", "%s %s %d", mode, script, clients)
				if script != "select-only" {
					updates += each * clients
				}
			}
		}
	}
	rows, err := execute(t.Context(), conn, "SELECT count(*) FROM pgbench_history")
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(updates), rows[0][0])
	rows, err = execute(t.Context(), conn, "SELECT count(DISTINCT aid) FROM pgbench_history")
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(16*each), rows[0][0], "the seed draws an account twice")
	rows, err = execute(t.Context(), conn, "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history), (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(tbalance) FROM pgbench_tellers)")
	require.NoError(t, err)
	require.Equal(t, []string{"t", "t"}, rows[0])
}

// TestPsql types what a user types first.
func TestPsql(t *testing.T) {
	p := startProcess(t, t.TempDir())
	out := runTool(t, p, "psql", "-X", "-v", "ON_ERROR_STOP=1",
		"-c", "CREATE TABLE t (id serial PRIMARY KEY, name text NOT NULL)",
		"-c", "INSERT INTO t (name) VALUES ('a'), ('b') RETURNING id",
		"-c", `\dt`, "-c", `\d t`, "-c", `\l`)
	for _, want := range []string{"INSERT 0 2", "public | t", "not null", "t_pkey", "postgres"} {
		require.Contains(t, out, want)
	}
}
