package parser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFind(t *testing.T) {
	const sql = `SELECT 'nope', "Nope", x.nope, é AS nope, nope /* nope */ FROM s.tab WHERE f('a') = nope(1) -- nope`
	require.Equal(t, 43, FindName(sql, []string{"nope"}, false), "not the string, the quoted one, the field, nor the alias")
	require.Equal(t, 24, FindName(sql, []string{"x", "nope"}, false))
	require.Equal(t, 16, FindName(sql, []string{"Nope"}, false))
	require.Equal(t, 85, FindName(sql, []string{"nope"}, true))
	require.Equal(t, 64, FindName(sql, []string{"s", "tab"}, false))
	require.Zero(t, FindName(sql, []string{"s", "nope"}, false))
	require.Equal(t, 24, FindField(sql, "nope"))
	require.Equal(t, 8, FindLiteral(sql, "nope"))
	require.Equal(t, 83, FindOperator(sql, "="))
	require.Zero(t, FindOperator(sql, "+"))
	require.Zero(t, FindLiteral("SELECT 'a', 'a'", "a"), "there are two")
	require.Equal(t, 8, FindLiteral("SELECT 'it''s'", "it's"))
	for _, broken := range []string{"'", `"`, "$a$", "/*", "a.", "", "é'"} {
		require.Zero(t, FindName(broken, []string{"x", "y"}, true), broken)
	}
}
