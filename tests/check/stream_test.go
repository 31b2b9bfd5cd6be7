package check

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
)

// goodStream makes a log and what a consumer receives of it that crashes now and
// then, and goes on where it likes among what it has.
func goodStream(rnd *rand.Rand) (all []Published, received []Delivery) {
	at := log.FirstOffset
	for range 40 {
		p := Published{}
		for range 1 + rnd.IntN(5) {
			p.Changes = append(p.Changes, Sum(rnd.Uint64()))
			at += 8
		}
		p.Commit = at
		at += 16
		all = append(all, p)
	}
	connection, known := 1, rnd.IntN(2) == 0
	for i := 0; i < len(all); i++ {
		d := Delivery{Connection: connection, Commit: all[i].Commit, Changes: all[i].Changes, Whole: true}
		if rnd.IntN(5) > 0 {
			received = append(received, d)
			continue
		}
		if n := rnd.IntN(len(d.Changes) + 1); rnd.IntN(2) == 0 { // it is cut off
			d.Changes, d.Whole = d.Changes[:n], false
			if !known {
				d.Commit = 0
			}
			received = append(received, d)
		}
		connection++
		i = max(-1, i-1-rnd.IntN(3))
	}
	return all, received
}

// TestStreamMutants shows the judge good streams, and each of them made bad in each
// known way.
func TestStreamMutants(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	made := map[string]int{}
	for i := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, i))
		all, received := goodStream(rnd)
		require.Empty(t, Streams(all, received), "stream %d", i)
		for _, m := range StreamMutations {
			if bad, ok := m.Do(rnd, received); ok {
				made[m.Name]++
				require.NotEmpty(t, Streams(all, bad), "stream %d: %s", i, m.Name)
			}
		}
	}
	t.Logf("found all mutants: %v", made)
	for _, m := range StreamMutations {
		require.Positive(t, made[m.Name], m.Name)
	}
}

// TestStreamsOverlap: Repeated counts what came again.
func TestStreamsOverlap(t *testing.T) {
	require.Equal(t, 1, Repeated([]Delivery{{1, 8, nil, true}, {1, 16, nil, true}, {2, 16, nil, true}, {2, 24, nil, true}, {2, 32, nil, false}}))
}
