package sm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMessageRecord reads messages back, and refuses what is none.
func TestMessageRecord(t *testing.T) {
	for _, m := range []Change{
		{Op: OpMessage, Transactional: true, Prefix: "p", Content: []byte("content")},
		{Op: OpMessage, Prefix: strings.Repeat("long", 100), Content: []byte{0, 255}},
		{Op: OpMessage, Content: []byte{}},
	} {
		b := appendMessage(nil, m.Transactional, m.Prefix, m.Content)
		got := Change{Offset: 7, Op: OpUpdate, Table: 3, Storage: 4, Key: []byte("k"), Before: []byte("b"), After: []byte("a")}
		require.NoError(t, decodeChange(b, &got))
		m.Offset = 7
		require.Equal(t, m, got)
		require.LessOrEqual(t, len(b), maxMessageHead+len(m.Prefix)+len(m.Content))
	}
	row := appendChangeHead(nil, OpDelete, 3, 4, []byte("k"), []byte("b"))
	got := Change{Op: OpMessage, Transactional: true, Prefix: "p", Content: []byte("c")}
	require.NoError(t, decodeChange(row, &got))
	require.Equal(t, Change{Op: OpDelete, Table: 3, Storage: 4, Key: []byte("k"), Before: []byte("b")}, got)
	for _, bad := range []string{"\x06", "\x06\x01", "\x06\x02\x00", "\x06\x00\x05abc", "\x06\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		require.Error(t, decodeChange([]byte(bad), &Change{}), "%x", bad)
	}
}
