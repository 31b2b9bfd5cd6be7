package tidemark

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
)

// Bounds of the HTTP endpoints, so that a slow client holds nothing for long.
const (
	httpHeaderTimeout = 5 * time.Second
	httpTimeout       = 30 * time.Second
)

// endpoints serves health checks and metrics, which tell nothing of the data, and
// streams of changes. Whoever can connect is trusted, as with SQL.
type endpoints struct {
	node    *Node
	server  *http.Server
	metrics *metrics.Set
	streams atomic.Int64 // of changes
}

func newEndpoints(n *Node) *endpoints {
	e := &endpoints{node: n, metrics: metrics.NewSet()}
	e.metrics.NewGauge("tidemark_sql_connections", func() float64 { return float64(n.server.Connections()) })
	e.metrics.NewGauge("tidemark_http_change_streams", func() float64 { return float64(e.streams.Load()) })
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
	mux.HandleFunc("GET "+changesPath, e.changes)
	mux.HandleFunc("POST "+statusPath, n.peers.serveStatus)
	mux.HandleFunc("POST "+checkPath, n.peers.serveCheck)
	e.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: httpHeaderTimeout, ReadTimeout: httpTimeout, WriteTimeout: httpTimeout,
		BaseContext: func(net.Listener) context.Context { return n.life },
	}
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
	e.writeReplicas(w)
	e.writeNodes(w)
	metrics.WriteProcessMetrics(w)
	e.node.host.WriteMetrics(w)
}

// gauge writes one value. VictoriaMetrics' sets are for metrics that stay, and
// databases and nodes come and go.
func gauge(w io.Writer, name string, value any, labels ...string) {
	fmt.Fprintf(w, "tidemark_%s{", name)
	for i := 0; i+1 < len(labels); i += 2 {
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		fmt.Fprintf(w, "%s=%q", labels[i], labels[i+1])
	}
	fmt.Fprintf(w, "} %v\n", value)
}

// writeReplicas writes the metrics of this node's replicas.
func (e *endpoints) writeReplicas(w io.Writer) {
	self := string(e.node.self())
	for _, r := range e.node.Replicas() {
		if string(r.Node) != self || !r.Known {
			continue
		}
		labels := []string{"database", r.Database}
		gauge(w, "log_offset_bytes", uint64(r.Applied), labels...)
		gauge(w, "replica_lag_bytes", r.LagBytes, labels...)
		gauge(w, "replica_lag_seconds", r.Lag.Seconds(), labels...)
		gauge(w, "replica_leads", boolGauge(r.Role == query.RoleLeader), labels...)
		gauge(w, "replica_healthy", boolGauge(r.Checksum == "ok" && r.State == "running"), labels...)
	}
	for _, db := range e.node.databases.all() {
		gauge(w, "log_applied_index", uint64(db.replica.Applied()), "database", db.name())
		gauge(w, "sql_sessions", db.engine.Sessions(), "database", db.name())
		writeRetention(w, db)
		for _, s := range db.engine.Slots() {
			labels := []string{"database", db.name(), "slot", s.Name}
			gauge(w, "slot_lag_bytes", s.LagBytes, labels...)
			gauge(w, "slot_lag_seconds", s.Lag.Seconds(), labels...)
			gauge(w, "slot_active", boolGauge(s.Active), labels...)
		}
	}
}

// writeRetention writes how much history a replica has.
func writeRetention(w io.Writer, db *database) {
	s, end := db.replica.Retention(), db.replica.Position().End
	for _, g := range []struct {
		name  string
		value uint64
	}{
		{"history_floor_bytes", uint64(s.Floor)}, {"history_bytes", log.HistoryBytes(s.Floor, end)},
		{"history_held_bytes", uint64(s.Held)}, {"history_removed_bytes", uint64(s.Removed)},
		{"garbage_versions", s.GarbageVersions}, {"garbage_bytes", s.GarbageBytes},
	} {
		gauge(w, g.name, g.value, "database", db.name())
	}
}

// writeNodes writes what this node knows of the others.
func (e *endpoints) writeNodes(w io.Writer) {
	for _, n := range e.node.Nodes() {
		gauge(w, "node_live", boolGauge(n.Live), "node", string(n.ID), "state", string(n.State))
	}
}

func boolGauge(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (e *endpoints) serve(l net.Listener) error {
	if err := e.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http: %w", err)
	}
	return nil
}

func (e *endpoints) close(ctx context.Context) error { return e.server.Shutdown(ctx) }
