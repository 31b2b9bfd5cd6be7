package expr

import (
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/sm/types"
)

// derived implements the functions that follow from the order of a type: the
// support functions of btree (…cmp) and of min and max (…larger, …smaller).
func derived(f *Func) evalFunc {
	if len(f.Args) != 2 || f.RetSet {
		return nil
	}
	compare := comparer(f.Args[0], f.Args[1])
	if compare == nil {
		return nil
	}
	pick := func(wanted int) evalFunc {
		return func(c *Ctx, a []datum) (datum, error) {
			n, err := compare(c, a[0], a[1])
			if n*wanted >= 0 {
				return a[0], err
			}
			return a[1], err
		}
	}
	switch {
	case strings.HasSuffix(f.Name, "larger") && f.Ret == f.Args[0]:
		return pick(1)
	case strings.HasSuffix(f.Name, "smaller") && f.Ret == f.Args[0]:
		return pick(-1)
	case strings.Contains(f.Name, "cmp") && f.Ret == types.Int4Type:
		return func(c *Ctx, a []datum) (datum, error) {
			n, err := compare(c, a[0], a[1])
			return types.Int(int64(n)), err
		}
	}
	return nil
}

// intComparison is comparison for the commonest kind, without indirection.
func intComparison(op string) evalFunc {
	switch op {
	case "=":
		return func(_ *Ctx, a []datum) (datum, error) { return types.Bool(a[0].Int() == a[1].Int()), nil }
	case "<>":
		return func(_ *Ctx, a []datum) (datum, error) { return types.Bool(a[0].Int() != a[1].Int()), nil }
	case "<":
		return func(_ *Ctx, a []datum) (datum, error) { return types.Bool(a[0].Int() < a[1].Int()), nil }
	case "<=":
		return func(_ *Ctx, a []datum) (datum, error) { return types.Bool(a[0].Int() <= a[1].Int()), nil }
	case ">":
		return func(_ *Ctx, a []datum) (datum, error) { return types.Bool(a[0].Int() > a[1].Int()), nil }
	case ">=":
		return func(_ *Ctx, a []datum) (datum, error) { return types.Bool(a[0].Int() >= a[1].Int()), nil }
	}
	return nil
}

// FuncCast reports whether a call name(argument) that no function fits is a
// cast in the syntax of a call, such as int4('42') or float8(x), and to which
// type: PostgreSQL's rule is that the name is a type's and the conversion is a
// relabelling or goes through text.
func FuncCast(name string, arg *types.Type) (*types.Type, bool) {
	t, ok := types.ByName(name)
	if !ok || t.Name != name || t.Pseudo {
		return nil, false
	}
	if arg == types.UnknownType {
		return t, true
	}
	cast, ok := FindCast(arg, t, Explicit)
	if !ok {
		return nil, false
	}
	if cast.Binary || needsOIDWrap(arg, t) {
		return t, true
	}
	entry, inTable := lib.castByType[[2]types.OID{arg.OID, t.OID}]
	if inTable {
		return t, entry.Method == 'i'
	}
	viaText := arg.Category == types.CategoryString || t.Category == types.CategoryString && arg != types.RecordType
	return t, viaText
}

// castCall makes a cast written as a call a function.
func castCall(name string, from, to *types.Type) *Resolved {
	cast, _ := FindCast(from, to, Explicit)
	f := &Func{Name: name, Args: []*types.Type{from}, Ret: to, Strict: true, Volatility: cast.Volatility, Eval: identity}
	if !cast.Binary {
		f.Eval = func(c *Ctx, a []datum) (datum, error) { return cast.Eval(c, a[0], types.NoTypmod) }
	}
	return &Resolved{Func: f, Args: f.Args, Ret: to}
}

// sqlValues are the functions SQL writes without parentheses.
var sqlValues = map[string]*Func{
	"current_timestamp": {Name: "current_timestamp", Ret: types.TimestampTZType, Volatility: Stable,
		Eval: func(c *Ctx, _ []datum) (datum, error) { return types.Timestamp(c.TxnTime), nil }},
	"localtimestamp": {Name: "localtimestamp", Ret: types.TimestampType, Volatility: Stable,
		Eval: func(c *Ctx, _ []datum) (datum, error) { return timestampDatum(localNow(c)) }},
	"current_date": {Name: "current_date", Ret: types.DateType, Volatility: Stable,
		Eval: func(c *Ctx, _ []datum) (datum, error) {
			ts, err := localNow(c)
			return timestampToDate(ts), err
		}},
	"localtime": {Name: "localtime", Ret: types.TimeType, Volatility: Stable,
		Eval: func(c *Ctx, _ []datum) (datum, error) {
			ts, err := localNow(c)
			return timeOfDay(ts), err
		}},
	"current_user": sessionName("current_user"), "user": sessionName("current_user"), "current_role": sessionName("current_user"),
	"session_user": sessionName("session_user"), "current_catalog": sessionName("current_database"), "current_schema": sessionName("current_schema"),
}

func sessionName(name string) *Func {
	return &Func{Name: name, Ret: types.NameType, Volatility: Stable, Eval: callSession(name)}
}

// SQLValueFunction returns what CURRENT_DATE, CURRENT_TIMESTAMP, LOCALTIME,
// LOCALTIMESTAMP, CURRENT_USER and the like compute, by lower-case name.
// CURRENT_TIME, whose type time with time zone does not exist here, is not
// among them. A precision is applied with ApplyTypmod.
func SQLValueFunction(name string) (*Func, bool) {
	f, ok := sqlValues[name]
	return f, ok
}

// overlaps is OVERLAPS: each period is given by its ends in any order, or by
// a start and a length.
func overlaps(f *Func) evalFunc {
	zoned := f.Args[0] == types.TimestampTZType
	add := func(c *Ctx, start, span datum) (datum, error) {
		if start.IsNull() || span.IsNull() {
			return null, nil
		}
		if start.Kind() == types.KindTime {
			return timePlusInterval(1, false)(c, []datum{start, span})
		}
		return timestampPlus(zoned, 1, false)(c, []datum{start, span})
	}
	return func(c *Ctx, args []datum) (datum, error) {
		a := slices.Clone(args)
		for _, i := range []int{1, 3} {
			if f.Args[i] != types.IntervalType {
				continue
			}
			var err error
			if a[i], err = add(c, a[i-1], a[i]); err != nil {
				return null, err
			}
		}
		return overlapPeriods(a), nil
	}
}

func overlapPeriods(a []datum) datum {
	for _, i := range []int{0, 2} {
		switch {
		case a[i].IsNull() && a[i+1].IsNull():
			return null
		case a[i].IsNull(), !a[i+1].IsNull() && types.Compare(a[i], a[i+1]) > 0:
			a[i], a[i+1] = a[i+1], a[i]
		}
	}
	n := types.Compare(a[0], a[2])
	if n > 0 {
		a[0], a[1], a[2], a[3] = a[2], a[3], a[0], a[1]
	}
	// Now the first period begins no later than the second.
	switch {
	case n == 0 && (a[1].IsNull() || a[3].IsNull()), a[1].IsNull():
		return null
	case n == 0, types.Compare(a[2], a[1]) < 0:
		return types.Bool(true)
	case a[3].IsNull():
		return null
	}
	return types.Bool(false)
}

// SetSource may be implemented by a CatalogInfo or SessionInfo that answers
// set-returning functions such as pg_show_all_settings, pg_lock_status or
// pg_get_replication_slots; ok is false for one it does not know.
type SetSource interface {
	CallSet(name string, args []types.Datum) (rows RowIter, ok bool, err error)
}

// outerSets are the set-returning functions that a SetSource answers.
var outerSets = strings.Fields(`pg_options_to_table pg_show_all_settings pg_lock_status pg_prepared_statement pg_cursor
 pg_available_extensions pg_available_extension_versions pg_extension_update_paths pg_timezone_names
 pg_timezone_abbrevs pg_get_replication_slots pg_partition_tree pg_partition_ancestors pg_get_keywords
 pg_prepared_xact pg_tablespace_databases pg_listening_channels aclexplode pg_logical_slot_get_changes
 pg_logical_slot_peek_changes pg_logical_slot_get_binary_changes pg_logical_slot_peek_binary_changes
 pg_get_publication_tables pg_stat_get_backend_idset pg_get_catalog_foreign_keys
 pg_show_all_file_settings pg_get_shmem_allocations`)

func callSet(name string) setFunc {
	return func(c *Ctx, a []datum) (RowIter, error) {
		for _, source := range []any{c.Catalog, c.Session} {
			if s, ok := source.(SetSource); ok {
				if rows, known, err := s.CallSet(name, a); known || err != nil {
					return rows, err
				}
			}
		}
		return nil, unsupported("function %s is not supported here", name)
	}
}

var outerSetFuncs = func() map[string]setFunc {
	m := map[string]setFunc{}
	for _, name := range outerSets {
		m[name] = callSet(name)
	}
	return m
}()

func oidVectorTypes(_ *Ctx, a []datum) (datum, error) {
	var names []string
	for _, e := range a[0].Array().Elems {
		name := "???"
		if t, ok := types.ByOID(types.OID(e.Int())); ok {
			name = t.SQLName
		}
		names = append(names, name)
	}
	return types.String(strings.Join(names, ", ")), nil
}
