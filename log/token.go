package log

import (
	"fmt"
	"strconv"
	"strings"
)

// ID names a log; log 1 is the meta log.
type ID uint64

// Epoch grows when a log is restored to an earlier point, so that a token from
// the abandoned future can be told from a valid one.
type Epoch uint32

// Token says "at least this far in this log". Its text form is
// <log id>.<epoch>.<LSN>.
type Token struct {
	Log    ID
	Epoch  Epoch
	Offset Offset
}

// String prints the token's text form.
func (t Token) String() string {
	return strconv.FormatUint(uint64(t.Log), 10) + "." + strconv.FormatUint(uint64(t.Epoch), 10) + "." + t.Offset.String()
}

// ParseToken reads what String prints.
func ParseToken(s string) (Token, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return Token{}, fmt.Errorf("invalid token %q", s)
	}
	id, err := strconv.ParseUint(parts[0], 10, 64)
	if err != nil {
		return Token{}, fmt.Errorf("invalid token %q", s)
	}
	epoch, err := strconv.ParseUint(parts[1], 10, 32)
	if err != nil {
		return Token{}, fmt.Errorf("invalid token %q", s)
	}
	off, err := ParseOffset(parts[2])
	if err != nil {
		return Token{}, fmt.Errorf("invalid token %q", s)
	}
	return Token{Log: ID(id), Epoch: Epoch(epoch), Offset: off}, nil
}
