package raftlog

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidemark-db/tidemark/log"
)

// toy is a state machine that counts entries. Its durable part is what Sync or
// Restore left, so opening it again from there loses what a crash would lose.
type toy struct {
	mu      sync.Mutex
	state   toyState
	saved   toyState
	halted  bool
	onApply func(log.Committed)

	// What to answer to entries that come for the first time and again; nil for
	// the number of entries.
	executed, repeated []byte
}

type toyState struct {
	Applied log.Index
	Entries []string
}

func (m *toy) clone() toyState {
	return toyState{m.state.Applied, append([]string(nil), m.state.Entries...)}
}

// reopened returns what is there after a crash.
func (m *toy) reopened() *toy {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := &toy{state: m.saved}
	next.saved = next.clone()
	next.state = next.clone()
	return next
}

func (m *toy) Apply(entries []log.Committed) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out [][]byte
	for _, e := range entries {
		if m.halted || string(e.Data) == "poison" {
			m.halted = true
			out = append(out, []byte("refused"))
			continue
		}
		if m.onApply != nil {
			m.onApply(e)
		}
		m.state.Applied = e.Index
		if m.repeated != nil && slices.Contains(m.state.Entries, string(e.Data)) {
			out = append(out, m.repeated)
			continue
		}
		m.state.Entries = append(m.state.Entries, string(e.Data))
		if m.executed != nil {
			out = append(out, m.executed)
			continue
		}
		out = append(out, binary.BigEndian.AppendUint32(nil, uint32(len(m.state.Entries))))
	}
	return out, nil
}

func (m *toy) Applied() log.Index {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Applied
}

func (m *toy) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.state.Entries)
}

func (m *toy) Halted() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.halted {
		return log.ErrHalted
	}
	return nil
}

func (m *toy) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saved = m.clone()
	if calledPeriodically() {
		periodic.Add(1)
	}
	if m.halted {
		return log.ErrHalted
	}
	return nil
}

// periodic counts the calls of Sync that precede no snapshot.
var periodic atomic.Int64

func (m *toy) Prepare() (any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.halted {
		return nil, log.ErrHalted
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(m.state)
	return b.Bytes(), err
}

func (m *toy) Save(image any, w io.Writer, _ <-chan struct{}) error {
	_, err := w.Write(image.([]byte))
	return err
}

func (m *toy) Restore(r io.Reader, _ <-chan struct{}) error {
	var s toyState
	if err := gob.NewDecoder(r).Decode(&s); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = s
	m.saved = m.clone()
	m.halted = false
	return nil
}

func (m *toy) Close() error { return nil }

// toyFast keeps nothing but the index.
type toyFast struct {
	toy
	answer [4]byte
}

func (m *toyFast) Apply(entries []log.Committed) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([][]byte, len(entries))
	for i := range out {
		out[i] = m.answer[:]
	}
	m.state.Applied = entries[len(entries)-1].Index
	return out, nil
}
