package syscat

import (
	"hash/fnv"
	"slices"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// roles are the names that stand for a user here: postgres, whoever owns
// something, and the session's own. There are no role descriptors yet: any name
// may connect.
type roles struct {
	names []string // sorted
}

// roleBase is above every OID that descriptors get, so that a role's OID, which
// is a hash of its name, is no other object's.
const roleBase = 1 << 31

// roleID returns the OID of a role. It depends on the name alone, so that it is
// the same on every node and at any time.
func roleID(name string) catalog.ID {
	if name == superuser {
		return superuserOID
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return catalog.ID(h.Sum32() | roleBase)
}

func (ci *CatalogInfo) roleNames() *roles {
	if ci.roles != nil {
		return ci.roles
	}
	names := []string{superuser, ci.user}
	for _, d := range ci.catalog.All() {
		if s, ok := d.(*catalog.Schema); ok {
			names = append(names, s.Owner)
		} else if p, ok := d.(*catalog.Publication); ok {
			names = append(names, p.Owner)
		} else if r, ok := described(d); ok {
			names = append(names, r.owner)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	ci.roles = &roles{names: slices.DeleteFunc(names, func(n string) bool { return n == "" })}
	return ci.roles
}

func (r *roles) id(name string) (catalog.ID, bool) {
	_, ok := slices.BinarySearch(r.names, name)
	return roleID(name), ok
}

func (r *roles) name(id catalog.ID) (string, bool) {
	for _, n := range r.names {
		if roleID(n) == id {
			return n, true
		}
	}
	return "", false
}

// roleName names a role; who owns nothing but a database is known by that alone,
// and not in apply.
func (ci *CatalogInfo) roleName(id catalog.ID) (string, bool) {
	if name, ok := ci.roleNames().name(id); ok || ci.Databases == nil {
		return name, ok
	}
	for _, d := range ci.Databases() {
		if ownerID(d.Owner) == id {
			return d.Owner, true
		}
	}
	return "", false
}

// ownerID returns the OID of an owner; what has none is postgres's.
func ownerID(name string) catalog.ID {
	if name == "" {
		name = superuser
	}
	return roleID(name)
}

// unlimited is the connection limit of roles and databases without one.
const unlimited = -1

// eachRole calls set for each role's attributes under a view's prefix.
func eachRole(c *Context, w *writer, f func(name string, id catalog.ID)) error {
	for _, name := range c.info().roleNames().names {
		w.begin()
		f(name, roleID(name))
		if !w.end() {
			break
		}
	}
	return nil
}

func authidRows(c *Context, _ idRange, w *writer) error {
	return eachRole(c, w, func(name string, id catalog.ID) { setRole(w, name, id) })
}

// setRole sets what pg_authid and pg_roles share. Every role may do everything:
// privileges are not enforced yet.
func setRole(w *writer, name string, id catalog.ID) {
	w.set("oid", num(id))
	w.set("rolname", str(name))
	for _, col := range []string{"rolsuper", "rolinherit", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolreplication", "rolbypassrls"} {
		w.set(col, types.Bool(true))
	}
	w.set("rolconnlimit", num(unlimited))
}

func rolesRows(c *Context, _ idRange, w *writer) error {
	return eachRole(c, w, func(name string, id catalog.ID) {
		setRole(w, name, id)
		w.set("rolpassword", str(hiddenPassword))
	})
}

// hiddenPassword is what PostgreSQL's views show in place of any password.
const hiddenPassword = "********"

func setUser(w *writer, name string, id catalog.ID) {
	w.set("usename", str(name))
	w.set("usesysid", num(id))
	for _, col := range []string{"usecreatedb", "usesuper", "userepl", "usebypassrls"} {
		w.set(col, types.Bool(true))
	}
}

func userRows(c *Context, _ idRange, w *writer) error {
	return eachRole(c, w, func(name string, id catalog.ID) {
		setUser(w, name, id)
		w.set("passwd", str(hiddenPassword))
	})
}

func shadowRows(c *Context, _ idRange, w *writer) error {
	return eachRole(c, w, func(name string, id catalog.ID) { setUser(w, name, id) })
}
