package plan

import (
	"time"

	"github.com/tidemark-db/tidemark/sm/types"
)

// Command is what a parsed statement asks of the session. Statements that run
// on tables are *Query (bound later, with a catalog); everything else is
// handled by the session itself.
type Command interface{ command() }

// The commands a session handles itself.
type (
	// Begin is BEGIN or START TRANSACTION.
	Begin struct {
		Modes TransactionModes
		Start bool // it was written START TRANSACTION
	}
	// Commit is COMMIT or END.
	Commit struct{ Chain bool }
	// Rollback is ROLLBACK or ABORT.
	Rollback struct{ Chain bool }
	// Savepoint is SAVEPOINT.
	Savepoint struct{ Name string }
	// Release is RELEASE SAVEPOINT.
	Release struct{ Name string }
	// RollbackTo is ROLLBACK TO SAVEPOINT.
	RollbackTo struct{ Name string }
	// SetTransaction is SET TRANSACTION, or SET SESSION CHARACTERISTICS.
	SetTransaction struct {
		Modes   TransactionModes
		Session bool
	}
	// SetSnapshot is SET TRANSACTION SNAPSHOT.
	SetSnapshot struct{ ID string }
	// SetVariable is SET; Default means SET … TO DEFAULT or RESET.
	SetVariable struct {
		Name    string
		Values  []string
		Local   bool
		Default bool
		Reset   bool // it was written RESET
	}
	// ResetAll is RESET ALL.
	ResetAll struct{}
	// Show is SHOW.
	Show struct{ Name string }
	// Prepare is PREPARE; the inner statement is given as text.
	Prepare struct {
		Name  string
		Types []*types.Type
		Query *Query
	}
	// Execute is EXECUTE.
	Execute struct {
		Name string
		Args []*Query // each SELECT <argument>
	}
	// Deallocate is DEALLOCATE; an empty name means ALL.
	Deallocate struct{ Name string }
	// DeclareCursor is DECLARE … CURSOR.
	DeclareCursor struct {
		Name   string
		Hold   bool
		Binary bool
		Scroll bool
		Query  *Query
	}
	// Fetch is FETCH or MOVE.
	Fetch struct {
		Name     string
		Count    int64
		Backward bool
		Absolute bool
		Relative bool
		Move     bool
	}
	// CloseCursor is CLOSE; an empty name means ALL.
	CloseCursor struct{ Name string }
	// Copy is COPY.
	Copy struct {
		Spec CopySpec
		Text string // the statement itself
	}
	// Explain is EXPLAIN.
	Explain struct {
		Query   *Query
		Analyze bool
		Costs   bool
		Verbose bool
		JSON    bool
	}
	// Discard is DISCARD.
	Discard struct{ What string }
	// Wait is WAIT FOR LSN, or with a Slot WAIT FOR SLOT, where Target may be empty.
	Wait struct {
		Slot    string
		Target  string
		Timeout time.Duration
		NoThrow bool
	}
	// Accepted is a statement that asks for something this engine does by
	// itself or has no use for: VACUUM, ANALYZE, CHECKPOINT, LOCK TABLE, ….
	Accepted struct {
		Tag string
		// Tables must exist.
		Tables []Name
		// Notice, when not empty, is sent as a NOTICE.
		Notice string
		// NoBlock: not allowed in a transaction block.
		NoBlock bool
	}
)

// TransactionModes are the modes of BEGIN and SET TRANSACTION; empty or nil
// means not given.
type TransactionModes struct {
	Isolation  string
	ReadOnly   *bool
	Deferrable *bool
}

// CopySpec is COPY's target and format.
type CopySpec struct {
	Table                               Name
	Columns                             []string
	Query                               *Query // COPY (query) TO
	From                                bool
	Format                              string // text, csv, binary
	Delimiter                           string
	Null                                *string
	Header                              bool
	HeaderMatch                         bool
	Quote                               string
	Escape                              string
	ForceQuote, ForceNotNull, ForceNull []string
	ForceQuoteAll                       bool
	Where                               bool
}

func (*Begin) command()          {}
func (*Commit) command()         {}
func (*Rollback) command()       {}
func (*Savepoint) command()      {}
func (*Release) command()        {}
func (*RollbackTo) command()     {}
func (*SetTransaction) command() {}
func (*SetSnapshot) command()    {}
func (*SetVariable) command()    {}
func (*ResetAll) command()       {}
func (*Show) command()           {}
func (*Prepare) command()        {}
func (*Execute) command()        {}
func (*Deallocate) command()     {}
func (*DeclareCursor) command()  {}
func (*Fetch) command()          {}
func (*CloseCursor) command()    {}
func (*Copy) command()           {}
func (*Explain) command()        {}
func (*Discard) command()        {}
func (*Wait) command()           {}
func (*Accepted) command()       {}
func (*Query) command()          {}
