package tidemark

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHostileStatus posts what no node would.
func TestHostileStatus(t *testing.T) {
	n := openNode(t, testConfig(t.TempDir()))
	self := `"cluster":"` + n.cluster() + `"`
	for body, want := range map[string]int{
		"":                           http.StatusBadRequest,
		"null":                       http.StatusBadRequest,
		"{" + self + "}":             http.StatusBadRequest,
		`{"cluster":"x","node":"y"}`: http.StatusConflict,
		strings.Repeat("[", 1<<20):   http.StatusBadRequest,
		`{"replicas":` + strings.Repeat(" ", statusBytesMax) + `[]}`:                                 http.StatusBadRequest,
		`{` + self + `,"node":"y","replicas":[{"log":2,"replica":18446744073709551615}],"peers":[]}`: http.StatusOK,
		`{` + self + `,"node":"` + string(n.self()) + `","incarnation":99,"http":"127.0.0.1:1"}`:     http.StatusOK,
	} {
		r, err := http.Post("http://"+n.HTTPAddr()+statusPath, statusContent, strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, want, r.StatusCode, "%.80s", body)
	}
	require.Len(t, n.Nodes(), 1)
	require.Equal(t, n.HTTPAddr(), n.Nodes()[0].HTTPAddr)
	_ = value[string](t, connect(t, n, firstDatabase), "SELECT state FROM tidemark.replicas LIMIT 1")
}

// TestCloseEndsRequests closes a node while another asks it to look at an offset
// that never comes.
func TestCloseEndsRequests(t *testing.T) {
	n := openNode(t, testConfig(t.TempDir()))
	asked := make(chan error, 1)
	go func() {
		r, err := http.Post("http://"+n.HTTPAddr()+checkPath+"?log=2&offset=99999999", "", nil)
		if err == nil {
			err = r.Body.Close()
		}
		asked <- err
	}()
	time.Sleep(100 * time.Millisecond) // whether it has come by then or not, Close ends
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, n.Close(ctx))
	<-asked
}
