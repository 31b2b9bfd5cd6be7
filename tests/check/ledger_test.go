package check

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
)

// TestLedger shows the ledger a log that is as its writers know it, and then ones
// that are not.
func TestLedger(t *testing.T) {
	insert := func(w Write) RowChange { return RowChange{Op: 'I', Table: "t", Key: int64(w), Write: w} }
	ledger := func() *Ledger {
		l := &Ledger{}
		for i := range 4 {
			a, w := l.Begin(2, Instant(10*i+1))
			a.Changes = []RowChange{insert(w), insert(w + 1)}
			a.Outcome, a.End, a.Offset = Committed, Instant(10*i+5), log.Offset(8*w)
		}
		for _, o := range []Outcome{Unknown, Unknown, Aborted} {
			a, w := l.Begin(1, 100)
			a.Changes, a.Outcome = []RowChange{insert(w)}, o
		}
		return l
	}
	var good []Told
	for _, w := range []Write{1, 3, 5, 7} {
		good = append(good, Told{log.Offset(8 * w), []RowChange{insert(w), insert(w + 1)}})
	}
	good = append(good, Told{800, []RowChange{insert(9)}})
	require.Empty(t, ledger().Judge(good))
	require.Equal(t, 8, ledger().Changes())
	require.Equal(t, map[Outcome]int{Committed: 4, Unknown: 2, Aborted: 1}, ledger().Outcomes())

	for name, k := range map[string]func(told []Told) []Told{
		"lost":     func(told []Told) []Told { return append(told[:1], told[2:]...) },
		"twice":    func(told []Told) []Told { return append(told, Told{900, told[4].Changes}) },
		"invented": func(told []Told) []Told { return append(told, Told{900, []RowChange{insert(77)}}) },
		"refused":  func(told []Told) []Told { return append(told, Told{900, []RowChange{insert(11)}}) },
		"order":    func(told []Told) []Told { told[1], told[2] = told[2], told[1]; return told },
		"elsewhere": func(told []Told) []Told {
			told[3].Commit++
			return told
		},
		"changed": func(told []Told) []Told {
			told[0].Changes = []RowChange{insert(1)}
			return told
		},
		"without a number": func(told []Told) []Told { return append(told, Told{900, []RowChange{{Op: 'T', Table: "t"}}}) },
	} {
		told := append([]Told(nil), good...)
		require.NotEmpty(t, ledger().Judge(k(told)), name)
	}
}
