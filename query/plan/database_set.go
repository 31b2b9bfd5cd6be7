package plan

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// alterDatabaseSet is ALTER DATABASE … SET and RESET. Defaults for the sessions of a
// database there are not, only what concerns the database itself.
func alterDatabaseSet(n *ast.AlterDatabaseSetStmt) (Command, error) {
	name := ""
	if n.Setstmt != nil {
		name = strings.ToLower(n.Setstmt.Name)
	}
	switch name {
	case SettingReplicas, SettingHistoryRetention, SettingHistorySize, SettingMaxSlotLag:
	default:
		return nil, sqlstate.New(sqlstate.FeatureNotSupported, "settings of a database are not supported").
			WithDetail("ALTER DATABASE ... SET can only change %s, %s, %s and %s.",
				SettingReplicas, SettingHistoryRetention, SettingHistorySize, SettingMaxSlotLag)
	}
	value, reset := "", false
	switch n.Setstmt.Kind {
	case ast.VAR_RESET, ast.VAR_SET_DEFAULT:
		reset = true
	case ast.VAR_SET_VALUE:
		args := items(n.Setstmt.Args)
		if len(args) != 1 {
			return nil, sqlstate.New(sqlstate.InvalidParameterValue, "SET %s takes only one argument", name)
		}
		value = nodeString(args[0])
	default:
		return nil, unsupported("ALTER DATABASE ... SET ... FROM CURRENT")
	}
	if name == SettingReplicas {
		return setReplicas(n.Dbname, value, reset)
	}
	c := &SetRetention{Name: n.Dbname, Setting: name, Reset: reset}
	if reset {
		return c, nil
	}
	var err error
	if c.Value, err = retentionValue(name, value); err != nil {
		return nil, err
	}
	return c, nil
}

func setReplicas(database, value string, reset bool) (Command, error) {
	if reset {
		return &SetReplicas{database, DefaultReplicas}, nil
	}
	d, err := types.Int4Type.Parse(types.DefaultFormat(), value, types.NoTypmod)
	if err != nil {
		return nil, sqlstate.New(sqlstate.InvalidParameterValue, "parameter \"%s\" requires a numeric value", SettingReplicas)
	}
	r := &SetReplicas{database, int(d.Int())}
	return r, checkReplicas(SettingReplicas, r.Replicas)
}

// retentionValue reads a duration in microseconds or a size in bytes.
func retentionValue(name, text string) (int64, error) {
	invalid := sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", name, text)
	value, ok := int64(0), false
	if name == SettingHistoryRetention {
		value, ok = parseAge(text)
		invalid = invalid.WithHint("It is an interval, such as \"7 days\"; 0 means that history is retained for ever.")
	} else {
		value, ok = parseSize(text)
		invalid = invalid.WithHint("It is a number of bytes, or has one of the units \"B\", \"kB\", \"MB\", \"GB\" and \"TB\"; 0 means that there is no limit.")
	}
	if !ok || value < 0 {
		return 0, invalid
	}
	return value, nil
}

// daysInMonth is what a month of an interval counts for.
const daysInMonth = 30

// parseAge reads a duration as settings have it, or an interval.
func parseAge(text string) (micros int64, ok bool) {
	if d, err := parser.ParseDuration(text); err == nil {
		return d.Microseconds(), true
	}
	d, err := types.IntervalType.Parse(types.DefaultFormat(), text, types.NoTypmod)
	if err != nil {
		return 0, false
	}
	v := d.Interval()
	days := int64(v.Months)*daysInMonth + int64(v.Days)
	total := float64(days)*float64(24*time.Hour/time.Microsecond) + float64(v.Micros)
	// A time.Duration has to hold it, in nanoseconds.
	if math.Abs(total) >= math.MaxInt64/1000 {
		return 0, false
	}
	return days*int64(24*time.Hour/time.Microsecond) + v.Micros, true
}

// sizeUnits are PostgreSQL's.
var sizeUnits = map[string]int64{"": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}

// parseSize reads a number of bytes.
func parseSize(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	i := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != '-' && r != '+' })
	if i < 0 {
		i = len(text)
	}
	unit, ok := sizeUnits[strings.TrimSpace(text[i:])]
	n, err := strconv.ParseFloat(text[:i], 64)
	if !ok || err != nil || math.Abs(n*float64(unit)) >= 1<<62 {
		return 0, false
	}
	return int64(n * float64(unit)), true
}
