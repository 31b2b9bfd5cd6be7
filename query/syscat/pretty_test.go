package syscat

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The pairs are PostgreSQL 15's answers of pg_get_expr without and with its last
// argument.
func TestPrettyExpr(t *testing.T) {
	for _, pair := range [][2]string{
		{"((id > 0) AND (p <> 3))", "id > 0 AND p <> 3"},
		{"((id < 1) OR ((id > 2) AND (p = 1)))", "id < 1 OR id > 2 AND p = 1"},
		{"(((id < 1) OR (id > 2)) AND (p = 1))", "(id < 1 OR id > 2) AND p = 1"},
		{"(NOT (id = 5))", "NOT id = 5"},
		{"(n > (1)::numeric)", "n > 1::numeric"},
		{"((id + 1) > (2 * (id - 1)))", "(id + 1) > (2 * (id - 1))"},
		{"(((id)::text = '1'::text) AND ((n)::integer = 1))", "id::text = '1'::text AND n::integer = 1"},
		{"((j ->> 'a b'::text) = ')'::text)", "(j ->> 'a b'::text) = ')'::text"},
		{"(tt = ANY (ARRAY['a'::text, 'b'::text]))", "tt = ANY (ARRAY['a'::text, 'b'::text])"},
		{"((tt = ANY (ARRAY['a'::text])) AND (id > 1))", "(tt = ANY (ARRAY['a'::text])) AND id > 1"},
		{"((length((t)::text) > 2) OR (t IS NULL))", "length(t::text) > 2 OR t IS NULL"},
		{"(arr[1] > 1)", "arr[1] > 1"},
		{"(\"A b\" > 0)", "\"A b\" > 0"},
		{"true", "true"},
	} {
		assert.Equal(t, pair[1], prettyExpr(pair[0]))
	}
}
