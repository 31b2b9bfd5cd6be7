package sm

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/tidemark-db/tidemark/log"
)

// Ballot is a check that waits for this replica's vote.
type Ballot struct {
	Check  log.Index
	Offset log.Offset
	// Scan says that Vote has to read everything that is stored, which takes long.
	Scan bool

	digest log.Digest
	total  Checksum
}

// Ballots returns the checks that wait for this replica's vote. It votes on what
// it has computed itself, and not on what came with a snapshot.
func (r *Replica) Ballots() []Ballot {
	if r.Halted() != nil {
		return nil
	}
	p := r.published.Load()
	var out []Ballot
	for _, c := range p.checks.all() {
		if c.by != r.opt.Replica || !c.waitsFor(r.opt.Replica) || c.scan && c.offset < p.position.Floor {
			continue
		}
		out = append(out, Ballot{Check: c.index, Offset: c.offset, Scan: c.scan, digest: c.own, total: c.total})
	}
	return out
}

// ErrAbstains says that a replica cannot vote on a check any more.
var ErrAbstains = errors.New("sm: what was to be compared is no longer retained")

// Vote returns the vote that b waits for. For a scan it reads everything as of
// the check's offset, slowly, so that others hardly notice. What cannot be read
// counts as different from what everybody else has. Errors: the context's,
// log.ErrClosed, and ErrAbstains when the offset has fallen below the floor: what is
// left there says nothing about the replica.
func (r *Replica) Vote(ctx context.Context, b Ballot) (*log.Vote, error) {
	v := &log.Vote{Check: b.Check, Replica: r.opt.Replica, Digest: b.digest}
	if !b.Scan {
		return v, nil
	}
	report, err := r.CheckAt(ctx, CheckOptions{Offset: b.Offset, Gentle: true})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, log.ErrClosed):
		return nil, err
	case err != nil && b.Offset < r.Position().Floor:
		return nil, ErrAbstains
	case err != nil:
		r.log.Error("what is stored cannot be read", "log", uint64(r.opt.Log), "error", err)
		var h hasher
		v.Digest = log.Digest(h.of([]byte("unreadable"), binary.AppendUvarint(nil, uint64(r.opt.Replica))).checksum())
		return v, nil
	}
	if report.Checksum != b.total {
		r.log.Error("what is stored differs from what was applied", "log", uint64(r.opt.Log), "offset", b.Offset.String(),
			"checksum", b.total.String(), "recomputed", report.Checksum.String())
	}
	for _, p := range report.Problems {
		r.log.Error("what is stored is not sound", "log", uint64(r.opt.Log), "offset", b.Offset.String(), "problem", p)
	}
	v.Digest = report.Digest
	return v, nil
}

// CheckPlace is where a check stands in the log.
type CheckPlace struct {
	Index  log.Index
	Offset log.Offset
	Time   int64
}

// CheckState says how this replica compares with the others. Zero places mean
// that there is none.
type CheckState struct {
	// Last and LastScan are the newest checks, whatever has come of them.
	Last, LastScan CheckPlace
	// Agreed is the newest check that was decided and found this replica with the
	// majority.
	Agreed CheckPlace
	// Err is a *FencedError or *HaltedError when the replica had to stop.
	Err error
}

// CheckState returns how this replica compares with the others.
func (r *Replica) CheckState() CheckState {
	s := CheckState{Err: r.Halted()}
	t := r.published.Load().checks
	if c := t.newest(false); c != nil {
		s.Last = c.place()
	}
	if c := t.newest(true); c != nil {
		s.LastScan = c.place()
	}
	for _, c := range t.all() {
		if _, decided, _ := c.outcome(); decided && c.verdict(r) == nil {
			s.Agreed = c.place()
		}
	}
	return s
}

func (c *check) place() CheckPlace {
	return CheckPlace{Index: c.index, Offset: c.offset, Time: c.time}
}
