package query

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

func TestSettings(t *testing.T) {
	var s settings
	with := func(s settings, name, value string, local bool) settings {
		t.Helper()
		next, err := s.with(name, value, local, false)
		require.NoError(t, err)
		return next
	}
	get := func(s settings, name string) string {
		v, ok := s.get(name)
		require.True(t, ok, name)
		return v
	}
	require.Equal(t, "UTC", get(s, "timezone"))
	a := with(s, "TimeZone", "europe/berlin", false)
	require.Equal(t, "Europe/Berlin", get(a, "TIMEZONE"))
	require.Equal(t, "UTC", get(s, "timezone"), "the settings before are not changed")
	b := with(a, "timezone", "UTC", true)
	require.Equal(t, "UTC", get(b, "timezone"))
	require.Equal(t, "Europe/Berlin", get(settings{session: b.session}, "timezone"))
	require.Equal(t, "1500ms", get(with(s, "statement_timeout", "1.5s", false), "statement_timeout"))
	require.Equal(t, "2min", get(with(s, "statement_timeout", "120000", false), "statement_timeout"))
	require.Equal(t, "on", get(with(s, "default_transaction_read_only", "true", false), "default_transaction_read_only"))
	require.Equal(t, "x", get(with(s, "my.own", "x", false), "my.own"))
	for _, c := range []struct {
		name, value string
		code        sqlstate.Code
	}{
		{"nosuch", "x", sqlstate.UndefinedObject},
		{"server_version", "16", sqlstate.CantChangeRuntimeParam},
		{"TimeZone", "nowhere", sqlstate.InvalidParameterValue},
		{"statement_timeout", "soon", sqlstate.InvalidParameterValue},
		{"client_encoding", "LATIN1", sqlstate.FeatureNotSupported},
		{"bytea_output", "base64", sqlstate.InvalidParameterValue},
	} {
		_, err := s.with(c.name, c.value, false, false)
		require.Equal(t, c.code, sqlstate.CodeOf(err), c.name)
	}
}

func TestMeaningCarriesWhatChangesMeaning(t *testing.T) {
	var s settings
	m, err := s.meaning("ada", "postgres")
	require.NoError(t, err)
	require.Equal(t, []string{"ada", "public"}, m.SearchPath)
	next, err := s.with("search_path", `"My Schema", tidemark`, false, false)
	require.NoError(t, err)
	n, err := next.meaning("ada", "postgres")
	require.NoError(t, err)
	require.Equal(t, []string{"My Schema", "tidemark"}, n.SearchPath)
	require.NotEqual(t, m.Key, n.Key)
	for i := 1; i < len(m.Settings); i++ {
		require.Less(t, m.Settings[i-1].Name, m.Settings[i].Name)
	}
}

func TestLeadingHint(t *testing.T) {
	require.Equal(t, "2.1.0/10", leadingHint(" /*+ read_after=2.1.0/10 */ select 1"))
	require.Equal(t, "0/10", leadingHint("/*+ x=1 read_after='0/10' */ select 1"))
	require.Empty(t, leadingHint("/* read_after=0/10 */ select 1"))
	require.Empty(t, leadingHint("select /*+ read_after=0/10 */ 1"))
	require.Empty(t, leadingHint("/*+ read_after=0/10"))
}
