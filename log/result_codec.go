package log

import (
	"maps"
	"math"
	"slices"
)

// The number of fields of each struct in format version 1.
const (
	resultFields  = 5
	outcomeFields = 4
	columnFields  = 5
	failureFields = 2
)

// Append appends the stored form of r to dst. It has no upper limit: the entry
// is already applied, so its answer must travel whole; the entry's budget
// bounds it.
func (r *Result) Append(dst []byte) ([]byte, error) {
	return appendRecord(dst, 0, r.encode)
}

// DecodeResult reads what Append wrote, under the rules of DecodeEntry.
func DecodeResult(b []byte) (*Result, error) {
	r := &Result{}
	if err := decodeRecord(b, r.decode); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Result) encode(w *writer) {
	w.array(resultFields)
	w.uint(uint64(r.Offset))
	if r.Err == nil {
		w.none()
	} else {
		r.Err.encode(w)
	}
	w.array(len(r.Statements))
	for i := range r.Statements {
		r.Statements[i].encode(w)
	}
	encodeDrawn(w, r.Drawn)
	w.uint(uint64(r.Repeat))
}

func (r *Result) decode(in *reader) {
	in.fields(resultFields)
	r.Offset = Offset(in.uint(math.MaxUint64))
	if !in.isNone() {
		r.Err = &Failure{}
		r.Err.decode(in)
	}
	r.Statements = list(in, 1+outcomeFields, (*Outcome).decode)
	r.Drawn = decodeDrawn(in)
	r.Repeat = Repeat(in.uint(uint64(TooLate)))
}

func (o *Outcome) encode(w *writer) {
	w.array(outcomeFields)
	w.string(o.Tag)
	if o.Columns == nil {
		w.none() // no rows at all, which is not the same as rows without columns
	} else {
		w.array(len(o.Columns))
	}
	for i := range o.Columns {
		o.Columns[i].encode(w)
	}
	w.array(len(o.Rows))
	for _, row := range o.Rows {
		w.bytes(row)
	}
	w.array(len(o.Notices))
	for i := range o.Notices {
		o.Notices[i].encode(w)
	}
}

func (o *Outcome) decode(in *reader) {
	in.fields(outcomeFields)
	o.Tag = in.string()
	if !in.isNone() {
		o.Columns = list(in, 1+columnFields, (*Column).decode)
		if o.Columns == nil {
			o.Columns = []Column{}
		}
	}
	o.Rows = list(in, 1, func(row *[]byte, in *reader) { *row = in.bytes() })
	o.Notices = list(in, 1+failureFields, (*Failure).decode)
}

func (c *Column) encode(w *writer) {
	w.array(columnFields)
	w.string(c.Name)
	w.uint(uint64(c.Type))
	w.int(int64(c.Typmod))
	w.uint(uint64(c.Table))
	w.int(int64(c.AttNum))
}

func (c *Column) decode(in *reader) {
	in.fields(columnFields)
	c.Name = in.string()
	c.Type = uint32(in.uint(math.MaxUint32))
	c.Typmod = int32(in.int(math.MinInt32, math.MaxInt32))
	c.Table = uint32(in.uint(math.MaxUint32))
	c.AttNum = int16(in.int(math.MinInt16, math.MaxInt16))
}

// encode writes the fields sorted by letter: a map has no order of its own.
func (f *Failure) encode(w *writer) {
	w.array(failureFields)
	w.string(f.Code)
	letters := slices.Sorted(maps.Keys(f.Fields))
	w.array(2 * len(letters))
	for _, letter := range letters {
		w.string(letter)
		w.string(f.Fields[letter])
	}
}

func (f *Failure) decode(in *reader) {
	in.fields(failureFields)
	f.Code = in.string()
	n := in.count(1)
	if n%2 != 0 {
		in.fail("%d letters and values of an error", n)
		return
	}
	if n > 0 {
		f.Fields = make(map[string]string)
	}
	last := ""
	for i := 0; i < n/2 && in.err == nil; i++ {
		letter := in.string()
		if i > 0 && letter <= last {
			in.fail("fields of an error out of order")
			return
		}
		last = letter
		f.Fields[letter] = in.string()
	}
}
