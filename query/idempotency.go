package query

import (
	"time"

	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// Limits of idempotency keys.
const (
	// maxKeyBytes is how long a key may be.
	maxKeyBytes = 256
	// maxWindow is for how long an outcome can be remembered.
	maxWindow = 30 * 24 * time.Hour
)

func checkKey(v string) (string, error) {
	if len(v) > maxKeyBytes {
		return "", sqlstate.New(sqlstate.InvalidParameterValue, "an idempotency key may have at most %d bytes", maxKeyBytes)
	}
	return v, nil
}

func checkWindow(v string) (string, error) {
	d, err := parser.ParseDuration(v)
	if err != nil || d <= 0 || d > maxWindow {
		return "", sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", settingIdempotencyWindow, v).
			WithHint("It is a duration of at most %d days.", int(maxWindow.Hours()/24))
	}
	return v, nil
}
