package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/compaction"
	"github.com/tidemark-db/tidemark/log"
)

// retentionPatience is for how long it may take until history is gone.
const retentionPatience = 60 * time.Second

// TestRetention bounds the history of a database: what is older is gone, with an
// error that names the oldest, the tables are as they were, and a slot holds history
// back as far as it may.
func TestRetention(t *testing.T) {
	n := startNode(t, t.TempDir())
	c := newClient(t, n.SQLAddr())
	require.Equal(t, fmt.Sprint(uint64(compaction.DefaultSlotLag)), c.one("SELECT max_slot_lag FROM tidemark.databases WHERE database = 'postgres'"))
	require.Equal(t, "0/0", c.one("SELECT floor_lsn FROM tidemark.databases WHERE database = 'postgres'"))
	require.Equal(t, "0", c.one("SELECT history_bytes FROM tidemark.databases WHERE database = 'postgres'"))
	c.exec("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t SELECT i, 'first' FROM generate_series(1, 100) i")
	first := c.one("SELECT pg_current_wal_lsn()")
	c.exec("SELECT pg_create_logical_replication_slot('dead', 'test_decoding')", "SELECT pg_create_logical_replication_slot('alive', 'test_decoding')")
	work := func() {
		for i := range 20 {
			c.exec(fmt.Sprintf("UPDATE t SET v = 'v%d' || repeat('x', 100)", i))
		}
		c.exec("SELECT pg_replication_slot_advance('alive', pg_current_wal_lsn() + 1)")
	}
	work()
	floor := func() log.Offset {
		off, err := log.ParseOffset(c.one("SELECT floor_lsn FROM tidemark.databases WHERE database = 'postgres'"))
		require.NoError(t, err)
		return off
	}
	history := func() int {
		bytes, err := strconv.Atoi(c.one("SELECT history_bytes FROM tidemark.databases WHERE database = 'postgres'"))
		require.NoError(t, err)
		return bytes
	}
	require.Zero(t, floor(), "by default nothing goes")
	c.exec("ALTER DATABASE postgres SET (tidemark.history_size = '100kB')")
	time.Sleep(2 * time.Second)
	require.Greater(t, history(), 400_000, "the slot holds it back")
	require.Equal(t, [][]string{{"alive", "reserved", "t"}, {"dead", "reserved", "t"}},
		c.rows("SELECT slot_name, wal_status, safe_wal_size > 1000000000 FROM pg_replication_slots ORDER BY 1"))
	asOf := func(lsn string) {
		c.exec("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SET TRANSACTION SNAPSHOT '"+lsn+"'")
	}
	asOf(first)
	require.Equal(t, "first", c.one("SELECT v FROM t WHERE id = 7"))
	c.exec("COMMIT")

	c.exec("ALTER DATABASE postgres SET tidemark.max_slot_lag = '200kB'")
	require.Eventually(t, func() bool { return history() <= 150_000 }, retentionPatience, 20*time.Millisecond)
	require.Equal(t, [][]string{{"alive", "reserved", ""}, {"dead", "lost", ""}},
		c.rows("SELECT slot_name, wal_status, NULL FROM pg_replication_slots ORDER BY 1"))
	lost := c.fails("55000", "SELECT * FROM pg_logical_slot_get_changes('dead', NULL, NULL)")
	oldest := floor()
	require.Contains(t, lost.Hint, (oldest + 1).String())
	for _, sql := range []string{
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '" + first + "'; SELECT 1",
		"SELECT count(*) FROM tidemark.changes WHERE lsn > '" + first + "'",
		"SELECT count(*) FROM tidemark.log WHERE lsn >= '" + first + "'",
	} {
		require.Contains(t, c.fails("22023", sql).Message, "is no longer retained; the oldest is ", sql)
		c.exec("ROLLBACK")
	}
	gone := c.fails("55000", "SELECT * FROM tidemark.subscribe('"+first+"')")
	require.Contains(t, gone.Detail, oldest.String())
	code, answer := changesFrom(t, n.HTTPAddr(), first)
	require.Equal(t, http.StatusGone, code, "%v", answer)
	require.Equal(t, "55000", answer["code"])
	require.Equal(t, oldest.String(), answer["oldest"])
	code, _ = changesFrom(t, n.HTTPAddr(), oldest.String())
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "100", c.one("SELECT count(*) FROM t WHERE v LIKE 'v19%'"))
	asOf(oldest.String())
	require.Equal(t, "100", c.one("SELECT count(*) FROM t"))
	c.exec("COMMIT")
	require.Equal(t, "t", c.one("SELECT min(commit_lsn) > '"+oldest.String()+"' AND count(*) > 0 FROM tidemark.changes"))
	require.Equal(t, "", c.one("SELECT max(problem) FROM tidemark.check()"))

	// The consumer is told to go on, and does.
	c.exec("SELECT pg_replication_slot_advance('dead', '" + (oldest + 1).String() + "')")
	require.NotEmpty(t, c.rows("SELECT * FROM pg_logical_slot_get_changes('dead', NULL, 1)"))

	// By age everything goes but what is true now.
	c.exec("SELECT pg_drop_replication_slot('dead')", "ALTER DATABASE postgres SET tidemark.history_retention = '1s'")
	work()
	require.Eventually(t, func() bool { return history() <= 50_000 }, retentionPatience, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		m := metricsOf(t, n.HTTPAddr())
		return m[`tidemark_history_removed_bytes{database="postgres"}`] == m[`tidemark_history_floor_bytes{database="postgres"}`]
	}, retentionPatience, 20*time.Millisecond)
	require.Equal(t, "100", c.one("SELECT count(*) FROM t"))
	require.Equal(t, "", c.one("SELECT max(problem) FROM tidemark.check()"))
}

// changesFrom asks for the changes after a position over HTTP, and returns the first
// line of the answer.
func changesFrom(t *testing.T, addr, from string) (code int, line map[string]any) {
	res, err := http.Get("http://" + addr + "/v1/changes?follow=false&from=" + url.QueryEscape(from))
	require.NoError(t, err)
	defer res.Body.Close()
	require.NoError(t, json.NewDecoder(res.Body).Decode(&line))
	return res.StatusCode, line
}

// metricsOf reads what /metrics says.
func metricsOf(t *testing.T, addr string) map[string]string {
	res, err := http.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			m[name] = value
		}
	}
	return m
}
