package pgwire

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Codes that stand where a startup packet has its protocol version.
const (
	protocolMajor = 3
	codeCancel    = 1234<<16 | 5678
	codeSSL       = 1234<<16 | 5679
	codeGSSENC    = 1234<<16 | 5680
)

// startupPacket is the first packet of a connection, taken apart.
type startupPacket struct {
	code    uint32 // one of the codes above, or major<<16 | minor
	params  query.StartupParams
	unknown []string // protocol options (_pq_.…), none of which we know
	hops    int      // how many nodes have handed the connection on
	body    []byte   // of the name and value pairs, as sent

	// Only of a CancelRequest:
	processID int32
	secret    uint32
}

// parseStartup decodes the body of a startup packet of any kind. All errors
// are FATAL.
func parseStartup(src []byte) (*startupPacket, error) {
	if len(src) < 4 {
		return nil, fatal(sqlstate.ProtocolViolation, "invalid length of startup packet")
	}
	p := &startupPacket{code: binary.BigEndian.Uint32(src)}
	src = src[4:]
	switch {
	case p.code == codeSSL || p.code == codeGSSENC:
		return p, nil
	case p.code == codeCancel:
		if len(src) != 8 {
			return nil, fatal(sqlstate.ProtocolViolation, "invalid length of cancel request packet")
		}
		p.processID = int32(binary.BigEndian.Uint32(src))
		p.secret = binary.BigEndian.Uint32(src[4:])
		return p, nil
	case p.code>>16 != protocolMajor:
		return nil, unsupportedProtocol(p.code)
	}
	p.body = bytes.Clone(src)
	return p, p.parseParams(src)
}

// hopsParam is the start-up parameter by which a node that hands a connection on says
// how often that has been done. A client that sends it only gets less: beyond
// maxHops nobody hands its connection on.
const hopsParam = "_tidemark.hops"

// anyDatabase serves connections for physical replication, which belong to none.
const anyDatabase = "postgres"

func (p *startupPacket) parseHops(value string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > maxHops {
		n = maxHops
	}
	p.hops = n
}

// forwarded is the packet as it is sent to the node that has the database, with one
// hop more.
func (p *startupPacket) forwarded() []byte {
	out := binary.BigEndian.AppendUint32(make([]byte, 4, len(p.body)+64), p.code)
	b := body{rest: p.body}
	for {
		name := b.cstring()
		if b.bad || len(name) == 0 {
			break
		}
		value := b.cstring()
		if string(name) != hopsParam {
			out = append(append(out, name...), 0)
			out = append(append(out, value...), 0)
		}
	}
	out = append(append(out, hopsParam...), 0)
	out = append(strconv.AppendInt(out, int64(p.hops)+1, 10), 0, 0)
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out
}

func unsupportedProtocol(code uint32) error {
	return fatal(sqlstate.FeatureNotSupported, "unsupported frontend protocol %d.%d: server supports %d.0 to %d.0",
		code>>16, code&0xffff, protocolMajor, protocolMajor)
}

// parseParams decodes the name and value pairs.
func (p *startupPacket) parseParams(src []byte) error {
	badLayout := fatal(sqlstate.ProtocolViolation, "invalid startup packet layout: expected terminator as last byte")
	b := body{rest: src}
	var settings []query.Setting
	for {
		name := string(b.cstring())
		if b.bad {
			return badLayout
		}
		if name == "" {
			break
		}
		value := string(b.cstring())
		if b.bad {
			return badLayout
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return fatal(sqlstate.CharacterNotInRepertoire, `invalid byte sequence for encoding "UTF8" in startup packet`)
		}
		switch {
		case name == "user":
			p.params.User = value
		case name == "database":
			p.params.Database = value
		case name == hopsParam:
			p.parseHops(value)
		case name == "replication":
			p.params.Replication = value
		case name == "options":
			opts, err := parseOptions(value)
			if err != nil {
				return err
			}
			// What "options" sets comes first, wherever it stands in the packet.
			p.params.Settings = append(p.params.Settings, opts...)
		case strings.HasPrefix(name, "_pq_."):
			p.unknown = append(p.unknown, name)
		default:
			settings = append(settings, query.Setting{Name: name, Value: value})
		}
	}
	if len(b.rest) > 0 {
		return badLayout
	}
	if p.params.User == "" {
		return fatal(sqlstate.InvalidAuthorization, "no PostgreSQL user name specified in startup packet")
	}
	if physical, ok := types.ParseBool(p.params.Replication); ok && physical {
		p.params.Database = anyDatabase
	}
	if p.params.Database == "" {
		p.params.Database = p.params.User
	}
	p.params.Settings = append(p.params.Settings, settings...)
	return nil
}

// parseOptions understands what the "options" parameter may set: -c name=value
// and --name=value. PostgreSQL takes a few more switches there, all of which
// concern its own innards.
func parseOptions(s string) ([]query.Setting, error) {
	var settings []query.Setting
	args := splitOptions(s)
	for i := 0; i < len(args); i++ {
		arg, found := args[i], false
		if arg == "-c" && i+1 < len(args) {
			i++
			arg, found = args[i], true
		} else if arg, found = strings.CutPrefix(args[i], "--"); !found {
			arg, found = strings.CutPrefix(args[i], "-c")
		}
		if !found || arg == "" {
			return nil, fatal(sqlstate.SyntaxError, "invalid command-line argument for server process: %s", args[i])
		}
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fatal(sqlstate.SyntaxError, "-c %s requires a value", arg)
		}
		settings = append(settings, query.Setting{Name: strings.ReplaceAll(name, "-", "_"), Value: value})
	}
	return settings, nil
}

// splitOptions cuts at white space, which a backslash escapes, as PostgreSQL's
// pg_split_opts does.
func splitOptions(s string) []string {
	var args []string
	var arg strings.Builder
	inArg, escaped := false, false
	for i := range len(s) {
		ch := s[i]
		switch {
		case !escaped && ch == '\\':
			escaped, inArg = true, true
		case !escaped && (ch == ' ' || ch >= '\t' && ch <= '\r'):
			if inArg {
				args = append(args, arg.String())
				arg.Reset()
			}
			inArg = false
		default:
			arg.WriteByte(ch)
			escaped, inArg = false, true
		}
	}
	if inArg {
		args = append(args, arg.String())
	}
	return args
}
