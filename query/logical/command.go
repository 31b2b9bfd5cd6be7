package logical

import (
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Command is a command of the replication protocol.
type Command interface{ command() }

// The replication commands.
type (
	// IdentifySystem is IDENTIFY_SYSTEM.
	IdentifySystem struct{}

	// CreateSlot is CREATE_REPLICATION_SLOT.
	CreateSlot struct {
		Name      string
		Temporary bool
		Physical  bool
		Plugin    string
		Snapshot  SnapshotAction
		TwoPhase  bool
	}

	// StartReplication is START_REPLICATION.
	StartReplication struct {
		Slot     string
		Physical bool
		Start    log.Offset
		Options  []Option
	}

	// DropSlot is DROP_REPLICATION_SLOT.
	DropSlot struct {
		Name string
		Wait bool
	}

	// ReadSlot is READ_REPLICATION_SLOT.
	ReadSlot struct{ Name string }

	// Refused is a command that is known and not supported, by its name.
	Refused struct{ Name string }
)

func (*IdentifySystem) command()   {}
func (*CreateSlot) command()       {}
func (*StartReplication) command() {}
func (*DropSlot) command()         {}
func (*ReadSlot) command()         {}
func (*Refused) command()          {}

// SnapshotAction says what becomes of the snapshot of a new slot.
type SnapshotAction uint8

// The snapshot actions.
const (
	SnapshotExport SnapshotAction = iota
	SnapshotUse
	SnapshotNothing
)

// Option is an option of an output plugin. Set says that it has a value.
type Option struct {
	Name, Value string
	Set         bool
}

func syntaxError() error { return sqlstate.New(sqlstate.SyntaxError, "syntax error") }

// ParseCommand parses a replication command; ok is false for what is none, which is
// SQL then. SHOW is one as well, but means the same in SQL.
func ParseCommand(text string) (c Command, ok bool, err error) {
	l := &lexer{rest: text}
	first := l.next()
	if first.kind != tokenName || first.quoted {
		return nil, false, nil
	}
	p := &commandParser{lexer: l}
	p.advance()
	switch first.keyword() {
	case "IDENTIFY_SYSTEM":
		c = &IdentifySystem{}
	case "CREATE_REPLICATION_SLOT":
		c, err = p.createSlot()
	case "START_REPLICATION":
		c, err = p.startReplication()
	case "DROP_REPLICATION_SLOT":
		d := &DropSlot{}
		d.Name, err = p.name()
		d.Wait = err == nil && p.accept("WAIT")
		c = d
	case "READ_REPLICATION_SLOT":
		r := &ReadSlot{}
		r.Name, err = p.name()
		c = r
	case "TIMELINE_HISTORY", "BASE_BACKUP":
		return &Refused{first.keyword()}, true, nil
	default:
		return nil, false, nil
	}
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, true, err
	}
	return c, true, nil
}

// commandParser has read one token ahead.
type commandParser struct {
	lexer *lexer
	token token
}

func (p *commandParser) advance() { p.token = p.lexer.next() }

// accept consumes a keyword if it comes.
func (p *commandParser) accept(keyword string) bool {
	if p.token.keyword() != keyword {
		return false
	}
	p.advance()
	return true
}

// symbol consumes a character if it comes.
func (p *commandParser) symbol(c byte) bool {
	if p.token.kind != tokenSymbol || p.token.text[0] != c {
		return false
	}
	p.advance()
	return true
}

// name consumes the name of a slot, plugin or option.
func (p *commandParser) name() (string, error) {
	if p.token.kind != tokenName {
		return "", syntaxError()
	}
	s := p.token.text
	p.advance()
	return s, nil
}

// end checks that nothing follows but a semicolon.
func (p *commandParser) end() error {
	p.symbol(';')
	if p.token.kind != tokenEnd {
		return syntaxError()
	}
	return nil
}

func (p *commandParser) createSlot() (Command, error) {
	c := &CreateSlot{}
	var err error
	if c.Name, err = p.name(); err != nil {
		return nil, err
	}
	c.Temporary = p.accept("TEMPORARY")
	switch {
	case p.accept("PHYSICAL"):
		c.Physical = true
	case p.accept("LOGICAL"):
		if c.Plugin, err = p.name(); err != nil {
			return nil, err
		}
	default:
		return nil, syntaxError()
	}
	if p.symbol('(') {
		options, err := p.options()
		if err != nil {
			return nil, err
		}
		return c, c.apply(options)
	}
	return c, c.apply(p.oldOptions())
}

// oldOptions are the options as they were spelled before PostgreSQL 15.
func (p *commandParser) oldOptions() (out []Option) {
	for {
		switch {
		case p.accept("EXPORT_SNAPSHOT"):
			out = append(out, Option{"snapshot", "export", true})
		case p.accept("NOEXPORT_SNAPSHOT"):
			out = append(out, Option{"snapshot", "nothing", true})
		case p.accept("USE_SNAPSHOT"):
			out = append(out, Option{"snapshot", "use", true})
		case p.accept("TWO_PHASE"):
			out = append(out, Option{"two_phase", "", false})
		case p.accept("RESERVE_WAL"):
			out = append(out, Option{"reserve_wal", "", false})
		default:
			return out
		}
	}
}

// apply takes the options in.
func (c *CreateSlot) apply(options []Option) error {
	given := map[string]bool{}
	for _, o := range options {
		name := lower(o.Name)
		if given[name] {
			return sqlstate.New(sqlstate.SyntaxError, "conflicting or redundant options")
		}
		given[name] = true
		var err error
		switch {
		case name == "snapshot" && !c.Physical:
			c.Snapshot, err = snapshotAction(o)
		case name == "two_phase" && !c.Physical:
			c.TwoPhase, err = optionBool(name, o)
		case name == "reserve_wal" && c.Physical:
			_, err = optionBool(name, o)
		default:
			err = sqlstate.New(sqlstate.SyntaxError, "unrecognized option: %s", o.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func snapshotAction(o Option) (SnapshotAction, error) {
	switch {
	case o.Set && o.Value == "export":
		return SnapshotExport, nil
	case o.Set && o.Value == "use":
		return SnapshotUse, nil
	case o.Set && o.Value == "nothing":
		return SnapshotNothing, nil
	}
	return 0, sqlstate.New(sqlstate.SyntaxError, "unrecognized value for CREATE_REPLICATION_SLOT option \"%s\": \"%s\"", o.Name, o.Value)
}

func (p *commandParser) startReplication() (Command, error) {
	c := &StartReplication{}
	var err error
	if p.accept("SLOT") {
		if c.Slot, err = p.name(); err != nil {
			return nil, err
		}
	}
	if c.Physical = !p.accept("LOGICAL"); c.Physical {
		p.accept("PHYSICAL")
	} else if c.Slot == "" {
		return nil, syntaxError()
	}
	if p.token.kind != tokenPosition {
		return nil, syntaxError()
	}
	if c.Start, err = log.ParseOffset(p.token.text); err != nil {
		return nil, syntaxError()
	}
	p.advance()
	if c.Physical && p.accept("TIMELINE") {
		if p.token.kind != tokenNumber {
			return nil, syntaxError()
		}
		p.advance()
	}
	if !c.Physical && p.symbol('(') {
		c.Options, err = p.options()
	}
	return c, err
}

// maxOptions bounds the options of one command.
const maxOptions = 1000

// options reads name-and-value pairs up to the closing parenthesis.
func (p *commandParser) options() (out []Option, err error) {
	for len(out) < maxOptions {
		var o Option
		if o.Name, err = p.name(); err != nil {
			return nil, err
		}
		switch p.token.kind {
		case tokenString, tokenName, tokenNumber:
			o.Value, o.Set = p.token.text, true
			p.advance()
		}
		out = append(out, o)
		switch {
		case p.symbol(','):
		case p.symbol(')'):
			return out, nil
		default:
			return nil, syntaxError()
		}
	}
	return nil, sqlstate.New(sqlstate.ProgramLimitExceeded, "a replication command may have at most %d options", maxOptions)
}

// optionBool is the value of an option that is on or off; without a value it is on.
func optionBool(name string, o Option) (bool, error) {
	if !o.Set {
		return true, nil
	}
	if on, ok := types.ParseBool(o.Value); ok {
		return on, nil
	}
	return false, sqlstate.New(sqlstate.SyntaxError, "%s requires a Boolean value", name)
}
