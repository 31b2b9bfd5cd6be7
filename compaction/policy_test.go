package compaction

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
)

func TestFloor(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name string
		p    Policy
		s    State
		want log.Offset
	}{
		{"no limit: nothing goes", Policy{SlotLag: 10}, State{Floor: 5, End: 1000, Expired: 900, Slots: []log.Offset{7}}, 5},
		{"by age", Policy{Age: day}, State{End: 1000, Expired: 300}, 300},
		{"age does not count without a limit on it", Policy{Size: 900}, State{End: 1000, Expired: 300}, 100},
		{"by size", Policy{Size: 100}, State{End: 1000}, 900},
		{"smaller than its limit", Policy{Size: 1000}, State{End: 1000}, 0},
		{"whichever comes first", Policy{Age: day, Size: 100}, State{End: 1000, Expired: 950}, 950},
		{"never back", Policy{Size: 500}, State{Floor: 600, End: 1000}, 600},
		{"a slot holds it back", Policy{Size: 100}, State{End: 1000, Slots: []log.Offset{800, 700}}, 699},
		{"at its limit", Policy{Size: 100, SlotLag: 300}, State{End: 1000, Slots: []log.Offset{700}}, 699},
		{"a slot beyond its limit does not", Policy{Size: 100, SlotLag: 299}, State{End: 1000, Slots: []log.Offset{700, 850}}, 849},
		{"a slot that has everything does not", Policy{Size: 100}, State{End: 1000, Slots: []log.Offset{1000}}, 900},
		{"a slot never moves it back", Policy{Size: 100}, State{Floor: 800, End: 1000, Slots: []log.Offset{500}}, 800},
	} {
		require.Equal(t, c.want, Floor(c.p, c.s), c.name)
	}
}

// TestFloorProperties draws policies and states and checks what must hold of any.
func TestFloorProperties(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	some := func(n uint64) log.Offset {
		if rnd.IntN(3) == 0 {
			return 0
		}
		return log.Offset(rnd.Uint64N(n))
	}
	for range 50_000 {
		end := log.Offset(1 + rnd.Uint64N(1000))
		p := Policy{Age: time.Duration(some(3)), Size: some(1200), SlotLag: some(1200)}
		s := State{Floor: min(some(1000), end), End: end, Expired: min(some(1000), end)}
		for range rnd.IntN(4) {
			s.Slots = append(s.Slots, 1+log.Offset(rnd.Uint64N(uint64(end))))
		}
		f := Floor(p, s)
		require.GreaterOrEqual(t, f, s.Floor, "%+v %+v", p, s)
		require.LessOrEqual(t, f, s.End, "%+v %+v", p, s)
		if p.Age == 0 && p.Size == 0 {
			require.Equal(t, s.Floor, f, "%+v %+v", p, s)
		}
		if f > s.Floor {
			tooOld, tooMuch := p.Age > 0 && f <= s.Expired, p.Size > 0 && s.End-f >= p.Size
			require.True(t, tooOld || tooMuch, "what goes is beyond a limit: %+v %+v %d", p, s, f)
		}
		held := false
		for _, at := range s.Slots {
			if p.SlotLag == 0 || s.End-at <= p.SlotLag {
				held = true
				require.True(t, f < at || f == s.Floor, "no slot within its limit loses anything: %+v %+v %d", p, s, f)
			}
		}
		if p.Size > 0 && !held {
			require.LessOrEqual(t, s.End-f, p.Size, "%+v %+v", p, s)
		}
		require.Equal(t, f, Floor(p, State{Floor: f, End: s.End, Expired: s.Expired, Slots: s.Slots}), "it stays where it is")
	}
}

func TestWorth(t *testing.T) {
	s := State{Floor: 1000, End: 2600}
	require.False(t, Worth(s, 1000, time.Hour))
	require.False(t, Worth(s, 900, time.Hour))
	require.False(t, Worth(s, 1099, time.Second))
	require.True(t, Worth(s, 1100, time.Second))
	require.True(t, Worth(s, 1001, patience))
}

type fakeSource struct {
	policy Policy
	state  State
	err    error
	floors []log.Offset
	// commits are where transactions end, ascending; with none any offset is one.
	commits []log.Offset
}

func (f *fakeSource) Policy() Policy              { return f.policy }
func (f *fakeSource) State(Policy) (State, error) { return f.state, f.err }
func (f *fakeSource) LastCommit(off log.Offset) (log.Offset, error) {
	if len(f.commits) == 0 {
		return off, nil
	}
	last := f.state.Floor
	for _, c := range f.commits {
		if c <= off {
			last = c
		}
	}
	return last, nil
}

func (f *fakeSource) Truncate(_ context.Context, floor log.Offset) error {
	f.floors = append(f.floors, floor)
	f.state.Floor = floor
	return nil
}

func TestDriver(t *testing.T) {
	now := time.Unix(0, 0)
	f := &fakeSource{state: State{End: 1000}, err: errors.New("not asked")}
	d := NewDriver(f, func() time.Time { return now })
	require.NoError(t, d.Step(t.Context()), "without a limit nothing is looked at")
	f.policy.Size = 500
	require.ErrorIs(t, d.Step(t.Context()), f.err)
	f.err = nil
	require.NoError(t, d.Step(t.Context()))
	f.state.End = 1010
	require.NoError(t, d.Step(t.Context()))
	require.Equal(t, []log.Offset{500}, f.floors, "ten bytes are not worth an entry")
	now = now.Add(patience)
	require.NoError(t, d.Step(t.Context()))
	require.Equal(t, []log.Offset{500, 510}, f.floors)
}

// TestDriverInsideTransaction wants a floor inside of a large transaction: there is
// nothing to be said until it can be behind that.
func TestDriverInsideTransaction(t *testing.T) {
	now := time.Unix(0, 0)
	f := &fakeSource{policy: Policy{Size: 500}, state: State{Floor: 100, End: 5001}, commits: []log.Offset{100, 5000}}
	d := NewDriver(f, func() time.Time { return now })
	for range 3 {
		require.NoError(t, d.Step(t.Context()))
		now = now.Add(patience)
	}
	require.Empty(t, f.floors)
	f.commits, f.state.End = append(f.commits, 5600), 5601
	require.NoError(t, d.Step(t.Context()))
	require.Equal(t, []log.Offset{5000}, f.floors)
}
