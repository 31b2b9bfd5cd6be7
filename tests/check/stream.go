package check

import (
	"slices"
	"sort"

	"github.com/tidemark-db/tidemark/log"
)

// Sum stands for everything that a consumer was told of one change: its position,
// what was done, to which table, and all values.
type Sum uint64

// Delivery is a transaction as a consumer received it.
type Delivery struct {
	// Connection counts the times that the consumer has connected.
	Connection int
	Commit     log.Offset // 0 when it is not known yet: the connection was lost before
	Changes    []Sum
	// Whole says that its end was received.
	Whole bool
}

// Published is a transaction as it is in the log.
type Published struct {
	Commit  log.Offset
	Changes []Sum
}

// Streams judges what one consumer received, in the order it did, by what there is
// in the log. Whoever connects gets the transactions from some place on that is not
// behind the first one it does not have, each whole, in their order, and none
// twice. A transaction that comes again on a later connection is the same one. Only
// a lost connection cuts a transaction.
func Streams(all []Published, received []Delivery) []Anomaly {
	j := streamJudge{log: all, at: map[uint64]int{}}
	for i := range all {
		if i > 0 && all[i].Commit <= all[i-1].Commit {
			j.report.add("order", "%s follows %s in the log", all[i].Commit, all[i-1].Commit)
		}
		j.at[uint64(all[i].Commit)] = i
	}
	for i := range received {
		last := i+1 == len(received) || received[i+1].Connection != received[i].Connection
		first := i == 0 || received[i-1].Connection != received[i].Connection
		j.judge(&received[i], first, last)
	}
	if j.seen < len(all) {
		j.report.add("lost", "%d transactions from %s on were never received", len(all)-j.seen, all[j.seen].Commit)
	}
	return j.report.found
}

// streamJudge goes along with a consumer.
type streamJudge struct {
	report
	log  []Published
	at   map[uint64]int // by commit
	seen int            // so many transactions were received whole
	next int            // what comes next on this connection; -1 when it is not known
}

// judge looks at a delivery, which may be the first or the last one of its
// connection.
func (j *streamJudge) judge(d *Delivery, first, last bool) {
	if first {
		j.next = -1
	}
	i, ok := j.place(d)
	if !ok {
		return
	}
	switch {
	case first && i > j.seen:
		j.add("lost", "after a resume %s came, and %s has not come before", d.Commit, j.log[j.seen].Commit)
	case !first && j.next >= 0 && i > j.next:
		j.add("lost or out of order", "%s came instead of %s", d.Commit, j.log[j.next].Commit)
	case !first && j.next >= 0 && i < j.next:
		j.add("repeated or out of order", "%s came where it had come already, without a resume", d.Commit)
	}
	j.next = i + 1
	j.compare(d, &j.log[i], last)
	if d.Whole {
		j.seen = max(j.seen, i+1)
	}
}

// place finds which transaction a delivery is.
func (j *streamJudge) place(d *Delivery) (int, bool) {
	if d.Commit != 0 {
		i, ok := j.at[uint64(d.Commit)]
		if !ok {
			j.add("invented", "there is no transaction at %s", d.Commit)
		}
		return i, ok
	}
	if d.Whole {
		j.add("invented", "a transaction without a place")
		return 0, false
	}
	// Its begin has not said which one it is. It can be told after another one, or
	// by its first change.
	if j.next < 0 && len(d.Changes) > 0 {
		i := slices.IndexFunc(j.log, func(p Published) bool { return len(p.Changes) > 0 && p.Changes[0] == d.Changes[0] })
		if i < 0 {
			j.add("invented", "a change that nobody has made, in a transaction that was cut off")
		}
		return i, i >= 0
	}
	return j.next, j.next >= 0 && j.next < len(j.log)
}

// compare compares a delivery with what it is of.
func (j *streamJudge) compare(d *Delivery, p *Published, last bool) {
	n := sort.Search(min(len(d.Changes), len(p.Changes)), func(i int) bool { return !slices.Equal(d.Changes[:i+1], p.Changes[:i+1]) })
	switch {
	case n < len(d.Changes) && n < len(p.Changes):
		j.add("changed", "change %d of %d of %s is another one in the log", n+1, len(d.Changes), p.Commit)
	case n < len(d.Changes):
		j.add("invented", "%s has %d changes, and %d in the log", p.Commit, len(d.Changes), len(p.Changes))
	case d.Whole && n < len(p.Changes):
		j.add("cut", "%s came with %d of its %d changes", p.Commit, n, len(p.Changes))
	case !d.Whole && !last:
		j.add("cut", "%s did not end, and the stream went on", p.Commit)
	}
}

// Repeated counts the transactions that came whole more than once.
func Repeated(received []Delivery) int {
	n, last := 0, log.Offset(0)
	for i := range received {
		if d := &received[i]; d.Whole && d.Commit <= last {
			n++
		}
		if d := &received[i]; d.Whole {
			last = max(last, d.Commit)
		}
	}
	return n
}
