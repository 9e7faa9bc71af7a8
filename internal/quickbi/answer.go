package quickbi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The longest texts kept of an answer, in bytes.
const (
	maxName    = 128  // codes and request ids
	maxMessage = 2048 // what is written for people
)

// maxRetryAfter bounds the wait a server can ask for; the vendor's own
// libraries stop there too.
const maxRetryAfter = 2 * time.Minute

// reply is an HTTP response that has been read, or as much of it as came.
type reply struct {
	action  string
	status  int
	header  http.Header
	body    []byte // one byte over maxBody when there was more
	maxBody int64
	readErr error
}

// answer is a success that Quick BI spelled out.
type answer struct {
	action    string
	requestID string
	status    int
	result    json.RawMessage
	denial    *Error // what it is if the result takes the yes back
}

// envelope is what all answers share. The pages and the samples disagree about
// types, so each field takes what it gets; key case does not matter to
// encoding/json.
type envelope struct {
	RequestID text
	Code      text
	Message   text
	Recommend text
	Success   flag
	Result    json.RawMessage
}

// decodeAnswer tells success from refusal and both from everything else.
// Success is a 2xx status and Success true, and nothing less.
func decodeAnswer(r reply) (answer, error) {
	if kind := r.defect(); kind != "" {
		return answer{}, r.unusable(kind, "")
	}
	var e envelope
	if kind := parse(r.body, &e); kind != "" {
		return answer{}, r.unusable(kind, "")
	}
	denial := &Error{
		Action: r.action, HTTPStatus: r.status, RequestID: r.requestID(string(e.RequestID)),
		Code: clean(string(e.Code), maxName), Message: clean(string(e.Message), maxMessage),
		Recommend: clean(string(e.Recommend), maxMessage), RetryAfter: retryAfter(r.header),
	}
	ok := r.status/100 == 2
	switch {
	case ok && e.Success == yes:
		return answer{action: r.action, status: r.status, requestID: denial.RequestID, result: e.Result, denial: denial}, nil
	case e.Code == "" && (e.Success == unsaid || e.Success == yes):
		return answer{}, r.unusable(AnswerUnclear, string(e.RequestID))
	}
	return answer{}, denial
}

// defect names what is wrong with r before anything of it is parsed.
func (r reply) defect() AnswerKind {
	body := bytes.TrimSpace(r.body)
	switch {
	case r.status/100 == 3:
		return AnswerRedirect
	case int64(len(r.body)) > r.maxBody:
		return AnswerOversized
	case r.readErr != nil:
		return AnswerCutOff
	case len(body) == 0:
		return AnswerEmpty
	case body[0] == '<':
		return AnswerHTML
	default:
		return ""
	}
}

// parse reads one JSON object and nothing after it.
func parse(body []byte, into *envelope) AnswerKind {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	d := json.NewDecoder(bytes.NewReader(body))
	err := d.Decode(into) //nolint:musttag // keys come in any case
	if err == nil {
		_, err = d.Token()
		if errors.Is(err, io.EOF) {
			return ""
		}
		return AnswerNotJSON
	}
	switch _, mistyped := errors.AsType[*json.UnmarshalTypeError](err); {
	case mistyped:
		return AnswerUnclear
	case errors.Is(err, io.ErrUnexpectedEOF):
		return AnswerCutOff
	default:
		return AnswerNotJSON
	}
}

func (r reply) unusable(kind AnswerKind, requestID string) *AnswerError {
	return &AnswerError{
		Action: r.action, Kind: kind, HTTPStatus: r.status, RequestID: r.requestID(requestID),
		RetryAfter: retryAfter(r.header), Err: r.readErr,
	}
}

// requestID prefers what the body said and falls back to the header.
func (r reply) requestID(inBody string) string {
	if id := clean(inBody, maxName); id != "" {
		return id
	}
	return clean(r.header.Get("X-Acs-Request-Id"), maxName)
}

// retryAfter reads how long the server asks us to wait: x-acs-retry-after, else
// the larger TimeLeft of the older x-ratelimit-user-api and x-ratelimit-user,
// all in milliseconds. Zero means that it did not say.
func retryAfter(h http.Header) time.Duration {
	if wait, ok := milliseconds(h.Get("X-Acs-Retry-After")); ok {
		return wait
	}
	var longest time.Duration
	for _, name := range []string{"X-Ratelimit-User-Api", "X-Ratelimit-User"} {
		for field := range strings.SplitSeq(h.Get(name), ",") {
			key, value, _ := strings.Cut(field, ":")
			if wait, ok := milliseconds(value); ok && strings.EqualFold(strings.TrimSpace(key), "TimeLeft") {
				longest = max(longest, wait)
			}
		}
	}
	return longest
}

func milliseconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	return time.Duration(min(n, maxRetryAfter.Milliseconds())) * time.Millisecond, true
}

// clean makes s fit for one line of a log and a column of a database: valid
// UTF-8 without control characters, trimmed, and at most limit bytes.
func clean(s string, limit int) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd")))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
