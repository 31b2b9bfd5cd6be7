package sm

import (
	"sync"
	"sync/atomic"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// The floor is a commit offset, or 0: the state there can be read, and all
// transactions after it with their changes. The record of its own command is kept,
// for who asks what was committed last at an offset.

// truncate raises the floor to the last commit at or before where the entry wants
// it. It deletes nothing: what is below, each replica deletes when it suits it.
//
// The entry is the first of its batch, so that every commit before it is in the
// store.
func (a *applier) truncate(q *log.Truncate) (*log.Result, error) {
	res := &log.Result{Offset: a.state.offset, Statements: []log.Outcome{{Tag: "TRUNCATE HISTORY"}}}
	if q == nil || q.Floor <= a.state.floor {
		return res, nil
	}
	floor, err := a.commitAt(min(q.Floor, a.state.offset))
	if err != nil || floor <= a.state.floor {
		return res, err
	}
	a.state.floor = floor
	return res, a.invalidateSlots(floor)
}

// commitAt returns the offset of the last commit at or before off, which is not
// below the floor.
func (a *applier) commitAt(off log.Offset) (log.Offset, error) {
	it, err := a.base.scans.get(a.base.store.db, a.base.generation)
	if err != nil {
		return 0, err
	}
	it.SetBounds(keys.AppendCommand(nil, a.state.floor, 0), keys.AppendCommand(nil, off+1, 0))
	found := log.Offset(0)
	if it.Last() {
		k, err := keys.Decode(it.Key())
		if err != nil {
			return 0, err
		}
		found = k.Offset // failures have the offset of the commit before them
	}
	return found, a.base.scans.put(it)
}

// retained returns an error when off, from which somebody wants to read on, is
// below the floor.
func retained(off, floor log.Offset) error {
	if off >= floor {
		return nil
	}
	return sqlstate.New(sqlstate.InvalidParameterValue, "offset %s is no longer retained; the oldest is %s", off, floor)
}

// pin counts the views that were opened while a floor was in force. Whatever was
// retained then stays in the store while one of them is open.
type pin struct {
	floor log.Offset
	views atomic.Int64
}

// pins are the pins of a store, by their floors, the one in force last.
type pins struct {
	mu   sync.Mutex
	list []*pin
}

// at returns the pin of a floor, which is not below those before.
func (p *pins) at(floor log.Offset) *pin {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.list); n > 0 && p.list[n-1].floor == floor {
		return p.list[n-1]
	}
	p.list = append(p.list, &pin{floor: floor})
	return p.list[len(p.list)-1]
}

// horizon returns the floor of the oldest view that is open, or the one in force.
// Only views of that can still be opened: whoever met another one looks again.
func (p *pins) horizon(inForce *pin) log.Offset {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.list[0] != inForce && p.list[0].views.Load() == 0 {
		p.list = p.list[1:]
	}
	return p.list[0].floor
}
