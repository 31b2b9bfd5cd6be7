package tidemark

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/logical"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// changesPath is where changes can be had over HTTP.
const changesPath = "/v1/changes"

// Bounds of the streams of changes.
const (
	// changeStreamsMax is how many there may be at a time.
	changeStreamsMax = 256
	// changesOpenTimeout bounds finding out how far the log is.
	changesOpenTimeout = 5 * time.Second
	// changesWriteTimeout is how long a client may read nothing while there is
	// something for it.
	changesWriteTimeout = 60 * time.Second
	// changesHeartbeat is how often a server-sent stream shows that it is alive.
	changesHeartbeat = 15 * time.Second
	// changesRetry is after how long such a client is to connect again, in
	// milliseconds.
	changesRetry = 1000
	// changesBuffer is how many bytes are sent in one piece to a client that is
	// behind.
	changesBuffer = 64 << 10
)

// changesRequest is what a client asks for.
type changesRequest struct {
	database string
	follow   bool
	events   bool // server-sent events, rather than lines
	feed     logical.FeedConfig
}

// parseChanges reads a request. Its errors are about what the client has sent.
func parseChanges(r *http.Request) (*changesRequest, error) {
	c := &changesRequest{database: firstDatabase, follow: true}
	for _, accepted := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		media, _, _ := strings.Cut(accepted, ";")
		c.events = c.events || strings.TrimSpace(media) == "text/event-stream"
	}
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("the query cannot be read: %w", err)
	}
	from := ""
	for name, values := range given { // order does not matter: each has one meaning
		if len(values) > 1 {
			return nil, fmt.Errorf("%s is given more than once", name)
		}
		if err := c.set(name, values[0], &from); err != nil {
			return nil, err
		}
	}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		from = last
	}
	if from != "" {
		if c.feed.After, err = log.ParseOffset(from); err != nil {
			return nil, fmt.Errorf("%q is no position: want an LSN such as 0/16B3748", from)
		}
	}
	return c, nil
}

// set takes in one parameter.
func (c *changesRequest) set(name, value string, from *string) (err error) {
	truth := func() (b bool) {
		if b, err = strconv.ParseBool(value); err != nil {
			err = fmt.Errorf("%s: want true or false, not %q", name, value)
		}
		return b
	}
	switch name {
	case "database":
		c.database = value
	case "from":
		*from = value
	case "table":
		c.feed.SelectTable(value)
	case "follow":
		c.follow = truth()
	case "progress":
		c.feed.Progress = truth()
	case "publication":
		c.feed.Publications, err = logical.PublicationNames(value)
	default:
		err = fmt.Errorf("there is no parameter %q; there are database, from, table, publication, follow and progress", name)
	}
	return err
}

// changesError is an answer that is no stream, and how a stream ends that cannot go
// on.
type changesError struct {
	Op      string `json:"op,omitempty"` // "failure" at the end of a stream
	Message string `json:"error"`
	Detail  string `json:"detail,omitempty"`
	Code    string `json:"code,omitempty"`
	// Oldest is the position that can be read from if the one asked for cannot.
	Oldest string `json:"oldest,omitempty"`
	status int
}

// changesFailure is an error of the engine as a client is told of it.
func changesFailure(err error, floor log.Offset) changesError {
	e := sqlstate.As(err)
	out := changesError{Message: e.Message, Detail: e.Detail, Code: string(e.Code), status: http.StatusServiceUnavailable}
	switch e.Code {
	case sqlstate.InvalidParameterValue, sqlstate.UndefinedObject:
		out.status = http.StatusBadRequest
	case sqlstate.ObjectNotInPrerequisiteState:
		out.status, out.Oldest = http.StatusGone, floor.String()
	case sqlstate.InternalError, sqlstate.DataCorrupted:
		out.status = http.StatusInternalServerError
	}
	return out
}

func (e changesError) answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	_ = json.NewEncoder(w).Encode(e) // the client may be gone
}

// changes serves GET /v1/changes.
func (e *endpoints) changes(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, format string, args ...any) {
		changesError{Message: fmt.Sprintf(format, args...), status: status}.answer(w)
	}
	if !localHost(r.Host) {
		refuse(http.StatusForbidden, "the address in the URL must be a loopback address or localhost")
		return
	}
	c, err := parseChanges(r)
	if err != nil {
		refuse(http.StatusBadRequest, "%s", err.Error())
		return
	}
	if e.streams.Add(1) > changeStreamsMax {
		e.streams.Add(-1)
		refuse(http.StatusTooManyRequests, "there are %d streams of changes already", changeStreamsMax)
		return
	}
	defer e.streams.Add(-1)
	row, ok, err := e.node.named(r.Context(), c.database)
	switch {
	case e.node.life.Err() != nil:
		refuse(http.StatusServiceUnavailable, "the node is shutting down")
		return
	case err != nil:
		refuse(http.StatusServiceUnavailable, "database %q is not known to this node, which cannot ask the others now", c.database)
		return
	case !ok:
		refuse(http.StatusNotFound, "database %q does not exist", c.database)
		return
	case !row.Connections:
		refuse(http.StatusForbidden, "database %q is not currently accepting connections", c.database)
		return
	}
	db := e.node.databases.get(row.Log)
	if db == nil || db.replica.Fenced() != nil {
		other, ok := e.node.webRoute(row.Log)
		if !ok {
			refuse(http.StatusServiceUnavailable, "database %q is not available on this node now", c.database)
			return
		}
		http.Redirect(w, r, "http://"+other+changesPath+"?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
		return
	}
	e.stream(w, r, db, c)
}

// localHost reports whether the host that a client says it talks to is this machine.
// Whoever connects from this machine is trusted, and so a browser on it must not be
// made to do so by a page that has its own name lead here.
func localHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// webRoute names a node that has a replica of a log, the leader if it is known.
func (n *Node) webRoute(id log.ID) (addr string, ok bool) {
	for node, s := range n.board.live() {
		r, has := s.replica(id)
		if !has || r.Halted != "" || addr != "" && r.Leader != r.Replica {
			continue
		}
		if other, known := n.peers.get(node); known {
			addr = other.HTTP
		}
	}
	return addr, addr != ""
}

// stream opens the feed and sends it.
func (e *endpoints) stream(w http.ResponseWriter, r *http.Request, db *database, c *changesRequest) {
	c.feed.Format = types.DefaultFormat()
	opening, cancel := context.WithTimeout(r.Context(), changesOpenTimeout)
	feed, err := db.engine.Feed(opening, c.feed)
	cancel()
	if err != nil {
		changesFailure(err, db.replica.Position().Floor).answer(w)
		return
	}
	defer feed.Park()
	s := &changeStream{request: c, feed: feed, ctx: r.Context(), w: w, control: http.NewResponseController(w), format: c.feed.Format}
	if err := s.begin(); err != nil || r.Method == http.MethodHead {
		return
	}
	// Who waits for a slow client at the end of the node waits no more.
	stop := context.AfterFunc(s.ctx, func() { _ = s.control.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := s.run(); err != nil && s.ctx.Err() == nil {
		s.fail(changesFailure(err, db.replica.Position().Floor))
	}
}

// changeStream sends a feed to one client. While it waits, for the log or for the
// client, it holds nothing but a buffer.
type changeStream struct {
	request *changesRequest
	feed    *logical.Feed
	ctx     context.Context
	w       http.ResponseWriter
	control *http.ResponseController
	format  *types.Format
	buf     []byte
	began   bool // the header is sent
}

// begin sends the header.
func (s *changeStream) begin() error {
	// The bounds of requests that are answered at once are not for streams.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("stream of changes: %w", err)
	}
	s.w.Header().Set("Content-Type", "application/x-ndjson")
	s.w.Header().Set("Cache-Control", "no-store")
	s.w.Header().Set("X-Accel-Buffering", "no") // proxies that know it pass on what they get
	if s.request.events {
		s.w.Header().Set("Content-Type", "text/event-stream")
		s.buf = fmt.Appendf(s.buf, "retry: %d\n\n", changesRetry)
	}
	s.w.WriteHeader(http.StatusOK)
	return s.flush()
}

// run sends changes until the client or the node goes, or there are no more for one
// that does not want to wait. An error is the feed's.
func (s *changeStream) run() error {
	for {
		row, caughtUp, err := s.feed.Next()
		switch {
		case err != nil:
			return err
		case row != nil:
			s.add(row)
		}
		if caughtUp || len(s.buf) >= changesBuffer || row == nil {
			if s.flush() != nil || s.ctx.Err() != nil {
				return nil
			}
		}
		if !caughtUp {
			continue
		}
		if !s.request.follow {
			return nil
		}
		if err := s.wait(); err != nil {
			return err
		}
	}
}

// wait waits for more. It shows a client of server-sent events that it is there.
func (s *changeStream) wait() error {
	ctx, cancel := context.WithTimeout(s.ctx, changesHeartbeat)
	defer cancel()
	err := s.feed.Wait(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil:
		return err
	case s.request.events:
		s.buf = append(s.buf, ": nothing new\n\n"...)
	}
	return nil
}

// add puts a row behind what is to be sent.
func (s *changeStream) add(row *logical.ChangeRow) {
	if s.request.events {
		s.buf = append(append(s.buf, "id: "...), row.LSN.String()...)
		s.buf = append(append(s.buf, "\nevent: "...), row.Op...)
		s.buf = append(s.buf, "\ndata: "...)
		s.buf = append(row.AppendJSON(s.buf, s.format), '\n', '\n')
		return
	}
	s.buf = append(row.AppendJSON(s.buf, s.format), '\n')
}

// flush sends what there is. The client may take its time; nothing of the store is
// held meanwhile.
func (s *changeStream) flush() error {
	if s.began && len(s.buf) == 0 {
		return nil
	}
	s.began = true
	s.feed.Park()
	err := s.control.SetWriteDeadline(time.Now().Add(changesWriteTimeout))
	if err == nil {
		err = s.ctx.Err() // the deadline for that may just have been overwritten
	}
	if err == nil && len(s.buf) > 0 {
		_, err = s.w.Write(s.buf)
	}
	if err == nil {
		err = s.control.Flush()
	}
	if s.buf = s.buf[:0]; cap(s.buf) > 2*changesBuffer {
		s.buf = nil
	}
	return err
}

// fail tells the client why the stream ends.
func (s *changeStream) fail(e changesError) {
	e.Op = "failure"
	b, err := json.Marshal(e)
	if err != nil {
		return // strings always can be
	}
	if s.request.events {
		s.buf = append(s.buf, "event: failure\ndata: "...)
	}
	s.buf = append(append(s.buf, b...), '\n')
	if s.request.events {
		s.buf = append(s.buf, '\n')
	}
	_ = s.flush() // it may be gone
}
