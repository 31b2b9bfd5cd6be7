package sm_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// group is a log with a few replicas, which vote on checks as nodes let them.
type group struct {
	t       *testing.T
	rnd     *rand.Rand
	entries []log.Committed
	members []*member
	voters  []log.ReplicaID
}

type member struct {
	id log.ReplicaID
	fs *vfs.MemFS
	r  *sm.Replica
	// proposed are the checks that it has sent its vote for.
	proposed map[log.Index]bool
}

const groupDir = "/data/replica"

// newGroup makes replicas numbered from 1, of which the first ones vote.
func newGroup(t *testing.T, rnd *rand.Rand, voters, all int) *group {
	g := &group{t: t, rnd: rnd}
	for id := log.ReplicaID(1); int(id) <= all; id++ {
		m := &member{id: id, fs: vfs.NewMem(), proposed: map[log.Index]bool{}}
		g.members = append(g.members, m)
		if int(id) <= voters {
			g.voters = append(g.voters, id)
		}
		g.open(m)
	}
	t.Cleanup(func() {
		for _, m := range g.members {
			require.NoError(t, m.r.Close())
		}
	})
	return g
}

func (g *group) open(m *member) {
	o := options(m.fs, groupDir)
	o.Replica = m.id
	r, err := sm.Open(o)
	require.NoError(g.t, err)
	m.r = r
}

func (g *group) restart(m *member) {
	require.NoError(g.t, m.r.Close())
	g.open(m)
	m.proposed = map[log.Index]bool{}
}

func (g *group) append(data []byte) {
	index := log.Index(1)
	if n := len(g.entries); n > 0 {
		index = g.entries[n-1].Index + log.Index(1+g.rnd.IntN(2))
	}
	g.entries = append(g.entries, log.Committed{Index: index, Data: data})
}

func (g *group) write(statements ...string) { g.append(entry(g.t, statements...)) }

// check asks for votes.
func (g *group) check(scan bool) {
	g.append(encode(g.t, &log.Entry{Kind: log.KindCheck, Check: &log.Check{Scan: scan, Voters: g.voters}}))
}

// step lets a member apply some of what it has not, and then vote. It reports
// whether it did anything.
func (g *group) step(m *member) bool {
	if m.r.Halted() != nil {
		return false
	}
	var rest []log.Committed
	for _, c := range g.entries {
		if c.Index > m.r.Applied() {
			rest = append(rest, c)
		}
	}
	if len(rest) > 0 {
		_, err := m.r.Apply(rest[:1+g.rnd.IntN(len(rest))])
		require.NoError(g.t, err)
	}
	did := len(rest) > 0
	for _, b := range m.r.Ballots() {
		if m.proposed[b.Check] {
			continue
		}
		v, err := m.r.Vote(g.t.Context(), b)
		require.NoError(g.t, err)
		g.append(encode(g.t, &log.Entry{Kind: log.KindVote, Vote: v}))
		m.proposed[b.Check], did = true, true
	}
	return did
}

// settle lets all members do what they can, in any order, with restarts.
func (g *group) settle() {
	for busy := true; busy; {
		busy = false
		for _, i := range g.rnd.Perm(len(g.members)) {
			m := g.members[i]
			if g.rnd.IntN(8) == 0 {
				g.restart(m)
			}
			busy = g.step(m) || busy
		}
	}
}

// flipRow changes one byte of a stored row beneath a member, in a place that only
// rows have.
func (g *group) flipRow(m *member) {
	require.NoError(g.t, m.r.Close())
	db, err := pebble.Open(groupDir+"/store-1", sm.StoreOptions(options(m.fs, "")))
	require.NoError(g.t, err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: keys.SpaceStart(keys.Rows), UpperBound: keys.SpaceStart(keys.Rows + 1)})
	require.NoError(g.t, err)
	// The newest version of the last row: that is what is read.
	require.True(g.t, it.Last())
	require.True(g.t, it.SeekGE(it.Key()[:keys.Split(it.Key())]))
	key, value := bytes.Clone(it.Key()), bytes.Clone(it.Value())
	require.NoError(g.t, it.Close())
	at := bytes.LastIndex(value, []byte("name"))
	require.Positive(g.t, at)
	value[at] = 'A' + byte(m.id) + byte(g.rnd.IntN(2))*8
	require.NoError(g.t, db.Set(key, value, pebble.NoSync))
	require.NoError(g.t, db.Flush())
	require.NoError(g.t, db.Close())
	g.open(m)
}

// someWrites makes rows in a table, whose last one is 99.
func (g *group) someWrites() {
	g.write("create a", "insert a 99 name 99")
	for i := range 20 {
		g.write(fmt.Sprintf("insert a %d name%d %d", i, i, i))
	}
}

func voteRand(t *testing.T) *rand.Rand {
	seed := *simSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	return newRand(t, seed)
}

// good expects a member that goes on, with the state of the others and sound.
func (g *group) good(m *member) {
	g.t.Helper()
	require.NoError(g.t, m.r.Halted(), "replica %d", m.id)
	sound(g.t, m.r)
}

// fenced expects a member that has fenced itself, and stays so.
func (g *group) fenced(m *member) {
	g.t.Helper()
	for range 2 {
		var f *sm.FencedError
		require.ErrorAs(g.t, m.r.Fenced(), &f, "replica %d", m.id)
		require.ErrorIs(g.t, m.r.Halted(), log.ErrHalted)
		require.NotEqual(g.t, f.Here, f.Majority)
		_, err := m.r.View()
		require.ErrorAs(g.t, err, &f)
		_, err = m.r.ViewAt(m.r.Position().Offset)
		require.ErrorAs(g.t, err, &f)
		require.Equal(g.t, sqlstate.DataCorrupted, sqlstate.CodeOf(err))
		require.ErrorAs(g.t, m.r.Wait(g.t.Context(), m.r.Position().Offset+1), &f)
		require.Empty(g.t, m.r.Ballots())
		require.ErrorAs(g.t, m.r.CheckState().Err, &f)
		before := m.r.Position()
		out, err := m.r.Apply([]log.Committed{{Index: before.Index + 100, Data: entry(g.t, "insert a 1000 x 1000")}})
		require.NoError(g.t, err)
		res, err := log.DecodeResult(out[0])
		require.NoError(g.t, err)
		require.Equal(g.t, "58030", res.Err.Code)
		require.Equal(g.t, before, m.r.Position())
		_, err = m.r.Prepare()
		require.ErrorIs(g.t, err, log.ErrHalted)
		_, err = m.fs.Stat(groupDir + "/fenced.json")
		require.NoError(g.t, err)
		g.restart(m)
	}
}

// TestVotes: replicas that agree go on, however they are cut and restarted, and
// know that they agree.
func TestVotes(t *testing.T) {
	g := newGroup(t, voteRand(t), 3, 4)
	g.someWrites()
	for i := range 30 {
		g.check(i%10 == 9)
		g.write(fmt.Sprintf("insert a %d x %d", 200+i, 200+i))
		if g.rnd.IntN(3) == 0 {
			g.settle()
		}
	}
	g.settle()
	for _, m := range g.members {
		g.good(m)
		require.Equal(t, g.members[0].r.Position(), m.r.Position())
		s := m.r.CheckState()
		require.NotZero(t, s.LastScan)
		require.Equal(t, max(s.Last.Index, s.LastScan.Index), s.Agreed.Index)
	}
}

// TestFence: one replica whose stored row was flipped finds itself in the
// minority: at once by a scan, and by the running checksum once the row is
// touched.
func TestFence(t *testing.T) {
	for _, scan := range []bool{true, false} {
		t.Run(fmt.Sprint("scan=", scan), func(t *testing.T) {
			g := newGroup(t, voteRand(t), 3, 4)
			g.someWrites()
			g.settle()
			bad := g.members[g.rnd.IntN(3)]
			g.flipRow(bad)
			g.check(false)
			g.settle()
			require.NoError(t, bad.r.Halted(), "the account of it is right still")
			if !scan {
				g.write("delete a 99")
			}
			g.check(scan)
			g.write("insert a 500 after 500")
			g.settle()
			g.fenced(bad)
			for _, m := range g.members {
				if m != bad {
					g.good(m)
				}
			}
			g.heal(bad)
		})
	}
}

// heal restores a fenced member from a good one, and finds the evidence kept.
func (g *group) heal(bad *member) {
	from := g.members[0]
	if from == bad {
		from = g.members[1]
	}
	img, err := from.r.Prepare()
	require.NoError(g.t, err)
	var buf bytes.Buffer
	require.NoError(g.t, from.r.Save(img, &buf, nil))
	require.NoError(g.t, bad.r.Restore(&buf, nil))
	require.Empty(g.t, bad.r.Ballots(), "it has not computed the digests that it was given")
	g.restart(bad)
	g.good(bad)
	kept, err := bad.fs.List(groupDir + "/fenced-store-1")
	require.NoError(g.t, err)
	require.NotEmpty(g.t, kept)
	_, err = bad.fs.Stat(groupDir + "/fenced-report.json")
	require.NoError(g.t, err)
	g.write("insert a 501 again 501")
	g.check(true)
	g.settle()
	for _, m := range g.members {
		g.good(m)
	}
}

// TestDisagreement: when all replicas differ, or two of two, nobody knows who is
// right, and all of them halt. What they have can be read.
func TestDisagreement(t *testing.T) {
	for _, n := range []int{2, 3} {
		g := newGroup(t, voteRand(t), n, n)
		g.someWrites()
		g.settle()
		for i, m := range g.members {
			if i > 0 {
				g.flipRow(m)
			}
		}
		g.check(true)
		g.write("insert a 500 after 500")
		g.settle()
		at := g.members[0].r.Position()
		for _, m := range g.members {
			g.restart(m)
			var d *sm.DisagreementError
			require.ErrorAs(t, m.r.Halted(), &d)
			require.Len(t, d.Votes, n)
			require.NoError(t, m.r.Fenced())
			require.Equal(t, at, m.r.Position(), "all halt at the same place")
			_, err := m.r.Apply([]log.Committed{{Index: at.Index + 100, Data: entry(t, "delete a 99")}})
			require.NoError(t, err)
			require.Equal(t, at, m.r.Position())
			require.NotEmpty(t, latest(t, m.r, "a"))
		}
	}
}

// TestLateVote: a dispute is remembered until the replica that was away settles it.
func TestLateVote(t *testing.T) {
	g := newGroup(t, voteRand(t), 3, 3)
	g.someWrites()
	g.settle()
	away, bad := g.members[0], g.members[1]
	g.flipRow(bad)
	g.members = g.members[1:]
	g.write("delete a 99")
	for range 50 {
		g.check(false)
		g.settle()
	}
	for _, m := range g.members {
		require.NoError(t, m.r.Halted(), "the third one may decide")
	}
	g.members = append(g.members, away)
	g.settle()
	g.fenced(bad)
	g.good(away)
	g.good(g.members[1])
}

// TestForeignVotes: votes that nobody asked for change nothing.
func TestForeignVotes(t *testing.T) {
	g := newGroup(t, voteRand(t), 1, 1)
	m := g.members[0]
	g.check(true) // of nothing
	g.someWrites()
	g.voters = nil
	g.check(false)
	g.voters = []log.ReplicaID{1, 1, 2, 3}
	g.check(false)
	of := g.entries[len(g.entries)-1].Index
	for _, v := range []*log.Vote{nil, {Check: of, Replica: 4}, {Check: of - 1, Replica: 2}, {Check: 1, Replica: 1}, {Check: of, Replica: 1, Digest: log.Digest{1}}, {Check: of, Replica: 1}} {
		g.append(encode(t, &log.Entry{Kind: log.KindVote, Vote: v}))
	}
	_, err := m.r.Apply(g.entries)
	require.NoError(t, err)
	require.NoError(t, m.r.Halted())
	require.Empty(t, m.r.Ballots(), "somebody has voted for it")
	require.Zero(t, m.r.CheckState().Agreed)
}

// TestDiscard: what is left of a fenced replica is kept, the newest few; that of
// others is removed.
func TestDiscard(t *testing.T) {
	fs := vfs.NewMem()
	for i := range 5 {
		dir := fmt.Sprint("/data/", i+1)
		require.NoError(t, fs.MkdirAll(dir, 0o755))
		f, err := fs.Create(dir+"/fenced.json", vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		kept, err := sm.Discard(fs, dir)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("/data/%d.fenced-%d", i+1, i+1), kept)
		kept, err = sm.Discard(fs, dir)
		require.NoError(t, err)
		require.Empty(t, kept)
	}
	require.NoError(t, fs.MkdirAll("/data/6/store-1", 0o755))
	kept, err := sm.Discard(fs, "/data/6")
	require.NoError(t, err)
	require.Empty(t, kept)
	names, err := fs.List("/data")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"3.fenced-3", "4.fenced-4", "5.fenced-5"}, names)
}

// TestCheckAt: replicas that have got to different places are compared at one
// offset, and damage is found at older ones too.
func TestCheckAt(t *testing.T) {
	g := newGroup(t, voteRand(t), 2, 2)
	g.someWrites()
	g.settle()
	at := g.members[0].r.Position()
	for i := range 20 {
		g.write(fmt.Sprintf("update a %d %d new %d", i, i+300, i+300))
	}
	g.write("create b", "insert b 1 x 1")
	first := g.members[0].r
	g.members = g.members[1:]
	g.settle()
	second := g.members[0].r
	g.members = append(g.members, &member{id: 1, r: first})
	require.Greater(t, second.Position().Offset, at.Offset)
	a, err := first.CheckAt(t.Context(), sm.CheckOptions{Offset: at.Offset})
	require.NoError(t, err)
	b, err := second.CheckAt(t.Context(), sm.CheckOptions{Offset: at.Offset, Gentle: true})
	require.NoError(t, err)
	require.Empty(t, a.Problems)
	require.Equal(t, a, b)
	require.Equal(t, at.Checksum, b.Checksum)
	now, err := second.Check(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, now.Digest, b.Digest)
	_, err = second.CheckAt(t.Context(), sm.CheckOptions{Offset: second.Position().End + 1})
	require.Error(t, err)
}

// TestUnreadable: a replica that cannot read what it has stored votes for what
// nobody else votes for.
func TestUnreadable(t *testing.T) {
	mem := vfs.NewMem()
	seen := map[log.Digest]string{}
	for _, id := range []log.ReplicaID{1, 2} {
		dir := fmt.Sprint("/data/", id)
		fault := &faulty{kind: errorfs.OpIsRead, at: 1, after: true, do: failDisk}
		o := options(errorfs.Wrap(mem, fault), dir)
		o.Replica = id
		r, err := sm.Open(o)
		require.NoError(t, err)
		must(t, r, "create a", "insert a 1 one 1")
		apply(t, r, encode(t, &log.Entry{Kind: log.KindCheck, Check: &log.Check{Scan: true, Voters: []log.ReplicaID{1, 2}}}))
		require.NoError(t, r.Close())
		r, err = sm.Open(o) // with nothing in its cache
		require.NoError(t, err)
		ballots := r.Ballots()
		require.Len(t, ballots, 1)
		for _, how := range []string{"unreadable", "sound"} {
			var v *log.Vote
			fault.set(how == "unreadable")
			v, err = r.Vote(t.Context(), ballots[0])
			fault.set(false)
			require.NoError(t, err)
			if how == "unreadable" {
				require.NotContains(t, seen, v.Digest)
			}
			seen[v.Digest] = how
		}
		require.NoError(t, r.Close())
	}
	require.Len(t, seen, 3, "the two agree about what they can read only")
}
