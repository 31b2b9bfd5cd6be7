package logical

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
)

func TestReceipts(t *testing.T) {
	accept := func(r *Receipts, at log.Offset) log.Offset {
		end, _ := r.Accept(at)
		return end
	}
	var r Receipts
	require.Zero(t, accept(&r, 500), "nothing has been sent")
	r.Whole(1000)
	r.Message(1008, 60)
	r.Message(1041, commitLength)
	r.Whole(1041)
	r.Message(1048, 300) // its text is longer than what follows it in the log
	r.Message(1081, commitLength)
	r.Whole(1081)
	r.Message(1088, 30)
	r.Message(1105, commitLength)
	r.Whole(1105)

	require.Equal(t, log.Offset(900), accept(&r, 900), "from before the connection")
	require.Equal(t, log.Offset(1000), accept(&r, 1000))
	require.Equal(t, log.Offset(1000), accept(&r, 1009), "a change, plus one")
	require.Equal(t, log.Offset(1041), accept(&r, 1042), "a commit, plus one")
	require.Equal(t, log.Offset(1041), accept(&r, 1041+commitLength), "a commit, plus its length")
	require.Equal(t, log.Offset(1041), accept(&r, 1048+300), "a change plus its length, behind the ends of transactions that are on their way")
	accept(&r, 1081)
	require.Equal(t, log.Offset(1081), accept(&r, 1081))
	require.Equal(t, log.Offset(1081), accept(&r, 0), "never backwards")
	require.Equal(t, log.Offset(1105), accept(&r, 1<<40), "never beyond what was sent")
}

// TestReceiptsByChance: small transactions are so short that a commit plus the length
// of its message is the end of the next one, which the consumer does not have.
func TestReceiptsByChance(t *testing.T) {
	var r Receipts
	for _, end := range []log.Offset{1000, 1100, 1126, 1151, 1300} {
		r.Message(end, commitLength)
		r.Whole(end)
	}
	accept := func(at log.Offset) log.Offset {
		end, _ := r.Accept(at)
		return end
	}
	require.Equal(t, log.Offset(1000), accept(1000+commitLength))
	require.Less(t, accept(1100+commitLength), log.Offset(1126))
	require.Equal(t, log.Offset(1151), accept(1151+commitLength))
	require.Equal(t, log.Offset(1151), accept(1300), "it may have been a chance")
	require.Equal(t, log.Offset(1300), accept(1300), "this consumer means what it says")
}

func TestReceiptsAreBounded(t *testing.T) {
	var r Receipts
	for i := range log.Offset(10 * maxReceipts) {
		r.Whole(1000 * (i + 1))
	}
	require.LessOrEqual(t, cap(r.sent), 2*maxReceipts)
	end, ok := r.Accept(1234)
	require.True(t, ok)
	require.Equal(t, log.Offset(1234), end)
	end, _ = r.Accept(1000 * 10 * maxReceipts)
	require.Equal(t, log.Offset(1000*10*maxReceipts), end)
}
