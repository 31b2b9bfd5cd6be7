package query

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Limits of the engine.
const (
	// scriptCacheSize is how many query strings are kept parsed.
	scriptCacheSize = 2048
)

// EngineConfig says what an engine works on.
type EngineConfig struct {
	// Database is the name sessions connect to, until Rename.
	Database string
	// Node names the node among those that have the log.
	Node  uint64
	LogID log.ID
	// System names the cluster; with LogID it makes the system identifier that
	// consumers are told.
	System  string
	Replica *sm.Replica
	Log     log.Log
	// Executor is the one that Replica applies entries with; its plans are
	// shared with the sessions.
	Executor *exec.Executor
	Logger   *slog.Logger
	// Cluster is what the node is part of; nil for a database on its own.
	Cluster Cluster
	// Leads reports whether this node leads the log; nil means that it always
	// does. It is asked often and must not wait.
	Leads func() bool
	// Voters returns the replicas that have a vote in the log's group; nil means
	// that there is nobody to compare with.
	Voters func(ctx context.Context) ([]log.ReplicaID, error)
	// CheckEvery is how often replicas are compared; 0 means as often as serves well.
	CheckEvery time.Duration
	// ChunkRows is how many rows a chunk of a large transaction has at most; 0
	// means as many as serve well. A simulation makes do with few.
	ChunkRows int
	// Now is the clock; nil means the machine's.
	Now func() time.Time
	// Seed draws the seeds of entries; nil means the machine's random numbers. A
	// simulation sets both, so that it can be repeated.
	Seed func() log.Seed
}

// Engine serves the sessions of one database on one node.
type Engine struct {
	cfg     EngineConfig
	started int64
	fresh   freshness
	scripts *lru.Cache[string, []plan.Command]
	blocks  *sequenceBlocks
	// owner is this process as large transactions and slots name it; loading has room for
	// the chunks that may be on their way.
	owner   log.Owner
	loading chan struct{}
	// holds are the slots that this process holds; slotsDue, with room for one,
	// says that they are to be looked after.
	holds    holds
	slotsDue chan struct{}

	mu       sync.Mutex
	name     string // of the database
	sessions map[*Session]struct{}
	stopped  *sqlstate.Error // why no session may begin any more
}

// NewExecutor returns what applies the entries of a database's log.
func NewExecutor(database string) *exec.Executor {
	return &exec.Executor{Plans: exec.NewPlans(), Database: database}
}

// NewEngine returns an engine over a replica and its log.
func NewEngine(cfg EngineConfig) *Engine {
	if cfg.ChunkRows == 0 {
		cfg.ChunkRows = loadChunkRows
	}
	if cfg.CheckEvery == 0 {
		cfg.CheckEvery = checkEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Seed == nil {
		cfg.Seed = newSeed
	}
	if cfg.Leads == nil {
		cfg.Leads = func() bool { return true }
	}
	e := &Engine{cfg: cfg, name: cfg.Database, sessions: map[*Session]struct{}{}}
	e.started = e.now()
	e.fresh.log = cfg.Log
	e.scripts, _ = lru.New[string, []plan.Command](scriptCacheSize)
	e.blocks = newSequenceBlocks(e)
	process := e.cfg.Seed()
	e.owner = log.Owner{Node: cfg.Node, Process: binary.LittleEndian.Uint64(process[:])}
	e.loading = make(chan struct{}, chunksInFlight)
	e.slotsDue = make(chan struct{}, 1)
	return e
}

// now is the proposer's clock in microseconds since 2000-01-01 UTC.
func (e *Engine) now() int64 { return types.TimeToTimestamp(e.cfg.Now()) }

// newSeed draws an entry's seed from the machine's random numbers.
func newSeed() (s log.Seed) {
	_, _ = rand.Read(s[:]) // crypto/rand never fails
	return s
}

// append puts an entry into the log and returns its outcome. An error is a
// *sqlstate.Error. The wait is not cut short when the client cancels: once an
// entry is proposed its outcome is worth knowing; the log has a bound of its own.
// The log may propose the entry more than once: it is applied once, by its seed.
func (e *Engine) append(ctx context.Context, entry *log.Entry) (*log.Result, error) {
	entry.Semantics = log.CurrentSemantics
	if entry.Seed == (log.Seed{}) {
		entry.Seed = e.cfg.Seed()
	}
	entry.Earliest = e.cfg.Replica.Position().Place + 1
	data, err := entry.Append(nil)
	if err != nil {
		return nil, appendError(err)
	}
	answer, err := e.cfg.Log.Append(context.WithoutCancel(ctx), data)
	if err != nil {
		return nil, askFor(appendError(err), entry)
	}
	res, err := log.DecodeResult(answer)
	if err != nil {
		return nil, sqlstate.New(sqlstate.InternalError, "result of a log entry cannot be decoded: %v", err)
	}
	if res.Repeat != log.Repeated || res.Err != nil {
		return res, nil
	}
	return e.answerLost(ctx, entry, res)
}

// propose puts an entry into the log that no client has asked for. Unlike a client's
// it is given up when ctx ends: it can be proposed again, and others may be gone
// already.
func (e *Engine) propose(ctx context.Context, entry *log.Entry) error {
	entry.Semantics, entry.Time, entry.Seed = log.CurrentSemantics, e.now(), e.cfg.Seed()
	data, err := entry.Append(nil)
	if err != nil {
		return err
	}
	answer, err := e.cfg.Log.Append(ctx, data)
	if err != nil {
		return err
	}
	res, err := log.DecodeResult(answer)
	if err == nil && res.Err != nil {
		err = sm.ErrorOf(res.Err)
	}
	return err
}

// answerLost is what remains to be said when an entry is known to be committed
// and its answer is not: this node has skipped it with a snapshot.
func (e *Engine) answerLost(ctx context.Context, entry *log.Entry, res *log.Result) (*log.Result, error) {
	switch entry.Kind {
	case log.KindReserve:
		entry.Seed = log.Seed{} // another block: the first one is lost
		return e.append(ctx, entry)
	case log.KindCommand:
		return nil, sqlstate.New(sqlstate.TransactionResolutionUnknown, "the answer of the transaction is lost").
			WithDetail("It has been committed, at %s or before.", res.Offset)
	}
	return res, nil // COMMIT has nothing else to say
}

// askFor tells a client that does not know whether its transaction has been
// committed how to find out.
func askFor(err *sqlstate.Error, e *log.Entry) *sqlstate.Error {
	if err.Code != sqlstate.TransactionResolutionUnknown {
		return err
	}
	if e.IdempotencyKey != "" {
		return err.WithHint("Try again with the same key, or ask: SELECT * FROM tidemark.outcome('%s').", strings.ReplaceAll(e.IdempotencyKey, "'", "''"))
	}
	return err.WithHint("Look in tidemark.log. A transaction with a %s can be tried again safely.", settingIdempotency)
}

// appendError says what a failed append means to a client.
func appendError(err error) *sqlstate.Error {
	var fenced *sm.FencedError
	switch {
	case errors.As(err, &fenced):
		return sqlstate.As(fenced)
	case errors.Is(err, log.ErrTooLarge):
		return sqlstate.New(sqlstate.ProgramLimitExceeded, "transaction is too large for one log entry").
			WithDetail("An entry may have at most %d MB.", log.MaxEntryBytes>>20).
			WithHint("Load bulk data with COPY, or split the transaction.")
	case errors.Is(err, log.ErrBusy):
		return sqlstate.New(sqlstate.InsufficientResources, "the log is busy; the transaction was not committed").
			WithHint("Try again.")
	case errors.Is(err, log.ErrDiskFull):
		return sqlstate.New(sqlstate.DiskFull, "could not extend the log: the disk is full").
			WithDetail("%s.", strings.TrimPrefix(err.Error(), log.ErrDiskFull.Error()+": ")).
			WithHint("Check free disk space. Reads go on, and writes will when there is space.")
	case errors.Is(err, log.ErrUnknownOutcome), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return sqlstate.New(sqlstate.TransactionResolutionUnknown, "the outcome of the transaction is unknown").
			WithDetail("It was proposed, but no answer came in time. It may have been committed or not.")
	case errors.Is(err, log.ErrClosed):
		closed := sqlstate.New(sqlstate.AdminShutdown, "the database is closed on this node").WithHint("Connect again.")
		closed.Severity = "FATAL" // nothing more can be done in this session
		return closed
	case errors.Is(err, log.ErrHalted):
		return sqlstate.New(sqlstate.IOError, "the log is halted: %v", err)
	}
	return sqlstate.As(err)
}

// view returns a view of the newest offset.
func (e *Engine) view() (*sm.View, error) {
	v, err := e.cfg.Replica.View()
	if err != nil {
		return nil, appendError(err)
	}
	return v, nil
}

// register and forget keep the list of sessions. A session whose name is not the
// database's, or no longer, is refused.
func (e *Engine) register(s *Session) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped != nil {
		return e.stopped
	}
	if s.start.Database != e.name {
		err := sqlstate.New(sqlstate.InvalidCatalogName, "database \"%s\" does not exist", s.start.Database)
		err.Severity = "FATAL"
		return err
	}
	e.sessions[s] = struct{}{}
	return nil
}

func (e *Engine) forget(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s)
}

// Sessions is how many sessions there are.
func (e *Engine) Sessions() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sessions)
}

// Disconnect ends every session: between statements, or by cancelling the one
// that it runs, which then has reason as its answer. A nil reason is 57P01. It
// does not wait for them.
func (e *Engine) Disconnect(reason *sqlstate.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.sessions { // order does not matter: all get the same
		if s.start.Terminate != nil {
			s.start.Terminate(reason)
		}
	}
}

// Stop is Disconnect for good: sessions that would begin later are refused with
// the same reason.
func (e *Engine) Stop(reason *sqlstate.Error) {
	if reason == nil {
		reason = sqlstate.New(sqlstate.AdminShutdown, "terminating connection due to administrator command")
	}
	fatal := *reason
	fatal.Severity = "FATAL"
	e.mu.Lock()
	e.stopped = &fatal
	e.mu.Unlock()
	e.Disconnect(&fatal)
}

// Rename makes name the one that new sessions connect to. Sessions that there are
// keep the old one, so there ought to be none.
func (e *Engine) Rename(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.name = name
}

// byPID calls f for the session with that process ID and reports whether there
// is one.
func (e *Engine) byPID(pid int32, f func(*Session)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.sessions {
		if s.start.ProcessID == pid {
			f(s)
			return true
		}
	}
	return false
}

// token is the token of an offset of this database's log.
func (e *Engine) token(off log.Offset) log.Token {
	return log.Token{Log: e.cfg.LogID, Epoch: e.cfg.Replica.Position().Epoch, Offset: off}
}
