package exec

import (
	"math"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func (d *ddl) createSequence(s *plan.CreateSequence) error {
	schema, err := d.schemaFor(s.Name)
	if err != nil {
		return err
	}
	if d.taken(schema.ID, s.Name.Name) {
		if s.IfNotExists {
			d.rt.notice("relation \"%s\" already exists, skipping", s.Name.Name)
			return nil
		}
		return d.free(schema.ID, s.Name.Name)
	}
	seq, err := d.newSequence(schema.ID, s.Name.Name, &s.Spec, nil)
	if err != nil {
		return err
	}
	if err := d.own(seq, s.Spec.OwnedBy); err != nil {
		return err
	}
	d.rt.Txn.PutDescriptor(seq)
	return nil
}

// newSequence makes a descriptor; t is the type of the column it is for, nil for
// a sequence of its own.
func (d *ddl) newSequence(schema catalog.ID, name string, s *plan.SequenceSpec, t *types.Type) (*catalog.Sequence, error) {
	if s.Type != nil {
		t = s.Type
	}
	if t == nil {
		t = types.Int8Type
	}
	q := &catalog.Sequence{ID: d.rt.Txn.NewID(), Schema: schema, Name: name, Owner: d.rt.User, Type: t.OID, Increment: 1, Cache: 1}
	q.Min, q.Max = bounds(t, 1)
	if s.Increment != nil && *s.Increment < 0 {
		q.Min, q.Max = bounds(t, -1)
	}
	q.Start = math.MinInt64
	if err := applySpec(q, s, t); err != nil {
		return nil, err
	}
	return q, nil
}

// bounds are the values a sequence of a type goes through by default.
func bounds(t *types.Type, direction int) (int64, int64) {
	top := int64(math.MaxInt64)
	switch t {
	case types.Int2Type:
		top = math.MaxInt16
	case types.Int4Type:
		top = math.MaxInt32
	}
	if direction > 0 {
		return 1, top
	}
	return -top - 1, -1
}

// applySpec sets options and checks that they agree. A Start of MinInt64 means
// that none has been chosen.
func applySpec(q *catalog.Sequence, s *plan.SequenceSpec, t *types.Type) error {
	if s.Increment != nil {
		if *s.Increment == 0 {
			return sqlstate.New(sqlstate.InvalidParameterValue, "INCREMENT must not be zero")
		}
		q.Increment = *s.Increment
	}
	defMin, defMax := bounds(t, 1)
	if q.Increment < 0 {
		defMin, defMax = bounds(t, -1)
	}
	if s.NoMin {
		q.Min = defMin
	}
	if s.NoMax {
		q.Max = defMax
	}
	if s.Min != nil {
		q.Min = *s.Min
	}
	if s.Max != nil {
		q.Max = *s.Max
	}
	if low, _ := bounds(t, -1); q.Min < low {
		return sqlstate.New(sqlstate.InvalidParameterValue, "MINVALUE (%d) is out of range for sequence data type %s", q.Min, t)
	}
	if _, high := bounds(t, 1); q.Max > high {
		return sqlstate.New(sqlstate.InvalidParameterValue, "MAXVALUE (%d) is out of range for sequence data type %s", q.Max, t)
	}
	if q.Min >= q.Max {
		return sqlstate.New(sqlstate.InvalidParameterValue, "MINVALUE (%d) must be less than MAXVALUE (%d)", q.Min, q.Max)
	}
	if s.Start != nil {
		q.Start = *s.Start
	} else if q.Start == math.MinInt64 {
		q.Start = q.Min
		if q.Increment < 0 {
			q.Start = q.Max
		}
	}
	if q.Start < q.Min {
		return sqlstate.New(sqlstate.InvalidParameterValue, "START value (%d) cannot be less than MINVALUE (%d)", q.Start, q.Min)
	}
	if q.Start > q.Max {
		return sqlstate.New(sqlstate.InvalidParameterValue, "START value (%d) cannot be greater than MAXVALUE (%d)", q.Start, q.Max)
	}
	if s.Cache != nil {
		if *s.Cache < 1 {
			return sqlstate.New(sqlstate.InvalidParameterValue, "CACHE (%d) must be greater than zero", *s.Cache)
		}
		q.Cache = *s.Cache
	}
	if s.Cycle != nil {
		q.Cycle = *s.Cycle
	}
	return nil
}

// own makes a sequence go with a column.
func (d *ddl) own(q *catalog.Sequence, o *plan.OwnedBy) error {
	if o == nil {
		return nil
	}
	if o.Table.Name == "" {
		q.OwnedByTable, q.OwnedByColumn = 0, 0
		return nil
	}
	t, err := d.table(o.Table)
	if err != nil {
		return err
	}
	c, err := columnOf(t, o.Column)
	if err != nil {
		return err
	}
	if t.Schema != q.Schema {
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "sequence must be in same schema as table it is linked to")
	}
	q.OwnedByTable, q.OwnedByColumn = t.ID, c.Num
	return nil
}

func (d *ddl) alterSequence(s *plan.AlterSequence) error {
	id, err := d.resolve(s.Name)
	if err != nil {
		return err
	}
	old := d.cat().Sequence(id)
	if old == nil {
		if id != 0 {
			return wrongKind(s.Name.Name, plan.SequenceObject)
		}
		if s.IfExists {
			d.rt.notice("relation \"%s\" does not exist, skipping", s.Name.Name)
			return nil
		}
		return undefined(s.Name)
	}
	q := *old
	t, _ := types.ByOID(q.Type)
	if s.Spec.Type != nil {
		// Bounds that were the old type's become the new type's; others stay.
		oldMin, _ := bounds(t, -1)
		_, oldMax := bounds(t, 1)
		t = s.Spec.Type
		q.Type = t.OID
		if q.Min == oldMin {
			q.Min, _ = bounds(t, -1)
		}
		if q.Max == oldMax {
			_, q.Max = bounds(t, 1)
		}
	}
	if err := applySpec(&q, &s.Spec, t); err != nil {
		return err
	}
	if err := d.own(&q, s.Spec.OwnedBy); err != nil {
		return err
	}
	d.rt.Txn.PutDescriptor(&q)
	if !s.Spec.Restart {
		return nil
	}
	start := q.Start
	if s.Spec.RestartWith != nil {
		start = *s.Spec.RestartWith
	}
	if start < q.Min || start > q.Max {
		return sqlstate.New(sqlstate.InvalidParameterValue, "RESTART value (%d) must be between MINVALUE (%d) and MAXVALUE (%d)", start, q.Min, q.Max)
	}
	return d.rt.Txn.SequenceSet(&q, start, false)
}

func (d *ddl) addIdentity(t *catalog.Table, a *plan.AddIdentity) error {
	c, err := columnOf(t, a.Column)
	if err != nil {
		return err
	}
	switch {
	case !c.NotNull:
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "column \"%s\" of relation \"%s\" must be declared NOT NULL before identity can be added", c.Name, t.Name)
	case c.Identity != 0:
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "column \"%s\" of relation \"%s\" is already an identity column", c.Name, t.Name)
	case c.Default != "":
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "column \"%s\" of relation \"%s\" already has a default value", c.Name, t.Name)
	}
	typ, _ := types.ByOID(c.Type)
	seq, err := d.newSequence(t.Schema, d.freeName(t.Schema, nil, t.Name, c.Name, "seq"), a.Options, typ)
	if err != nil {
		return err
	}
	seq.OwnedByTable, seq.OwnedByColumn = t.ID, c.Num
	d.rt.Txn.PutDescriptor(seq)
	n := cloneTable(t)
	n.Columns[c.Num-1].Identity, n.Columns[c.Num-1].Sequence = a.Kind, seq.ID
	d.rt.Txn.PutDescriptor(n)
	return nil
}

func (d *ddl) dropIdentity(t *catalog.Table, a *plan.DropIdentity) error {
	c, err := columnOf(t, a.Column)
	if err != nil {
		return err
	}
	if c.Identity == 0 {
		if a.IfExists {
			d.rt.notice("column \"%s\" of relation \"%s\" is not an identity column, skipping", c.Name, t.Name)
			return nil
		}
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "column \"%s\" of relation \"%s\" is not an identity column", c.Name, t.Name)
	}
	n := cloneTable(t)
	n.Columns[c.Num-1].Identity, n.Columns[c.Num-1].Sequence = 0, 0
	d.rt.Txn.PutDescriptor(n)
	d.rt.Txn.DeleteDescriptor(c.Sequence)
	return nil
}
