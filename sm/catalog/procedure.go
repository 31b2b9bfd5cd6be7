package catalog

import (
	"slices"

	"github.com/tidemark-db/tidemark/sm/types"
)

// Procedure is a procedure in SQL: statements that CALL executes one after the
// other.
type Procedure struct {
	ID     ID
	Schema ID
	Name   string
	Owner  string
	Params []Param
	// Body has the text of each statement.
	Body []string
	// Source is the body as it was written, "" when it was written as BEGIN ATOMIC.
	Source string
	// SearchPath is where a body written as BEGIN ATOMIC looks for names: that of
	// its definition. Other bodies go by the caller's.
	SearchPath []string
	Atomic     bool
	Comment    string
}

// Param is a parameter of a procedure.
type Param struct {
	Name string // "" for none
	Type types.OID
	// Default is an expression in canonical SQL, or "".
	Default string
}

// DescriptorID implements Descriptor.
func (p *Procedure) DescriptorID() ID { return p.ID }

// DescriptorKind implements Descriptor.
func (p *Procedure) DescriptorKind() Kind { return KindProcedure }

// ParamTypes are the types of the parameters, by which procedures of one name are
// told apart.
func (p *Procedure) ParamTypes() []types.OID {
	out := make([]types.OID, len(p.Params))
	for i := range p.Params {
		out[i] = p.Params[i].Type
	}
	return out
}

// Procedures returns the procedures of that name in order of ID.
func (c *Catalog) Procedures(n Name) []*Procedure {
	var out []*Procedure
	for _, id := range c.procedures[n] {
		if p, ok := c.byID[id].(*Procedure); ok {
			out = append(out, p)
		}
	}
	return out
}

// Procedure returns the procedure with that ID, or nil.
func (c *Catalog) Procedure(id ID) *Procedure {
	p, _ := c.byID[id].(*Procedure)
	return p
}

// addProcedure and removeProcedure keep procedures by name. A slice may be shared
// with the catalog that this one is a copy of, so that it is replaced.
func (c *Catalog) addProcedure(p *Procedure) {
	n := Name{p.Schema, p.Name}
	list := c.procedures[n]
	if at, found := slices.BinarySearch(list, p.ID); !found {
		c.procedures[n] = slices.Insert(slices.Clone(list), at, p.ID)
	}
}

func (c *Catalog) removeProcedure(p *Procedure) {
	n := Name{p.Schema, p.Name}
	list := slices.DeleteFunc(slices.Clone(c.procedures[n]), func(id ID) bool { return id == p.ID })
	if len(list) == 0 {
		delete(c.procedures, n)
		return
	}
	c.procedures[n] = list
}
