package types

import (
	"archive/zip"
	"bytes"
	_ "embed" // the time zone database below
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// zoneinfo is Go's own copy of the IANA time zone database (lib/time). It is
// part of the binary so that no replica depends on what its host has
// installed.
//
//go:embed zoneinfo.zip
var zoneinfo []byte

// maxZoneBytes bounds one decompressed time zone file.
const maxZoneBytes = 64 << 10

type zoneFile struct {
	name string
	file *zip.File
}

// zoneIndex maps a lower-case name to its file.
var zoneIndex = sync.OnceValue(func() map[string]zoneFile {
	r, err := zip.NewReader(bytes.NewReader(zoneinfo), int64(len(zoneinfo)))
	if err != nil {
		panic("types: embedded time zone database: " + err.Error())
	}
	index := make(map[string]zoneFile, len(r.File))
	for _, f := range r.File {
		if !strings.HasSuffix(f.Name, "/") {
			index[strings.ToLower(f.Name)] = zoneFile{f.Name, f}
		}
	}
	return index
})

var zoneCache sync.Map // lower-case name → *time.Location

// zoneAbbreviations is the common part of PostgreSQL's Default abbreviation
// set, in seconds east of Greenwich; dst marks summer time.
var zoneAbbreviations = map[string]int{
	"utc": 0, "gmt": 0, "z": 0, "zulu": 0, "ut": 0, "wet": 0,
	"acdt": 37800, "acst": 34200, "adt": -10800, "aedt": 39600, "aest": 36000, "akdt": -28800, "akst": -32400,
	"ast": -14400, "awst": 28800, "bst": 3600, "cat": 7200, "cdt": -18000, "cest": 7200, "cet": 3600,
	"cst": -21600, "eat": 10800, "edt": -14400, "eest": 10800, "eet": 7200, "est": -18000, "hkt": 28800,
	"hst": -36000, "idt": 10800, "ist": 7200, "jst": 32400, "kst": 32400, "mdt": -21600, "mest": 7200,
	"met": 3600, "mez": 3600, "msk": 10800, "mst": -25200, "ndt": -9000, "nst": -12600, "nzdt": 46800,
	"nzst": 43200, "pdt": -25200, "pht": 28800, "pkt": 18000, "pst": -28800, "sast": 7200, "sgt": 28800,
	"sst": -39600, "west": 3600,
}

// UndefinedZone is the error for a time zone nobody knows.
func UndefinedZone(name string) error {
	return sqlstate.New(sqlstate.InvalidParameterValue, "time zone \"%s\" not recognized", name)
}

// LoadLocation returns the time zone with the given name: an IANA name in any
// case, an abbreviation such as PST, or a POSIX-like offset such as +02,
// which as in ISO 8601 counts hours east (unlike <X>-02).
func LoadLocation(name string) (*time.Location, error) {
	key := strings.ToLower(trimSpace(name))
	if loc, ok := zoneCache.Load(key); ok {
		return loc.(*time.Location), nil
	}
	loc, err := loadZone(key, name)
	if err != nil {
		return nil, err
	}
	// Names are cached only when they come from the database, so that a
	// client cannot fill the cache.
	if _, ok := zoneIndex()[key]; ok {
		zoneCache.Store(key, loc)
	}
	return loc, nil
}

func loadZone(key, name string) (*time.Location, error) {
	if key == "utc" || key == "zulu" || key == "z" {
		return time.UTC, nil
	}
	if z, ok := zoneIndex()[key]; ok {
		r, err := z.file.Open()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		data, err := io.ReadAll(io.LimitReader(r, maxZoneBytes))
		if err != nil {
			return nil, err
		}
		return time.LoadLocationFromTZData(z.name, data)
	}
	if sec, ok := zoneAbbreviations[key]; ok {
		return time.FixedZone(strings.ToUpper(key), sec), nil
	}
	if sec, ok := parseOffset(key); ok {
		return time.FixedZone(offsetName(sec), sec), nil
	}
	return posixZone(key, name)
}

// posixZone reads names such as UTC+3 and <+03>-3, whose sign counts west.
func posixZone(key, name string) (*time.Location, error) {
	abbrev, rest := "", key
	if strings.HasPrefix(key, "<") {
		end := strings.IndexByte(key, '>')
		if end < 0 {
			return nil, UndefinedZone(name)
		}
		abbrev, rest = key[1:end], key[end+1:]
	} else {
		i := 0
		for i < len(key) && key[i] >= 'a' && key[i] <= 'z' {
			i++
		}
		if i < 3 {
			return nil, UndefinedZone(name)
		}
		abbrev, rest = key[:i], key[i:]
	}
	if rest != "" && rest[0] >= '0' && rest[0] <= '9' {
		rest = "+" + rest
	}
	sec, ok := parseOffset(rest)
	if !ok {
		return nil, UndefinedZone(name)
	}
	return time.FixedZone(strings.ToUpper(abbrev), -sec), nil
}

// maxZoneOffset is the greatest displacement from UTC PostgreSQL accepts, in
// seconds (below 16 hours).
const maxZoneOffset = 15*3600 + 59*60 + 59

// parseOffset reads ±hh, ±hhmm, ±hh:mm and ±hh:mm:ss as seconds east.
func parseOffset(s string) (int, bool) {
	if len(s) < 2 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	parts := strings.Split(s[1:], ":")
	if len(parts) == 1 && len(parts[0]) > 2 {
		p := parts[0]
		switch len(p) {
		case 3, 4:
			parts = []string{p[:len(p)-2], p[len(p)-2:]}
		case 6:
			parts = []string{p[:2], p[2:4], p[4:]}
		default:
			return 0, false
		}
	}
	if len(parts) > 3 {
		return 0, false
	}
	total := 0
	for i, unit := range []int{3600, 60, 1}[:len(parts)] {
		n, err := strconv.ParseUint(parts[i], 10, 16)
		if err != nil || i > 0 && n >= 60 {
			return 0, false
		}
		total += int(n) * unit
	}
	if total > maxZoneOffset {
		return 0, false
	}
	if s[0] == '-' {
		total = -total
	}
	return total, true
}

func offsetName(sec int) string { return string(appendOffset(nil, sec)) }

// appendOffset prints a displacement as +hh[:mm[:ss]].
func appendOffset(dst []byte, sec int) []byte {
	sign := byte('+')
	if sec < 0 {
		sign, sec = '-', -sec
	}
	dst = appendPadded(append(dst, sign), sec/3600, 2)
	if sec%3600 != 0 {
		dst = appendPadded(append(dst, ':'), sec/60%60, 2)
	}
	if sec%60 != 0 {
		dst = appendPadded(append(dst, ':'), sec%60, 2)
	}
	return dst
}

// ZoneNames lists the embedded IANA names in order.
func ZoneNames() []string {
	out := make([]string, 0, len(zoneIndex()))
	for _, z := range zoneIndex() {
		out = append(out, z.name)
	}
	slices.Sort(out)
	return out
}
