package check

import (
	"math/rand/v2"
	"slices"

	"github.com/tidemark-db/tidemark/log"
)

const (
	goodClients = 8
	goodTxns    = 250
	goodKeys    = 6 // at a time
	goodLength  = 25
)

// maker makes histories of a database that does everything right: a transaction
// begins, some time later it is executed as a whole, some time later its client
// hears of it.
type maker struct {
	rnd    *rand.Rand
	h      History
	state  lists
	clock  Instant
	value  Value
	offset log.Offset
	first  Key
	busy   [goodClients]*Txn
	done   [goodClients]bool
}

// good makes a history of the seed. Its last transaction reads all lists.
func good(seed uint64) History {
	m := &maker{rnd: rand.New(rand.NewPCG(seed, 0)), state: lists{}}
	for len(m.h) < goodTxns {
		m.step(m.rnd.IntN(goodClients))
	}
	for c := range m.busy {
		for m.busy[c] != nil {
			m.step(c)
		}
	}
	last := m.begin(0)
	for k := range m.first + goodKeys {
		last.Ops = append(last.Ops, Op{Kind: Read, Key: k, List: m.state[k]})
	}
	last.End = m.tick()
	return m.h
}

func (m *maker) tick() Instant {
	m.clock += Instant(1 + m.rnd.IntN(3))
	return m.clock
}

func (m *maker) begin(client int) *Txn {
	t := &Txn{ID: len(m.h), Client: client, How: "made", Start: m.tick(), End: Never}
	m.h = append(m.h, t)
	return t
}

func (m *maker) step(client int) {
	t := m.busy[client]
	switch {
	case t == nil:
		m.busy[client] = m.begin(client)
	case !m.done[client]:
		m.execute(t)
		m.done[client] = true
	default:
		if t.Outcome != Unknown {
			t.End = m.tick()
		}
		m.busy[client], m.done[client] = nil, false
	}
}

// execute draws what the transaction does and what comes of it, and does it.
func (m *maker) execute(t *Txn) {
	local := m.state.clone()
	var saved []lists
	readOnly := m.rnd.IntN(5) == 0
	for range 1 + m.rnd.IntN(5) {
		k := m.first + Key(m.rnd.IntN(goodKeys))
		switch r := m.rnd.IntN(10); {
		case r == 8 && len(saved) == 0 && !readOnly:
			saved = append(saved, local.clone())
			t.Ops = append(t.Ops, Op{Kind: Savepoint, Name: "s"})
		case r == 9 && len(saved) > 0:
			local = saved[0].clone()
			t.Ops = append(t.Ops, Op{Kind: RollbackTo, Name: "s"})
		case r < 4 || readOnly:
			t.Ops = append(t.Ops, Op{Kind: Read, Key: k, List: slices.Clone(local[k])})
		default:
			for range 1 + m.rnd.IntN(5)/4 {
				m.value++
				local[k] = append(slices.Clip(local[k]), m.value)
				t.Ops = append(t.Ops, Op{Kind: Append, Key: k, Value: m.value})
			}
		}
	}
	switch m.rnd.IntN(12) {
	case 0, 1:
		t.Outcome = Aborted
		return
	case 2:
		t.Outcome = Unknown
		if m.rnd.IntN(2) == 0 {
			return
		}
	}
	if t.writes() {
		m.offset += log.Offset(8 * (1 + m.rnd.IntN(20)))
		t.Offset = m.offset
	}
	m.state = local
	if len(local[m.first]) > goodLength {
		m.first++
	}
}

// clone copies a history so deep that a mutant can be made of it.
func (h History) clone() History {
	out := make(History, len(h))
	for i, t := range h {
		c := *t
		c.Ops = slices.Clone(t.Ops)
		for j := range c.Ops {
			c.Ops[j].List = slices.Clone(c.Ops[j].List)
		}
		out[i] = &c
	}
	return out
}
