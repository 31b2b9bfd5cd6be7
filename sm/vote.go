package sm

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// check is a place in the log whose state the replicas compare. What is noted of
// it is the same on all replicas, but for own, total and by.
type check struct {
	index  log.Index // of its entry
	offset log.Offset
	time   int64
	scan   bool
	voters []log.ReplicaID // sorted
	votes  []vote          // in the order of the log

	// own is the digest of the state here, total the checksum in it, and by the
	// replica that has computed them: another one when this one was restored from
	// its snapshot.
	own   log.Digest
	total Checksum
	by    log.ReplicaID
}

type vote struct {
	replica log.ReplicaID
	digest  log.Digest
}

// How many checks are remembered: replicas that are away may vote when they come
// back.
const (
	maxChecks = 8
	maxScans  = 2
)

// with returns the check with one more vote.
func (c *check) with(v vote) *check {
	n := *c
	n.votes = append(slices.Clone(c.votes), v)
	return &n
}

func (c *check) vote(replica log.ReplicaID) (log.Digest, bool) {
	for _, v := range c.votes {
		if v.replica == replica {
			return v.digest, true
		}
	}
	return log.Digest{}, false
}

// waitsFor reports whether a replica is to vote and has not.
func (c *check) waitsFor(replica log.ReplicaID) bool {
	_, voted := c.vote(replica)
	return !voted && slices.Contains(c.voters, replica)
}

// disputed reports whether not all votes are the same.
func (c *check) disputed() bool {
	return slices.ContainsFunc(c.votes, func(v vote) bool { return v.digest != c.votes[0].digest })
}

// outcome counts the votes: decided says that most of all voters agree, and on
// which digest; split that they cannot any more, whoever is still to vote.
func (c *check) outcome() (majority log.Digest, decided, split bool) {
	need, best := len(c.voters)/2+1, 0
	for _, v := range c.votes {
		n := 0
		for _, w := range c.votes {
			if w.digest == v.digest {
				n++
			}
		}
		if n >= need {
			return v.digest, true, false
		}
		best = max(best, n)
	}
	return log.Digest{}, false, best+len(c.voters)-len(c.votes) < need
}

// verdict is why the replica cannot go on after a check; nil when it can.
func (c *check) verdict(r *Replica) error {
	majority, decided, split := c.outcome()
	if split {
		return &DisagreementError{Check: c.index, At: c.offset, Votes: c.ballots()}
	}
	here := c.own
	if c.scan {
		// Only its own vote says what a replica has found in its files. It has
		// others when it was restored since.
		own, voted := c.vote(r.opt.Replica)
		if !voted || c.by != r.opt.Replica {
			return nil
		}
		here = own
	}
	if !decided || here == majority {
		return nil
	}
	return &FencedError{
		Log: r.opt.Log, Replica: r.opt.Replica, Check: c.index, At: c.offset, Time: c.time, Scan: c.scan,
		Here: here, Majority: majority, Votes: c.ballots(),
	}
}

func (c *check) ballots() []log.Vote {
	out := make([]log.Vote, len(c.votes))
	for i, v := range c.votes {
		out[i] = log.Vote{Check: c.index, Replica: v.replica, Digest: v.digest}
	}
	return out
}

// checkTable has the checks that are remembered, oldest first. It is never
// changed: its methods return another one.
type checkTable struct{ list []*check }

func (t *checkTable) all() []*check {
	if t == nil {
		return nil
	}
	return t.list
}

func (t *checkTable) find(index log.Index) *check {
	for _, c := range t.all() {
		if c.index == index {
			return c
		}
	}
	return nil
}

// newest returns the last check of a kind, or nil.
func (t *checkTable) newest(scan bool) *check {
	for _, c := range slices.Backward(t.all()) {
		if c.scan == scan {
			return c
		}
	}
	return nil
}

// replace puts c in the place of the check with its index.
func (t *checkTable) replace(c *check) *checkTable {
	n := &checkTable{list: slices.Clone(t.all())}
	for i := range n.list {
		if n.list[i].index == c.index {
			n.list[i] = c
		}
	}
	return n
}

// add appends a check. When there are too many of its kind, the oldest one goes
// that nobody disagrees about: the dispute may be settled by who comes back.
func (t *checkTable) add(c *check) *checkTable {
	n := &checkTable{list: append(slices.Clone(t.all()), c)}
	limit := maxChecks
	if c.scan {
		limit = maxScans
	}
	var same []int
	for i, x := range n.list {
		if x.scan == c.scan {
			same = append(same, i)
		}
	}
	if len(same) > limit {
		drop := slices.IndexFunc(same[:limit], func(i int) bool { return !n.list[i].disputed() })
		n.list = slices.Delete(n.list, same[max(drop, 0)], same[max(drop, 0)]+1)
	}
	return n
}

const (
	checksName   = "checks"
	checksFormat = 1
)

func (t *checkTable) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, checksFormat), uint64(len(t.list)))
	for _, c := range t.list {
		for _, v := range []uint64{uint64(c.index), uint64(c.offset), uint64(c.time), flag(c.scan), uint64(c.by), uint64(len(c.voters))} {
			dst = binary.AppendUvarint(dst, v)
		}
		for _, v := range c.voters {
			dst = binary.AppendUvarint(dst, uint64(v))
		}
		dst = appendBytes(appendBytes(dst, c.own[:]), c.total[:])
		dst = binary.AppendUvarint(dst, uint64(len(c.votes)))
		for i := range c.votes {
			dst = appendBytes(binary.AppendUvarint(dst, uint64(c.votes[i].replica)), c.votes[i].digest[:])
		}
	}
	return dst
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func decodeChecks(b []byte) (*checkTable, error) {
	if len(b) == 0 || b[0] != checksFormat {
		return nil, fmt.Errorf("%w: checks %x", errCorrupt, b[:min(len(b), 8)])
	}
	r := fieldReader{b: b[1:]}
	t := &checkTable{}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		c := &check{index: log.Index(r.uint()), offset: log.Offset(r.uint()), time: int64(r.uint()), scan: r.uint() == 1, by: log.ReplicaID(r.uint())}
		for n := r.uint(); n > 0 && !r.bad; n-- {
			c.voters = append(c.voters, log.ReplicaID(r.uint()))
		}
		copy(c.own[:], r.bytes())
		copy(c.total[:], r.bytes())
		for n := r.uint(); n > 0 && !r.bad; n-- {
			v := vote{replica: log.ReplicaID(r.uint())}
			copy(v.digest[:], r.bytes())
			c.votes = append(c.votes, v)
		}
		t.list = append(t.list, c)
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("%w: checks", errCorrupt)
	}
	return t, nil
}

// putChecks keeps the new state of the checks.
func (a *applier) putChecks(t *checkTable) error {
	a.checks = t
	a.buf = keys.AppendMeta(a.buf[:0], checksName)
	return a.batch.Set(a.buf, t.append(nil), nil)
}

// digest is the digest of everything that replicas must agree about here: what
// is stored, by its running checksum, and all positions and counters.
func (a *applier) digest() log.Digest {
	return log.Digest(a.hash.of([]byte(stateName), a.state.append(nil)).checksum())
}

// noteCheck notes the state at the place of a check, for the vote about it. A
// check without voters, or of nothing, only says what it is.
func (a *applier) noteCheck(q *log.Check) (*log.Result, error) {
	total := a.state.total.checksum()
	res := &log.Result{Offset: a.state.offset, Statements: []log.Outcome{{Tag: "CHECK " + total.String()}}}
	if q == nil || len(q.Voters) == 0 || len(q.Voters) > log.MaxVoters || a.state.offset == 0 {
		return res, nil
	}
	voters := slices.Clone(q.Voters)
	slices.Sort(voters)
	return res, a.putChecks(a.checks.add(&check{
		index: a.index, offset: a.state.offset, time: a.state.time, scan: q.Scan, voters: slices.Compact(voters),
		own: a.digest(), total: total, by: a.r.opt.Replica,
	}))
}

// countVote counts one replica's vote. One that comes too late, or twice, or from
// a replica that was not asked, does not count.
func (a *applier) countVote(v *log.Vote) (*log.Result, error) {
	res := &log.Result{Offset: a.state.offset, Statements: []log.Outcome{{Tag: "VOTE"}}}
	if v == nil {
		return res, nil
	}
	c := a.checks.find(v.Check)
	if c == nil || !c.waitsFor(v.Replica) {
		return res, nil
	}
	c = c.with(vote{replica: v.Replica, digest: v.Digest})
	if a.verdict = c.verdict(a.r); a.verdict != nil {
		a.full = true // nothing more is applied here
	}
	return res, a.putChecks(a.checks.replace(c))
}
