package catalog

import "slices"

// What a foreign key does when the row it refers to goes or gets another key:
// pg_constraint's letters.
const (
	NoAction   = 'a'
	Restrict   = 'r'
	Cascade    = 'c'
	SetNull    = 'n'
	SetDefault = 'd'
)

// How a foreign key with a NULL in it matches: MATCH SIMPLE lets it pass, FULL
// only if all columns are NULL.
const (
	MatchSimple = 's'
	MatchFull   = 'f'
)

// Reference is a foreign key together with the table that has it and the one
// that it refers to.
type Reference struct {
	Table  *Table
	Key    *ForeignKey
	Target *Table
}

// References returns the foreign keys that refer to the table with that ID, in
// the order in which they were made.
func (c *Catalog) References(target ID) []Reference {
	var out []Reference
	for _, id := range c.referrers[target] {
		t := c.Table(id)
		for i := range t.ForeignKeys {
			if k := &t.ForeignKeys[i]; k.Target == target {
				out = append(out, Reference{t, k, c.Table(target)})
			}
		}
	}
	slices.SortFunc(out, func(a, b Reference) int { return int(a.Key.ID) - int(b.Key.ID) })
	return out
}

// refer and unrefer note which tables t refers to. A slice may be shared with
// the catalog that this one is a copy of, so that it is replaced.
func (c *Catalog) refer(t *Table) {
	for i := range t.ForeignKeys {
		target := t.ForeignKeys[i].Target
		list := c.referrers[target]
		if at, found := slices.BinarySearch(list, t.ID); !found {
			c.referrers[target] = slices.Insert(slices.Clone(list), at, t.ID)
		}
	}
}

func (c *Catalog) unrefer(t *Table) {
	for i := range t.ForeignKeys {
		target := t.ForeignKeys[i].Target
		list := c.referrers[target]
		at, found := slices.BinarySearch(list, t.ID)
		switch {
		case found && len(list) == 1:
			delete(c.referrers, target)
		case found:
			c.referrers[target] = slices.Delete(slices.Clone(list), at, at+1)
		}
	}
}
