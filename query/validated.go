package query

import (
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/sm/types"
)

// validatedSession answers what a query asks of the session that COMMIT has to
// validate. The query may be executed again from the entry, on any node, so it
// notes what the entry has to carry for that and what it cannot carry.
type validatedSession struct {
	sessionInfo
	entry    exec.EntrySession
	settings []log.Setting // that were read and are not in the entry
	foreign  string        // a function whose answer the entry cannot give, or ""
}

// Setting implements expr.SessionInfo.
func (v *validatedSession) Setting(name string) (string, bool) {
	value, ok := v.sessionInfo.Setting(name)
	again, known := v.entry.Setting(name)
	read := func(x log.Setting) bool { return strings.EqualFold(x.Name, name) }
	switch {
	case ok == known && value == again || slices.ContainsFunc(v.settings, read):
	case known:
		v.foreign = "current_setting" // the entry would say what this session does not
	default:
		v.settings = append(v.settings, log.Setting{Name: strings.ToLower(name), Value: value})
	}
	return value, ok
}

// Databases implements syscat.Session.
func (v *validatedSession) Databases() []DatabaseInfo {
	v.foreign = "about databases"
	return v.sessionInfo.Databases()
}

// SetSetting implements expr.SessionInfo.
func (v *validatedSession) SetSetting(name, value string, local bool) error {
	v.foreign = "set_config"
	return v.sessionInfo.SetSetting(name, value, local)
}

// Call implements expr.SessionInfo.
func (v *validatedSession) Call(name string, args []types.Datum) (types.Datum, bool, error) {
	d, ok, err := v.sessionInfo.Call(name, args)
	again, known, other := v.entry.Call(name, args)
	if ok != known || err != nil || other != nil || !slices.Equal(types.AppendDatum(nil, d), types.AppendDatum(nil, again)) {
		v.foreign = name
	}
	return d, ok, err
}
