package raftlog

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/lni/vfs"
	"github.com/stretchr/testify/require"
)

// walChunk is a piece of a WAL as Pebble writes it.
func walChunk(kind byte, batch []byte) []byte {
	out := make([]byte, chunkHeader, chunkHeader+len(batch))
	binary.LittleEndian.PutUint16(out[chunkSizeAt:], uint16(len(batch)))
	out[chunkKindAt] = kind
	return append(out, batch...)
}

// walBatch is a batch that sets keys, given with their values.
func walBatch(pairs ...[]byte) []byte {
	out := make([]byte, batchHeader)
	for i, b := range pairs {
		if i%2 == 0 {
			out = append(out, batchSet)
		}
		out = append(binary.AppendUvarint(out, uint64(len(b))), b...)
	}
	return out
}

func stateKey(shard byte) []byte {
	key := make([]byte, stateKeySize)
	copy(key, stateMark)
	key[len(stateMark)] = shard
	return key
}

func stateOf(term, vote, commit uint64) []byte {
	out := binary.AppendUvarint([]byte{termField}, term)
	out = binary.AppendUvarint(append(out, voteField), vote)
	return binary.AppendUvarint(append(out, commitField), commit)
}

func TestCommitOnly(t *testing.T) {
	one, two, entry := stateKey(1), stateKey(2), make([]byte, 28)
	set := func(pairs ...[]byte) []byte { return walChunk(chunkWhole, walBatch(pairs...)) }
	steps := []struct {
		name string
		wal  []byte
		same bool
	}{
		{"first seen", set(one, stateOf(3, 1, 7)), false},
		{"commit moved", set(one, stateOf(3, 1, 900)), true},
		{"another replica", set(two, stateOf(3, 1, 900)), false},
		{"both moved", set(one, stateOf(3, 1, 901), two, stateOf(3, 1, 901)), true},
		{"two batches", append(set(one, stateOf(3, 1, 902)), set(two, stateOf(3, 1, 902))...), true},
		{"new vote", set(one, stateOf(3, 2, 902)), false},
		{"new vote again", set(one, stateOf(3, 2, 903)), true},
		{"new term", set(one, stateOf(4, 2, 903)), false},
		{"new term behind what cannot be read", append(walChunk(2, nil), set(one, stateOf(5, 2, 903))...), false},
		{"that term", set(one, stateOf(5, 2, 904)), false},
		{"one of two moved only its commit", set(one, stateOf(5, 2, 905), two, stateOf(4, 0, 902)), false},
		{"with an entry", set(one, stateOf(5, 2, 906), entry, []byte("data")), false},
		{"an entry alone", set(entry, []byte("data")), false},
		{"an entry in another batch", append(set(one, stateOf(5, 2, 907)), set(entry, []byte("data"))...), false},
		{"a piece of a record", walChunk(6, walBatch(one, stateOf(5, 2, 908))), false},
		{"a deletion", walChunk(chunkWhole, append(make([]byte, batchHeader), 0, 1, 'k')), false},
		{"the end of a file", walChunk(chunkWhole, nil), false},
		{"padding", make([]byte, 5), false},
		{"nothing", nil, false},
		{"cut short", set(one, stateOf(5, 2, 909))[:40], false},
		{"a field more", set(one, append(stateOf(5, 2, 909), 0x20, 1)), false},
		{"still the same", set(one, stateOf(5, 2, 910)), true},
	}
	var b ballots
	for _, s := range steps {
		require.Equal(t, s.same, b.unchanged(s.wal), s.name)
	}
}

// TestCommitOnlyWaits shows which syncs of a file are left out.
func TestCommitOnlyWaits(t *testing.T) {
	fs := newDiskFS(vfs.NewMem(), t.TempDir(), "h")
	require.NoError(t, fs.MkdirAll(virtualRoot+"/h", 0o700))
	moved := func(commit uint64) []byte { return walChunk(chunkWhole, walBatch(stateKey(1), stateOf(1, 1, commit))) }
	for _, name := range []string{"000001.log", "000001.sst"} {
		f, err := fs.Create(virtualRoot + "/h/" + name)
		require.NoError(t, err)
		synced := func(p []byte) bool {
			before := fs.syncs.Load()
			if p != nil {
				_, err := f.Write(p)
				require.NoError(t, err)
			}
			require.NoError(t, f.Sync())
			return fs.syncs.Load() > before
		}
		wal := name == "000001.log"
		require.True(t, synced(moved(1)))
		require.Equal(t, !wal, synced(moved(2)))
		require.Equal(t, !wal, synced(moved(3)))
		require.True(t, synced([]byte("entry")), "what waited goes with it")
		require.True(t, synced(nil), "nothing waits")
		_, err = f.Write([]byte("entry"))
		require.NoError(t, err)
		require.True(t, synced(moved(4)), "what was written before needs it")
		require.NoError(t, f.Close())
	}
}

// TestCommitOnlySyncs shows that the engine's own store writes what is expected
// here: a group of three needs one sync of each replica for an entry, and would
// need twice as many.
func TestCommitOnlySyncs(t *testing.T) {
	const entries = 200
	p := newPeers(t, 3, HostConfig{})
	p.found()
	at := p.leader()
	syncs := func() (sum uint64) {
		for _, n := range p.nodes {
			sum += n.host.Syncs()
		}
		return sum
	}
	p.write(at, "first")
	before := syncs()
	for i := range entries {
		p.write(at, fmt.Sprint(i))
	}
	require.Less(t, syncs()-before, uint64(entries*9/2))
}
