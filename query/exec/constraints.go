package exec

import (
	"maps"
	"slices"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Limits of foreign keys.
const (
	// maxCascadeDepth bounds how many actions of foreign keys may follow from each
	// other. Nothing nests while they run, so it only stops what does not end.
	maxCascadeDepth = 100_000
	// maxDeferredChecks bounds the checks that a transaction may leave for its end.
	maxDeferredChecks = 1 << 20
	// eventBytes is what a waiting check is counted as, beside its keys.
	eventBytes = 128
)

// Constraints is the state of the foreign keys of one transaction: which are
// deferred, and what is left to be checked. A statement leaves behind only what
// could not be seen to be right when a row was written: a row whose parent is
// there needs no second look, because whatever removes the parent later looks
// for such rows itself.
type Constraints struct {
	// all and modes are what SET CONSTRAINTS has said: of all constraints, and
	// since then of single ones.
	all   *bool
	modes map[catalog.ID]bool

	queue    []event // of the running statement
	sets     keySets // likewise
	deferred []event // of the transaction
}

// event is something to be done for a foreign key at the end of the statement,
// or of the transaction.
type event struct {
	ref  *reference
	kind eventKind
	// key is the child's for a missing parent, else the one that the parent had;
	// fresh is the parent's new key, nil when the row is gone.
	key, fresh []types.Datum
	depth      int
}

type eventKind uint8

const (
	missingParent eventKind = iota // a child row's key is not in the parent
	keyGone                        // a parent row's key has gone, and child rows have it
)

// NewConstraints begins a transaction.
func NewConstraints() *Constraints { return &Constraints{} }

// ConstraintsMark is a savepoint of Constraints.
type ConstraintsMark struct {
	all      *bool
	modes    map[catalog.ID]bool
	deferred []event
}

// Savepoint returns a mark to which RollbackTo can return.
func (c *Constraints) Savepoint() ConstraintsMark {
	return ConstraintsMark{c.all, c.modes, slices.Clip(c.deferred)}
}

// RollbackTo undoes what has happened since m.
func (c *Constraints) RollbackTo(m ConstraintsMark) {
	c.all, c.modes, c.deferred, c.queue, c.sets = m.all, m.modes, m.deferred, nil, nil
}

// isDeferred reports whether a foreign key is checked at the end of the
// transaction.
func (c *Constraints) isDeferred(k *catalog.ForeignKey) bool {
	if !k.Deferrable {
		return false
	}
	if d, ok := c.modes[k.ID]; ok {
		return d
	}
	if c.all != nil {
		return *c.all
	}
	return k.InitiallyDeferred
}

// push leaves an event for the end of the statement.
func (c *Constraints) push(rt *Runtime, e event) error {
	if e.depth > maxCascadeDepth {
		return sqlstate.New(sqlstate.StatementTooComplex, "stack depth limit exceeded").
			WithHint("Actions of foreign keys may follow from each other at most %d times.", maxCascadeDepth)
	}
	c.queue = append(c.queue, e)
	return rt.grow(e.size())
}

func (e *event) size() int64 {
	n := int64(eventBytes)
	for _, d := range e.key {
		n += sizeOf(d)
	}
	for _, d := range e.fresh {
		n += sizeOf(d)
	}
	return n
}

// endStatement does what the statement has left, in order; actions add to it.
// Checks of deferred constraints are put off.
func (c *Constraints) endStatement(rt *Runtime, rules *rules) error {
	c.dropSets()
	for i := 0; i < len(c.queue); i++ {
		e := c.queue[i]
		c.queue[i] = event{}
		rt.shrink(e.size())
		if e.deferrable() && c.isDeferred(e.ref.key) {
			if err := c.putOff(e); err != nil {
				return err
			}
			continue
		}
		if err := e.run(rt, c, rules); err != nil {
			return err
		}
	}
	c.queue = c.queue[:0]
	return nil
}

func (c *Constraints) putOff(e event) error {
	if len(c.deferred) >= maxDeferredChecks {
		return sqlstate.New(sqlstate.ProgramLimitExceeded, "a transaction may leave at most %d checks of constraints for its end", maxDeferredChecks)
	}
	c.deferred = append(c.deferred, e)
	return nil
}

// deferrable reports whether the event may wait: actions, and RESTRICT, do not.
func (e *event) deferrable() bool {
	return e.kind == missingParent || e.action() == catalog.NoAction
}

// action is what the foreign key wants done when a parent's key has gone.
func (e *event) action() byte {
	if e.fresh == nil {
		return e.ref.key.OnDelete
	}
	return e.ref.key.OnUpdate
}

// EndTransaction checks everything that has been deferred.
func (c *Constraints) EndTransaction(rt *Runtime) error {
	return c.checkDeferred(rt, func(*catalog.ForeignKey) bool { return true })
}

// checkDeferred checks the deferred constraints that match selects, as they are
// defined by now; the checks of one that has been dropped are dropped too.
func (c *Constraints) checkDeferred(rt *Runtime, match func(*catalog.ForeignKey) bool) error {
	var left []event
	current := map[catalog.ID]*reference{}
	for _, e := range c.deferred {
		if !match(e.ref.key) {
			left = append(left, e)
			continue
		}
		ref, known := current[e.ref.key.ID]
		if !known {
			var err error
			if ref, err = findReference(rt.Txn.Catalog(), e.ref.child.ID, e.ref.key.ID); err != nil {
				return err
			}
			current[e.ref.key.ID] = ref
		}
		if ref == nil {
			continue
		}
		e.ref = ref
		if err := e.check(rt); err != nil {
			return err
		}
	}
	c.deferred = left
	return nil
}

// findReference finds a foreign key by its ID; nil when it is gone.
func findReference(cat *catalog.Catalog, table, key catalog.ID) (*reference, error) {
	t := cat.Table(table)
	if t == nil {
		return nil, nil
	}
	for i := range t.ForeignKeys {
		if k := &t.ForeignKeys[i]; k.ID == key {
			return newReference(catalog.Reference{Table: t, Key: k, Target: cat.Table(k.Target)})
		}
	}
	return nil, nil
}

// check fails when the event's constraint does not hold now.
func (e *event) check(rt *Runtime) error {
	r := e.ref
	if e.kind == missingParent {
		up, err := convert(rt, r.up, e.key)
		if err != nil {
			return err
		}
		if nulls(e.key) == 0 {
			if ok, err := r.parentHas(rt, up); err != nil || ok {
				return err
			}
		}
		// The row may have been changed or deleted since.
		if still, err := r.referenced(rt, up); err != nil || !still {
			return err
		}
		return r.missing(rt, e.key)
	}
	if e.action() != catalog.Restrict {
		if again, err := r.parentHas(rt, e.key); err != nil || again {
			return err // another row has the key now
		}
	}
	if found, err := r.referenced(rt, e.key); err != nil || !found {
		return err
	}
	return r.needed(rt, e.key)
}

// pending reports whether a table has checks left for the end of the
// transaction.
func (c *Constraints) pending(id catalog.ID) bool {
	return c != nil && slices.ContainsFunc(c.deferred, func(e event) bool { return e.ref.child.ID == id || e.ref.parent.ID == id })
}

// runSetConstraints is SET CONSTRAINTS. What is deferred no longer is checked at
// once.
func runSetConstraints(rt *Runtime, s *plan.SetConstraints) error {
	c := rt.Constraints
	if len(s.Names) == 0 {
		deferred := s.Deferred
		c.all, c.modes = &deferred, nil
	} else {
		modes := maps.Clone(c.modes)
		if modes == nil {
			modes = map[catalog.ID]bool{}
		}
		for _, n := range s.Names {
			ids, err := constraintsNamed(rt, n)
			if err != nil {
				return err
			}
			for _, id := range ids {
				modes[id] = s.Deferred
			}
		}
		c.modes = modes
	}
	if s.Deferred {
		return nil
	}
	return c.checkDeferred(rt, func(k *catalog.ForeignKey) bool { return !c.isDeferred(k) })
}

// constraintsNamed finds the constraints that SET CONSTRAINTS means: all of that
// name in the first schema of the search path that has one.
func constraintsNamed(rt *Runtime, n plan.Name) ([]catalog.ID, error) {
	cat := rt.Txn.Catalog()
	path := rt.SearchPath
	if n.Schema != "" {
		path = []string{n.Schema}
		if cat.SchemaByName(n.Schema) == nil {
			return nil, sqlstate.New(sqlstate.InvalidSchemaName, "schema \"%s\" does not exist", n.Schema)
		}
	}
	for _, name := range path {
		schema := cat.SchemaByName(name)
		if schema == nil {
			continue
		}
		var out []catalog.ID
		for _, o := range cat.All() {
			t, ok := o.(*catalog.Table)
			if !ok || t.Schema != schema.ID {
				continue
			}
			for _, k := range constraintNames(t) {
				if k.name != n.Name {
					continue
				}
				if k.foreign == nil || !k.foreign.Deferrable {
					return nil, sqlstate.New(sqlstate.WrongObjectType, "constraint \"%s\" is not deferrable", n.Name)
				}
				out = append(out, k.foreign.ID)
			}
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, sqlstate.New(sqlstate.UndefinedObject, "constraint \"%s\" does not exist", n.Name)
}

// namedConstraint is a constraint of a table by its name.
type namedConstraint struct {
	name    string
	index   int // in Indexes, or -1
	check   int // in Checks, or -1
	foreign *catalog.ForeignKey
}

// constraintNames lists the constraints of a table.
func constraintNames(t *catalog.Table) []namedConstraint {
	var out []namedConstraint
	for i := range t.Indexes {
		if t.Indexes[i].Constraint != 0 {
			out = append(out, namedConstraint{t.Indexes[i].Name, i, -1, nil})
		}
	}
	for i := range t.Checks {
		out = append(out, namedConstraint{t.Checks[i].Name, -1, i, nil})
	}
	for i := range t.ForeignKeys {
		out = append(out, namedConstraint{t.ForeignKeys[i].Name, -1, -1, &t.ForeignKeys[i]})
	}
	return out
}
