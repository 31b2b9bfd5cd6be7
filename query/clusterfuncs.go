package query

import (
	"context"
	"encoding/json"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// clusterFunc asks the cluster for something.
type clusterFunc func(s *Session, ctx context.Context, c Cluster, args []types.Datum) (types.Datum, error)

// clusterFuncs are the functions that ask the cluster for something and wait for it.
var clusterFuncs = map[string]clusterFunc{
	expr.JoinNodeName:    (*Session).joinNode,
	expr.DrainNodeName:   nodeFunc(Cluster.DrainNode),
	expr.UndrainNodeName: nodeFunc(Cluster.UndrainNode),
	expr.RemoveNodeName:  nodeFunc(Cluster.RemoveNode),
	expr.ReplaceNodeName: nodeFunc(Cluster.ReplaceNode),
	expr.CheckName:       (*Session).checkDatabase,
}

func nodeFunc(do func(Cluster, context.Context, string) error) clusterFunc {
	return func(_ *Session, ctx context.Context, c Cluster, args []types.Datum) (types.Datum, error) {
		return types.Void, do(c, ctx, args[0].Str())
	}
}

// cluster answers the functions above. What they do is not undone by ROLLBACK, and
// a statement of a transaction may be executed again; so they run outside of
// transactions only.
func (i sessionInfo) cluster(name string, args []types.Datum) (types.Datum, bool, error) {
	do, ok := clusterFuncs[name]
	if !ok {
		return types.NullDatum, false, nil
	}
	s := i.s
	if s.tx != nil {
		return types.NullDatum, true, sqlstate.New(sqlstate.ActiveSQLTransaction, "%s() cannot run inside a transaction block", name)
	}
	if readOnly, _ := s.settings.get("default_transaction_read_only"); readOnly == "on" && name != expr.CheckName {
		return types.NullDatum, true, sqlstate.New(sqlstate.ReadOnlySQLTransaction, "cannot execute %s() in a read-only transaction", name)
	}
	c := s.e.cfg.Cluster
	if c == nil {
		return types.NullDatum, true, sqlstate.New(sqlstate.FeatureNotSupported, "%s() is not supported", name).
			WithDetail("This database is on its own.")
	}
	d, err := do(s, s.running, c, args)
	if err != nil {
		return types.NullDatum, true, clusterError(s.running, err)
	}
	return d, true, nil
}

func (s *Session) joinNode(ctx context.Context, c Cluster, args []types.Datum) (types.Datum, error) {
	var j JoinNode
	if err := json.Unmarshal([]byte(args[0].Str()), &j); err != nil {
		return types.NullDatum, sqlstate.New(sqlstate.InvalidTextRepresentation, "invalid description of a node").
			WithDetail("%s.", err.Error())
	}
	answer, err := c.JoinNode(ctx, j)
	if err != nil {
		return types.NullDatum, err
	}
	return types.String(string(answer)), nil
}

// checkDatabase answers with a row of rows.
func (s *Session) checkDatabase(ctx context.Context, c Cluster, args []types.Datum) (types.Datum, error) {
	name := s.start.Database
	if len(args) > 0 {
		name = args[0].Str()
	}
	reports, err := c.CheckDatabase(ctx, name)
	if err != nil {
		return types.NullDatum, err
	}
	rows := make([]types.Datum, len(reports))
	for i, r := range reports {
		problem := types.NullDatum
		if r.Problem != "" {
			problem = types.String(r.Problem)
		}
		rows[i] = types.TupleDatum(&types.Tuple{Fields: []types.Datum{types.String(string(r.Node)), types.Int(int64(r.Replica)),
			types.LSN(uint64(r.Offset)), types.String(r.Checksum), types.Int(r.Rows), problem}})
	}
	return types.TupleDatum(&types.Tuple{Fields: rows}), nil
}
