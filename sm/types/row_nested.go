package types

import "encoding/binary"

// The stored forms of jsonb, arrays and row values, which nest.

func appendStoredJSON(dst []byte, j *JSON) []byte {
	dst = append(dst, byte(j.Kind))
	switch j.Kind {
	case JSONBool:
		return append(dst, byte(boolToInt(j.Bool)))
	case JSONString:
		return appendStoredString(dst, j.Str)
	case JSONNumber:
		return appendSized(dst, KindDecimal, func(b []byte) []byte { return appendStoredDecimal(b, j.Num) })
	case JSONArray:
		dst = binary.AppendUvarint(dst, uint64(len(j.Elems)))
		for _, e := range j.Elems {
			dst = appendStoredJSON(dst, e)
		}
	case JSONObject:
		dst = binary.AppendUvarint(dst, uint64(len(j.Fields)))
		for _, f := range j.Fields {
			dst = appendStoredString(dst, f.Key)
			dst = appendStoredJSON(dst, f.Value)
		}
	}
	return dst
}

func appendStoredString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func readStoredString(b []byte) (string, []byte, bool) {
	n, b, ok := readUvarint(b, uint64(len(b)))
	if !ok || n > uint64(len(b)) {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}

func decodeStoredJSON(b []byte, depth int) (*JSON, []byte, error) {
	if len(b) == 0 || depth > MaxJSONDepth {
		return nil, nil, corrupt()
	}
	j := &JSON{Kind: JSONKind(b[0])}
	b = b[1:]
	ok := true
	switch j.Kind {
	case JSONNull:
	case JSONBool:
		if len(b) == 0 {
			return nil, nil, corrupt()
		}
		j.Bool = b[0] != 0
		b = b[1:]
	case JSONString:
		if j.Str, b, ok = readStoredString(b); !ok {
			return nil, nil, corrupt()
		}
	case JSONNumber:
		d, rest, err := decodeDatum(b, false, 0)
		if err != nil || d.kind != KindDecimal {
			return nil, nil, corrupt()
		}
		j.Num, b = d.Decimal(), rest
	case JSONArray, JSONObject:
		return decodeStoredContainer(j, b, depth)
	default:
		return nil, nil, corrupt()
	}
	return j, b, nil
}

func decodeStoredContainer(j *JSON, b []byte, depth int) (*JSON, []byte, error) {
	// Each member takes at least one byte, which bounds the allocation.
	n, b, ok := readUvarint(b, uint64(len(b)))
	if !ok || n > uint64(len(b)) {
		return nil, nil, corrupt()
	}
	if j.Kind == JSONArray {
		j.Elems = make([]*JSON, 0, n)
	} else {
		j.Fields = make([]JSONField, 0, n)
	}
	for range n {
		key := ""
		if j.Kind == JSONObject {
			if key, b, ok = readStoredString(b); !ok {
				return nil, nil, corrupt()
			}
		}
		e, rest, err := decodeStoredJSON(b, depth+1)
		if err != nil {
			return nil, nil, err
		}
		b = rest
		if j.Kind == JSONArray {
			j.Elems = append(j.Elems, e)
		} else {
			j.Fields = append(j.Fields, JSONField{key, e})
		}
	}
	return j, b, nil
}

func appendStoredArray(dst []byte, a *Array) []byte {
	dst = binary.AppendUvarint(dst, uint64(a.Elem.OID))
	dst = append(dst, byte(len(a.Dims)))
	for i := range a.Dims {
		dst = binary.AppendUvarint(dst, uint64(a.Dims[i]))
		dst = binary.AppendVarint(dst, int64(a.Lower[i]))
	}
	for _, e := range a.Elems {
		dst = AppendDatum(dst, e)
	}
	return dst
}

func decodeStoredArray(b []byte, stable bool, depth int) (Datum, error) {
	oid, b, ok := readUvarint(b, maxUint32)
	if !ok {
		return Datum{}, corrupt()
	}
	elem, ok := ByOID(OID(oid))
	if !ok || len(b) == 0 || b[0] > MaxArrayDims {
		return Datum{}, corrupt()
	}
	a := &Array{Elem: elem}
	ndim := int(b[0])
	b = b[1:]
	count := uint64(1)
	for range ndim {
		var dim uint64
		if dim, b, ok = readUvarint(b, MaxArrayElems); !ok {
			return Datum{}, corrupt()
		}
		low, w := binary.Varint(b)
		if w <= 0 || low != int64(int32(low)) {
			return Datum{}, corrupt()
		}
		b = b[w:]
		a.Dims, a.Lower = append(a.Dims, int32(dim)), append(a.Lower, int32(low))
		if count *= dim; count > uint64(len(b)) {
			return Datum{}, corrupt()
		}
	}
	if ndim == 0 {
		return ArrayDatum(a), nil
	}
	a.Elems = make([]Datum, count)
	for i := range a.Elems {
		var err error
		if a.Elems[i], b, err = decodeDatum(b, stable, depth+1); err != nil {
			return Datum{}, err
		}
		if k := a.Elems[i].kind; k != KindNull && k != elem.Kind {
			return Datum{}, corrupt()
		}
	}
	return ArrayDatum(a), nil
}

func appendStoredTuple(dst []byte, t *Tuple) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(t.Fields)))
	dst = append(dst, byte(boolToInt(t.Names != nil)))
	for i, d := range t.Fields {
		dst = binary.AppendUvarint(dst, uint64(t.Types[i].OID))
		if t.Names != nil {
			dst = appendStoredString(dst, t.Names[i])
		}
		dst = AppendDatum(dst, d)
	}
	return dst
}

func decodeStoredTuple(b []byte, stable bool, depth int) (Datum, error) {
	n, b, ok := readUvarint(b, uint64(len(b)))
	if !ok || len(b) == 0 || n > uint64(len(b)) {
		return Datum{}, corrupt()
	}
	named := b[0] != 0
	b = b[1:]
	t := &Tuple{Types: make([]*Type, n), Fields: make([]Datum, n)}
	if named {
		t.Names = make([]string, n)
	}
	for i := range t.Fields {
		oid, rest, ok := readUvarint(b, maxUint32)
		if !ok {
			return Datum{}, corrupt()
		}
		if t.Types[i], ok = ByOID(OID(oid)); !ok {
			return Datum{}, corrupt()
		}
		b = rest
		if named {
			if t.Names[i], b, ok = readStoredString(b); !ok {
				return Datum{}, corrupt()
			}
		}
		var err error
		if t.Fields[i], b, err = decodeDatum(b, stable, depth+1); err != nil {
			return Datum{}, err
		}
		if k := t.Fields[i].kind; k != KindNull && k != t.Types[i].Kind {
			return Datum{}, corrupt()
		}
	}
	return TupleDatum(t), nil
}
