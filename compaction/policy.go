package compaction

import (
	"time"

	"github.com/tidemark-db/tidemark/log"
)

// DefaultSlotLag is how far behind the end of the log a consumer may be before its
// slot no longer holds history back, where the database does not say otherwise. It
// is finite, so that a consumer which never comes back costs so much of the disk
// and no more; and it is many hours of a busy database, so that one that does come
// back finds what it has missed.
const DefaultSlotLag log.Offset = 10 << 30

// Policy says how much history a database retains. With neither Age nor Size it is
// retained for ever, whatever consumers do.
type Policy struct {
	// Age is for how long history is retained, 0 for ever.
	Age time.Duration
	// Size is how many bytes of the change log are retained, 0 all. With both, what
	// is beyond one of them goes.
	Size log.Offset
	// SlotLag is how many bytes behind the end of the log a slot may be and still
	// hold back what it needs; 0 means that there is no limit.
	SlotLag log.Offset
}

// DefaultPolicy is that of a database which says nothing.
func DefaultPolicy() Policy { return Policy{SlotLag: DefaultSlotLag} }

// Slack is how many bytes more may be written before a slot at an offset no longer
// holds history back, negative when it does not any more; limited is false when it
// always will, or when nothing ever goes.
func (p Policy) Slack(at, end log.Offset) (bytes int64, limited bool) {
	if !p.Limited() || p.SlotLag == 0 {
		return 0, false
	}
	return int64(p.SlotLag) - int64(end-min(at, end)), true
}

// Limited reports whether anything ever goes.
func (p Policy) Limited() bool { return p.Age > 0 || p.Size > 0 }

// State is what the floor depends on beside the policy.
type State struct {
	// Floor is the floor now, End the end of the log.
	Floor, End log.Offset
	// Expired is the offset of a commit that has been superseded for longer than
	// the policy's Age: history up to there is too old. It counts only where there
	// is an Age.
	Expired log.Offset
	// Slots are the positions of the slots that are good: of each the first offset
	// that its consumer still needs.
	Slots []log.Offset
}

// Floor returns where the floor ought to be: every offset up to it may be
// forgotten, but for the state there. It is never below the floor now.
func Floor(p Policy, s State) log.Offset {
	if !p.Limited() {
		return s.Floor
	}
	floor := log.Offset(0)
	if p.Age > 0 {
		floor = s.Expired
	}
	if p.Size > 0 && s.End > p.Size {
		floor = max(floor, s.End-p.Size)
	}
	floor = min(floor, s.End)
	for _, at := range s.Slots {
		if p.holds(at, s.End) {
			floor = min(floor, at-1)
		}
	}
	return max(floor, s.Floor)
}

// holds reports whether a slot at an offset holds history back.
func (p Policy) holds(at, end log.Offset) bool {
	return at > 0 && (p.SlotLag == 0 || at >= end || end-at <= p.SlotLag)
}

// When a higher floor is worth an entry in the log.
const (
	// worthShare: it frees one part in so many of what is retained.
	worthShare = 16
	// patience is after how long anything is.
	patience = time.Minute
)

// Worth reports whether moving the floor is worth an entry, when the last one was
// so long ago.
func Worth(s State, floor log.Offset, since time.Duration) bool {
	if floor <= s.Floor {
		return false
	}
	return since >= patience || floor-s.Floor >= (s.End-min(s.Floor, s.End))/worthShare
}
