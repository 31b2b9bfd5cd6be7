package plan

import (
	"math"
	"strconv"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// The settings that ALTER DATABASE … SET may change.
const (
	SettingReplicas         = "tidemark.replicas"
	SettingHistoryRetention = "tidemark.history_retention"
	SettingHistorySize      = "tidemark.history_size"
	SettingMaxSlotLag       = "tidemark.max_slot_lag"
)

// Limits of databases.
const (
	// DefaultReplicas is how many replicas a database has unless it says otherwise.
	DefaultReplicas = 3
	// MaxReplicas is the most that it may have: more slow every write down and are
	// hardly less likely to fail at once.
	MaxReplicas = 7
	// maxNameBytes is how long a name may be.
	maxNameBytes = 63
	// reservedPrefix is what the names of the system's own databases begin with.
	reservedPrefix = "_tidemark"
)

// The commands about whole databases.
type (
	// CreateDatabase is CREATE DATABASE.
	CreateDatabase struct {
		Name          string
		Owner         string // empty: whoever asks
		Template      string // a database that is to be copied, unless it is empty
		Replicas      int    // 0: the default
		NoConnections bool
	}
	// DropDatabase is DROP DATABASE.
	DropDatabase struct {
		Name     string
		IfExists bool
		Force    bool
	}
	// RenameDatabase is ALTER DATABASE … RENAME TO.
	RenameDatabase struct{ Name, To string }
	// SetReplicas is ALTER DATABASE … SET tidemark.replicas.
	SetReplicas struct {
		Name     string
		Replicas int
	}
	// SetRetention is ALTER DATABASE … SET of one of the settings that say how much
	// history is retained. Value is in microseconds or bytes.
	SetRetention struct {
		Name, Setting string
		Value         int64
		Reset         bool // to the default
	}
)

func (*CreateDatabase) command() {}
func (*SetRetention) command()   {}
func (*DropDatabase) command()   {}
func (*RenameDatabase) command() {}
func (*SetReplicas) command()    {}

// Alone returns the tag of a command that has effects outside of the log and so
// cannot be part of a transaction; ok is false for others.
func Alone(c Command) (tag string, ok bool) {
	switch c := c.(type) {
	case *CreateDatabase:
		return "CREATE DATABASE", true
	case *DropDatabase:
		return "DROP DATABASE", true
	case *RenameDatabase, *SetReplicas, *SetRetention:
		return "ALTER DATABASE", true
	case *Accepted:
		return c.Tag, c.NoBlock
	}
	return "", false
}

// databaseCommand classifies what is about a whole database; nil and no error
// mean that n is something else.
func databaseCommand(n ast.Stmt) (Command, error) {
	switch n := n.(type) {
	case *ast.CreatedbStmt:
		return createDatabase(n)
	case *ast.DropdbStmt:
		d := &DropDatabase{Name: n.Dbname, IfExists: n.MissingOk}
		for _, it := range items(n.Options) {
			o, ok := it.(*ast.DefElem)
			if !ok || strings.ToLower(o.Defname) != "force" {
				return nil, sqlstate.New(sqlstate.SyntaxError, "unrecognized DROP DATABASE option \"%s\"", nodeName(it))
			}
			d.Force = true
		}
		return d, nil
	case *ast.RenameStmt:
		if n.RenameType != ast.OBJECT_DATABASE {
			return nil, nil
		}
		return &RenameDatabase{n.Subname, n.Newname}, checkDatabaseName(n.Newname)
	case *ast.AlterDatabaseSetStmt:
		return alterDatabaseSet(n)
	case *ast.AlterDatabaseStmt:
		for _, it := range items(n.Options) {
			return nil, unsupported("ALTER DATABASE ... %s", strings.ToUpper(strings.ReplaceAll(nodeName(it), "_", " ")))
		}
		return nil, unsupported("ALTER DATABASE")
	}
	return nil, nil
}

func nodeName(n ast.Node) string {
	if d, ok := n.(*ast.DefElem); ok {
		return d.Defname
	}
	return ""
}

func checkDatabaseName(name string) error {
	switch {
	case name == "":
		return sqlstate.New(sqlstate.SyntaxError, "zero-length delimited identifier at or near \"\"\"\"")
	case len(name) > maxNameBytes:
		return sqlstate.New(sqlstate.NameTooLong, "database name \"%s\" is too long", name).
			WithDetail("A name may have at most %d bytes.", maxNameBytes)
	case strings.ContainsAny(name, "\r\n"):
		return sqlstate.New(sqlstate.InvalidName, "database name contains a newline or carriage return")
	case strings.HasPrefix(name, reservedPrefix):
		return sqlstate.New(sqlstate.ReservedName, "unacceptable database name \"%s\"", name).
			WithDetail("The prefix \"%s\" is reserved for system databases.", reservedPrefix)
	case name == "template0" || name == "template1":
		return sqlstate.New(sqlstate.DuplicateDatabase, "database \"%s\" already exists", name)
	}
	return nil
}

func createDatabase(n *ast.CreatedbStmt) (Command, error) {
	c := &CreateDatabase{Name: n.Dbname}
	if err := checkDatabaseName(c.Name); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, it := range items(n.Options) {
		d, ok := it.(*ast.DefElem)
		if !ok {
			continue
		}
		name := strings.ToLower(d.Defname)
		if seen[name] {
			return nil, sqlstate.New(sqlstate.SyntaxError, "conflicting or redundant options")
		}
		seen[name] = true
		if err := c.option(name, d); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// option reads an option of CREATE DATABASE. What PostgreSQL has and means what
// every database here is anyway is accepted. One without a value is the default.
func (c *CreateDatabase) option(name string, d *ast.DefElem) error {
	value := defString(d)
	if d.Arg == nil {
		value = defaultOptions[name]
	}
	switch name {
	case "owner":
		c.Owner = value
	case "template":
		if value != "template0" && value != "template1" {
			c.Template = value
		}
	case "encoding":
		return checkDatabaseEncoding(value)
	case "locale", "lc_collate", "lc_ctype":
		if !databaseLocales[strings.ToLower(value)] {
			return unsupported("locale \"%s\"", value)
		}
	case "locale_provider":
		if !strings.EqualFold(value, "libc") {
			return unsupported("locale provider \"%s\"", value)
		}
	case "tablespace":
		if value != "pg_default" {
			return sqlstate.New(sqlstate.UndefinedObject, "tablespace \"%s\" does not exist", value)
		}
	case "strategy":
		if !strings.EqualFold(value, "wal_log") && !strings.EqualFold(value, "file_copy") {
			return sqlstate.New(sqlstate.InvalidParameterValue, "invalid create database strategy \"%s\"", value).
				WithHint("Valid strategies are \"wal_log\" and \"file_copy\".")
		}
	case "allow_connections":
		on, err := databaseFlag(name, d, true)
		c.NoConnections = !on
		return err
	case "is_template":
		on, err := databaseFlag(name, d, false)
		if err == nil && on {
			err = unsupported("CREATE DATABASE ... IS_TEMPLATE true")
		}
		return err
	case "connection_limit", "replicas":
		return c.number(name, value)
	case "oid", "collation_version", "icu_locale", "icu_rules":
		return unsupported("CREATE DATABASE ... %s", strings.ToUpper(name))
	default:
		return sqlstate.New(sqlstate.SyntaxError, "option \"%s\" not recognized", d.Defname)
	}
	return nil
}

// databaseFlag reads a boolean option.
func databaseFlag(name string, d *ast.DefElem, fallback bool) (bool, error) {
	if d.Arg == nil {
		return fallback, nil
	}
	if i, ok := d.Arg.(*ast.Integer); ok && (i.IVal == 0 || i.IVal == 1) {
		return i.IVal == 1, nil
	}
	on, ok := types.ParseBool(defString(d))
	if !ok {
		return false, sqlstate.New(sqlstate.SyntaxError, "%s requires a Boolean value", name)
	}
	return on, nil
}

func (c *CreateDatabase) number(name, value string) error {
	n, err := strconv.Atoi(value)
	switch {
	case err != nil:
		return sqlstate.New(sqlstate.SyntaxError, "%s requires an integer value", name)
	case name == "replicas":
		c.Replicas = n
		return checkReplicas("replicas", n)
	case n < -1:
		return sqlstate.New(sqlstate.InvalidParameterValue, "invalid connection limit: %d", n)
	case n >= 0 && n < math.MaxInt32:
		return unsupported("CREATE DATABASE ... CONNECTION LIMIT %d", n)
	}
	return nil
}

// defaultOptions are the values of CREATE DATABASE's options that say DEFAULT.
var defaultOptions = map[string]string{
	"template": "template1", "encoding": "UTF8", "locale": "C", "lc_collate": "C", "lc_ctype": "C", "locale_provider": "libc",
	"tablespace": "pg_default", "strategy": "wal_log", "connection_limit": "-1", "replicas": strconv.Itoa(DefaultReplicas),
}

// databaseLocales are the names of what every database has, in lower case: text
// sorts by its bytes, and letters are Unicode's.
var databaseLocales = map[string]bool{"c": true, "posix": true, "c.utf-8": true, "c.utf8": true}

// encodingUTF8 is PostgreSQL's number for UTF-8.
const encodingUTF8 = "6"

func checkDatabaseEncoding(name string) error {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)) {
	case "utf8", "unicode", encodingUTF8:
		return nil
	}
	return unsupported("encoding \"%s\"", name)
}

func checkReplicas(name string, n int) error {
	if n < 1 || n > MaxReplicas {
		return sqlstate.New(sqlstate.InvalidParameterValue, "%d is outside the valid range for parameter \"%s\" (1 .. %d)", n, name, MaxReplicas)
	}
	return nil
}
