package pgwire

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgproto3/v2"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

const (
	severityError  = "ERROR"
	severityFatal  = "FATAL"
	severityPanic  = "PANIC"
	severityNotice = "NOTICE"
)

// The encoders below append to the output and write nothing. Rare messages are
// encoded by pgproto3; those of every query are built here, without
// allocating.

// message appends a message that pgproto3 encodes. The only error it knows is a
// message too large for the length field, which none of ours can be.
func (o *output) message(m pgproto3.BackendMessage) {
	encoded, err := m.Encode(o.buf)
	if err != nil {
		panic("pgwire: " + err.Error())
	}
	o.buf = encoded
}

func (o *output) cstring(s string) { o.buf = append(append(o.buf, s...), 0) }

func (o *output) parameterStatus(name, value string) {
	start := o.begin(msgParameterStatus)
	o.cstring(cleanField(name))
	o.cstring(cleanField(value))
	o.finish(start)
}

func (o *output) commandComplete(tag string) {
	start := o.begin(msgCommandComplete)
	o.cstring(tag)
	o.finish(start)
}

func (o *output) readyForQuery(txStatus byte) {
	o.buf = append(o.buf, msgReadyForQuery, 0, 0, 0, 5, txStatus)
}

func (o *output) negotiateVersion(unknown []string) {
	start := o.begin(msgNegotiateVersion)
	o.buf = binary.BigEndian.AppendUint32(o.buf, protocolMajor<<16)
	o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(len(unknown)))
	for _, name := range unknown {
		o.cstring(name)
	}
	o.finish(start)
}

func (o *output) parameterDescription(oids []types.OID) {
	start := o.begin(msgParameterDescription)
	o.buf = binary.BigEndian.AppendUint16(o.buf, uint16(len(oids)))
	for _, oid := range oids {
		o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(oid))
	}
	o.finish(start)
}

// rowDescription describes columns, or says that there are none for nil.
func (o *output) rowDescription(cols []query.Column, formats []int16) {
	if cols == nil {
		o.empty(msgNoData)
		return
	}
	start := o.begin(msgRowDescription)
	o.buf = binary.BigEndian.AppendUint16(o.buf, uint16(len(cols)))
	for i := range cols {
		c := &cols[i]
		o.cstring(c.Name)
		b := binary.BigEndian.AppendUint32(o.buf, uint32(c.TableOID))
		b = binary.BigEndian.AppendUint16(b, uint16(c.AttNum))
		b = binary.BigEndian.AppendUint32(b, uint32(c.Type.OID))
		b = binary.BigEndian.AppendUint16(b, uint16(c.Type.Len))
		b = binary.BigEndian.AppendUint32(b, uint32(c.Typmod))
		o.buf = binary.BigEndian.AppendUint16(b, uint16(formatOf(formats, i)))
	}
	o.finish(start)
}

// formatOf is the format of column i under a Bind's result formats: none means
// all text, a single one holds for all.
func formatOf(formats []int16, i int) int16 {
	switch {
	case len(formats) == 1:
		return formats[0]
	case i < len(formats):
		return formats[i]
	}
	return formatText
}

func (o *output) errorResponse(e *sqlstate.Error) {
	severity := e.Severity
	if severity == "" {
		severity = severityError
	}
	fields := errorFields(e, severity)
	o.message(&fields)
}

func (o *output) noticeResponse(e *sqlstate.Error) {
	severity := e.Severity
	if severity == "" {
		severity = severityNotice
	}
	notice := pgproto3.NoticeResponse(errorFields(e, severity))
	o.message(&notice)
}

func errorFields(e *sqlstate.Error, severity string) pgproto3.ErrorResponse {
	return pgproto3.ErrorResponse{
		Severity:            severity,
		SeverityUnlocalized: severity,
		Code:                cleanField(string(e.Code)),
		Message:             cleanField(e.Message),
		Detail:              cleanField(e.Detail),
		Hint:                cleanField(e.Hint),
		Position:            int32(e.Position),
		Where:               cleanField(e.Where),
		SchemaName:          cleanField(e.Schema),
		TableName:           cleanField(e.Table),
		ColumnName:          cleanField(e.Column),
		DataTypeName:        cleanField(e.DataType),
		ConstraintName:      cleanField(e.Constraint),
	}
}

// cleanField makes a string that may quote what a client sent fit to be sent:
// of bounded length, valid UTF-8, and without the NUL that would end it early.
func cleanField(s string) string {
	if len(s) > maxErrorField {
		s = s[:maxErrorField]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		s = s[:max(len(s)-1, 0)] // the rune that was cut, or one whole one
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", `\0`)
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
