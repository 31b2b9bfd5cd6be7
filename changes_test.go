package tidemark

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// changesOf opens a stream of changes.
func changesOf(t *testing.T, n *Node, query string, header ...string) (*bufio.Scanner, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTPAddr()+changesPath+"?"+query, nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	require.Equal(t, http.StatusOK, answer.StatusCode)
	return bufio.NewScanner(answer.Body), cancel
}

// TestChangesOverHTTP reads lines and server-sent events, and resumes.
func TestChangesOverHTTP(t *testing.T) {
	n := openNode(t, testConfig(t.TempDir()))
	conn := connect(t, n, firstDatabase)
	exec(t, conn, "CREATE TABLE t (id int PRIMARY KEY)")
	exec(t, conn, "CREATE TABLE u (id int PRIMARY KEY)")
	exec(t, conn, "INSERT INTO t VALUES (1), (2)")
	exec(t, conn, "INSERT INTO u VALUES (1)")

	lines, _ := changesOf(t, n, "table=t")
	var change struct {
		LSN, Op string
		After   map[string]int
	}
	for id := 1; id <= 3; id++ {
		if id == 3 { // it waits by now, or soon
			exec(t, conn, "INSERT INTO t VALUES (3)")
		}
		require.True(t, lines.Scan())
		require.NoError(t, json.Unmarshal(lines.Bytes(), &change))
		require.Equal(t, "insert", change.Op)
		require.Equal(t, id, change.After["id"])
	}

	event := func(s *bufio.Scanner) map[string]string {
		t.Helper()
		out := map[string]string{}
		for s.Scan() && s.Text() != "" {
			name, value, _ := strings.Cut(s.Text(), ": ")
			out[name] = value
		}
		return out
	}
	events, stop := changesOf(t, n, "table=t", "Accept", "text/event-stream, */*")
	require.Equal(t, map[string]string{"retry": "1000"}, event(events))
	event(events)
	second := event(events)
	require.Equal(t, "insert", second["event"])
	require.Contains(t, second["data"], `"after":{"id":2}`)
	stop()
	require.Eventually(t, func() bool {
		_, text := get(t, n, "/metrics")
		return strings.Contains(text, "tidemark_http_change_streams 1\n")
	}, patience, 10*time.Millisecond, "a client that is gone is not waited for")
	events, _ = changesOf(t, n, "table=t&from=0/0", "Accept", "text/event-stream", "Last-Event-ID", second["id"])
	event(events)
	require.Contains(t, event(events)["data"], `"after":{"id":3}`)

	exec(t, conn, "CREATE PUBLICATION p FOR TABLE u")
	exec(t, conn, "INSERT INTO u VALUES (2)")
	code, text := get(t, n, changesPath+"?publication=p&follow=false")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, 1, strings.Count(text, "\n"))
	require.Contains(t, text, `"table":"u"`)
	code, text = get(t, n, changesPath+"?progress=true&follow=false&from="+value[string](t, conn, "SELECT pg_current_wal_lsn()::text"))
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, text, `"op":"progress"`)

	for query, want := range map[string]int{
		"from=x": 400, "from=FFFFFFFF/0": 400, "follow=perhaps": 400, "nothing=1": 400, "from=0/0&from=0/0": 400,
		"publication=nope": 400, "publication=%22": 400, "a;b": 400, "database=nope": 404,
	} {
		code, text := get(t, n, changesPath+"?"+query)
		require.Equal(t, want, code, query)
		var answer map[string]string
		require.NoError(t, json.Unmarshal([]byte(text), &answer), text)
		require.NotEmpty(t, answer["error"], query)
	}
	answer, err := http.Head("http://" + n.HTTPAddr() + changesPath)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	r, err := http.NewRequest(http.MethodGet, "http://"+n.HTTPAddr()+changesPath, nil)
	require.NoError(t, err)
	r.Host = "rebound.example"
	answer, err = http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusForbidden, answer.StatusCode, "a page of another host is not let in by a name")
}

// TestChangesTooMany refuses the one stream too many, until another one has ended.
func TestChangesTooMany(t *testing.T) {
	n := openNode(t, testConfig(t.TempDir()))
	var last func()
	for range changeStreamsMax {
		_, last = changesOf(t, n, "")
	}
	code, text := get(t, n, changesPath)
	require.Equal(t, http.StatusTooManyRequests, code)
	require.Contains(t, text, fmt.Sprint(changeStreamsMax))
	last()
	require.Eventually(t, func() bool {
		code, _ := get(t, n, changesPath+"?follow=false")
		return code == http.StatusOK
	}, patience, 10*time.Millisecond)
}

// TestChangesSlowClient has clients that do not read: they stop nobody, hold no more
// than their sockets, and do not keep the node from ending.
func TestChangesSlowClient(t *testing.T) {
	const clients, rows, width = 5, 40, 1 << 20
	n, err := Open(t.Context(), testConfig(t.TempDir()))
	require.NoError(t, err)
	conn := connect(t, n, firstDatabase)
	exec(t, conn, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	for range clients {
		c, err := net.Dial("tcp", n.HTTPAddr())
		require.NoError(t, err)
		defer c.Close()
		_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", changesPath)
		require.NoError(t, err)
	}
	for i := range rows {
		exec(t, conn, fmt.Sprintf("INSERT INTO t VALUES (%d, repeat('x', %d))", i, width))
	}
	s, _ := changesOf(t, n, "table=t&follow=false")
	s.Buffer(nil, 2*width)
	got := 0
	for s.Scan() {
		got++
	}
	require.NoError(t, s.Err())
	require.Equal(t, rows, got)
	require.NoError(t, conn.Close(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, n.Close(ctx))
}

// TestChangesElsewhere asks each of three nodes for a database that one of them has.
func TestChangesElsewhere(t *testing.T) {
	nodes := startCluster(t, 3)
	conn := connect(t, nodes[0], firstDatabase)
	exec(t, conn, "CREATE DATABASE small WITH REPLICAS = 1")
	small := connect(t, nodes[0], "small")
	exec(t, small, "CREATE TABLE t (id int PRIMARY KEY)")
	exec(t, small, "INSERT INTO t VALUES (7)")
	redirected := 0
	for i, n := range nodes {
		client := &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
			require.Equal(t, http.StatusTemporaryRedirect, r.Response.StatusCode)
			redirected++
			return nil
		}}
		require.Eventually(t, func() bool {
			r, err := client.Get("http://" + n.HTTPAddr() + changesPath + "?database=small&table=t&follow=false")
			require.NoError(t, err)
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			return r.StatusCode == http.StatusOK && strings.Contains(string(body), `"after":{"id":7}`)
		}, patience, 50*time.Millisecond, "node %d", i)
	}
	require.GreaterOrEqual(t, redirected, 2)
	// Where everybody has a replica, everybody answers, the followers too.
	for _, n := range nodes {
		exec(t, conn, "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY)")
		lines, _ := changesOf(t, n, "table=t")
		exec(t, conn, "INSERT INTO t SELECT count(*) FROM t")
		require.True(t, lines.Scan())
	}
}
