package log

import "strconv"

// FormatVersion is the version of the entry encoding that this code writes.
const FormatVersion = 1

// MaxEntryBytes is the largest encoded entry that may be appended; bigger
// transactions are staged in chunks.
const MaxEntryBytes = 16 << 20

// Kind says what an entry does.
type Kind uint8

// The kinds of entries. Numbers are stored: never reuse one.
const (
	KindCommand     Kind = 1 // single shot: statements executed at their place in the log
	KindTransaction Kind = 2 // interactive: statements re-executed and compared with what the client saw
	KindStage       Kind = 3 // a chunk of rows that a later entry's COPY statement consumes
	KindUnstage     Kind = 4 // give up staged chunks, or remove what was given up
	KindReserve     Kind = 5 // reserve a block of sequence values
	KindFence       Kind = 6 // switch the semantics version
	KindCheck       Kind = 7 // replicas note their checksums, to compare them
	KindVote        Kind = 8 // what one replica has noted
	KindSlot        Kind = 9 // create, move, take or drop a consumer's slot
)

// Semantics is the version of apply's behaviour. An entry is executed with the
// semantics it was proposed under.
type Semantics uint32

// The versions of apply's behaviour, by what each has brought.
const (
	// SemanticsFirst is that of the first logs.
	SemanticsFirst Semantics = 1
	// SemanticsDefinitions makes each definition leave a message for consumers, and
	// lets statements that write ask pg_is_in_recovery().
	SemanticsDefinitions Semantics = 2
)

// CurrentSemantics is what this code proposes.
const CurrentSemantics = SemanticsDefinitions

// Seed is the 128-bit seed from which random() and gen_random_uuid() are drawn.
// It is drawn for each entry anew and tells it apart from all others: an entry
// that is proposed twice has the same seed, and is applied once. The zero seed is
// that of entries which may be applied twice.
type Seed [16]byte

// Place numbers the entries of a log as they are applied, from 1.
type Place uint64

// Entry is everything that apply may depend on.
type Entry struct {
	Kind      Kind
	Semantics Semantics

	// Time is the proposer's clock, in microseconds since 2000-01-01 UTC. Log
	// time is derived from it monotonically.
	Time int64
	Seed Seed

	// Who asked. Database is the name at the time; the log itself is the database.
	Role        string
	Application string
	ClientAddr  string

	// Settings are the session settings that change meaning (search_path,
	// TimeZone, DateStyle, …), sorted by name.
	Settings []Setting

	Budget Budget

	// IdempotencyKey is empty for none. IdempotencyWindow is for how long, in
	// microseconds of log time, the outcome is remembered.
	IdempotencyKey    string
	IdempotencyWindow int64

	// Snapshot and Isolation belong to KindTransaction.
	Snapshot  Offset
	Isolation Isolation

	Statements []Statement
	Stage      *Stage
	Reserve    *Reserve

	// Current are the session's sequence values from before this entry, for
	// currval; the last drawn one comes last, for lastval.
	Current []DrawnValue

	// Began is transaction_timestamp(): when the client's transaction began, in
	// microseconds since 2000-01-01 UTC.
	Began int64

	// Check belongs to KindCheck, Vote to KindVote.
	Check *Check
	Vote  *Vote
	// Earliest is the first place that the entry can have: the one after the last
	// entry that the proposer's replica had applied when the entry was proposed
	// for the first time. Zero means that nobody knows. State machines remember
	// for a while which entries they have applied; one that may have been applied
	// before that must not be applied again.
	Earliest Place

	// Slot belongs to KindSlot.
	Slot *SlotChange
}

// TransactionID is the number of a transaction, which clients may ask for before
// it commits: it tells transactions apart and grows about as time does. It has
// nothing to do with the order of the log.
type TransactionID uint64

// transactionSeedBits is how many bits of the seed tell transactions apart that
// began in the same microsecond.
const transactionSeedBits = 10

// TransactionID returns the number of the entry's transaction.
func (e *Entry) TransactionID() TransactionID { return NewTransactionID(e.Began, e.Seed) }

// NewTransactionID returns the number of a transaction by when it began, in
// microseconds since 2000-01-01 UTC, and its seed.
func NewTransactionID(began int64, seed Seed) TransactionID {
	low := uint64(seed[0])<<8 | uint64(seed[1])
	return TransactionID(uint64(max(began, 0))<<transactionSeedBits | low&(1<<transactionSeedBits-1))
}

// Began returns when the transaction began, in microseconds since 2000-01-01 UTC.
func (x TransactionID) Began() int64 { return int64(x >> transactionSeedBits) }

// String prints the number in decimal.
func (x TransactionID) String() string { return strconv.FormatUint(uint64(x), 10) }

// Setting is one session setting by its value in text.
type Setting struct{ Name, Value string }

// Budget bounds what one entry may cost at apply. It is counted, never timed,
// so that every replica stops at the same place. Zero means no bound.
type Budget struct {
	Rows  int64 // changed
	Bytes int64 // written
	Steps int64 // rows that the operators of single-shot and writing statements look at
}

// Isolation is the level a transaction asked for.
type Isolation uint8

// The isolation levels. REPEATABLE READ is upgraded to Serializable.
const (
	Serializable  Isolation = 0
	ReadCommitted Isolation = 1
)

// Action says what a statement entry does. Savepoint commands are replayed like
// any other statement, because a client may have seen errors inside them.
type Action uint8

// The actions. Numbers are stored.
const (
	ActionExecute    Action = 0
	ActionSavepoint  Action = 1 // Text is the savepoint's name
	ActionRelease    Action = 2
	ActionRollbackTo Action = 3
)

// Statement is one SQL statement with its frozen inputs.
type Statement struct {
	Action Action
	Text   string
	Params []Param

	// Time is statement_timestamp() as the proposer froze it, in microseconds
	// since 2000-01-01 UTC.
	Time int64

	// Sequence values that an interactive transaction has drawn from reserved
	// blocks, in the order drawn.
	Drawn []DrawnValue

	// Digest of the outcome that the client saw (KindTransaction); nil means
	// that it saw nothing worth comparing.
	Digest []byte

	// Copy is the data of a COPY … FROM STDIN.
	Copy *CopyData

	// Settings replace those of the entry from this statement on, which the
	// session has changed since the statement before; empty when it has not.
	Settings []Setting
}

// Param is one typed parameter. Value is the stored form of the datum
// (types.AppendDatum); its NULL is part of that form.
type Param struct {
	Type  uint32 // OID
	Value []byte
}

// DrawnValue is one value taken from a sequence before COMMIT.
type DrawnValue struct {
	Sequence uint32 // OID of the sequence
	Value    int64
}

// StageID names the staged chunks of one COPY. The proposer draws it at random.
type StageID [16]byte

// CopyData is where a COPY statement finds its rows: inline, or in chunks that
// earlier KindStage entries brought.
type CopyData struct {
	Rows   []byte  // inline: rows one after the other, each a uvarint length and types.AppendRow
	Stage  StageID // staged, when Chunks > 0
	Chunks int
	// Loaded says that the chunks had a Load: their rows are in the table, and
	// this statement makes them visible. It may be an INSERT then.
	Loaded bool
	// Sum tells the rows of one attempt from those of another where there is an
	// idempotency key; empty for rows that are inline.
	Sum []byte
}

// Stage is one chunk of staged rows.
type Stage struct {
	ID    StageID
	Chunk int // from 0
	Rows  []byte
	// Load is nil for rows that are only kept for a later entry.
	Load *Load
	// Sweep, in an entry of KindUnstage, removes up to so many rows of a large
	// transaction that was given up; 0 gives it up.
	Sweep int
}

// Reserve asks for a block of Count values of a sequence.
type Reserve struct {
	Sequence uint32
	Count    int64
}
