package parser

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

func TestPlainBytes(t *testing.T) {
	for in, want := range map[string]string{
		`SELECT E'\xc3\xa9\n''', 'x\xc3'`: "SELECT 'é\n''', 'x\\xc3'",
		`SELECT e'\303\251', 1`:           `SELECT 'é', 1`,
		`SELECT E'\x41\101\u00e9'`:        `SELECT E'\x41\101\u00e9'`,
		`SELECT E'\xe9', type'\x80'`:      "",
		`SELECT E'\000'`:                  "",
		`SELECT E'\x0'`:                   "",
		`SELECT E'\xc3\xa9\ud83d\ude00'`:  `SELECT 'é😀'`,
		`SELECT E'\xc3\xa9\u00'`:          `SELECT E'\xc3\xa9\u00'`,
		`SELECT '\xe9' -- E'\xe9'`:        `SELECT '\xe9' -- E'\xe9'`,
		`SELECT $$E'\xe9'$$, E'\\xe9'`:    `SELECT $$E'\xe9'$$, E'\\xe9'`,
		`SELECT E'\xe9`:                   `SELECT E'\xe9`,
	} {
		got, err := plainBytes(in)
		if want == "" {
			require.Equal(t, sqlstate.CharacterNotInRepertoire, sqlstate.CodeOf(err), in)
			continue
		}
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
}

func FuzzPlainBytes(f *testing.F) {
	for _, s := range []string{`E'\xc3\xa9'`, `e'\`, `E'\u`, `E'''\377`, `'`, `E'\8\x'`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if out, err := plainBytes(s); err == nil && utf8.ValidString(s) {
			require.True(t, utf8.ValidString(out))
		}
		FindName(s, []string{"a", "b"}, true)
	})
}
