package sm

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// FencedError says that a replica's state differs from that of the majority. It
// applies nothing more and shows nothing of what it has: its files stay as they
// are, until a new replica is made from the others. It wraps log.ErrHalted.
type FencedError struct {
	Log     log.ID
	Replica log.ReplicaID
	// Check is the index of the check that has shown it, At the commit offset that
	// was compared, Time its log time.
	Check log.Index
	At    log.Offset
	Time  int64
	// Scan says that the difference was found in what is stored, and not in what
	// was kept account of.
	Scan           bool
	Here, Majority log.Digest
	Votes          []log.Vote
}

// Error implements error.
func (e *FencedError) Error() string {
	return fmt.Sprintf("replica %d of log %d is fenced: its state at %s differs from that of the majority (%x here, %x there)", e.Replica, e.Log, e.At, e.Here, e.Majority)
}

// Unwrap makes errors.Is(err, log.ErrHalted) true.
func (e *FencedError) Unwrap() error { return log.ErrHalted }

// As makes it a *sqlstate.Error for those who look for one: XX001.
func (e *FencedError) As(target any) bool {
	p, ok := target.(**sqlstate.Error)
	if !ok {
		return false
	}
	*p = sqlstate.New(sqlstate.DataCorrupted, "this replica of the database is fenced").
		WithDetail("Its state at %s differs from that of the majority of the replicas.", e.At).
		WithHint("Connect to another node. The replica is replaced by a new one.")
	return true
}

// DisagreementError says that replicas differ and that no majority of them agrees,
// so nobody knows which one is right: all of them halt.
type DisagreementError struct {
	Check log.Index
	At    log.Offset
	Votes []log.Vote
}

// Error implements error.
func (e *DisagreementError) Error() string {
	var votes strings.Builder
	for _, v := range e.Votes {
		fmt.Fprintf(&votes, ", replica %d has %x", v.Replica, v.Digest)
	}
	return fmt.Sprintf("the replicas differ at %s and no majority agrees%s", e.At, votes.String())
}

// Fenced returns why the replica has fenced itself off (a *FencedError), or nil.
func (r *Replica) Fenced() error {
	if f := r.fenced.Load(); f != nil {
		return f
	}
	return nil
}

// readChecks reads the checks that are remembered; nil when there never were any.
func readChecks(s *store) (*checkTable, error) {
	value, closer, err := s.db.Get(keys.AppendMeta(nil, checksName))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sm: checks: %w", err)
	}
	defer closer.Close()
	return decodeChecks(value)
}

// judge stops the replica when a check that it has in its store says so: it was
// stopped before.
func (r *Replica) judge(t *checkTable) {
	for _, c := range t.all() {
		if v := c.verdict(r); v != nil {
			r.condemn(v)
			return
		}
	}
}

// condemn stops the replica over the verdict of a check.
func (r *Replica) condemn(verdict error) {
	pos := r.Position()
	var fenced *FencedError
	if !errors.As(verdict, &fenced) {
		r.halt(&poison{index: pos.Index, cause: verdict})
		return
	}
	r.fenced.Store(fenced)
	r.waiters.fail(fenced)
	r.log.Error("replica is fenced: its state differs from that of the majority; it serves nothing, and its files are kept", "log", uint64(r.opt.Log),
		"replica", uint64(r.opt.Replica), "check", fenced.At.String(), "scan", fenced.Scan,
		"here", fmt.Sprintf("%x", fenced.Here), "majority", fmt.Sprintf("%x", fenced.Majority))
	if err := r.keepEvidence(fenced, pos); err != nil {
		r.log.Error("the report about a fenced replica could not be written", "error", err)
	}
}

// evidenceName is the file in a fenced replica's directory that says why.
const evidenceName = "fenced.json"

// evidence is what the file says.
type evidence struct {
	Log      log.ID        `json:"log"`
	Replica  log.ReplicaID `json:"replica"`
	Check    log.Index     `json:"check_index"`
	Offset   string        `json:"offset"`
	LogTime  int64         `json:"log_time_us_since_2000"`
	Scan     bool          `json:"scan"`
	Here     string        `json:"digest_here"`
	Majority string        `json:"digest_of_majority"`
	Votes    []string      `json:"votes"`
	Applied  log.Index     `json:"applied_index"`
	Last     string        `json:"applied_offset"`
	Checksum string        `json:"applied_checksum"`
}

// keepEvidence makes durable what the replica has, and says why it was fenced.
func (r *Replica) keepEvidence(f *FencedError, pos Position) error {
	path := r.fs.PathJoin(r.opt.Dir, evidenceName)
	if _, err := r.fs.Stat(path); err == nil {
		return nil // it was fenced before
	}
	if err := r.published.Load().store.db.Flush(); err != nil {
		return err
	}
	e := evidence{
		Log: f.Log, Replica: f.Replica, Check: f.Check, Offset: f.At.String(), LogTime: f.Time, Scan: f.Scan,
		Here: fmt.Sprintf("%x", f.Here), Majority: fmt.Sprintf("%x", f.Majority),
		Applied: pos.Index, Last: pos.Offset.String(), Checksum: pos.Checksum.String(),
	}
	for _, v := range f.Votes {
		e.Votes = append(e.Votes, fmt.Sprintf("replica %d: %x", v.Replica, v.Digest))
	}
	b, err := json.MarshalIndent(&e, "", "  ")
	if err != nil {
		return err
	}
	return writeDurably(r.fs, r.opt.Dir, evidenceName, append(b, '\n'))
}

// keepFenced keeps what says that the replica was fenced, when a snapshot replaces
// its state: by the function it returns, the store, once that is closed. Of
// several, the last one stays.
func (r *Replica) keepFenced(store string) (move func() error, err error) {
	names, err := r.fs.List(r.opt.Dir)
	if err != nil {
		return nil, fmt.Errorf("sm: %w", err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, evidencePrefix) {
			err = errors.Join(err, r.fs.RemoveAll(r.fs.PathJoin(r.opt.Dir, name)))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sm: %w", err)
	}
	kept := r.fs.PathJoin(r.opt.Dir, evidencePrefix+r.fs.PathBase(store))
	return func() error { return r.fs.Rename(store, kept) }, nil
}

// keepReport gives the report another name when the replica is not fenced any
// more.
func (r *Replica) keepReport() {
	from := r.fs.PathJoin(r.opt.Dir, evidenceName)
	if _, err := r.fs.Stat(from); err != nil || r.Fenced() != nil {
		return
	}
	err := r.fs.Rename(from, r.fs.PathJoin(r.opt.Dir, evidencePrefix+"report.json"))
	if err = errors.Join(err, syncDir(r.fs, r.opt.Dir)); err != nil {
		r.log.Error("the report about a replica that was fenced could not be renamed", "error", err)
	}
}

// maxSetAside is how many directories of fenced replicas of one log are kept: a
// replica that goes wrong again and again must not fill the disk.
const maxSetAside = 3

// asideInfix is between a directory's name and the number of the one set aside.
const asideInfix = ".fenced-"

// Discard removes the files of a replica that is closed and not needed any more.
// Those of a fenced one are moved out of the way, to dir.fenced-<n>: kept is where
// they are then. The newest few beside dir are kept, older ones removed. That there
// is no such directory is no error. A nil fs is the operating system's.
func Discard(fs vfs.FS, dir string) (kept string, err error) {
	if fs == nil {
		fs = vfs.Default
	}
	if _, err := fs.Stat(fs.PathJoin(dir, evidenceName)); err == nil {
		return setAside(fs, dir)
	}
	if err := fs.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("sm: %w", err)
	}
	return "", nil
}

func setAside(fs vfs.FS, dir string) (string, error) {
	parent := fs.PathDir(dir)
	names, err := fs.List(parent)
	if err != nil {
		return "", fmt.Errorf("sm: %w", err)
	}
	last := 0
	numbers := map[string]int{}
	for _, name := range names {
		if _, rest, ok := strings.Cut(name, asideInfix); ok {
			if n, err := strconv.Atoi(rest); err == nil {
				numbers[name], last = n, max(last, n)
			}
		}
	}
	to := dir + asideInfix + strconv.Itoa(last+1)
	if err := fs.Rename(dir, to); err != nil {
		return "", fmt.Errorf("sm: %w", err)
	}
	for name, n := range numbers {
		if n <= last+1-maxSetAside {
			err = errors.Join(err, fs.RemoveAll(fs.PathJoin(parent, name)))
		}
	}
	if err = errors.Join(err, syncDir(fs, parent)); err != nil {
		return to, fmt.Errorf("sm: %w", err)
	}
	return to, nil
}
