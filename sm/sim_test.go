package sm_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
	"github.com/tidemark-db/tidemark/tests/crashfs"
)

var (
	simSeed    = flag.Uint64("sim.seed", 0, "seed of the simulation; 0 takes one from the clock")
	simEntries = flag.Int("sim.entries", 600, "entries of one simulated log")
	simRounds  = flag.Int("sim.rounds", 3, "simulated logs")
)

// model is what the tables must hold: table, id, (name, n).
type model map[string]map[int64]toyValue

type toyValue struct {
	name string
	n    int64
}

func (m model) clone() model {
	c := model{}
	for k, v := range m {
		c[k] = maps.Clone(v)
	}
	return c
}

// dump prints one table as dump of a view does in primary-key order.
func (m model) dump(name string) []string {
	if m[name] == nil {
		return nil
	}
	out := []string{}
	for _, id := range slices.Sorted(maps.Keys(m[name])) {
		out = append(out, fmt.Sprintf("%d %s %d", id, m[name][id].name, m[name][id].n))
	}
	return out
}

func (m model) takenN(t string, n, but int64) bool {
	for id, v := range m[t] {
		if v.n == n && id != but {
			return true
		}
	}
	return false
}

// run does what the toy does; false is a failure.
func (m model) run(f []string) bool {
	var verb, t, name string
	var id, to, n int64
	verb, t = f[0], f[1]
	switch verb {
	case "create":
		if m[t] != nil {
			return false
		}
		m[t] = map[int64]toyValue{}
		return true
	case "fail":
		return false
	}
	if m[t] == nil {
		return false
	}
	scan := func(i int, p *int64) { _, _ = fmt.Sscan(f[i], p) }
	switch verb {
	case "insert":
		scan(2, &id)
		scan(4, &n)
		if _, ok := m[t][id]; ok || m.takenN(t, n, -1) {
			return false
		}
		m[t][id] = toyValue{f[3], n}
		m.hit(t, id, n)
	case "update":
		scan(2, &id)
		scan(3, &to)
		scan(5, &n)
		if _, ok := m[t][id]; !ok {
			return true
		}
		if _, ok := m[t][to]; ok && to != id || m.takenN(t, n, id) {
			return false
		}
		delete(m[t], id)
		m[t][to] = toyValue{f[4], n}
		m.hit(t, to, n)
	case "delete":
		scan(2, &id)
		delete(m[t], id)
	case "bump":
		name = f[2]
		for k, v := range m[t] {
			if v.name == name {
				m[t][k] = toyValue{name + "x", v.n}
			}
		}
	case "truncate":
		m[t] = map[int64]toyValue{}
		m.hit(t, hitDDL, hitDDL)
	case "drop":
		delete(m, t)
		m.hit(t, hitDDL, hitDDL)
	case "rekey", "reindex":
		m.hit(t, hitDDL, hitDDL)
	}
	return true
}

// script is one random transaction.
func script(rnd *rand.Rand) []string {
	var out []string
	inside := false
	for range 1 + rnd.IntN(5) {
		t := string(rune('a' + rnd.IntN(3)))
		id := func() int { return rnd.IntN(30) }
		name := func() string { return string(rune('p' + rnd.IntN(4))) }
		switch k := rnd.IntN(100); {
		case k < 35:
			out = append(out, fmt.Sprintf("insert %s %d %s %d", t, id(), name(), id()))
		case k < 55:
			out = append(out, fmt.Sprintf("update %s %d %d %s %d", t, id(), id(), name(), id()))
		case k < 70:
			out = append(out, fmt.Sprintf("delete %s %d", t, id()))
		case k < 76:
			out = append(out, fmt.Sprintf("bump %s %s", t, name()))
		case k < 80:
			out = append(out, fmt.Sprintf("nextval %s_seq %d", t, 1+id()))
		case k < 84:
			out = append(out, "create "+t)
		case k < 85:
			out = append(out, "drop "+t)
		case k < 86:
			out = append(out, "truncate "+t)
		case k < 88:
			out = append(out, "rekey "+t)
		case k < 90:
			out = append(out, "reindex "+t)
		case k < 95:
			out, inside = append(out, "savepoint"), true
		case k < 98 && inside:
			out = append(out, "rollback")
		case k < 99:
			out = append(out, "fail x")
		}
	}
	return out
}

// history is what the reference replica went through.
type history struct {
	entries   []log.Committed
	answers   [][]byte
	truncates bool // some entries raise the floor
	positions map[log.Index]sm.Position
	offsets   []log.Offset // commits
	models    map[log.Offset]model
	digests   map[log.Offset]log.Digest // by scans
	vote      log.Vote                  // the last one
	slots     map[log.Index][]sm.Slot
}

// record runs a random log on one replica, one entry at a time, and compares it
// with the model after each.
func record(t *testing.T, rnd *rand.Rand, n int) *history {
	h := &history{positions: map[log.Index]sm.Position{}, models: map[log.Offset]model{0: {}}, digests: map[log.Offset]log.Digest{},
		slots: map[log.Index][]sm.Slot{}, truncates: rnd.IntN(3) > 0}
	r := one(t)
	m := model{}
	index := log.Index(0)
	loads := &loadModel{rnd: rnd, r: r, seen: map[string]int{}}
	slots := &slotModel{rnd: rnd, r: r, slots: map[string]sm.Slot{}}
	for range n {
		index += log.Index(1 + rnd.IntN(2))
		if len(h.entries) > 0 && rnd.IntN(8) == 0 {
			h.repeat(t, rnd, r, index)
			h.slots[index] = r.Slots()
			continue
		}
		lines := script(rnd)
		data, step := loads.step(t, m)
		if data == nil && rnd.IntN(8) == 0 {
			data, step = h.compare(t, rnd, r), func() (model, bool, bool) { return m, true, false }
		}
		if data == nil && h.truncates && rnd.IntN(20) == 0 {
			data, step = h.raise(t, rnd, r), func() (model, bool, bool) {
				slots.lose(r.Position().Floor)
				return m, true, false
			}
		}
		if data == nil {
			data, step = slots.step(t, m)
		}
		if data == nil {
			data = entry(t, lines...)
		}
		c := log.Committed{Index: index, Data: proposed(t, rnd, r, data)}
		out, err := r.Apply([]log.Committed{c})
		require.NoError(t, err)
		require.NoError(t, r.Halted())
		h.entries, h.answers = append(h.entries, c), append(h.answers, out[0])
		res, err := log.DecodeResult(out[0])
		require.NoError(t, err)
		var next model
		ok, commits := false, true
		if step != nil {
			next, ok, commits = step()
		} else {
			next, ok = predict(m.clone(), lines)
		}
		require.Equal(t, ok, res.Err == nil, "%q: %v", lines, res.Err)
		if ok && commits {
			m = loads.settle(next)
			h.offsets = append(h.offsets, res.Offset)
			h.models[res.Offset] = m.clone()
		}
		h.positions[index], h.slots[index] = r.Position(), r.Slots()
		require.Equal(t, slots.list(), r.Slots())
	}
	for _, name := range []string{"a", "b", "c"} {
		require.Equal(t, m.dump(name), latest(t, r, name))
	}
	sound(t, r)
	loads.clear(t, r)
	return h
}

// raise makes an entry that wants the floor somewhere, seldom far from where it is.
func (h *history) raise(t *testing.T, rnd *rand.Rand, r *sm.Replica) []byte {
	pos := r.Position()
	to := pos.Floor + log.Offset(rnd.Uint64N(uint64(pos.End-pos.Floor)/4+2))
	if rnd.IntN(10) == 0 {
		to = log.Offset(rnd.Uint64N(uint64(2 * pos.End)))
	}
	return truncateEntry(t, to)
}

// compare makes the next entry of a comparison: a check, or a vote about one. The
// second voter always finds what the first one has found.
func (h *history) compare(t *testing.T, rnd *rand.Rand, r *sm.Replica) []byte {
	s := r.CheckState()
	if s.Agreed.Index != max(s.Last.Index, s.LastScan.Index) {
		if b := r.Ballots(); len(b) > 0 {
			v, err := r.Vote(t.Context(), b[0])
			require.NoError(t, err)
			h.vote = *v
			if b[0].Scan {
				h.digests[b[0].Offset] = v.Digest
			}
			return encode(t, &log.Entry{Kind: log.KindVote, Vote: v})
		}
		if h.vote.Replica == 0 {
			h.vote.Replica = 5
			return encode(t, &log.Entry{Kind: log.KindVote, Vote: &h.vote})
		}
	}
	return encode(t, &log.Entry{Kind: log.KindCheck, Check: &log.Check{Scan: rnd.IntN(3) == 0, Voters: []log.ReplicaID{5, 0}}})
}

// proposed gives an entry a seed, as its proposer does.
func proposed(t *testing.T, rnd *rand.Rand, r *sm.Replica, data []byte) []byte {
	e, err := log.DecodeEntry(data)
	require.NoError(t, err)
	for i := range e.Seed {
		e.Seed[i] = byte(rnd.Uint32())
	}
	e.Earliest = r.Position().Place + 1
	return encode(t, e)
}

// repeat applies one of the last entries again, and nothing happens.
func (h *history) repeat(t *testing.T, rnd *rand.Rand, r *sm.Replica, index log.Index) {
	const far = 200
	i := len(h.entries) - 1 - rnd.IntN(min(far, len(h.entries)))
	c := log.Committed{Index: index, Data: h.entries[i].Data}
	want := r.Position()
	out, err := r.Apply([]log.Committed{c})
	require.NoError(t, err)
	require.NoError(t, r.Halted())
	want.Index, want.Place = index, want.Place+1
	require.Equal(t, want, r.Position())
	first, err := log.DecodeResult(h.answers[i])
	require.NoError(t, err)
	again, err := log.DecodeResult(out[0])
	require.NoError(t, err)
	require.Equal(t, log.Repeated, again.Repeat)
	if first.Err == nil {
		require.Nil(t, again.Err)
		require.Equal(t, first.Offset, again.Offset)
	} else {
		require.Equal(t, first.Err.Code, again.Err.Code)
	}
	h.entries, h.answers = append(h.entries, c), append(h.answers, out[0])
	h.positions[index] = r.Position()
}

// predict runs a script on the model, with the toy's savepoints.
func predict(m model, lines []string) (model, bool) {
	var saved []model
	for _, l := range lines {
		f := append(strings.Fields(l), "")
		switch f[0] {
		case "savepoint":
			saved = append(saved, m.clone())
			continue
		case "rollback":
			m = saved[len(saved)-1].clone()
			continue
		}
		before := m.clone()
		if f[0] == "nextval" {
			f[1] = f[1][:1] // a table and its sequence come and go together
		}
		if !m.run(f) {
			if len(saved) == 0 {
				return nil, false
			}
			m = before
		}
	}
	return m, true
}

func TestSimulation(t *testing.T) {
	seed := *simSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for round := range *simRounds {
		rnd := newRand(t, seed+uint64(round))
		h := record(t, rnd, *simEntries)
		var images [][]byte
		for range 3 {
			images = append(images, h.replay(t, rnd, images)...)
		}
	}
}

// replay applies the same log to another replica with random batch cuts,
// restarts, crashes and restored snapshots, and compares every position that it
// reaches, every answer and at the end every version. It returns snapshots that
// it took.
func (h *history) replay(t *testing.T, rnd *rand.Rand, images [][]byte) (taken [][]byte) {
	fs := crashfs.New()
	r := open(t, fs)
	synced := log.Index(0) // what no crash may take
	next := func() int {
		at := r.Applied()
		i, _ := slices.BinarySearchFunc(h.entries, at+1, func(c log.Committed, x log.Index) int { return int(c.Index) - int(x) })
		return i
	}
	same := func() {
		if at := r.Applied(); at > 0 {
			require.Equal(t, h.positions[at], r.Position())
			require.Equal(t, h.slots[at], r.Slots())
		}
	}
	views := &openViews{h: h, rnd: rnd}
	for i := next(); i < len(h.entries); i = next() {
		k := rnd.IntN(60)
		if k <= 2 {
			views.close(t)
		}
		switch {
		case k >= 7 && k <= 10:
			views.open(t, r)
		case k >= 11 && k <= 14:
			require.NoError(t, r.Collect(t.Context(), sm.CollectOptions{Hurry: rnd.IntN(3) > 0}))
			views.verify(t)
		case k == 0:
			require.NoError(t, r.Close())
			synced = r.Applied()
			r = open(t, fs)
			require.Equal(t, synced, r.Applied())
		case k <= 2:
			crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rnd.IntN(101), RNG: rnd})
			require.NoError(t, r.Close())
			fs = crashed
			r = open(t, fs)
			require.GreaterOrEqual(t, r.Applied(), synced)
		case k == 3:
			require.NoError(t, r.Sync())
			synced = r.Applied()
		case k == 4:
			require.NoError(t, r.Flush())
		case k == 5 && len(taken) < 2:
			img, err := r.Prepare()
			require.NoError(t, err)
			var buf bytes.Buffer
			require.NoError(t, r.Save(img, &buf, nil))
			taken = append(taken, buf.Bytes())
		case k == 6 && len(images) > 0:
			require.NoError(t, r.Restore(bytes.NewReader(images[rnd.IntN(len(images))]), nil))
			synced = r.Applied()
		default:
			n := min(len(h.entries)-i, 1+rnd.IntN(1+rnd.IntN(60)))
			out, err := r.Apply(h.entries[i : i+n])
			require.NoError(t, err)
			require.Equal(t, h.answers[i:i+n], out)
		}
		same()
	}
	h.verifyVersions(t, rnd, r)
	views.close(t)
	require.NoError(t, r.Collect(t.Context(), sm.CollectOptions{Hurry: true}))
	h.verifyVersions(t, rnd, r)
	sound(t, r)
	require.NoError(t, r.Close())
	return taken
}

// verifyVersions reads the tables at every offset there ever was, and some
// between them, by every index in both directions.
func (h *history) verifyVersions(t *testing.T, rnd *rand.Rand, r *sm.Replica) {
	require.NoError(t, r.Halted())
	floor := r.Position().Floor
	for off, digest := range h.digests {
		if off < floor {
			continue
		}
		report, err := r.CheckAt(t.Context(), sm.CheckOptions{Offset: off})
		require.NoError(t, err)
		require.Empty(t, report.Problems)
		require.Equal(t, digest, report.Digest)
	}
	for i, off := range h.offsets {
		ask := off
		if i+1 < len(h.offsets) && rnd.IntN(4) == 0 {
			ask += log.Offset(rnd.IntN(int(h.offsets[i+1] - off)))
		}
		v, err := r.ViewAt(ask)
		if off < floor {
			requireGone(t, err, floor)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, off, v.Offset())
		h.verifyView(t, v)
		v.Close()
	}
	_, err := r.ViewAt(r.Position().End + 1)
	require.Error(t, err)
	h.verifyChanges(t, rnd, r)
}

// verifyView reads all tables of one view, by every index in both directions.
func (h *history) verifyView(t *testing.T, v *sm.View) {
	for _, name := range []string{"a", "b", "c"} {
		want := h.models[v.Offset()].dump(name)
		require.Equal(t, want, dump(t, v, name, 0, false))
		if want == nil {
			continue
		}
		reversed := dump(t, v, name, 0, true)
		slices.Reverse(reversed)
		require.Equal(t, want, reversed)
		for index := 1; index <= 2; index++ {
			forward, back := dump(t, v, name, index, false), dump(t, v, name, index, true)
			slices.Reverse(back)
			require.Equal(t, forward, back)
			require.ElementsMatch(t, want, forward)
		}
	}
}

// openViews are views of a replica that stay open while other things happen.
type openViews struct {
	h    *history
	rnd  *rand.Rand
	list []*sm.View
}

const openViewsMax = 3

// open opens one more, at any offset that is retained.
func (o *openViews) open(t *testing.T, r *sm.Replica) {
	pos := r.Position()
	v, err := r.ViewAt(pos.Floor + log.Offset(o.rnd.Uint64N(uint64(pos.End-pos.Floor)+1)))
	require.NoError(t, err)
	if o.list = append(o.list, v); len(o.list) > openViewsMax {
		o.h.verifyView(t, o.list[0])
		o.list[0].Close()
		o.list = o.list[1:]
	}
}

// verify reads what they show, and the change log that they can read.
func (o *openViews) verify(t *testing.T) {
	for _, v := range o.list {
		o.h.verifyView(t, v)
		lo, _ := slices.BinarySearch(o.h.offsets, v.Floor()+1)
		hi, _ := slices.BinarySearch(o.h.offsets, v.Offset()+1)
		require.Equal(t, o.h.offsets[lo:max(lo, hi)], append([]log.Offset{}, commits(t, v, 0)...))
		changesFrom(t, v, 0)
	}
}

func (o *openViews) close(t *testing.T) {
	o.verify(t)
	for _, v := range o.list {
		v.Close()
	}
	o.list = nil
}

// verifyChanges folds the change log from its beginning and compares the result
// with the model after each transaction.
func (h *history) verifyChanges(t *testing.T, rnd *rand.Rand, r *sm.Replica) {
	v, err := r.View()
	require.NoError(t, err)
	defer v.Close()
	m := map[catalog.ID]map[int64]toyValue{}
	i := 0
	if v.Floor() > 0 {
		at, found := slices.BinarySearch(h.offsets, v.Floor())
		require.True(t, found, "the floor is a commit")
		m, i = h.tablesAt(t, r, v.Floor()), at+1
	}
	var all []log.Offset
	it := v.Transactions(0)
	defer it.Close()
	for ; it.Next(); i++ {
		head := it.Header()
		require.Equal(t, h.offsets[i], head.Commit)
		cat, err := v.CatalogAt(head.Commit)
		require.NoError(t, err)
		changes := it.Changes()
		last, n := head.Start-1, int64(0)
		for changes.Next() {
			c := changes.Change()
			require.Greater(t, c.Offset, last)
			require.Less(t, c.Offset, head.Commit)
			last, n = c.Offset, n+1
			all = append(all, c.Offset)
			fold(t, m, c)
		}
		require.NoError(t, changes.Err())
		changes.Close()
		require.Equal(t, head.Changes, n)
		for name, want := range h.models[head.Commit] {
			id := cat.Relation(catalog.Name{Schema: catalog.PublicID, Name: name})
			require.NotZero(t, id)
			if m[id] == nil {
				m[id] = map[int64]toyValue{}
			}
			require.Equal(t, want, m[id], "table %s at %s", name, head.Commit)
		}
	}
	require.NoError(t, it.Err())
	require.Equal(t, len(h.offsets), i)
	if len(all) == 0 {
		return
	}
	for range 20 { // from anywhere
		at := rnd.IntN(len(all))
		c := v.Changes(all[at])
		var got []log.Offset
		for c.Next() {
			got = append(got, c.Change().Offset)
			head, err := c.Txn()
			require.NoError(t, err)
			require.LessOrEqual(t, head.Start, c.Change().Offset)
			require.Greater(t, head.Commit, c.Change().Offset)
		}
		c.Close()
		require.Equal(t, all[at+1:], append([]log.Offset{}, got...))
	}
}

// tablesAt is the model at an offset by the tables' numbers.
func (h *history) tablesAt(t *testing.T, r *sm.Replica, off log.Offset) map[catalog.ID]map[int64]toyValue {
	v, err := r.ViewAt(off)
	require.NoError(t, err)
	defer v.Close()
	m := map[catalog.ID]map[int64]toyValue{}
	for name, rows := range h.models[off] {
		m[table(v, name).ID] = maps.Clone(rows)
	}
	return m
}

func fold(t *testing.T, tables map[catalog.ID]map[int64]toyValue, c *sm.Change) {
	if tables[c.Table] == nil || c.Op == sm.OpTruncate {
		tables[c.Table] = map[int64]toyValue{}
	}
	m := tables[c.Table]
	row := func(b []byte) (int64, toyValue) {
		d := make([]types.Datum, 3)
		require.NoError(t, types.DecodeRow(b, nil, d))
		return d[colID].Int(), toyValue{d[colName].Str(), d[colN].Int()}
	}
	if c.Before != nil {
		id, v := row(c.Before)
		require.Equal(t, v, m[id])
		delete(m, id)
	}
	if c.After != nil {
		id, v := row(c.After)
		m[id] = v
	}
}
