package tidemark

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// checkPath is where a node is asked to look at all that a replica of its stores.
const checkPath = "/v1/check"

// checkResult is the answer.
type checkResult struct {
	Offset   log.Offset `json:"offset"`
	Checksum string     `json:"checksum"` // in hex
	Rows     int64      `json:"rows"`
	Problem  string     `json:"problem,omitempty"`
}

// CheckDatabase implements query.Cluster. All replicas look at what they store as
// of the same offset, at the same time, and must find the same.
func (n *Node) CheckDatabase(ctx context.Context, database string) ([]query.CheckReport, error) {
	row, ok, err := n.named(ctx, database)
	if err != nil {
		return nil, sqlstate.New(sqlstate.CannotConnectNow, "database \"%s\" cannot be looked up: %v", database, err)
	}
	if !ok {
		return nil, sqlstate.New(sqlstate.InvalidCatalogName, "database \"%s\" does not exist", database)
	}
	var offset log.Offset // the newest here; elsewhere it may be older
	if db := n.databases.get(row.Log); db != nil {
		if err := db.shard.ReadIndex(ctx); err != nil {
			return nil, sqlstate.New(sqlstate.CannotConnectNow, "database \"%s\" cannot be reached: %v", database, err)
		}
		offset = db.replica.Position().Offset
	}
	var out []query.CheckReport
	for _, r := range n.meta.state.Load().replicas[row.Log] {
		if r.State != replicaRemoved {
			out = append(out, query.CheckReport{Node: r.Node, Replica: r.Replica})
		}
	}
	var asked sync.WaitGroup
	for i := range out {
		asked.Go(func() {
			got := n.askCheck(ctx, row.Log, out[i].Node, offset)
			out[i].Offset, out[i].Checksum, out[i].Rows, out[i].Problem = got.Offset, got.Checksum, got.Rows, got.Problem
		})
	}
	asked.Wait()
	judge(out)
	return out, nil
}

// judge marks the replicas that differ from the most common finding.
func judge(reports []query.CheckReport) {
	votes := map[string]int{}
	best := ""
	for _, r := range reports {
		if r.Problem != "" {
			continue
		}
		finding := r.Offset.String() + " " + r.Checksum
		if votes[finding]++; votes[finding] > votes[best] {
			best = finding
		}
	}
	for i, r := range reports {
		if r.Problem == "" && r.Offset.String()+" "+r.Checksum != best {
			reports[i].Problem = "its state differs from that of the others"
		}
	}
}

// askCheck has one node look.
func (n *Node) askCheck(ctx context.Context, id log.ID, node log.NodeID, offset log.Offset) checkResult {
	if node == n.self() {
		return n.checkHere(ctx, id, offset)
	}
	other, ok := n.peers.get(node)
	if !ok {
		return checkResult{Problem: "the node is not known here"}
	}
	got, err := n.peers.check(ctx, other.HTTP, id, offset)
	if err != nil {
		return checkResult{Problem: "the node could not be asked: " + err.Error()}
	}
	return got
}

// checkHere looks at this node's replica.
func (n *Node) checkHere(ctx context.Context, id log.ID, offset log.Offset) checkResult {
	db := n.databases.get(id)
	if db == nil {
		return checkResult{Problem: "the replica is not open"}
	}
	if err := db.replica.Wait(ctx, offset); err != nil {
		return checkResult{Problem: err.Error()}
	}
	report, err := db.replica.CheckAt(ctx, sm.CheckOptions{Offset: offset})
	if err != nil {
		return checkResult{Problem: err.Error()}
	}
	out := checkResult{Offset: report.Offset, Checksum: hex.EncodeToString(report.Digest[:]), Rows: report.Rows}
	if len(report.Problems) > 0 {
		out.Problem = fmt.Sprintf("%s (%d in all)", report.Problems[0], len(report.Problems))
	}
	return out
}

// check asks the node at an address. It takes as long as it takes.
func (p *peers) check(ctx context.Context, addr string, id log.ID, offset log.Offset) (checkResult, error) {
	q := url.Values{"log": {strconv.FormatUint(uint64(id), 10)}, "offset": {strconv.FormatUint(uint64(offset), 10)}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+checkPath+"?"+q.Encode(), nil)
	if err != nil {
		return checkResult{}, err
	}
	patient := http.Client{Transport: p.client.Transport}
	answer, err := patient.Do(r)
	if err != nil {
		return checkResult{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return checkResult{}, fmt.Errorf("status %d", answer.StatusCode)
	}
	var out checkResult
	return out, json.NewDecoder(io.LimitReader(answer.Body, statusBytesMax)).Decode(&out)
}

// serveCheck answers another node.
func (p *peers) serveCheck(w http.ResponseWriter, r *http.Request) {
	id, err := number[log.ID](r.URL.Query().Get("log"))
	if err != nil {
		http.Error(w, "log: want a number", http.StatusBadRequest)
		return
	}
	offset, err := number[log.Offset](r.URL.Query().Get("offset"))
	if err != nil {
		http.Error(w, "offset: want a number", http.StatusBadRequest)
		return
	}
	// It may take longer than other answers.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		p.node.cfg.Logger.Debug("the time for a check is limited", "error", err)
	}
	w.Header().Set("Content-Type", statusContent)
	if err := json.NewEncoder(w).Encode(p.node.checkHere(r.Context(), id, offset)); err != nil {
		p.node.cfg.Logger.Debug("answering a check failed", "error", err)
	}
}
