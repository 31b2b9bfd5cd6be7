package expr

import (
	"time"

	"github.com/tidemark-db/tidemark/sm/types"
)

// defaultArgs are the values of parameters with defaults, by function name.
var defaultArgs = map[string][]datum{}

// ownFuncs are the functions PostgreSQL does not have.
func ownFuncs() []*Func { return nil }

func location(c *Ctx) *time.Location {
	if c.Format == nil || c.Format.Location == nil {
		return time.UTC
	}
	return c.Format.Location
}

var _ = types.NoTypmod
