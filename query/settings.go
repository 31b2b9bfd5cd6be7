package query

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/compaction"
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Settings of Tidemark's own.
const (
	settingToken             = "tidemark.token"
	settingReadAfter         = "tidemark.read_after"
	settingWaitTimeout       = "tidemark.wait_timeout"
	settingReadConsistency   = "tidemark.read_consistency"
	settingMaxStaleness      = "tidemark.max_staleness"
	settingIdempotency       = "tidemark.idempotency_key"
	settingIdempotencyWindow = "tidemark.idempotency_window"
)

// settingSenderTimeout is after how long a silent consumer of a replication stream is
// given up.
const settingSenderTimeout = "wal_sender_timeout"

// settingStandby tells clients that look for a primary or a standby which one this
// is.
const settingStandby = "in_hot_standby"

// variable is a setting the server knows.
type variable struct {
	name, value string // the name as SHOW prints it and the default
	kind        string // bool, integer, real, string, enum
	unit        string // ms and the like, for integers
	category    string
	desc        string
	enum        []string
	fixed       bool // cannot be changed
	report      bool // clients are told of changes
	meaning     bool // travels in log entries
	check       func(value string) (string, error)
}

// The categories of pg_settings.
const (
	catClient = "Client Connection Defaults"
	catPreset = "Preset Options"
	catQuery  = "Query Tuning"
	catLog    = "Write-Ahead Log"
	catOwn    = "Tidemark"

	catReplication = "Replication / Sending Servers"
)

var variables = func() map[string]*variable {
	out := map[string]*variable{}
	for i := range variableList {
		out[strings.ToLower(variableList[i].name)] = &variableList[i]
	}
	return out
}()

var variableList = []variable{
	{name: "application_name", kind: "string", category: catClient, report: true, desc: "Sets the application name to be reported in statistics and logs."},
	{name: exec.SettingByteaOutput, value: "hex", kind: "enum", enum: []string{"escape", "hex"}, category: catClient, meaning: true, desc: "Sets the output format for bytea."},
	{name: "check_function_bodies", value: "on", kind: "bool", category: catClient, desc: "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE."},
	{name: "client_encoding", value: "UTF8", kind: "string", category: catClient, report: true, check: checkEncoding, desc: "Sets the client's character set encoding."},
	{name: "client_min_messages", value: "notice", kind: "enum", enum: []string{"debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"}, category: catClient, desc: "Sets the message levels that are sent to the client."},
	{name: "data_directory_mode", value: "0700", kind: "string", category: catPreset, fixed: true, desc: "Shows the mode of the data directory."},
	{name: exec.SettingDateStyle, value: "ISO, MDY", kind: "string", category: catClient, report: true, meaning: true, check: checkDateStyle, desc: "Sets the display format for date and time values."},
	{name: "default_table_access_method", value: "heap", kind: "string", category: catClient, desc: "Sets the default table access method for new tables."},
	{name: "default_tablespace", kind: "string", category: catClient, desc: "Sets the default tablespace to create tables and indexes in."},
	{name: "default_transaction_deferrable", value: "off", kind: "bool", category: catClient, desc: "Sets the default deferrable status of new transactions."},
	{name: "default_transaction_isolation", value: "serializable", kind: "enum", enum: isolationLevels, category: catClient, desc: "Sets the transaction isolation level of each new transaction."},
	{name: "default_transaction_read_only", value: "off", kind: "bool", category: catClient, report: true, desc: "Sets the default read-only status of new transactions."},
	{name: "enable_bitmapscan", value: "on", kind: "bool", category: catQuery, desc: "Accepted; plans do not depend on it."},
	{name: "enable_hashagg", value: "on", kind: "bool", category: catQuery, desc: "Accepted; plans do not depend on it."},
	{name: "enable_hashjoin", value: "on", kind: "bool", category: catQuery, desc: "Accepted; plans do not depend on it."},
	{name: "enable_indexonlyscan", value: "on", kind: "bool", category: catQuery, desc: "Accepted; plans do not depend on it."},
	{name: "enable_indexscan", value: "on", kind: "bool", category: catQuery, desc: "Accepted; plans do not depend on it."},
	{name: "enable_material", value: "on", kind: "bool", category: catQuery, desc: "Accepted; plans do not depend on it."},
	{name: "enable_mergejoin", value: "on", kind: "bool", category: catQuery, desc: "Accepted; plans do not depend on it."},
	{name: "enable_nestloop", value: "on", kind: "bool", category: catQuery, desc: "Accepted; plans do not depend on it."},
	{name: "enable_seqscan", value: "on", kind: "bool", category: catQuery, desc: "Accepted; plans do not depend on it."},
	{name: "enable_sort", value: "on", kind: "bool", category: catQuery, desc: "Accepted; plans do not depend on it."},
	{name: exec.SettingFloatDigits, value: "1", kind: "integer", category: catClient, meaning: true, desc: "Sets the number of digits displayed for floating-point values."},
	{name: "idle_in_transaction_session_timeout", value: "0", kind: "integer", unit: "ms", category: catClient, desc: "Sets the maximum allowed idle time between queries, when in a transaction."},
	{name: settingStandby, value: "off", kind: "bool", category: catPreset, fixed: true, desc: "Shows whether hot standby is currently active."},
	{name: "integer_datetimes", value: "on", kind: "bool", category: catPreset, fixed: true, desc: "Shows whether datetimes are integer based."},
	{name: exec.SettingIntervalStyle, value: "postgres", kind: "enum", enum: []string{"postgres", "postgres_verbose", "sql_standard", "iso_8601"}, category: catClient, report: true, meaning: true, desc: "Sets the display format for interval values."},
	{name: "is_superuser", value: "on", kind: "bool", category: catPreset, fixed: true, desc: "Shows whether the current user is a superuser."},
	{name: "lc_collate", value: "C", kind: "string", category: catPreset, fixed: true, desc: "Shows the collation order locale."},
	{name: "lc_ctype", value: "C.UTF-8", kind: "string", category: catPreset, fixed: true, desc: "Shows the character classification and case conversion locale."},
	{name: "lc_messages", value: "C", kind: "string", category: catClient, desc: "Sets the language in which messages are displayed."},
	{name: "lc_monetary", value: "C", kind: "string", category: catClient, desc: "Sets the locale for formatting monetary amounts."},
	{name: "lc_numeric", value: "C", kind: "string", category: catClient, desc: "Sets the locale for formatting numbers."},
	{name: "lc_time", value: "C", kind: "string", category: catClient, desc: "Sets the locale for formatting date and time values."},
	{name: "lock_timeout", value: "0", kind: "integer", unit: "ms", category: catClient, desc: "Accepted; nothing waits for locks."},
	{name: "max_connections", value: "500", kind: "integer", category: catPreset, fixed: true, desc: "Sets the maximum number of concurrent connections."},
	{name: "max_identifier_length", value: "63", kind: "integer", category: catPreset, fixed: true, desc: "Shows the maximum identifier length."},
	{name: "max_index_keys", value: "32", kind: "integer", category: catPreset, fixed: true, desc: "Shows the maximum number of index keys."},
	{name: "max_replication_slots", value: strconv.Itoa(sm.MaxSlots), kind: "integer", category: catPreset, fixed: true, desc: "Sets the maximum number of slots that a database has."},
	{name: "row_security", value: "on", kind: "bool", category: catClient, desc: "Accepted; there are no row policies."},
	{name: exec.SettingSearchPath, value: `"$user", public`, kind: "string", category: catClient, meaning: true, desc: "Sets the schema search order for names that are not schema-qualified."},
	{name: "server_encoding", value: "UTF8", kind: "string", category: catPreset, fixed: true, desc: "Shows the server (database) character set encoding."},
	{name: "server_version", value: exec.ServerVersion, kind: "string", category: catPreset, fixed: true, desc: "Shows the server version."},
	{name: "server_version_num", value: exec.ServerVersionNum, kind: "integer", category: catPreset, fixed: true, desc: "Shows the server version as an integer."},
	{name: "standard_conforming_strings", value: "on", kind: "bool", category: catClient, report: true, check: checkStandardStrings, desc: "Causes '...' strings to treat backslashes literally."},
	{name: "statement_timeout", value: "0", kind: "integer", unit: "ms", category: catClient, desc: "Sets the maximum allowed duration of any statement."},
	{name: "synchronize_seqscans", value: "on", kind: "bool", category: catClient, desc: "Accepted; scans always begin at the beginning."},
	{name: "synchronous_commit", value: "on", kind: "enum", enum: []string{"on", "remote_apply"}, category: catLog, desc: "A commit is always on disk before it is acknowledged."},
	{name: exec.SettingTimeZone, value: "UTC", kind: "string", category: catClient, report: true, meaning: true, check: checkTimeZone, desc: "Sets the time zone for displaying and interpreting time stamps."},
	{name: "transaction_deferrable", value: "off", kind: "bool", category: catClient, desc: "Accepted; a read-only transaction never waits."},
	{name: "transaction_isolation", value: "serializable", kind: "enum", enum: isolationLevels, category: catClient, desc: "Sets the current transaction's isolation level."},
	{name: "transaction_read_only", value: "off", kind: "bool", category: catClient, desc: "Sets the current transaction's read-only status."},
	{name: settingSenderTimeout, value: "1min", kind: "integer", unit: "ms", category: catReplication, desc: "Sets the maximum time to wait for a consumer of a replication stream to say something."},
	{name: "wal_level", value: "logical", kind: "enum", enum: []string{"logical"}, category: catPreset, fixed: true, desc: "Every change is kept in the log."},
	{name: "work_mem", value: "4096", kind: "integer", category: catQuery, desc: "Accepted; a statement's memory has one bound for all."},
	{name: "xmloption", value: "content", kind: "enum", enum: []string{"content", "document"}, category: catClient, desc: "Accepted; there is no xml type."},
	{name: settingIdempotency, kind: "string", category: catOwn, check: checkKey, desc: "The next transaction that writes is executed once under this key."},
	{name: settingIdempotencyWindow, value: "1d", kind: "string", category: catOwn, check: checkWindow, desc: "For how long the outcome of a transaction with a key is remembered."},
	{name: exec.SettingMaxBytes, value: defaultMaxBytes, kind: "integer", category: catOwn, check: checkCount, desc: "How many bytes a transaction may write (0: no bound)."},
	{name: exec.SettingMaxRows, value: defaultMaxRows, kind: "integer", category: catOwn, check: checkCount, desc: "How many rows a transaction may change (0: no bound)."},
	{name: exec.SettingMaxSteps, value: defaultMaxSteps, kind: "integer", category: catOwn, check: checkCount, desc: "How many rows the statements of a transaction that write may look at (0: no bound)."},
	{name: plan.SettingReplicas, value: strconv.Itoa(plan.DefaultReplicas), kind: "integer", category: catOwn, fixed: true, desc: "How many replicas the database is to have; ALTER DATABASE … SET changes it."},
	{name: plan.SettingHistoryRetention, value: "0", kind: "string", category: catOwn, fixed: true, desc: "For how long history is retained (0: for ever); ALTER DATABASE … SET changes it."},
	{name: plan.SettingHistorySize, value: "0", kind: "string", category: catOwn, fixed: true, desc: "How many bytes of the change log are retained (0: all); ALTER DATABASE … SET changes it."},
	{name: plan.SettingMaxSlotLag, value: strconv.Itoa(int(compaction.DefaultSlotLag)), kind: "string", category: catOwn, fixed: true, desc: "How many bytes behind the end of the log a slot may be and still hold back history (0: any); ALTER DATABASE … SET changes it."},
	{name: settingMaxStaleness, value: "10s", kind: "string", category: catOwn, check: checkDuration(settingMaxStaleness), desc: "How old what is read may be where tidemark.read_consistency is bounded."},
	{name: settingReadConsistency, value: readLinearizable, kind: "enum", enum: readLevels, category: catOwn, desc: "What reads are sure to see."},
	{name: settingReadAfter, kind: "string", category: catOwn, desc: "Reads wait until this token or LSN has been applied."},
	{name: settingToken, kind: "string", category: catOwn, fixed: true, desc: "The token of the session's last commit."},
	{name: settingWaitTimeout, value: "5s", kind: "string", category: catOwn, check: checkDuration(settingWaitTimeout), desc: "How long a read waits for what it has to see."},
}

var isolationLevels = []string{"serializable", "repeatable read", "read committed", "read uncommitted"}

func checkEncoding(v string) (string, error) {
	switch strings.ToUpper(strings.NewReplacer("-", "", "_", "").Replace(strings.Trim(v, "'"))) {
	case "UTF8", "UNICODE", "SQLASCII":
		return "UTF8", nil
	}
	return "", sqlstate.New(sqlstate.FeatureNotSupported, "conversion between %s and UTF8 is not supported", strings.ToUpper(v))
}

func checkStandardStrings(v string) (string, error) {
	if on, ok := types.ParseBool(v); ok && on {
		return "on", nil
	}
	return "", sqlstate.New(sqlstate.FeatureNotSupported, "standard_conforming_strings = off is not supported")
}

func checkTimeZone(v string) (string, error) {
	loc, err := types.LoadLocation(v)
	if err != nil {
		return "", sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"TimeZone\": \"%s\"", v)
	}
	if strings.EqualFold(loc.String(), v) {
		return loc.String(), nil
	}
	return v, nil
}

func checkDateStyle(v string) (string, error) {
	m, err := exec.NewMeaning([]log.Setting{{Name: exec.SettingDateStyle, Value: v}}, "")
	if err != nil {
		return "", err
	}
	return exec.DateStyleName(m.Format), nil
}

func checkDuration(name string) func(string) (string, error) {
	return func(v string) (string, error) {
		if d, err := parser.ParseDuration(v); err != nil || d < 0 {
			return "", sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", name, v)
		}
		return v, nil
	}
}

// settings are the values of one session that differ from the defaults. A
// settings value is never changed: with makes a new one, so that a transaction
// or savepoint can go back to what it has kept.
type settings struct {
	session map[string]string // by lower-case name
	local   map[string]string // SET LOCAL: until the transaction's end
}

// get returns a setting and whether the server, or the session, knows it.
func (s settings) get(name string) (string, bool) {
	key := strings.ToLower(name)
	if v, ok := s.local[key]; ok {
		return v, true
	}
	if v, ok := s.session[key]; ok {
		return v, true
	}
	if v, ok := variables[key]; ok {
		return v.value, true
	}
	return "", false
}

// with returns s with one setting changed; "" as value of reset means default.
func (s settings) with(name, value string, local, reset bool) (settings, error) {
	key := strings.ToLower(name)
	v, known := variables[key]
	switch {
	case known && v.fixed:
		return s, sqlstate.New(sqlstate.CantChangeRuntimeParam, "parameter \"%s\" cannot be changed", v.name)
	case !known && !strings.Contains(key, "."):
		return s, sqlstate.New(sqlstate.UndefinedObject, "unrecognized configuration parameter \"%s\"", name)
	}
	if known && !reset {
		var err error
		if value, err = v.normalize(value); err != nil {
			return s, err
		}
	}
	out := settings{maps.Clone(s.session), maps.Clone(s.local)}
	if out.session == nil {
		out.session = map[string]string{}
	}
	if out.local == nil {
		out.local = map[string]string{}
	}
	switch {
	case reset && known:
		delete(out.local, key)
		out.session[key] = v.value
	case reset:
		delete(out.local, key)
		delete(out.session, key)
	case local:
		out.local[key] = value
	default:
		delete(out.local, key)
		out.session[key] = value
	}
	return out, nil
}

// normalize checks a value and gives it the form SHOW prints.
func (v *variable) normalize(value string) (string, error) {
	invalid := sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", v.name, value)
	if v.check != nil {
		return v.check(value)
	}
	switch v.kind {
	case "bool":
		on, ok := types.ParseBool(value)
		if !ok {
			return "", sqlstate.New(sqlstate.InvalidParameterValue, "parameter \"%s\" requires a Boolean value", v.name)
		}
		if on {
			return "on", nil
		}
		return "off", nil
	case "integer":
		if v.unit == "ms" {
			d, err := parser.ParseDuration(value)
			if err != nil || d < 0 {
				return "", invalid
			}
			return durationText(d.Milliseconds()), nil
		}
		if _, err := strconv.Atoi(value); err != nil && v.name != "work_mem" {
			return "", invalid
		}
	case "enum":
		lower := strings.ToLower(value)
		if !slices.Contains(v.enum, lower) {
			if on, ok := types.ParseBool(lower); ok && on && slices.Contains(v.enum, "on") {
				return "on", nil
			}
			return "", invalid.WithHint("Available values: %s.", strings.Join(v.enum, ", "))
		}
		return lower, nil
	}
	return value, nil
}

// durationText prints milliseconds in the largest unit that leaves a whole
// number, as SHOW does.
func durationText(ms int64) string {
	for _, u := range []struct {
		name string
		ms   int64
	}{{"d", 86_400_000}, {"h", 3_600_000}, {"min", 60_000}, {"s", 1000}} {
		if ms != 0 && ms%u.ms == 0 {
			return strconv.FormatInt(ms/u.ms, 10) + u.name
		}
	}
	if ms == 0 {
		return "0"
	}
	return strconv.FormatInt(ms, 10) + "ms"
}

// meaning collects the settings that travel in entries.
func (s settings) meaning(role, database string) (*exec.Meaning, error) {
	list := []log.Setting{{Name: exec.SettingDatabase, Value: database}}
	for i := range variableList {
		v := &variableList[i]
		if v.meaning {
			value, _ := s.get(v.name)
			list = append(list, log.Setting{Name: v.name, Value: value})
		}
	}
	slices.SortFunc(list, func(a, b log.Setting) int { return strings.Compare(a.Name, b.Name) })
	return exec.NewMeaning(list, role)
}

// settingRows are the rows of pg_settings, with the values that get returns.
func settingRows(get func(name string) (string, bool)) []syscat.Setting {
	var out []syscat.Setting
	for i := range variableList {
		v := &variableList[i]
		value, _ := get(v.name)
		context := "user"
		if v.fixed {
			context = "internal"
		}
		out = append(out, syscat.Setting{Name: v.name, Value: value, Unit: v.unit, Category: v.category, Description: v.desc,
			Context: context, Type: v.kind, Boot: v.value})
	}
	return out
}
