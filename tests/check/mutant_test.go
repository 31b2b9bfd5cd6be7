package check

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
)

const (
	goodHistories = 50
	eachMutation  = 10 // histories made bad in each way
	// leastFound of a hundred mutants must be found by one judge or the other.
	leastFound = 95
)

// TestNoFalseAlarms shows both judges histories of a database without faults.
func TestNoFalseAlarms(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	outcomes := map[Outcome]int{}
	for i := range uint64(goodHistories) {
		h := good(seed + i)
		for _, x := range h {
			outcomes[x.Outcome]++
		}
		require.Empty(t, Cycles(h), "seed %d", seed+i)
		require.Empty(t, Witness(h), "seed %d", seed+i)
	}
	t.Logf("seed %d: no alarm in %d good histories (%d transactions committed, %d aborted, %d unknown)", seed, goodHistories, outcomes[Committed], outcomes[Aborted], outcomes[Unknown])
}

// TestMutantsAreFound makes good histories bad, each in one known way, and wants
// the judges to notice.
func TestMutantsAreFound(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	made, found, byCycles, byWitness := 0, 0, 0, 0
	for _, m := range mutations {
		cycles, witness, either := 0, 0, 0
		names := map[string]int{}
		for i := range uint64(eachMutation) {
			h := m.of(t, seed+1000*i)
			c, w := Cycles(h), Witness(h)
			if len(c) > 0 {
				cycles++
				names[c[0].Name]++
			}
			if len(w) > 0 {
				witness++
			}
			if len(c)+len(w) > 0 {
				either++
			}
		}
		t.Logf("%-36s %2d of %d found: %2d by cycles (%v), %2d by the witness", m.name, either, eachMutation, cycles, names, witness)
		made, found, byCycles, byWitness = made+eachMutation, found+either, byCycles+cycles, byWitness+witness
	}
	t.Logf("seed %d: %d of %d mutants found, %d by cycles, %d by the witness", seed, found, made, byCycles, byWitness)
	require.GreaterOrEqual(t, made, 200)
	require.GreaterOrEqual(t, found*100, made*leastFound)
}

// mutation is a way to make a good history bad. do changes the history, and
// reports whether it had a place for it.
type mutation struct {
	name string
	do   func(x *mutant) bool
}

// mutant is a history being changed.
type mutant struct {
	h   History
	rnd *rand.Rand
	a   *analysis
}

// of makes a mutant: histories of further seeds are tried until one has a place.
func (m mutation) of(t *testing.T, seed uint64) History {
	for i := range uint64(200) {
		h := good(seed + i)
		x := &mutant{h: h.clone(), rnd: rand.New(rand.NewPCG(seed+i, 1)), a: newAnalysis(h)}
		if m.do(x) {
			return x.h
		}
	}
	require.Fail(t, "no history has a place for it", m.name)
	return nil
}

// place is a list that a committed transaction read.
type place struct {
	t    *Txn
	key  Key
	base []Value
}

// reads returns the committed reads that fit, in some order.
func (x *mutant) reads(fits func(p place) bool) (out []place) {
	for _, i := range x.rnd.Perm(len(x.h)) {
		t := x.h[i]
		if t.Outcome != Committed {
			continue
		}
		for k := range x.a.effects[i].base {
			if p := (place{t, k, x.a.effects[i].base[k]}); fits(p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// change gives what the transaction read of the list another beginning.
func (x *mutant) change(p place, base []Value) bool {
	for i, o := range p.t.Ops {
		if o.Kind == Read && o.Key == p.key {
			p.t.Ops[i].List = slices.Concat(base, o.List[len(p.base):])
		}
	}
	return true
}

// changeFirst changes the first read that fits, with what to returns for it.
func (x *mutant) changeFirst(to func(p place) []Value) bool {
	for _, p := range x.reads(func(place) bool { return true }) {
		if base := to(p); base != nil {
			return x.change(p, base)
		}
	}
	return false
}

// writer is who appended the value, if it is there for good.
func (x *mutant) writer(v Value) *Txn { return x.h[x.a.origins[v].txn] }

// last is who wrote the version that was read, and the list before that.
func (x *mutant) last(p place) (*Txn, []Value) {
	if len(p.base) == 0 {
		return nil, nil
	}
	w, n := x.writer(p.base[len(p.base)-1]), len(p.base)
	for n > 0 && x.writer(p.base[n-1]) == w {
		n--
	}
	return w, append([]Value{}, p.base[:n]...)
}

// next are the values of the version behind the one read, and their writer.
func (x *mutant) next(p place) (*Txn, []Value) {
	order := x.a.order[p.key]
	if len(p.base) >= len(order) {
		return nil, nil
	}
	w, n := x.writer(order[len(p.base)]), len(p.base)
	for n < len(order) && x.writer(order[n]) == w {
		n++
	}
	return w, slices.Clone(order[:n])
}

// appended reports whether t appends to the list for good.
func (x *mutant) appended(t *Txn, k Key) bool { return len(x.a.effects[t.ID].appends[k]) > 0 }

// everywhere changes the list in all reads of it.
func (x *mutant) everywhere(k Key, to func(base []Value) []Value) {
	for _, p := range x.reads(func(p place) bool { return p.key == k }) {
		x.change(p, to(p.base))
	}
}

// pair adds two transactions beside each other, before the last one, which sees
// the lists a and b as given.
func (x *mutant) pair(one, other []Op, seen map[Key][]Value) bool {
	last := x.h[len(x.h)-1]
	at, top := last.Start, log.Offset(0)
	for _, t := range x.h {
		top = max(top, t.Offset)
	}
	last.Start, last.End = at+10, last.End+10
	for i, ops := range [][]Op{one, other} {
		x.h = slices.Insert(x.h, len(x.h)-1, &Txn{ID: last.ID, Client: 100 + i, How: "made", Ops: ops, Start: at + Instant(i), End: at + 5, Offset: top + log.Offset(8+8*i)})
		last.ID++
	}
	for i, o := range last.Ops {
		last.Ops[i].List = append(o.List, seen[o.Key]...)
	}
	return true
}

// ab are two lists as the last transaction saw them.
func (x *mutant) ab() (a, b Op) {
	ops := x.h[len(x.h)-1].Ops
	return ops[len(ops)-1], ops[len(ops)-2]
}

func readOp(k Key, l []Value, more ...Value) Op {
	return Op{Kind: Read, Key: k, List: slices.Concat(l, more)}
}

func appendOp(k Key, v Value) Op { return Op{Kind: Append, Key: k, Value: v} }

// Values that no good history has.
const (
	valueX Value = 1_000_000 + iota
	valueY
	valueZ
	valueW
)

var mutations = []mutation{
	{"stale read", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value {
			if w, before := x.last(p); w != nil && w.Outcome == Committed && w.End < p.t.Start {
				return before
			}
			return nil
		})
	}},
	{"read of the future", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value {
			if w, after := x.next(p); w != nil && w.Start > p.t.End && !x.appended(p.t, p.key) {
				return after
			}
			return nil
		})
	}},
	{"lost update", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value {
			if w, before := x.last(p); w != nil && x.appended(p.t, p.key) {
				return before
			}
			return nil
		})
	}},
	{"read of an aborted append", func(x *mutant) bool { return x.foreign(Aborted) }},
	{"read of an append rolled back to a savepoint", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value {
			for i, e := range x.a.effects {
				if len(e.undone) > 0 && x.h[i].Outcome == Committed && x.h[i] != p.t {
					return append(slices.Clone(p.base), e.undone[0])
				}
			}
			return nil
		})
	}},
	{"dirty read of what commits later", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value {
			if w, after := x.next(p); w != nil && p.t.Offset != 0 && w.Offset > p.t.Offset && w.Start < p.t.End && !x.appended(p.t, p.key) {
				return after
			}
			return nil
		})
	}},
	{"intermediate read", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value {
			if w, before := x.last(p); w != nil && len(p.base) > len(before)+1 {
				return slices.Clone(p.base[:len(p.base)-1])
			}
			return nil
		})
	}},
	{"read skew", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value {
			w, before := x.last(p)
			if w == nil {
				return nil
			}
			for k, base := range x.a.effects[p.t.ID].base {
				if k != p.key && x.appended(w, k) && len(base) > 0 {
					return before
				}
			}
			return nil
		})
	}},
	{"torn snapshot", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value {
			w, before := x.last(p)
			if w == nil || p.t.Offset != 0 || len(x.a.effects[p.t.ID].base) < 2 {
				return nil
			}
			for k := range x.a.effects[p.t.ID].base {
				if o, _ := x.last(place{p.t, k, x.a.effects[p.t.ID].base[k]}); k != p.key && o != nil && o.Offset >= w.Offset {
					return before
				}
			}
			return nil
		})
	}},
	{"read that is not repeatable", func(x *mutant) bool {
		for _, p := range x.reads(func(p place) bool { return len(p.base) > 0 && !x.appended(p.t, p.key) }) {
			_, before := x.last(p)
			p.t.Ops = append(p.t.Ops, readOp(p.key, before))
			return true
		}
		return false
	}},
	{"own append forgotten", func(x *mutant) bool {
		for _, t := range x.h {
			for i, o := range t.Ops {
				if t.Outcome == Committed && o.Kind == Append && i+1 < len(t.Ops) && t.Ops[i+1].Kind == Read && t.Ops[i+1].Key == o.Key {
					l := t.Ops[i+1].List
					t.Ops[i+1].List = l[:len(l)-1]
					return true
				}
			}
		}
		return false
	}},
	{"appends reordered in one read", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value {
			if _, before := x.last(p); len(before) == 0 || len(before) == len(p.base) || x.a.order[p.key] == nil {
				return nil
			}
			out := slices.Clone(p.base)
			n := len(out)
			out[n-1], out[n-2] = out[n-2], out[n-1]
			return out
		})
	}},
	{"append twice in one read", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value {
			if len(p.base) == 0 {
				return nil
			}
			return append(slices.Clone(p.base), p.base[0])
		})
	}},
	{"append done twice", func(x *mutant) bool {
		return x.everywhereOf(func(base []Value, v Value) []Value {
			if i := slices.Index(base, v); i >= 0 {
				return slices.Insert(slices.Clone(base), i, v)
			}
			return base
		})
	}},
	{"acknowledged append dropped", func(x *mutant) bool {
		return x.everywhereOf(func(base []Value, v Value) []Value {
			return slices.DeleteFunc(slices.Clone(base), func(o Value) bool { return o == v })
		})
	}},
	{"value that nobody sent", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value { return append(slices.Clone(p.base), valueX) })
	}},
	{"value of another list", func(x *mutant) bool {
		return x.changeFirst(func(p place) []Value {
			for k, order := range x.a.order {
				if k != p.key && len(order) > 0 {
					return append(slices.Clone(p.base), order[0])
				}
			}
			return nil
		})
	}},
	{"commits reordered", func(x *mutant) bool {
		for _, i := range x.rnd.Perm(len(x.h)) {
			for _, u := range x.h {
				if t := x.h[i]; t.Offset != 0 && t.Outcome == Committed && u.Offset != 0 && t.End < u.Start {
					t.Offset, u.Offset = u.Offset, t.Offset
					return true
				}
			}
		}
		return false
	}},
	{"acknowledged but not in the log", func(x *mutant) bool {
		for _, i := range x.rnd.Perm(len(x.h)) {
			if t := x.h[i]; t.Offset != 0 && t.Outcome == Committed && len(x.a.effects[i].appends) > 0 {
				t.Offset = 0
				return true
			}
		}
		return false
	}},
	{"refused but done", func(x *mutant) bool {
		for _, p := range x.reads(func(p place) bool { return len(p.base) > 0 }) {
			if w, _ := x.last(p); w.Outcome == Committed && w != p.t {
				w.Outcome = Aborted
				return true
			}
		}
		return false
	}},
	{"write skew", func(x *mutant) bool {
		a, b := x.ab()
		return x.pair([]Op{readOp(a.Key, a.List), readOp(b.Key, b.List), appendOp(a.Key, valueX)}, []Op{readOp(a.Key, a.List), readOp(b.Key, b.List), appendOp(b.Key, valueY)},
			map[Key][]Value{a.Key: {valueX}, b.Key: {valueY}})
	}},
	{"dirty writes", func(x *mutant) bool {
		a, b := x.ab()
		return x.pair([]Op{appendOp(a.Key, valueX), appendOp(b.Key, valueY)}, []Op{appendOp(a.Key, valueZ), appendOp(b.Key, valueW)},
			map[Key][]Value{a.Key: {valueX, valueZ}, b.Key: {valueW, valueY}})
	}},
	{"circular information flow", func(x *mutant) bool {
		a, b := x.ab()
		return x.pair([]Op{appendOp(a.Key, valueX), readOp(b.Key, b.List, valueY)}, []Op{appendOp(b.Key, valueY), readOp(a.Key, a.List, valueX)},
			map[Key][]Value{a.Key: {valueX}, b.Key: {valueY}})
	}},
}

// foreign lets a read end with an append of a transaction with the outcome.
func (x *mutant) foreign(o Outcome) bool {
	return x.changeFirst(func(p place) []Value {
		for i, e := range x.a.effects {
			if l := e.appends[p.key]; x.h[i].Outcome == o && len(l) > 0 {
				return append(slices.Clone(p.base), l...)
			}
		}
		return nil
	})
}

// everywhereOf changes all reads of a list with regard to one acknowledged value
// of it.
func (x *mutant) everywhereOf(to func(base []Value, v Value) []Value) bool {
	for _, i := range x.rnd.Perm(len(x.h)) {
		if x.h[i].Outcome != Committed {
			continue
		}
		for k, l := range x.a.effects[i].appends {
			x.everywhere(k, func(base []Value) []Value { return to(base, l[0]) })
			return true
		}
	}
	return false
}

// TestCyclesAreNamed gives each kind of cycle its name.
func TestCyclesAreNamed(t *testing.T) {
	want := map[string]string{"write skew": "G2", "dirty writes": "G0", "circular information flow": "G1c", "intermediate read": "G1b", "read of an aborted append": "G1a",
		"lost update": "G-single", "stale read": "G-single", "acknowledged append dropped": "lost append", "append twice in one read": "duplicate",
		"value that nobody sent": "garbage", "own append forgotten": "internal", "read that is not repeatable": "internal"}
	for _, m := range mutations {
		name, ok := want[m.name]
		if !ok {
			continue
		}
		all := ""
		for i := range uint64(5) {
			all += fmt.Sprintln(Cycles(m.of(t, 1+1000*i)))
		}
		require.Contains(t, all, name, "%s", m.name)
		delete(want, m.name)
	}
	require.Empty(t, want)
}
