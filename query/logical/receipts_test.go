package logical

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/log"
)

// commitLength is the length of pgoutput's commit message.
const commitLength = 26

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
	require.Equal(t, log.Offset(1081), accept(&r, 1081))
	require.Equal(t, log.Offset(1081), accept(&r, 0), "never backwards")
	require.Equal(t, log.Offset(1105), accept(&r, 1<<40), "never beyond what was sent")
}

// TestReceiptsThatCoincide: where an acknowledgement may be that of a transaction's
// end, and also that of an earlier message by its length, it is the latter.
func TestReceiptsThatCoincide(t *testing.T) {
	for _, reach := range []log.Offset{1081, 1082, 1081 + 26} {
		var r Receipts
		r.Whole(1000)
		r.Message(1008, int(reach-1008))
		r.Message(1040, 8)
		r.Message(1041, 26)
		r.Whole(1041)
		r.Message(1048, 20)
		r.Message(1081, 26)
		r.Whole(1081)
		for _, at := range []log.Offset{1041, 1042, 1041 + 26} {
			end, _ := r.Accept(at)
			require.Equal(t, log.Offset(1041), end)
		}
		_, ok := r.Accept(1049) // a change, plus one
		require.False(t, ok)
		end, ok := r.Accept(reach)
		require.False(t, ok, "the consumer may have no more than a part of the first transaction")
		require.Equal(t, log.Offset(1041), end)
		honest := Receipts{sent: slices.Clone(r.sent)}
		end, _ = honest.Accept(reach)
		require.Equal(t, log.Offset(1081), end, "a consumer that has only ever named ends means this one")
		r.Message(1088, 20)
		r.Message(1105, 26)
		r.Whole(1105)
		end, _ = r.Accept(1105)
		require.Equal(t, log.Offset(1105), end, "it is not in doubt for ever")
	}
}

func TestReceiptsAreBounded(t *testing.T) {
	var r Receipts
	for i := range log.Offset(10 * maxReceipts) {
		r.Whole(1000 * (i + 1))
	}
	require.LessOrEqual(t, cap(r.sent), 2*maxReceipts)
	end, _ := r.Accept(20*1000*maxReceipts/3 + 1)
	require.Positive(t, end, "old ones are known roughly")
	require.LessOrEqual(t, end, log.Offset(20*1000*maxReceipts/3))
	require.Zero(t, end%1000, "and it is always the end of a transaction")
	end, _ = r.Accept(1000 * 10 * maxReceipts)
	require.Equal(t, log.Offset(1000*10*maxReceipts), end)
}

// TestReceiptsOfLongMessages: only those are remembered that reach beyond what was
// sent since.
func TestReceiptsOfLongMessages(t *testing.T) {
	var r Receipts
	for i := range log.Offset(100_000) {
		r.Message(1000+10*i, 35)
	}
	require.LessOrEqual(t, cap(r.over), 2*minOver)
}
