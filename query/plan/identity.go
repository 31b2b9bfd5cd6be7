package plan

import (
	"slices"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// identityRule is what an UPDATE or DELETE of a published table needs, and how
// PostgreSQL says that it is not so.
type identityRule struct {
	published             func(*catalog.Publication) bool
	command, verb, plural string
}

var (
	updateRule = identityRule{func(p *catalog.Publication) bool { return p.Update }, "update", "updating", "updates"}
	deleteRule = identityRule{func(p *catalog.Publication) bool { return p.Delete }, "delete from", "deleting from", "deletes"}
)

// unidentified is the error of an UPDATE or DELETE that consumers could not
// follow: the replica identity of the table does not tell them, or the row filter,
// enough of the old row. It is nil when there is nothing wrong.
func (r *identityRule) unidentified(c *catalog.Catalog, t *catalog.Table) error {
	published := false
	for _, p := range c.Publications() {
		member, ok := p.Publishes(t)
		if !ok || !r.published(p) {
			continue
		}
		published = true
		if member == nil {
			continue
		}
		if detail := hidden(t, member); detail != "" {
			return sqlstate.New(sqlstate.InvalidColumnReference, "cannot %s table \"%s\"", r.command, t.Name).WithDetail("%s", detail)
		}
	}
	if !published || t.Identity() == catalog.IdentityFull || t.IdentityIndex() != nil {
		return nil
	}
	return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState,
		"cannot %s table \"%s\" because it does not have a replica identity and publishes %s", r.command, t.Name, r.plural).
		WithHint("To enable %s the table, set REPLICA IDENTITY using ALTER TABLE.", r.verb)
}

// hidden says what a publication needs of an old row that consumers do not get,
// or "".
func hidden(t *catalog.Table, member *catalog.PublicationTable) string {
	identity := t.IdentityColumns()
	for _, n := range member.FilterColumns {
		if !slices.Contains(identity, n) {
			return "Column used in the publication WHERE expression is not part of the replica identity."
		}
	}
	if member.Columns == nil {
		return ""
	}
	uncovered := func(n catalog.ColumnNum) bool { return !slices.Contains(member.Columns, n) }
	// As in PostgreSQL, columns may not be listed at all where all of them identify
	// a row: one that is added later would not be covered.
	if t.Identity() == catalog.IdentityFull || slices.ContainsFunc(identity, uncovered) {
		return "Column list used by the publication does not cover the replica identity."
	}
	return ""
}
