package sim

import (
	"fmt"

	"github.com/tidemark-db/tidemark/log"
)

// pastStates is how many states of the model are kept.
const pastStates = 256

// past is what the modelled tables held at an offset.
type past struct {
	at   log.Offset
	held *state
}

// remember keeps the state at the end of the log, after a client has done something.
// What it went through in between is not known.
func (w *world) remember() {
	var at log.Offset
	for _, n := range w.nodes {
		at = max(at, n.machine.Position().Offset)
	}
	if k := len(w.past); k > 0 && w.past[k-1].at == at {
		return
	}
	w.past = append(w.past, past{at, w.bank.clone()})
	if len(w.past) > pastStates {
		w.past = w.past[len(w.past)-pastStates:]
	}
}

// stateAt returns what the modelled tables held at an offset, or nil.
func (w *world) stateAt(at log.Offset) *state {
	for i := len(w.past) - 1; i >= 0; i-- {
		if w.past[i].at == at {
			return w.past[i].held.clone()
		}
	}
	return nil
}

// lookBack lets the transaction that has just begun see what its node happens to
// have, which may be long ago. All else is as in other transactions: it commits if
// what it was shown is so at its place in the log.
func (t *witness) lookBack() error {
	held := t.w().stateAt(t.c.n.machine.Position().Offset)
	if held == nil {
		return nil
	}
	level := []string{"local", "session"}[t.w().rnd.IntN(2)]
	if err := t.must("SET LOCAL tidemark.read_consistency = " + level); err != nil {
		return err
	}
	if a := t.c.simple("SELECT 1"); a.err != nil { // the snapshot is taken here
		return fmt.Errorf("a %s read answers %w", level, a.err)
	}
	if t.local = held; held.all() != t.w().bank.all() {
		t.w().count.lookedBack++
	}
	return nil
}
