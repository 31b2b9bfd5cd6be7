package exec

import (
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// scansBeforeSet is after how many scans of the same child one statement reads
// the keys of the child once and keeps them.
const scansBeforeSet = 4

// keySets answer, while a statement deletes or updates many rows of a parent,
// whether an unindexed child has a key, without scanning the child for each. The
// child itself does not change meanwhile: the actions of foreign keys come after
// the statement's own changes.
type keySets map[catalog.ID]*keySet

type keySet struct {
	scans int
	keys  map[string]struct{} // nil until it has been read
}

// referencedBySet is reference.referenced for the main part of a statement.
func (c *Constraints) referencedBySet(rt *Runtime, r *reference, key []types.Datum) (bool, error) {
	if r.probe != nil || r.child.ID == r.parent.ID {
		return r.referenced(rt, key)
	}
	set := c.sets[r.key.ID]
	if set == nil {
		if c.sets == nil {
			c.sets = keySets{}
		}
		set = &keySet{}
		c.sets[r.key.ID] = set
	}
	if set.scans++; set.scans <= scansBeforeSet {
		return r.referenced(rt, key)
	}
	if set.keys == nil {
		if err := set.read(rt, r); err != nil {
			return false, err
		}
	}
	_, found := set.keys[string(r.setKey(key))]
	return found, nil
}

// setKey is a key of the parent's types as the set has it.
func (r *reference) setKey(key []types.Datum) []byte {
	var out []byte
	for i, d := range key {
		if columnType(r.parent, r.key.TargetColumns[i]) == types.BPCharType {
			d = types.String(types.TrimBPChar(d.Str()))
		}
		out = types.AppendKey(out, d, false)
	}
	return out
}

// read reads the keys of all rows of the child that have one.
func (s *keySet) read(rt *Runtime, r *reference) error {
	s.keys = map[string]struct{}{}
	it := rt.Txn.Scan(sm.ScanOptions{Table: r.child, Doom: true})
	defer it.Close()
	for it.Next() {
		if err := rt.tick(); err != nil {
			return err
		}
		key := keyOf(it.Row().Values, r.key.Columns)
		if nulls(key) > 0 {
			continue
		}
		up, err := convert(rt, r.up, key)
		if err != nil {
			return err
		}
		k := string(r.setKey(up))
		if _, known := s.keys[k]; known {
			continue
		}
		s.keys[k] = struct{}{}
		if err := rt.grow(int64(eventBytes + len(k))); err != nil {
			return err
		}
	}
	return it.Err()
}

// dropSets forgets the sets: the children may change from here on. What they
// held stays on the account of the statement, which is about to end.
func (c *Constraints) dropSets() { c.sets = nil }
