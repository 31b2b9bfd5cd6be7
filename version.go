package tidemark

import (
	"runtime/debug"
	"strings"
)

// Version is the version of this program. Releases set it; what is built in
// between names its commit in Build.
const Version = "0.1.0"

// revisionChars is how much of a commit's hash is shown.
const revisionChars = 12

// Build describes the running program: its version, and the commit it was built
// from where the build recorded one.
func Build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Version
	}
	var revision, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(revisionChars, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "with changes"
		}
	}
	parts := []string{Version}
	if revision != "" {
		parts = append(parts, strings.TrimSpace("("+strings.TrimSpace("commit "+revision+" "+dirty)+")"))
	}
	return strings.Join(append(parts, info.GoVersion), " ")
}
