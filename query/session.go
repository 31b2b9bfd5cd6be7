package query

import (
	"context"
	"strings"
	"sync"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Limits of a session.
const (
	// maxPrepared bounds the prepared statements of a session.
	maxPrepared = 1000
	// maxPortals bounds its portals and cursors.
	maxPortals = 1000
)

// Session is one client's session. Its methods are called from one goroutine,
// but for what pg_stat_activity shows of it, which status guards.
type Session struct {
	e           *Engine
	start       StartupParams
	replication replicationMode

	settings settings
	meaning  *exec.Meaning
	budget   log.Budget
	format   *types.Format // for results: it names reg types by the newest catalog

	prepared map[string]*prepared
	portals  map[string]*portal

	tx    *transaction // nil when there is none
	token log.Token    // of the last commit
	// standby is what the client was told last of whether this node leads.
	standby string

	// current are the sequence values drawn by this session; order has the last
	// drawn one last.
	current map[types.OID]int64
	order   []types.OID

	hint string // read_after of the statement's leading comment
	// running is the context of the statement being run, for functions that wait.
	running context.Context
	// live is the query being opened that may subscribe.
	live *liveQuery

	mu     sync.Mutex
	status activity
	sender *senderStats // of the stream that the session is; nil when it is none
}

// activity is what others may see of a session.
type activity struct {
	query       string
	state       string
	application string
	queryStart  int64
	began       int64
	xactStart   int64
	transaction log.TransactionID // 0: none that anybody knows
}

// NewSession begins a session. The settings returned are those that the client
// is told of at the start.
func (e *Engine) NewSession(_ context.Context, p StartupParams) (*Session, []Setting, error) {
	replication, err := parseReplication(p.Replication)
	if err != nil {
		return nil, nil, err
	}
	s := &Session{e: e, start: p, replication: replication,
		prepared: map[string]*prepared{}, portals: map[string]*portal{}, current: map[types.OID]int64{}}
	s.status = activity{state: "idle", began: e.now()}
	s.standby = onOff(!e.cfg.Leads())
	for _, v := range p.Settings {
		next, err := s.settings.with(v.Name, v.Value, false, false)
		if err != nil {
			fatal := *sqlstate.As(err)
			fatal.Severity = "FATAL"
			return nil, nil, &fatal
		}
		s.settings = next
	}
	if err := s.changed(); err != nil {
		return nil, nil, err
	}
	if d, ok := e.info(); ok && d.NoConnections {
		err := sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "database \"%s\" is not currently accepting connections", d.Name)
		err.Severity = "FATAL"
		return nil, nil, err
	}
	if err := e.register(s); err != nil {
		return nil, nil, err
	}
	return s, s.reported(), nil
}

// follow tells the client whether this node leads, when that has changed. It is
// called before the client is told that the session is ready. The client being gone
// will be found out by whoever writes next.
func (s *Session) follow(w ResultWriter) {
	if now := onOff(!s.e.cfg.Leads()); now != s.standby {
		s.standby = now
		_ = w.ParameterStatus(settingStandby, now)
	}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// reported are the settings clients follow.
func (s *Session) reported() []Setting {
	out := []Setting{
		{Name: "server_version", Value: exec.ServerVersion},
		{Name: "is_superuser", Value: "on"},
		{Name: "session_authorization", Value: s.start.User},
		{Name: settingStandby, Value: s.standby},
	}
	for i := range variableList {
		if v := &variableList[i]; v.report {
			value, _ := s.settings.get(v.name)
			out = append(out, Setting{Name: v.name, Value: value})
		}
	}
	return out
}

// changed brings what is derived from the settings up to date.
func (s *Session) changed() error {
	m, err := s.settings.meaning(s.start.User, s.start.Database)
	if err != nil {
		return err
	}
	s.meaning, s.budget = m, s.settings.budget()
	f := *m.Format
	f.RegOut = func(t *types.Type, oid types.OID) (string, bool) {
		name, ok := s.catalogInfo(s.catalog()).RegOut(t, oid)
		return name, ok
	}
	s.format = &f
	app, _ := s.settings.get("application_name")
	s.mu.Lock()
	s.status.application = app
	s.mu.Unlock()
	return nil
}

// set changes a setting and tells the client where it follows it.
func (s *Session) set(w ResultWriter, name, value string, local, reset bool) error {
	next, err := s.settings.with(name, value, local, reset)
	if err != nil {
		return err
	}
	return s.useSettings(w, next)
}

// useSettings replaces the settings and reports what has changed.
func (s *Session) useSettings(w ResultWriter, next settings) error {
	before := s.settings
	s.settings = next
	if err := s.changed(); err != nil {
		s.settings = before
		return err
	}
	if w == nil {
		return nil
	}
	for i := range variableList {
		v := &variableList[i]
		if !v.report {
			continue
		}
		was, _ := before.get(v.name)
		is, _ := next.get(v.name)
		if was != is {
			if err := w.ParameterStatus(v.name, is); err != nil {
				return err
			}
		}
	}
	return nil
}

// catalog is the catalog the session sees now: its transaction's, or the newest.
func (s *Session) catalog() *catalog.Catalog {
	if s.tx != nil && s.tx.txn != nil {
		return s.tx.txn.Catalog()
	}
	v, err := s.e.view()
	if err != nil {
		return catalog.New()
	}
	defer v.Close()
	return v.Catalog()
}

func (s *Session) catalogInfo(c *catalog.Catalog) *syscat.CatalogInfo {
	return syscat.NewCatalogInfo(c, s.meaning.SearchPath, s.start.Database, s.start.User)
}

// Format says how values become text for this client.
func (s *Session) Format() *types.Format { return s.format }

// TxStatus is 'I' (idle), 'T' (in a transaction) or 'E' (in a failed one).
func (s *Session) TxStatus() byte {
	switch {
	case s.tx == nil || !s.tx.explicit:
		return 'I'
	case s.tx.failed:
		return 'E'
	}
	return 'T'
}

// Close rolls back what is open and ends the session.
func (s *Session) Close() {
	s.dropTransaction()
	s.closePortals(func(*portal) bool { return true })
	s.e.forget(s)
	s.e.releaseSlots(s.start.ProcessID)
}

// busy notes what the session is doing for pg_stat_activity.
func (s *Session) busy(query string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteTransaction()
	s.status.query, s.status.state, s.status.queryStart = query, "active", s.e.now()
}

// noteTransaction notes the number of the transaction; status is locked.
func (s *Session) noteTransaction() {
	s.status.transaction = 0
	if s.tx != nil && s.tx.traced {
		s.status.transaction = s.tx.id()
	}
}

func (s *Session) idle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteTransaction()
	s.status.state = "idle"
	s.status.xactStart = 0
	if s.tx != nil && s.tx.explicit {
		s.status.state = "idle in transaction"
		if s.tx.failed {
			s.status.state = "idle in transaction (aborted)"
		}
		s.status.xactStart = s.tx.began
	}
}

// committed notes the outcome of an entry that this session has appended.
func (s *Session) committed(w ResultWriter, res *log.Result) error {
	for _, d := range res.Drawn {
		s.drew(types.OID(d.Sequence), d.Value)
	}
	s.token = s.e.token(res.Offset)
	if w == nil {
		return nil
	}
	return w.ParameterStatus(settingToken, s.token.String())
}

// drew notes a sequence value for currval and lastval.
func (s *Session) drew(seq types.OID, v int64) {
	if _, ok := s.current[seq]; ok {
		for i, o := range s.order {
			if o == seq {
				s.order = append(s.order[:i], s.order[i+1:]...)
				break
			}
		}
	}
	s.order = append(s.order, seq)
	s.current[seq] = v
}

// drawn are the session's sequence values as an entry carries them.
func (s *Session) drawn() []log.DrawnValue {
	var out []log.DrawnValue
	for _, o := range s.order {
		out = append(out, log.DrawnValue{Sequence: uint32(o), Value: s.current[o]})
	}
	return out
}

// entry begins an entry of this session.
func (s *Session) entry(kind log.Kind) *log.Entry {
	app, _ := s.settings.get("application_name")
	now := s.e.now()
	return &log.Entry{Kind: kind, Semantics: log.CurrentSemantics, Time: now, Began: now, Role: s.start.User, Application: app, ClientAddr: s.start.RemoteAddr,
		Settings: s.meaning.Settings, Current: s.drawn(), Budget: s.budget}
}

// context makes the context of an expression that only reads.
func (s *Session) context(c *catalog.Catalog, in exec.ContextInputs) *expr.Ctx {
	var databases func() []DatabaseInfo
	switch asked := in.Session.(type) {
	case nil:
		in.Session = sessionInfo{s}
		databases = sessionInfo{s}.Databases
	case *validatedSession:
		databases = asked.Databases
	}
	in.Catalog = exec.NewLazyCatalog(c, s.meaning.SearchPath, s.start.Database, s.start.User, databases)
	return exec.NewContext(s.meaning, in)
}

// leadingHint reads /*+ read_after=… */ at the beginning of a statement.
func leadingHint(sql string) string {
	sql = strings.TrimLeft(sql, " \t\r\n")
	if !strings.HasPrefix(sql, "/*+") {
		return ""
	}
	body, _, ok := strings.Cut(sql[3:], "*/")
	if !ok {
		return ""
	}
	for _, f := range strings.Fields(body) {
		if v, ok := strings.CutPrefix(f, "read_after="); ok {
			return strings.Trim(v, "'\"")
		}
	}
	return ""
}
