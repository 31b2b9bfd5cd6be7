package log

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOffsetText(t *testing.T) {
	for text, want := range map[string]Offset{
		"0/0": 0, "0/16B3748": 0x16B3748, "0/16b3748": 0x16B3748, "16/B374D848": 0x16_B374D848,
		"FFFFFFFF/FFFFFFFF": math.MaxUint64, "00000001/00000002": 1<<32 + 2,
	} {
		got, err := ParseOffset(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := ParseOffset(got.String())
		require.NoError(t, err)
		require.Equal(t, want, again)
	}
	require.Equal(t, "0/16B3748", Offset(0x16B3748).String())
	for _, bad := range []string{"", "/", "0", "0/", "/0", "0/0/0", "g/0", "0/x", "-1/0", "+1/0", "0/ 1", "123456789/0", "0/123456789", "0x1/0", "1_0/0"} {
		_, err := ParseOffset(bad)
		require.Error(t, err, "%q", bad)
	}
}

func TestNext(t *testing.T) {
	for end, want := range map[Offset]Offset{0: 8, 6: 8, 7: 8, 8: 16, 9: 16, 15: 16, 16: 24} {
		got := Next(end)
		require.Equal(t, want, got, "after %d", end)
		require.Greater(t, got, end)
		require.Zero(t, got%Alignment)
	}
}

func TestTokenText(t *testing.T) {
	token := Token{Log: 2, Epoch: 1, Offset: 0x16B3748}
	require.Equal(t, "2.1.0/16B3748", token.String())
	for _, want := range []Token{token, {}, {Log: math.MaxUint64, Epoch: math.MaxUint32, Offset: math.MaxUint64}} {
		got, err := ParseToken(want.String())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"", "2", "2.1", "0/16B3748", "2.1.0/0.0", ".1.0/0", "2..0/0", "2.1.", "x.1.0/0", "2.4294967296.0/0", "-2.1.0/0", " 2.1.0/0"} {
		_, err := ParseToken(bad)
		require.Error(t, err, "%q", bad)
	}
}
