package exec

import (
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Names of the settings that change what a statement means. They travel in
// every entry.
const (
	SettingSearchPath    = "search_path"
	SettingTimeZone      = "TimeZone"
	SettingDateStyle     = "DateStyle"
	SettingIntervalStyle = "IntervalStyle"
	SettingFloatDigits   = "extra_float_digits"
	SettingByteaOutput   = "bytea_output"
	// SettingDatabase is no setting of the client's but travels like one: what
	// the database is called may change, and replicas hear of it at different
	// times.
	SettingDatabase = "database"
)

// Names of the settings that bound what one entry may cost at apply.
const (
	SettingMaxRows  = "tidemark.max_transaction_rows"
	SettingMaxBytes = "tidemark.max_transaction_bytes"
	SettingMaxSteps = "tidemark.max_transaction_steps"
)

// Meaning is what the settings that change meaning come to.
type Meaning struct {
	// Settings are the settings themselves, sorted by name.
	Settings   []log.Setting
	SearchPath []string
	Format     *types.Format
	// Database is what current_database() is.
	Database string
	// Key is equal for equal settings.
	Key string
}

// NewMeaning reads settings; role is what "$user" in search_path stands for.
func NewMeaning(settings []log.Setting, role string) (*Meaning, error) {
	m := &Meaning{Settings: settings, Format: types.DefaultFormat()}
	var key strings.Builder
	for _, s := range settings {
		if err := m.apply(s.Name, s.Value, role); err != nil {
			return nil, err
		}
		key.WriteString(s.Name + "=" + s.Value + "\x00")
	}
	m.Key = key.String() + role
	return m, nil
}

func (m *Meaning) apply(name, value, role string) error {
	switch name {
	case SettingDatabase:
		m.Database = value
	case SettingSearchPath:
		for _, s := range SplitIdentifiers(value) {
			if s == "$user" {
				s = role
			}
			m.SearchPath = append(m.SearchPath, s)
		}
	case SettingTimeZone:
		loc, err := types.LoadLocation(value)
		if err != nil {
			return err
		}
		m.Format.Location, m.Format.LocationName = loc, value
	case SettingDateStyle:
		return dateStyle(m.Format, value)
	case SettingIntervalStyle:
		style, ok := intervalStyles[strings.ToLower(value)]
		if !ok {
			return invalidSetting(name, value)
		}
		m.Format.IntervalStyle = style
	case SettingFloatDigits:
		n, err := strconv.Atoi(value)
		if err != nil || n < -15 || n > 3 {
			return invalidSetting(name, value)
		}
		m.Format.ExtraFloatDigits = n
	case SettingByteaOutput:
		switch strings.ToLower(value) {
		case "hex":
			m.Format.ByteaOutput = types.ByteaHex
		case "escape":
			m.Format.ByteaOutput = types.ByteaEscape
		default:
			return invalidSetting(name, value)
		}
	}
	return nil
}

func invalidSetting(name, value string) error {
	return sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", name, value)
}

var intervalStyles = map[string]types.IntervalStyle{
	"postgres": types.IntervalStylePostgres, "postgres_verbose": types.IntervalStyleVerbose,
	"sql_standard": types.IntervalStyleSQL, "iso_8601": types.IntervalStyleISO8601,
}

// dateStyle reads "ISO, MDY" and the like; what is not said stays.
func dateStyle(f *types.Format, value string) error {
	for _, part := range strings.Split(value, ",") {
		switch p := strings.ToLower(strings.TrimSpace(part)); p {
		case "iso":
			f.DateStyle = types.DateStyleISO
		case "sql":
			f.DateStyle = types.DateStyleSQL
		case "postgres":
			f.DateStyle = types.DateStylePostgres
		case "german":
			f.DateStyle, f.DateOrder = types.DateStyleGerman, types.DateOrderDMY
		case "mdy", "us", "noneuro", "noneuropean":
			f.DateOrder = types.DateOrderMDY
		case "dmy", "euro", "european":
			f.DateOrder = types.DateOrderDMY
		case "ymd":
			f.DateOrder = types.DateOrderYMD
		case "default":
			f.DateStyle, f.DateOrder = types.DateStyleISO, types.DateOrderMDY
		default:
			return invalidSetting(SettingDateStyle, value)
		}
	}
	return nil
}

// DateStyleName is how SHOW DateStyle prints a format's style.
func DateStyleName(f *types.Format) string {
	return [...]string{"ISO", "SQL", "Postgres", "German"}[f.DateStyle] + ", " + [...]string{"MDY", "DMY", "YMD"}[f.DateOrder]
}

// SplitIdentifiers cuts a list such as search_path at its commas. Quoted names
// are taken as they are, others in lower case.
func SplitIdentifiers(s string) []string {
	var out []string
	for len(s) > 0 {
		s = strings.TrimLeft(s, " \t\n,")
		if s == "" {
			break
		}
		if s[0] != '"' {
			i := strings.IndexByte(s, ',')
			if i < 0 {
				i = len(s)
			}
			out = append(out, strings.ToLower(strings.TrimSpace(s[:i])))
			s = s[i:]
			continue
		}
		var name strings.Builder
		i := 1
		for ; i < len(s); i++ {
			if s[i] == '"' {
				if i+1 < len(s) && s[i+1] == '"' {
					i++
				} else {
					break
				}
			}
			name.WriteByte(s[i])
		}
		out = append(out, name.String())
		s = s[min(i+1, len(s)):]
	}
	return out
}
