package diskspace

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSpace(t *testing.T) {
	small := Space{Free: 8 << 20, Total: 64 << 20}
	require.EqualValues(t, 8<<20, small.Reserve())
	require.False(t, small.Full(false))
	require.True(t, small.Full(true), "full until there is more than the reserve")
	small.Free--
	require.True(t, small.Full(false))
	small.Free = 10 << 20
	require.False(t, small.Full(true))
	large := Space{Free: 3 << 30, Total: 1 << 42}
	require.False(t, large.Full(true))
	require.Contains(t, large.String(), "3072 MB of 4194304 MB are free, 1024 MB are kept back")

	here, err := Of(t.TempDir())
	require.NoError(t, err)
	require.Positive(t, here.Total)
	require.LessOrEqual(t, here.Free, here.Total)
	_, err = Of("/nowhere")
	require.Error(t, err)
}

// TestWriterWaits writes to a disk that is full for a while, in pieces.
func TestWriterWaits(t *testing.T) {
	waits := 0
	w := Writer{OnWait: func() { waits++ }}
	room := 3
	var disk []byte
	write := func(p []byte, done int) (int, error) {
		require.Equal(t, len(disk), done)
		n := min(room, len(p))
		disk, room = append(disk, p[:n]...), room-n
		if n < len(p) {
			room = 4
			require.LessOrEqual(t, w.Waiting(), 1)
			return n, syscall.ENOSPC
		}
		return n, nil
	}
	n, err := w.Write([]byte("abcdefghij"), write)
	require.NoError(t, err)
	require.Equal(t, 10, n)
	require.Equal(t, "abcdefghij", string(disk))
	require.Zero(t, w.Waiting())
	require.Equal(t, 1, waits)

	broken := errors.New("broken")
	require.ErrorIs(t, w.Do(func() error { return broken }), broken)
	require.False(t, w.Refused())
	time.AfterFunc(10*time.Millisecond, w.Stop)
	require.ErrorIs(t, w.Do(func() error { return syscall.EDQUOT }), syscall.EDQUOT)
	require.True(t, w.Refused())
}
