package query

import (
	"strconv"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// What one entry may cost at apply unless the session says otherwise: a few
// seconds, during which nobody else's writes are applied.
const (
	defaultMaxRows  = "1000000"    // changed
	defaultMaxBytes = "1073741824" // written
	defaultMaxSteps = "10000000"   // rows looked at
)

// checkCount accepts a number that is not negative; 0 is no bound.
func checkCount(v string) (string, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return "", sqlstate.New(sqlstate.InvalidParameterValue, "\"%s\" is no valid bound", v).WithHint("It must be a number of at least 0; 0 is no bound.")
	}
	return strconv.FormatInt(n, 10), nil
}

// budget is what the session's entries may cost at apply.
func (s settings) budget() log.Budget {
	return log.Budget{Rows: s.count(exec.SettingMaxRows), Bytes: s.count(exec.SettingMaxBytes), Steps: s.count(exec.SettingMaxSteps)}
}

// count reads a setting that checkCount has passed.
func (s settings) count(name string) int64 {
	v, _ := s.get(name)
	n, _ := strconv.ParseInt(v, 10, 64)
	return n
}
