package snapshots

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"
)

// Rename gives the only file of a stream another name, with a correct checksum:
// what a hostile sender would do.
func Rename(t testing.TB, b []byte, name string) []byte {
	at := len(magicHead) + 6
	n := int(binary.BigEndian.Uint32(b[at-4:]))
	m, err := decodeManifest(b[at : at+n])
	require.NoError(t, err)
	m.Files[0].Name = name
	head, err := m.encode()
	require.NoError(t, err)
	out := append([]byte{}, b[:at-4]...)
	out = append(binary.BigEndian.AppendUint32(out, uint32(len(head))), head...)
	out = binary.BigEndian.AppendUint32(out, crc32.Checksum(head, castagnoli))
	return append(out, b[at+n+4:]...)
}
