package parser

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// WaitStmt is PostgreSQL 19's
//
//	WAIT FOR LSN 'X/X' [WITH (TIMEOUT '…', NO_THROW, MODE '…')]
//
// where the LSN may also be a token. All modes mean the same here: every node
// has applied what it has seen. And it is
//
//	WAIT FOR SLOT 'name' [LSN 'X/X'] [TIMEOUT '…'] [WITH (…)]
//
// which waits for the consumer of a slot.
type WaitStmt struct {
	Slot    string        // empty: not for one
	Target  string        // empty with a slot: what the session has written
	Timeout time.Duration // negative: none given
	NoThrow bool
}

var (
	waitStart  = regexp.MustCompile(`(?is)^\s*(?:/\*.*?\*/\s*|--[^\n]*\n\s*)*wait\s+for\b\s*`)
	waitForm   = regexp.MustCompile(`(?is)^lsn\s+'([^']*)'\s*(?:with\s*\((.*)\)\s*)?$`)
	slotForm   = regexp.MustCompile(`(?is)^slot\s+(?:'([^']+)'|([a-z0-9_]+))\s*(?:\blsn\s+'([^']*)'\s*)?(?:\btimeout\s*('[^']*'|\d+)\s*)?(?:with\s*\((.*)\)\s*)?$`)
	waitOption = regexp.MustCompile(`(?is)^\s*(timeout|no_throw|mode)\s*(?:'([^']*)'|(\d+))?\s*$`)
)

// parseWait recognises a WAIT statement; nil and no error mean that text is
// something else.
func parseWait(text string) (*WaitStmt, error) {
	if !mayBegin(text, 'w') {
		return nil, nil
	}
	loc := waitStart.FindStringIndex(text)
	if loc == nil {
		return nil, nil
	}
	w, options := &WaitStmt{Timeout: -1}, ""
	if m := waitForm.FindStringSubmatch(text[loc[1]:]); m != nil {
		w.Target, options = m[1], m[2]
	} else if m := slotForm.FindStringSubmatch(text[loc[1]:]); m != nil {
		w.Slot, w.Target, options = m[1]+strings.ToLower(m[2]), m[3], m[5]
		if m[4] != "" {
			if err := w.option("timeout " + m[4]); err != nil {
				return nil, err
			}
		}
	} else {
		return nil, sqlstate.New(sqlstate.SyntaxError, "syntax error in WAIT FOR").
			WithHint("Write WAIT FOR LSN 'X/X' [WITH (TIMEOUT 'duration', NO_THROW)], or WAIT FOR SLOT 'name' [LSN 'X/X'] [TIMEOUT 'duration'].")
	}
	if options == "" {
		return w, nil
	}
	for _, opt := range strings.Split(options, ",") {
		if err := w.option(opt); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *WaitStmt) option(opt string) error {
	m := waitOption.FindStringSubmatch(opt)
	if m == nil {
		return sqlstate.New(sqlstate.SyntaxError, "unrecognized option in WAIT FOR: %s", strings.TrimSpace(opt))
	}
	value := m[2] + m[3]
	switch strings.ToLower(m[1]) {
	case "no_throw":
		w.NoThrow = true
	case "mode":
	case "timeout":
		d, err := ParseDuration(value)
		if err != nil {
			return sqlstate.New(sqlstate.InvalidParameterValue, "invalid timeout value: \"%s\"", value)
		}
		w.Timeout = d
	}
	return nil
}

// ParseDuration reads a duration as PostgreSQL's settings do: a number of
// milliseconds, or a number with one of the units us, ms, s, min, h, d.
func ParseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != '-' && r != '+' })
	unit := time.Millisecond
	if i >= 0 {
		var ok bool
		unit, ok = durationUnits[strings.TrimSpace(s[i:])]
		if !ok {
			return 0, strconv.ErrSyntax
		}
		s = s[:i]
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, err
	}
	if d := n * float64(unit); d < -float64(1<<62) || d > float64(1<<62) {
		return 0, strconv.ErrRange
	}
	return time.Duration(n * float64(unit)), nil
}

var durationUnits = map[string]time.Duration{
	"us": time.Microsecond, "ms": time.Millisecond, "s": time.Second,
	"min": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}
