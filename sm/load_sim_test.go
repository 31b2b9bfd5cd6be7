package sm_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// hits is the name under which a model keeps, for as long as one transaction is
// predicted, the keys that it wrote: loads that have them are doomed. It is a
// table like the others, so that rolling back to a savepoint forgets them.
const (
	hits   = "hits"
	hitDDL = -1 // the table itself
)

func (m model) hit(t string, id, n int64) {
	if m[hits] == nil {
		m[hits] = map[int64]toyValue{}
	}
	m[hits][int64(len(m[hits]))] = toyValue{fmt.Sprint(t, " id ", id), n}
}

// simLoad is a large transaction as the model knows it.
type simLoad struct {
	id     log.StageID
	table  string
	oid    catalog.ID
	fresh  bool
	open   bool
	chunks int
	rows   map[int64]toyValue
}

// has reports whether the load has staged one of the keys.
func (l *simLoad) has(id, n int64) bool {
	if _, ok := l.rows[id]; ok {
		return true
	}
	for _, v := range l.rows {
		if v.n == n {
			return true
		}
	}
	return false
}

// loadModel predicts what becomes of loads.
type loadModel struct {
	rnd   *rand.Rand
	r     *sm.Replica
	loads []*simLoad
	count int
	seen  map[string]int // how often what has happened
}

// simLoadsMax bounds the loads that a simulation keeps at a time.
const simLoadsMax = 4

// step may draw an entry about loads. run predicts what it does: the model after
// it, whether it succeeds, and whether it takes an offset.
func (lm *loadModel) step(t *testing.T, m model) (data []byte, run func() (next model, ok, commits bool)) {
	if lm.rnd.IntN(3) > 0 {
		return nil, nil
	}
	var l *simLoad
	if len(lm.loads) > 0 && (len(lm.loads) == simLoadsMax || lm.rnd.IntN(4) > 0) {
		l = lm.loads[lm.rnd.IntN(len(lm.loads))]
	}
	switch k := lm.rnd.IntN(100); {
	case l == nil || k < 50:
		return lm.chunk(t, m, l)
	case k < 75:
		return lm.commit(t, m, l)
	case k < 85:
		return unstage(t, l.id, 0), func() (model, bool, bool) {
			lm.abort(l, "given up")
			return nil, true, false
		}
	default:
		return unstage(t, l.id, 1+lm.rnd.IntN(4)), func() (model, bool, bool) { return nil, true, false }
	}
}

// chunk stages a few rows for l, or for a new load.
func (lm *loadModel) chunk(t *testing.T, m model, l *simLoad) ([]byte, func() (model, bool, bool)) {
	if l == nil {
		tables := slices.DeleteFunc([]string{"a", "b", "c"}, func(s string) bool { return m[s] == nil })
		if len(tables) == 0 {
			return nil, nil
		}
		lm.count++
		l = &simLoad{table: tables[lm.rnd.IntN(len(tables))], fresh: lm.rnd.IntN(4) == 0, open: true, rows: map[int64]toyValue{}}
		binary.BigEndian.PutUint32(l.id[:], uint32(lm.count))
		v, err := lm.r.View()
		require.NoError(t, err)
		l.oid = table(v, l.table).ID
		v.Close()
		lm.loads = append(lm.loads, l)
	}
	rows := map[int64]toyValue{}
	var order []int64
	for range lm.rnd.IntN(4) {
		id := int64(lm.rnd.IntN(60))
		if _, ok := rows[id]; !ok {
			rows[id] = toyValue{string(rune('p' + lm.rnd.IntN(4))), int64(lm.rnd.IntN(60))}
			order = append(order, id)
		}
	}
	draws := lm.rnd.IntN(6) == 0
	return chunkEntry(t, l, rows, order, draws), func() (model, bool, bool) {
		ok := l.open && m[l.table] != nil
		for _, id := range order {
			n := rows[id].n
			_, taken := m[l.table][id]
			taken = (taken || m.takenN(l.table, n, -1)) && !l.fresh
			if taken || l.has(id, n) {
				ok = false
			}
			if ok {
				l.rows[id] = rows[id]
			}
		}
		if !ok {
			lm.abort(l, "chunk failed")
			return nil, false, false
		}
		l.chunks++
		lm.seen["chunk"]++
		for _, id := range order {
			lm.doom(l, l.table, id, rows[id].n)
		}
		return m.clone(), true, draws
	}
}

// chunkEntry makes the entry of l's next chunk.
func chunkEntry(t testing.TB, l *simLoad, rows map[int64]toyValue, order []int64, draws bool) []byte {
	text := "copy " + l.table
	if draws {
		text += " seq"
	}
	e := &log.Entry{Kind: log.KindStage, Semantics: log.CurrentSemantics, Statements: []log.Statement{{Text: text}},
		Stage: &log.Stage{ID: l.id, Chunk: l.chunks, Load: &log.Load{Table: uint32(l.oid), Fresh: l.fresh}}}
	for _, id := range order {
		row := types.AppendRow(nil, toyRow(id, rows[id].name, rows[id].n))
		e.Stage.Rows = append(binary.AppendUvarint(e.Stage.Rows, uint64(len(row))), row...)
	}
	return encode(t, e)
}

func unstage(t testing.TB, id log.StageID, sweep int) []byte {
	return encode(t, &log.Entry{Kind: log.KindUnstage, Semantics: log.CurrentSemantics, Stage: &log.Stage{ID: id, Sweep: sweep}})
}

// commit commits l among other statements, or rolls it back to a savepoint.
func (lm *loadModel) commit(t *testing.T, m model, l *simLoad) ([]byte, func() (model, bool, bool)) {
	before, after := lm.few(), lm.few()
	if l.fresh {
		before = append(lm.few(), "truncate "+l.table)
	}
	void := lm.rnd.IntN(6) == 0
	if void {
		before = append(before, "savepoint")
	}
	e := &log.Entry{Kind: log.KindCommand, Semantics: log.CurrentSemantics, Time: 1000}
	for _, s := range before {
		e.Statements = append(e.Statements, statement(s))
	}
	e.Statements = append(e.Statements, log.Statement{Text: "copy " + l.table,
		Copy: &log.CopyData{Stage: l.id, Chunks: max(l.chunks, 1), Loaded: true}})
	for _, s := range after {
		e.Statements = append(e.Statements, statement(s))
	}
	if void {
		e.Statements = append(e.Statements, statement("rollback"))
	}
	return encode(t, e), func() (model, bool, bool) {
		next, ok := lm.predictCommit(m.clone(), l, before, after, void)
		if ok && !void {
			l.open = false
			lm.forget(l)
			lm.seen["committed"]++
		} else {
			lm.abort(l, "commit failed")
		}
		return next, ok, true
	}
}

func (lm *loadModel) predictCommit(m model, l *simLoad, before, after []string, void bool) (model, bool) {
	lines := before
	if void {
		lines = before[:len(before)-1]
	}
	next, ok := predict(m, lines)
	if !ok {
		return nil, false
	}
	saved := next.clone()
	adopts := l.open && l.chunks > 0 && next[l.table] != nil
	for _, v := range next[hits] {
		// Its own transaction may overtake a load, or change its table.
		adopts = adopts && (l.fresh || !l.hit(v))
	}
	if !adopts {
		return saved, void // what fails inside a savepoint is rolled back to it
	}
	maps.Copy(next[l.table], l.rows)
	if void {
		return saved, true
	}
	return predict(next, after)
}

// hit reports whether a key written dooms the load.
func (l *simLoad) hit(v toyValue) bool {
	var t string
	var id int64
	_, _ = fmt.Sscanf(v.name, "%1s id %d", &t, &id)
	if t != l.table {
		return false
	}
	return v.n == hitDDL || !l.fresh && l.has(id, v.n)
}

// few are statements that mostly succeed.
func (lm *loadModel) few() []string {
	var out []string
	for range lm.rnd.IntN(3) {
		t, id := string(rune('a'+lm.rnd.IntN(3))), lm.rnd.IntN(60)
		switch lm.rnd.IntN(4) {
		case 0:
			out = append(out, fmt.Sprintf("insert %s %d q %d", t, id, lm.rnd.IntN(60)))
		case 1:
			out = append(out, fmt.Sprintf("update %s %d %d r %d", t, id, lm.rnd.IntN(60), lm.rnd.IntN(60)))
		case 2:
			out = append(out, fmt.Sprintf("delete %s %d", t, id))
		case 3:
			out = append(out, fmt.Sprintf("bump %s q", t))
		}
	}
	return out
}

// settle dooms the loads that a committed transaction has overtaken, and takes
// the notes about that out of the model.
func (lm *loadModel) settle(m model) model {
	for _, v := range m[hits] {
		for _, l := range slices.Clone(lm.loads) {
			if l.hit(v) {
				lm.abort(l, "doomed")
			}
		}
	}
	delete(m, hits)
	return m
}

// doom dooms the other loads that have a key which a chunk has staged.
func (lm *loadModel) doom(by *simLoad, t string, id, n int64) {
	for _, l := range slices.Clone(lm.loads) {
		if l != by && !l.fresh && !by.fresh && l.table == t && l.has(id, n) {
			lm.abort(l, "doomed by a load")
		}
	}
}

func (lm *loadModel) abort(l *simLoad, why string) {
	if l.open {
		lm.seen[why]++
	}
	l.open, l.chunks = false, max(l.chunks, 1)
	if lm.rnd.IntN(2) == 0 {
		lm.forget(l)
	}
}

func (lm *loadModel) forget(l *simLoad) {
	lm.loads = slices.DeleteFunc(lm.loads, func(x *simLoad) bool { return x == l })
}

// clear gives up and sweeps whatever is left, and looks that nothing of it stays
// in the store.
func (lm *loadModel) clear(t *testing.T, r *sm.Replica) {
	t.Logf("loads: %v", lm.seen)
	for _, l := range r.Loads() {
		if l.Status == sm.LoadOpen {
			require.Nil(t, apply(t, r, unstage(t, l.Stage, 0)).Err)
		}
	}
	for len(r.Loads()) > 0 {
		require.Nil(t, apply(t, r, unstage(t, r.Loads()[0].Stage, 3)).Err)
	}
	sound(t, r)
	garbage, err := sm.Garbage(r)
	require.NoError(t, err)
	require.Empty(t, garbage)
}
