package exec

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func TestGuard(t *testing.T) {
	n, err := guard(func() (int64, error) { return 3, nil })
	require.NoError(t, err)
	require.EqualValues(t, 3, n)

	_, err = guard(func() (int64, error) { return types.String("x").Int(), nil })
	require.Equal(t, sqlstate.InternalError, sqlstate.CodeOf(err), "a mistake in an expression fails the statement")
	require.Contains(t, sqlstate.As(err).Detail, "datum of kind string used as int")

	require.Panics(t, func() {
		_, _ = guard(func() (int64, error) { return (*sm.Txn)(nil).RowsChanged(), nil })
	}, "a panic in storage goes on")
}
