package tidemark

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Bounds of the HTTP endpoints, so that a slow client holds nothing for long.
const (
	httpHeaderTimeout = 5 * time.Second
	httpTimeout       = 30 * time.Second
)

// endpoints serves health checks and metrics. It tells nothing of the data.
type endpoints struct {
	node    *Node
	server  *http.Server
	metrics *metrics.Set
}

func newEndpoints(n *Node) *endpoints {
	e := &endpoints{node: n, metrics: metrics.NewSet()}
	e.metrics.NewGauge("tidemark_sql_connections", func() float64 { return float64(n.server.Connections()) })
	e.metrics.NewGauge("tidemark_log_offset_bytes", func() float64 { return float64(n.db.replica.Position().Offset) })
	e.metrics.NewGauge("tidemark_log_applied_index", func() float64 { return float64(n.db.replica.Applied()) })
	e.metrics.NewGauge("tidemark_raft_log_syncs_total", func() float64 { return float64(n.host.Syncs()) })
	e.metrics.NewGauge("tidemark_ready", func() float64 {
		if n.notReady() != nil {
			return 0
		}
		return 1
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", e.health)
	mux.HandleFunc("GET /readyz", e.ready)
	mux.HandleFunc("GET /metrics", e.writeMetrics)
	e.server = &http.Server{Handler: mux, ReadHeaderTimeout: httpHeaderTimeout, ReadTimeout: httpTimeout, WriteTimeout: httpTimeout}
	return e
}

// health says that the process is alive; whether it is of use is what ready says.
func (e *endpoints) health(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

func (e *endpoints) ready(w http.ResponseWriter, _ *http.Request) {
	if err := e.node.notReady(); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (e *endpoints) writeMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	e.metrics.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
	e.node.host.WriteMetrics(w)
}

func (e *endpoints) serve(l net.Listener) error {
	if err := e.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http: %w", err)
	}
	return nil
}

func (e *endpoints) close(ctx context.Context) error { return e.server.Shutdown(ctx) }
