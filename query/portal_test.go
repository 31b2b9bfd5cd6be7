package query

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/types"
)

func TestCursorMoves(t *testing.T) {
	p := &portal{scroll: true, cursor: true}
	for i := range 5 {
		p.rows = append(p.rows, []types.Datum{types.Int(int64(i + 1))})
	}
	for _, c := range []struct {
		fetch plan.Fetch
		want  []int64
		pos   int
	}{
		{plan.Fetch{Count: 2}, []int64{1, 2}, 2},
		{plan.Fetch{Count: 0}, []int64{2}, 2},
		{plan.Fetch{Count: 1, Backward: true}, []int64{1}, 1},
		{plan.Fetch{Count: 1, Backward: true}, nil, 0},
		{plan.Fetch{Count: 1 << 62}, []int64{1, 2, 3, 4, 5}, 6},
		{plan.Fetch{Count: 2, Backward: true}, []int64{5, 4}, 4},
		{plan.Fetch{Count: 3, Absolute: true}, []int64{3}, 3},
		{plan.Fetch{Count: -1, Absolute: true}, []int64{5}, 5},
		{plan.Fetch{Count: -2, Relative: true}, []int64{3}, 3},
		{plan.Fetch{Count: 9, Relative: true}, nil, 6},
		{plan.Fetch{Count: 0, Absolute: true}, nil, 0},
	} {
		rows, err := p.move(&c.fetch)
		require.NoError(t, err)
		var got []int64
		for _, r := range rows {
			got = append(got, r[0].Int())
		}
		require.Equal(t, c.want, got, fmt.Sprintf("%+v", c.fetch))
		require.Equal(t, c.pos, p.pos, fmt.Sprintf("%+v", c.fetch))
	}
	p.scroll = false
	_, err := p.move(&plan.Fetch{Count: 1, Backward: true})
	require.Error(t, err)
}
