package serve

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// params are what is said of a submission beside its rows: in the query, or as
// members of a JSON document.
type params struct {
	lane        store.Lane
	reason      string
	requestedBy string
	skipInvalid bool
	updateRole  bool
	expiryDays  int
}

func badParam(name, format string, args ...any) error {
	p := problemf(http.StatusBadRequest, "invalid_parameter", format, args...)
	p.Errors = []RowProblem{{Column: name, Code: p.Code, Detail: p.Detail}}
	return p
}

// paramsOf reads those of the query. What the token allows is the default.
func paramsOf(r *http.Request, by store.Token) (params, error) {
	p := params{requestedBy: actor(by)}
	query, err := queryOf(r)
	for name, value := range query {
		if err := p.set(name, value); err != nil {
			return p, err
		}
	}
	return p, err
}

// queryOf reads the parameters of the query, each of which may be given once.
func queryOf(r *http.Request) (map[string]string, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badParam("", "the query is malformed")
	}
	out := make(map[string]string, len(values))
	for name, given := range values {
		if len(given) != 1 {
			return nil, badParam(name, "%.40q is given %d times", name, len(given))
		}
		out[name] = given[0]
	}
	return out, nil
}

// setAll reads those of a JSON document.
func (p *params) setAll(beside map[string]json.RawMessage) error {
	for name, raw := range beside {
		var text string
		isFlag := name == "skip_invalid" || name == "update_role"
		switch {
		case isFlag && (string(raw) == "true" || string(raw) == "false"):
			text = string(raw)
		case isFlag || raw[0] != '"':
			return badParam(name, "the member %.40q has a value of the wrong type", name)
		case json.Unmarshal(raw, &text) != nil:
			return badParam(name, "the member %.40q is no string", name)
		}
		if err := p.set(name, text); err != nil {
			return err
		}
	}
	return nil
}

func (p *params) set(name, value string) (err error) {
	switch name {
	case "lane":
		p.lane = store.Lane(value)
		if !slices.Contains(store.Lanes(), p.lane) {
			return badParam(name, "lane is not one of urgent, normal, bulk")
		}
	case "reason":
		p.reason, err = textParam(name, value)
	case "requested_by":
		p.requestedBy, err = requesterParam(value)
	case "skip_invalid":
		p.skipInvalid, err = flagParam(name, value)
	case "update_role":
		p.updateRole, err = flagParam(name, value)
	case "default_expiry":
		days, ok := strings.CutSuffix(value, "d")
		p.expiryDays, err = strconv.Atoi(days)
		if !ok || err != nil || p.expiryDays < 1 || p.expiryDays > 36_500 {
			return badParam(name, "default_expiry is no number of days; write e.g. 90d")
		}
	default:
		return badParam(name, "%.40q is not a parameter; use lane, reason, requested_by, skip_invalid, update_role, default_expiry", name)
	}
	return err
}

// textParam refuses what Postgres cannot keep, and what nobody writes.
func textParam(name, value string) (string, error) {
	const longest = 1000
	if !utf8.ValidString(value) || len(value) > longest || strings.ContainsFunc(value, unicode.IsControl) {
		return "", badParam(name, "%s is no UTF-8 text of at most %d bytes in one line", name, longest)
	}
	return value, nil
}

// requesterParam refuses what would pass for a token, of which the server alone
// says that it asks.
func requesterParam(value string) (string, error) {
	const name = "requested_by"
	switch said := strings.ToLower(strings.TrimSpace(value)); {
	case said == "":
		return "", badParam(name, "requested_by is empty; leave it out")
	case strings.HasPrefix(said, actorPrefix):
		return "", badParam(name, "requested_by begins with %q, which names a token; name a person, or leave it out for the token of the request", actorPrefix)
	}
	return textParam(name, value)
}

func flagParam(name, value string) (bool, error) {
	if value != "true" && value != "false" {
		return false, badParam(name, "%s is not true or false", name)
	}
	return value == "true", nil
}

// laneFor is the lane that is asked for, or the one that goes without saying.
func (p *params) laneFor(by store.Token) (store.Lane, error) {
	lane := p.lane
	if lane == "" {
		lane = store.Normal
		if mayUse(by, lane) != nil {
			lane = by.LaneMost
		}
	}
	return lane, mayUse(by, lane)
}

// keyOf reads the idempotency key, as it is or as a quoted string.
func keyOf(r *http.Request) (string, error) {
	const longest = 255
	key := strings.TrimSpace(r.Header.Get("Idempotency-Key"))
	if inner, ok := strings.CutPrefix(key, `"`); ok && strings.HasSuffix(inner, `"`) {
		key = inner[:len(inner)-1]
	}
	switch {
	case key == "":
		return "", problemf(http.StatusBadRequest, "idempotency_key_missing",
			"send the header Idempotency-Key with a name of your own for this submission, so that repeating it does nothing twice")
	case len(key) > longest || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }):
		return "", problemf(http.StatusBadRequest, "invalid_idempotency_key", "the Idempotency-Key is no ASCII text of at most %d characters", longest)
	case tasks.ReservedKey(key):
		return "", problemf(http.StatusBadRequest, "invalid_idempotency_key", "keys that begin like %.12q are those of events and schedules; use another one", key)
	}
	return key, nil
}

// order reads why something is asked for from a small JSON document, if there is
// one. into has the members that it may have.
func (s *Server) order(w http.ResponseWriter, r *http.Request, into any) error {
	const most = 64 << 10
	text, err := io.ReadAll(&paced{
		in: http.MaxBytesReader(w, r.Body, most), conn: http.NewResponseController(w), stall: s.options.Stall, began: time.Now(),
	})
	if err != nil {
		return bodyProblem(err)
	}
	if len(bytes.TrimSpace(text)) == 0 { // which asks for nothing in particular
		return nil
	}
	if kind := mediaType(r); kind != "application/json" {
		return wrongType(w, kind, "application/json")
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil {
		return problemf(http.StatusBadRequest, "invalid_json", "the body is not the JSON object that is expected here: %s", jsonFault(err))
	}
	if in.More() {
		return problemf(http.StatusBadRequest, "invalid_json", "the body is more than one JSON object")
	}
	return nil
}

// jsonFault says what is wrong with a JSON document, in words of the document.
func jsonFault(err error) string {
	wrong, isType := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case !isType:
		return strings.TrimPrefix(fmt.Sprintf("%.200s", err.Error()), "json: ")
	case wrong.Field == "":
		return "it is of the type " + wrong.Value
	default:
		return fmt.Sprintf("%q has a value of the type %s", wrong.Field, wrong.Value)
	}
}

// mediaType is the type of the body, without parameters.
func mediaType(r *http.Request) string {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

func wrongType(w http.ResponseWriter, kind, allowed string) error {
	w.Header().Set("Accept-Post", allowed)
	return problemf(http.StatusUnsupportedMediaType, "content_type", "the type %q is not read; send one of: %s", cmp.Or(kind, "none"), allowed)
}
