package check

// edgeKind says why one transaction comes before another. Kinds are added up to
// sets.
type edgeKind uint8

// The kinds of edges.
const (
	edgeWW   edgeKind = 1 << iota // the other wrote the next version
	edgeWR                        // the other read what this one wrote
	edgeRW                        // the other wrote the version after the one read
	edgeRT                        // the other began after this one ended
	allEdges = edgeWW | edgeWR | edgeRW | edgeRT
)

// String implements fmt.Stringer.
func (k edgeKind) String() string {
	switch k {
	case edgeWW:
		return "ww"
	case edgeWR:
		return "wr"
	case edgeRW:
		return "rw"
	}
	return "rt"
}

type edge struct {
	to   int32
	kind edgeKind
}

// graph has the transactions of a history for its nodes.
type graph struct{ out [][]edge }

func newGraph(nodes int) *graph { return &graph{make([][]edge, nodes)} }

func (g *graph) add(from, to int, kind edgeKind) {
	if from != to {
		g.out[from] = append(g.out[from], edge{int32(to), kind})
	}
}

// step is one edge of a cycle.
type step struct {
	from int
	kind edgeKind
}

// tarjan is Tarjan's search for strongly connected components, without recursion:
// a history may be one long path.
type tarjan struct {
	g      *graph
	kinds  edgeKind
	within map[int]bool
	index  []int32 // from 1, in the order of discovery
	low    []int32
	on     []bool
	stack  []int
	next   int32
	found  [][]int
	frames []frame
}

type frame struct{ node, edge int }

// components returns the strongly connected components of two nodes or more, by
// edges of the kinds and within the nodes given, nil for all.
func (g *graph) components(kinds edgeKind, nodes []int) [][]int {
	t := &tarjan{g: g, kinds: kinds, index: make([]int32, len(g.out)), low: make([]int32, len(g.out)), on: make([]bool, len(g.out))}
	if nodes != nil {
		t.within = make(map[int]bool, len(nodes))
		for _, n := range nodes {
			t.within[n] = true
		}
		for _, n := range nodes {
			t.from(n)
		}
		return t.found
	}
	for n := range g.out {
		t.from(n)
	}
	return t.found
}

func (t *tarjan) discover(n int) {
	t.next++
	t.index[n], t.low[n], t.on[n] = t.next, t.next, true
	t.stack = append(t.stack, n)
	t.frames = append(t.frames, frame{node: n})
}

func (t *tarjan) from(root int) {
	if t.index[root] != 0 {
		return
	}
	t.discover(root)
	for len(t.frames) > 0 {
		f := &t.frames[len(t.frames)-1]
		if f.edge < len(t.g.out[f.node]) {
			e := t.g.out[f.node][f.edge]
			f.edge++
			to := int(e.to)
			switch {
			case e.kind&t.kinds == 0 || t.within != nil && !t.within[to]:
			case t.index[to] == 0:
				t.discover(to)
			case t.on[to]:
				t.low[f.node] = min(t.low[f.node], t.index[to])
			}
			continue
		}
		n := f.node
		t.frames = t.frames[:len(t.frames)-1]
		if len(t.frames) > 0 {
			up := t.frames[len(t.frames)-1].node
			t.low[up] = min(t.low[up], t.low[n])
		}
		if t.low[n] == t.index[n] {
			t.pop(n)
		}
	}
}

func (t *tarjan) pop(root int) {
	var c []int
	for {
		n := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		t.on[n] = false
		c = append(c, n)
		if n == root {
			break
		}
	}
	if len(c) > 1 {
		t.found = append(t.found, c)
	}
}

// cycle returns a short cycle by edges of the kinds within the nodes, or nil.
func (g *graph) cycle(nodes []int, kinds edgeKind) []step {
	parts := g.components(kinds, nodes)
	if len(parts) == 0 {
		return nil
	}
	return g.path(parts[0][0], parts[0][0], kinds, parts[0])
}

// maxTried bounds the edges from which cycleWithOne looks for a way back.
const maxTried = 2_000

// cycleWithOne returns a cycle with exactly one edge of kind one, the others of
// the other kinds, or nil.
func (g *graph) cycleWithOne(nodes []int, one, others edgeKind) []step {
	within := make(map[int]bool, len(nodes))
	for _, n := range nodes {
		within[n] = true
	}
	tried := 0
	for _, n := range nodes {
		for _, e := range g.out[n] {
			if e.kind != one || !within[int(e.to)] || tried == maxTried {
				continue
			}
			tried++
			if back := g.path(int(e.to), n, others, nodes); back != nil {
				return append([]step{{n, one}}, back...)
			}
		}
	}
	return nil
}

// path returns the shortest way between two nodes of at least one edge, or nil.
func (g *graph) path(from, to int, kinds edgeKind, nodes []int) []step {
	within := make(map[int]bool, len(nodes))
	for _, n := range nodes {
		within[n] = true
	}
	came := map[int]step{}
	queue := []int{from}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, e := range g.out[n] {
			next := int(e.to)
			if _, seen := came[next]; seen || e.kind&kinds == 0 || !within[next] {
				continue
			}
			came[next] = step{n, e.kind}
			if next != to {
				queue = append(queue, next)
				continue
			}
			var back []step
			for at := to; len(back) == 0 || at != from; at = came[at].from {
				back = append([]step{came[at]}, back...)
			}
			return back
		}
	}
	return nil
}
