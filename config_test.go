package tidemark

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyLoopback(t *testing.T) {
	for _, good := range []string{"127.0.0.1:7432", "127.1.2.3:0", "[::1]:7432", "localhost:7432"} {
		cfg := Config{SQLAddr: good, RaftAddr: good, HTTPAddr: good}
		require.NoError(t, cfg.validate(), good)
	}
	for bad, want := range map[string]string{
		"0.0.0.0:7432":     "other machines",
		":7432":            "other machines",
		"[::]:7432":        "other machines",
		"10.0.0.1:7432":    "other machines",
		"example.com:7432": "other machines",
		"127.0.0.1":        "want host:port",
		"7432":             "want host:port",
	} {
		cfg := Config{SQLAddr: bad}.withDefaults().withAddresses(addresses{})
		require.ErrorContains(t, cfg.validate(), want, bad)
		_, err := Open(t.Context(), Config{Dir: t.TempDir(), HTTPAddr: bad})
		require.ErrorContains(t, err, want, bad)
	}
}

func TestDefaults(t *testing.T) {
	cfg := Config{}.withDefaults().withAddresses(addresses{})
	require.Equal(t, DefaultDir, cfg.Dir)
	require.Equal(t, DefaultSQLAddr, cfg.SQLAddr)
	require.NoError(t, cfg.validate())
	require.NotNil(t, cfg.Logger)
	require.Equal(t, "elsewhere", Config{Dir: "elsewhere"}.withDefaults().withAddresses(addresses{}).Dir)
}

func TestAliases(t *testing.T) {
	token, err := ParseToken("2.1.0/16B3748")
	require.NoError(t, err)
	offset, err := ParseOffset("0/16B3748")
	require.NoError(t, err)
	require.Equal(t, Token{Log: 2, Epoch: 1, Offset: offset}, token)
}
