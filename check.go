package tidemark

import (
	"context"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// CheckDatabase implements query.Cluster.
func (n *Node) CheckDatabase(context.Context, string) ([]query.CheckReport, error) {
	return nil, sqlstate.New(sqlstate.FeatureNotSupported, "tidemark.check is not supported yet")
}
