package tests

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStandby: a node that does not lead says so, at the start and when it changes,
// and takes writes all the same.
func TestStandby(t *testing.T) {
	nodes := memNodes(t, 2, nil)
	a, b := newClient(t, nodes[0].addr), newClient(t, nodes[1].addr)
	require.Equal(t, "off", a.ParameterStatus("in_hot_standby"))
	require.Equal(t, "on", b.ParameterStatus("in_hot_standby"))
	require.Equal(t, "off", b.ParameterStatus("default_transaction_read_only"))
	require.Equal(t, [][]string{{"t", "on", "on", "t"}}, b.rows(`SELECT pg_is_in_recovery(), current_setting('in_hot_standby'),
		(SELECT setting FROM pg_settings WHERE name = 'in_hot_standby'), pg_last_wal_replay_lsn() = pg_last_wal_receive_lsn()`))
	require.Equal(t, "f", a.one("SELECT pg_is_in_recovery()"))
	b.exec("CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)", "BEGIN; UPDATE t SET n = 2; COMMIT")
	require.Equal(t, "2", a.one("SELECT n FROM t"))
	require.Equal(t, "t", b.one("SELECT pg_last_xact_replay_timestamp() <= now() + interval '1 s'"))
	require.Equal(t, "parameter \"in_hot_standby\" cannot be changed", b.fails("55P02", "SET in_hot_standby = off").Message)

	nodes[0].leads.Store(false)
	nodes[1].leads.Store(true)
	a.fails("42P01", "SELECT * FROM nope")
	require.Equal(t, "on", a.ParameterStatus("in_hot_standby"), "with the answer, also when that is an error")
	res := b.ExecParams(t.Context(), "SELECT 1", nil, nil, nil, nil).Read()
	require.NoError(t, res.Err)
	require.Equal(t, "off", b.ParameterStatus("in_hot_standby"), "with Sync")
	require.Equal(t, "off", b.one("SHOW in_hot_standby"))
}

// TestTargetSessionAttributes lets libpq choose among two nodes.
func TestTargetSessionAttributes(t *testing.T) {
	psql := tool(t, "psql")
	nodes := memNodes(t, 2, nil)
	nodes[0].leads.Store(false)
	nodes[1].leads.Store(true) // the second one, so that the first that answers will not do
	ports := make([]string, len(nodes))
	for i, n := range nodes {
		_, port, err := net.SplitHostPort(n.addr)
		require.NoError(t, err)
		ports[i] = port
	}
	ask := func(attrs string, ports ...string) (string, error) {
		hosts := strings.TrimSuffix(strings.Repeat("127.0.0.1,", len(ports)), ",")
		out, err := exec.Command(psql, "-XAt", "-c", "SELECT pg_is_in_recovery()", "host="+hosts+" port="+strings.Join(ports, ",")+
			" user=tester dbname=postgres target_session_attrs="+attrs).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	for attrs, want := range map[string]string{"any": "t", "primary": "f", "read-write": "f", "standby": "t", "read-only": "t", "prefer-standby": "t"} {
		got, err := ask(attrs, ports...)
		require.NoError(t, err, "%s: %s", attrs, got)
		require.Equal(t, want, got, attrs)
	}
	got, err := ask("prefer-standby", ports[1])
	require.NoError(t, err, got)
	require.Equal(t, "f", got, "there is no standby")
	out, err := ask("standby", ports[1])
	require.Error(t, err)
	require.Contains(t, out, "server is not in hot standby mode")
	out, err = ask("primary", ports[0])
	require.Error(t, err)
	require.Contains(t, out, "server is in hot standby mode")
}
