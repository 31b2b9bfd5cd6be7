package log

import "math"

// Truncate raises the floor: history up to the last commit at or before Floor need
// no longer be retained, but for the state there.
type Truncate struct{ Floor Offset }

// truncateFields counts the fields in format version 1.
const truncateFields = 1

func (t *Truncate) encode(w *writer) {
	if t == nil {
		w.none()
		return
	}
	w.array(truncateFields)
	w.uint(uint64(t.Floor))
}

func decodeTruncate(r *reader) *Truncate {
	if r.isNone() {
		return nil
	}
	r.fields(truncateFields)
	return &Truncate{Floor: Offset(r.uint(math.MaxUint64))}
}
