package tests

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCopyIsCompleteOrNothing ends a COPY in every way but CopyDone, always where a
// message and a row are complete: nothing of it may be committed.
func TestCopyIsCompleteOrNothing(t *testing.T) {
	n := startNode(t, t.TempDir())
	b := newClient(t, n.SQLAddr())
	b.exec("CREATE TABLE c (v text)")
	for name, end := range map[string][]byte{
		"disconnected": nil, "terminated": frame('X', nil), "failed": frame('f', []byte("no more\x00")), "another message": frame('Q', []byte("SELECT 1\x00")),
	} {
		for _, rows := range []int{1, 30_000} { // one entry, a large transaction
			c := rawConn(t, n.SQLAddr())
			_, err := c.Write(frame('Q', []byte("COPY c FROM STDIN\x00")))
			require.NoError(t, err)
			for kind := byte(0); kind != 'G'; kind, _ = readMessage(t, c) {
			}
			_, err = c.Write(frame('d', []byte(strings.Repeat(strings.Repeat("v", 50)+"\n", rows))))
			require.NoError(t, err)
			_, err = c.Write(end)
			require.NoError(t, err)
			require.NoError(t, c.Close())
			require.Eventually(t, func() bool {
				return b.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'") == "0"
			}, 20*time.Second, 10*time.Millisecond)
			require.Equal(t, "0", b.one("SELECT count(*) FROM c"), "%s after %d rows", name, rows)
		}
	}
}
