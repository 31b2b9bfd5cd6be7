package exec

// What clients are told of the version they may expect. It is the same on every
// replica, because version() may be called in a statement that writes.
const (
	ServerVersion    = "15.0"
	ServerVersionNum = "150000"
	VersionText      = "PostgreSQL " + ServerVersion + " (Tidemark), 64-bit"
)
