package query

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// explain is EXPLAIN. With ANALYZE a query is run and its rows are counted;
// statements that write are not run, because that would need an entry of the log.
func (s *Session) explain(ctx context.Context, c *plan.Explain, w ResultWriter, describe bool) error {
	see := s.reach
	if s.tx != nil {
		see = s.present
	}
	if err := see(ctx); err != nil {
		return err
	}
	now := s.e.now()
	in := exec.ContextInputs{TxnTime: now, StmtTime: now, ClockTime: s.e.now, Seed: s.e.cfg.Seed(), Sequences: sessionSequences{s}}
	st := &statement{query: c.Query}
	prog, err := s.program(st, s.catalog(), in, !c.Query.Select())
	if err != nil {
		return err
	}
	root := plan.Describe(prog.Statement)
	var ran string
	if c.Analyze {
		if !prog.Statement.ReadOnly() {
			return sqlstate.New(sqlstate.FeatureNotSupported, "EXPLAIN ANALYZE of a statement that writes is not supported")
		}
		counter := &countingWriter{}
		began := time.Now()
		if err := s.query(ctx, st, counter); err != nil {
			return err
		}
		ran = fmt.Sprintf("(actual rows=%d) Execution Time: %.3f ms", counter.rows, float64(time.Since(began).Microseconds())/1000)
	}
	lines, err := explainText(root, c.JSON)
	if err != nil {
		return err
	}
	if ran != "" && !c.JSON {
		lines = append(lines, ran)
	}
	col := textColumn("QUERY PLAN")
	if c.JSON {
		col.Type = types.JSONType
	}
	return sendTexts(w, describe, []Column{col}, lines, "EXPLAIN")
}

// countingWriter takes a query's rows and only counts them.
type countingWriter struct {
	ResultWriter
	rows int64
}

// RowDescription implements ResultWriter.
func (c *countingWriter) RowDescription([]Column) error { return nil }

// Row implements ResultWriter.
func (c *countingWriter) Row([]types.Datum) error { c.rows++; return nil }

// CommandComplete implements ResultWriter.
func (c *countingWriter) CommandComplete(string) error { return nil }

// Notice implements ResultWriter.
func (c *countingWriter) Notice(*sqlstate.Error) error { return nil }

func explainText(root *plan.PlanNode, asJSON bool) ([]string, error) {
	if asJSON {
		b, err := json.MarshalIndent([]any{map[string]any{"Plan": planJSON(root)}}, "", "  ")
		if err != nil {
			return nil, err
		}
		return []string{string(b)}, nil
	}
	return planLines(nil, root, 0), nil
}

func planJSON(n *plan.PlanNode) map[string]any {
	out := map[string]any{"Node Type": n.Type}
	for _, p := range n.Properties {
		out[p.Name] = p.Value
	}
	if len(n.Children) > 0 {
		var kids []any
		for _, c := range n.Children {
			kids = append(kids, planJSON(c))
		}
		out["Plans"] = kids
	}
	return out
}

// planLines prints a plan as PostgreSQL indents it.
func planLines(lines []string, n *plan.PlanNode, depth int) []string {
	indent, arrow := "", ""
	if depth > 0 {
		indent = strings.Repeat(" ", 6*depth-4)
		arrow = "->  "
	}
	lines = append(lines, indent+arrow+n.Type)
	for _, p := range n.Properties {
		lines = append(lines, strings.Repeat(" ", 6*depth+2)+p.Name+": "+p.Value)
	}
	for _, c := range n.Children {
		lines = planLines(lines, c, depth+1)
	}
	return lines
}
