package log

import (
	"fmt"
	"math"
)

// The number of fields of each struct in format version 1, and the fewest
// bytes that one takes in an array (its header and one byte a field).
const (
	entryFields     = 25
	settingFields   = 2
	statementFields = 8
	paramFields     = 2
	drawnFields     = 2
	copyFields      = 5
	stageFields     = 5
	reserveFields   = 2
)

// maxChunks bounds the chunks of one staged COPY.
const maxChunks = math.MaxInt32

// Append appends the stored form of e to dst. The error is ErrTooLarge when
// that is longer than MaxEntryBytes; dst is then returned as it was.
func (e *Entry) Append(dst []byte) ([]byte, error) {
	return appendRecord(dst, MaxEntryBytes, e.encode)
}

// DecodeEntry reads what Append wrote. The entry's byte slices are pieces of b,
// which must not change while the entry is in use. Errors: ErrMalformed, or a
// *FormatError for an entry of a newer program. It never panics.
func DecodeEntry(b []byte) (*Entry, error) {
	if len(b) > MaxEntryBytes {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	e := &Entry{}
	if err := decodeRecord(b, e.decode); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Entry) encode(w *writer) {
	w.array(entryFields)
	w.uint(uint64(e.Kind))
	w.uint(uint64(e.Semantics))
	w.int(e.Time)
	w.bytes(e.Seed[:])
	w.string(e.Role)
	w.string(e.Application)
	w.string(e.ClientAddr)
	encodeSettings(w, e.Settings)
	w.int(e.Budget.Rows)
	w.int(e.Budget.Bytes)
	w.int(e.Budget.Steps)
	w.string(e.IdempotencyKey)
	w.int(e.IdempotencyWindow)
	w.uint(uint64(e.Snapshot))
	w.uint(uint64(e.Isolation))
	w.array(len(e.Statements))
	for i := range e.Statements {
		e.Statements[i].encode(w)
	}
	if e.Stage == nil {
		w.none()
	} else {
		w.array(stageFields)
		w.bytes(e.Stage.ID[:])
		w.uint(uint64(e.Stage.Chunk))
		w.bytes(e.Stage.Rows)
		e.Stage.Load.encode(w)
		w.uint(uint64(e.Stage.Sweep))
	}
	if e.Reserve == nil {
		w.none()
	} else {
		w.array(reserveFields)
		w.uint(uint64(e.Reserve.Sequence))
		w.int(e.Reserve.Count)
	}
	encodeDrawn(w, e.Current)
	w.int(e.Began)
	e.Check.encode(w)
	e.Vote.encode(w)
	w.uint(uint64(e.Earliest))
	e.Slot.encode(w)
	e.Truncate.encode(w)
}

func (e *Entry) decode(r *reader) {
	r.fields(entryFields)
	e.Kind = Kind(r.uint(math.MaxUint8))
	if r.err == nil && (e.Kind < KindCommand || e.Kind > KindTruncate) {
		r.fail("unknown kind %d", e.Kind)
	}
	e.Semantics = Semantics(r.uint(math.MaxUint32))
	e.Time = r.int(math.MinInt64, math.MaxInt64)
	r.fixed(e.Seed[:])
	e.Role = r.string()
	e.Application = r.string()
	e.ClientAddr = r.string()
	e.Settings = decodeSettings(r)
	e.Budget.Rows = r.int(math.MinInt64, math.MaxInt64)
	e.Budget.Bytes = r.int(math.MinInt64, math.MaxInt64)
	e.Budget.Steps = r.int(math.MinInt64, math.MaxInt64)
	e.IdempotencyKey = r.string()
	e.IdempotencyWindow = r.int(math.MinInt64, math.MaxInt64)
	e.Snapshot = Offset(r.uint(math.MaxUint64))
	e.Isolation = Isolation(r.uint(uint64(ReadCommitted)))
	e.Statements = list(r, 1+statementFields, (*Statement).decode)
	if !r.isNone() {
		e.Stage = &Stage{}
		r.fields(stageFields)
		r.fixed(e.Stage.ID[:])
		e.Stage.Chunk = int(r.uint(maxChunks))
		e.Stage.Rows = r.bytes()
		e.Stage.Load = decodeLoad(r)
		e.Stage.Sweep = int(r.uint(maxChunks))
	}
	if !r.isNone() {
		e.Reserve = &Reserve{}
		r.fields(reserveFields)
		e.Reserve.Sequence = uint32(r.uint(math.MaxUint32))
		e.Reserve.Count = r.int(math.MinInt64, math.MaxInt64)
	}
	e.Current = decodeDrawn(r)
	e.Began = r.int(math.MinInt64, math.MaxInt64)
	e.Check = decodeCheck(r)
	e.Vote = decodeVote(r)
	e.Earliest = Place(r.uint(math.MaxUint64))
	e.Slot = decodeSlot(r)
	e.Truncate = decodeTruncate(r)
}

func (s *Statement) encode(w *writer) {
	w.array(statementFields)
	w.uint(uint64(s.Action))
	w.string(s.Text)
	w.array(len(s.Params))
	for i := range s.Params {
		w.array(paramFields)
		w.uint(uint64(s.Params[i].Type))
		w.bytes(s.Params[i].Value)
	}
	w.int(s.Time)
	encodeDrawn(w, s.Drawn)
	w.bytes(s.Digest)
	encodeSettings(w, s.Settings)
	if s.Copy == nil {
		w.none()
		return
	}
	w.array(copyFields)
	w.bytes(s.Copy.Rows)
	w.bytes(s.Copy.Stage[:])
	w.uint(uint64(s.Copy.Chunks))
	w.uint(boolUint(s.Copy.Loaded))
	w.bytes(s.Copy.Sum)
}

func (s *Statement) decode(r *reader) {
	r.fields(statementFields)
	s.Action = Action(r.uint(uint64(ActionRollbackTo)))
	s.Text = r.string()
	s.Params = list(r, 1+paramFields, func(p *Param, r *reader) {
		r.fields(paramFields)
		p.Type, p.Value = uint32(r.uint(math.MaxUint32)), r.bytes()
	})
	s.Time = r.int(math.MinInt64, math.MaxInt64)
	s.Drawn = decodeDrawn(r)
	s.Digest = r.bytes()
	s.Settings = decodeSettings(r)
	if r.isNone() {
		return
	}
	s.Copy = &CopyData{}
	r.fields(copyFields)
	s.Copy.Rows = r.bytes()
	r.fixed(s.Copy.Stage[:])
	s.Copy.Chunks = int(r.uint(maxChunks))
	s.Copy.Loaded = r.uint(1) == 1
	s.Copy.Sum = r.bytes()
}

func encodeSettings(w *writer, settings []Setting) {
	w.array(len(settings))
	for i := range settings {
		w.array(settingFields)
		w.string(settings[i].Name)
		w.string(settings[i].Value)
	}
}

func decodeSettings(r *reader) []Setting {
	return list(r, 1+settingFields, func(s *Setting, r *reader) {
		r.fields(settingFields)
		s.Name, s.Value = r.string(), r.string()
	})
}

func encodeDrawn(w *writer, drawn []DrawnValue) {
	w.array(len(drawn))
	for _, d := range drawn {
		w.array(drawnFields)
		w.uint(uint64(d.Sequence))
		w.int(d.Value)
	}
}

func decodeDrawn(r *reader) []DrawnValue {
	return list(r, 1+drawnFields, func(d *DrawnValue, r *reader) {
		r.fields(drawnFields)
		d.Sequence = uint32(r.uint(math.MaxUint32))
		d.Value = r.int(math.MinInt64, math.MaxInt64)
	})
}
