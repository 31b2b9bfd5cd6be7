package logical

import (
	"strconv"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// The versions of pgoutput's format that a consumer may ask for, and from which on
// it may ask for more.
const (
	pgoutputMin       = 1
	pgoutputStreaming = 2
	pgoutputTwoPhase  = 3
	pgoutputMax       = 3
)

// pgoutputOptions are the options as given.
type pgoutputOptions struct {
	version      uint32
	publications []string
	binary       bool
	messages     bool
	streaming    bool
	twoPhase     bool
}

func newPgoutput(options []Option, f *types.Format, sink Sink) (plugin, error) {
	o, err := parsePgoutput(options)
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return &pgoutput{sink: sink, format: f, publications: o.publications, inBinary: o.binary, messages: o.messages,
		sent: map[catalog.ID]*relation{}}, nil
}

func parsePgoutput(options []Option) (*pgoutputOptions, error) {
	o := &pgoutputOptions{}
	given := map[string]bool{}
	for _, opt := range options {
		if err := optionOnce(given, opt.Name); err != nil {
			return nil, err
		}
		if err := o.set(opt); err != nil {
			return nil, err
		}
	}
	switch {
	case !given["proto_version"]:
		return nil, sqlstate.New(sqlstate.InvalidParameterValue, "proto_version option missing")
	case !given["publication_names"]:
		return nil, sqlstate.New(sqlstate.InvalidParameterValue, "publication_names option missing")
	}
	return o, nil
}

func (o *pgoutputOptions) set(opt Option) error {
	var err error
	switch opt.Name {
	case "proto_version":
		var v uint64
		if v, err = strconv.ParseUint(opt.Value, 10, 64); err != nil {
			return sqlstate.New(sqlstate.InvalidParameterValue, "invalid proto_version")
		}
		if v > 1<<32-1 {
			return sqlstate.New(sqlstate.InvalidParameterValue, "proto_version \"%s\" out of range", opt.Value)
		}
		o.version = uint32(v)
	case "publication_names":
		o.publications, err = PublicationNames(opt.Value)
	case "binary":
		o.binary, err = optionBool(opt.Name, opt)
	case "messages":
		o.messages, err = optionBool(opt.Name, opt)
	case "streaming":
		o.streaming, err = optionBool(opt.Name, opt)
	case "two_phase":
		o.twoPhase, err = optionBool(opt.Name, opt)
	default:
		// PostgreSQL 16's option origin is among them: it says so there, too.
		return sqlstate.New(sqlstate.InternalError, "unrecognized pgoutput option: %s", opt.Name)
	}
	return err
}

// check refuses what the version asked for does not allow.
func (o *pgoutputOptions) check() error {
	refuse := func(format string, args ...any) error {
		return sqlstate.New(sqlstate.FeatureNotSupported, format, args...)
	}
	switch {
	case o.version > pgoutputMax:
		return refuse("client sent proto_version=%d but we only support protocol %d or lower", o.version, pgoutputMax)
	case o.version < pgoutputMin:
		return refuse("client sent proto_version=%d but we only support protocol %d or higher", o.version, pgoutputMin)
	case o.streaming && o.version < pgoutputStreaming:
		return refuse("requested proto_version=%d does not support streaming, need %d or higher", o.version, pgoutputStreaming)
	case o.twoPhase && o.version < pgoutputTwoPhase:
		return refuse("requested proto_version=%d does not support two-phase commit, need %d or higher", o.version, pgoutputTwoPhase)
	}
	return nil
}
