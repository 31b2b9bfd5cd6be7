package check

import (
	"cmp"
	"slices"
)

// Cycles judges a history by what its clients saw, and by nothing else. It finds
// dirty writes (G0), aborted and intermediate reads (G1a, G1b), circular
// information flow (G1c), one and several anti-dependencies in a cycle (G-single,
// G2), each also with real time in the cycle, reads of one list that are no
// prefixes of each other, values that come twice, from nowhere or not at all, and
// transactions that contradict themselves.
func Cycles(h History) []Anomaly {
	a := newAnalysis(h)
	for i := range h {
		if a.committed[i] {
			a.judgeReads(i)
		}
	}
	a.lost()
	g := a.graph()
	for _, component := range g.components(allEdges, nil) {
		a.judgeCycle(g, component)
	}
	return a.found
}

// origin says where a value comes from.
type origin struct {
	txn    int
	key    Key
	undone bool // appended, and rolled back to a savepoint
	last   bool // the transaction's last append to the list
}

// analysis is what Cycles works out of a history.
type analysis struct {
	report
	h         History
	effects   []effect
	origins   map[Value]origin
	committed []bool // acknowledged, or unknown and seen by others
	order     map[Key][]Value
	place     map[Value]int // in its key's order, from 1
}

func newAnalysis(h History) *analysis {
	a := &analysis{h: h, origins: map[Value]origin{}, committed: make([]bool, len(h)), order: map[Key][]Value{}, place: map[Value]int{}}
	for i, t := range h {
		e := t.digest(&a.report)
		a.effects = append(a.effects, e)
		for k, values := range e.appends {
			for j, v := range values {
				a.origins[v] = origin{txn: i, key: k, last: j == len(values)-1}
			}
		}
		for _, v := range e.undone {
			a.origins[v] = origin{txn: i, undone: true}
		}
		a.committed[i] = t.Outcome == Committed || t.Outcome == Unknown && t.Offset != 0
	}
	for i, t := range h {
		if t.Outcome != Committed {
			continue
		}
		for k, base := range a.effects[i].base {
			for _, v := range base {
				if o, ok := a.origins[v]; ok && h[o.txn].Outcome == Unknown {
					a.committed[o.txn] = true
				}
			}
			if len(base) > len(a.order[k]) {
				a.order[k] = base
			}
		}
	}
	for _, values := range a.order {
		for i, v := range values {
			a.place[v] = i + 1
		}
	}
	return a
}

// judgeReads looks at what a committed transaction read, list by list.
func (a *analysis) judgeReads(i int) {
	t := a.h[i]
	for k, base := range a.effects[i].base {
		order := a.order[k]
		if len(base) > len(order) || !slices.Equal(base, order[:len(base)]) {
			a.add("incompatible order", "list %d is %s to others, not so to %s", k, tail(order), t)
		}
		seen := map[Value]bool{}
		for j, v := range base {
			if seen[v] {
				a.add("duplicate", "value %d is there twice: %s", v, t)
			}
			seen[v] = true
			o, known := a.origins[v]
			switch {
			case !known:
				a.add("garbage", "nobody appended %d: %s", v, t)
			case o.undone:
				a.add("G1a", "value %d was rolled back to a savepoint by T%d: %s", v, a.h[o.txn].ID, t)
			case o.key != k:
				a.add("garbage", "value %d belongs to list %d: %s", v, o.key, t)
			case !a.committed[o.txn]:
				a.add("G1a", "value %d is of T%d, which was rolled back: %s", v, a.h[o.txn].ID, t)
			case j == len(base)-1 && !o.last && o.txn != i:
				a.add("G1b", "value %d is not the last that T%d left: %s", v, a.h[o.txn].ID, t)
			}
		}
	}
}

// lost finds acknowledged appends that a read which began later does not show.
func (a *analysis) lost() {
	type reading struct {
		by    int
		start Instant
	}
	last := map[Key]reading{} // the latest read of each list
	for i, t := range a.h {
		if t.Outcome != Committed {
			continue
		}
		for k := range a.effects[i].base {
			if r, ok := last[k]; !ok || t.Start > r.start {
				last[k] = reading{i, t.Start}
			}
		}
	}
	for i, t := range a.h {
		if t.Outcome != Committed {
			continue
		}
		for k, values := range a.effects[i].appends {
			for _, v := range values {
				if r, ok := last[k]; ok && a.place[v] == 0 && t.End < r.start {
					a.add("lost append", "value %d of %s is not in the later read %s", v, t, a.h[r.by])
				}
			}
		}
	}
}

// graph draws the dependencies between committed transactions.
func (a *analysis) graph() *graph {
	g := newGraph(len(a.h))
	unseen := map[Key][]int{} // who appended what no read shows
	for i := range a.h {
		if !a.committed[i] {
			continue
		}
		for k, values := range a.effects[i].appends {
			if a.place[values[len(values)-1]] == 0 {
				unseen[k] = append(unseen[k], i)
			}
		}
	}
	next := func(k Key, n int) []int { // who wrote the version after the first n values
		if order := a.order[k]; n < len(order) {
			if o, ok := a.origins[order[n]]; ok {
				return []int{o.txn}
			}
			return nil
		}
		return unseen[k]
	}
	for k, order := range a.order {
		for n, v := range order {
			if o, ok := a.origins[v]; ok {
				for _, to := range next(k, n+1) {
					g.add(o.txn, to, edgeWW)
				}
			}
		}
	}
	for i := range a.h {
		if !a.committed[i] {
			continue
		}
		for k, base := range a.effects[i].base {
			if len(base) > 0 {
				if o, ok := a.origins[base[len(base)-1]]; ok {
					g.add(o.txn, i, edgeWR)
				}
			}
			for _, to := range next(k, len(base)) {
				g.add(i, to, edgeRW)
			}
		}
	}
	a.realTime(g)
	return g
}

// realTime adds an edge wherever one transaction ended before another began. The
// edges that follow from others are left out, as far as that is cheap.
func (a *analysis) realTime(g *graph) {
	type event struct {
		at  Instant
		end bool
		txn int
	}
	var events []event
	for i, t := range a.h {
		if !a.committed[i] {
			continue
		}
		events = append(events, event{t.Start, false, i})
		if t.Outcome == Committed {
			events = append(events, event{t.End, true, i})
		}
	}
	slices.SortStableFunc(events, func(x, y event) int {
		switch {
		case x.at != y.at || x.end == y.end:
			return cmp.Compare(x.at, y.at)
		case y.end: // what begins when another ends is beside it
			return -1
		}
		return 1
	})
	// frontier are the ended transactions that no other ended one lies behind of.
	var frontier []int
	for _, e := range events {
		if !e.end {
			for _, f := range frontier {
				g.add(f, e.txn, edgeRT)
			}
			continue
		}
		frontier = slices.DeleteFunc(frontier, func(f int) bool { return a.h[f].End < a.h[e.txn].Start })
		frontier = append(frontier, e.txn)
	}
}

// judgeCycle names the worst cycle of a strongly connected component.
func (a *analysis) judgeCycle(g *graph, component []int) {
	for _, level := range []struct {
		name   string
		kinds  edgeKind
		single bool // with exactly one anti-dependency
	}{
		{"G0", edgeWW, false},
		{"G1c", edgeWW | edgeWR, false},
		{"G-single", edgeWW | edgeWR, true},
		{"G2", edgeWW | edgeWR | edgeRW, false},
		{"G0-realtime", edgeWW | edgeRT, false},
		{"G1c-realtime", edgeWW | edgeWR | edgeRT, false},
		{"G-single-realtime", edgeWW | edgeWR | edgeRT, true},
		{"G2-realtime", allEdges, false},
	} {
		var cycle []step
		if level.single {
			cycle = g.cycleWithOne(component, edgeRW, level.kinds)
		} else {
			cycle = g.cycle(component, level.kinds)
		}
		if cycle == nil {
			continue
		}
		text := ""
		for _, s := range cycle {
			text += "\n  " + a.h[s.from].String() + " -" + s.kind.String() + "->"
		}
		a.add(level.name, "%s", text)
		return
	}
}
