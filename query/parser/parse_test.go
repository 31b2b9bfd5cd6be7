package parser

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

func TestSplit(t *testing.T) {
	sts, err := Parse("select 1; ; -- x;\n select ';', E'\\';', $a$;$a$, \"a;b\" /* ; /* ; */ */;select 2")
	require.NoError(t, err)
	require.Len(t, sts, 3)
	require.Equal(t, "select 1", sts[0].Text)
	require.True(t, strings.HasSuffix(sts[1].Text, "*/"))
	require.Equal(t, "select 2", sts[2].Text)
	sts, err = Parse(" -- nothing")
	require.NoError(t, err)
	require.Empty(t, sts)
}

func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct {
		sql, msg string
		pos      int
	}{
		{"selec 1", `syntax error at or near "selec"`, 1},
		{"select * frm x where", `syntax error at or near "frm"`, 10},
		{"select 1 +", "syntax error at end of input", 11},
		{"select 1; selec 2", `syntax error at or near "selec"`, 11},
		{"select 'é' frm from from x", `syntax error at or near "from"`, 21},
	} {
		_, err := Parse(c.sql)
		e := sqlstate.As(err)
		require.Equal(t, sqlstate.SyntaxError, e.Code, c.sql)
		require.Equal(t, c.msg, e.Message, c.sql)
		require.Equal(t, c.pos, e.Position, c.sql)
	}
}

func TestHostileText(t *testing.T) {
	_, err := Parse("select " + strings.Repeat("(", 1_000_000))
	require.Equal(t, sqlstate.StatementTooComplex, sqlstate.CodeOf(err))
	_, err = Parse("select '\x00'")
	require.Equal(t, sqlstate.CharacterNotInRepertoire, sqlstate.CodeOf(err))
	_, err = Parse("select '\xff'")
	require.Equal(t, sqlstate.CharacterNotInRepertoire, sqlstate.CodeOf(err))
	_, err = Parse("select '" + strings.Repeat("x", MaxStatementBytes))
	require.Equal(t, sqlstate.ProgramLimitExceeded, sqlstate.CodeOf(err))
}

func TestWait(t *testing.T) {
	sts, err := Parse("WAIT FOR LSN '0/16B3748' WITH (TIMEOUT '2s', NO_THROW); select 1")
	require.NoError(t, err)
	require.Equal(t, &WaitStmt{Target: "0/16B3748", Timeout: 2 * time.Second, NoThrow: true}, sts[0].Wait)
	require.NotNil(t, sts[1].AST)
	sts, err = Parse("wait for lsn '1.0.0/10'")
	require.NoError(t, err)
	require.Equal(t, time.Duration(-1), sts[0].Wait.Timeout)
	for text, want := range map[string]*WaitStmt{
		"wait for slot 'Orders'":                                   {Slot: "Orders", Timeout: -1},
		"WAIT FOR SLOT Orders":                                     {Slot: "orders", Timeout: -1},
		"wait for slot 'a' lsn '0/10' timeout '2s'":                {Slot: "a", Target: "0/10", Timeout: 2 * time.Second},
		"wait for slot a timeout 20 with (no_throw)":               {Slot: "a", Timeout: 20 * time.Millisecond, NoThrow: true},
		"/* x */ wait for slot 'a' lsn '0/10' with (timeout '1s')": {Slot: "a", Target: "0/10", Timeout: time.Second},
	} {
		sts, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, sts[0].Wait, text)
	}
	for _, text := range []string{"wait for something", "wait for slot", "wait for slot ''", "wait for slot 'a' 'b'", "wait for slot a timeout", "wait for slotted"} {
		_, err = Parse(text)
		require.Equal(t, sqlstate.SyntaxError, sqlstate.CodeOf(err), text)
	}
}
