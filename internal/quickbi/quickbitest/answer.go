package quickbitest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
)

// refusal is an answer in the documented error envelope, and nothing done.
type refusal struct {
	status  int // 0 means 400, the status of nearly every code
	code    string
	message string
	broke   Rule        // empty when the caller could not have known
	header  http.Header // hints
}

// answer is what goes back to the caller.
type answer struct {
	status  int // 0: the connection is cut instead
	code    string
	header  http.Header
	body    []byte
	padding int  // white space before the last byte of the body
	cut     bool // half of the body, then the connection is cut
}

// success is the envelope of every answer that is no refusal.
//
//nolint:tagliatelle // the names are the API's
type success struct {
	RequestID string `json:"RequestId"`
	Result    any    `json:"Result"`
	Success   bool   `json:"Success"`
}

// failure is the envelope of every refusal.
//
//nolint:tagliatelle // the names are the API's
type failure struct {
	RequestID string `json:"RequestId"`
	HostID    string `json:"HostId"`
	Code      string `json:"Code"`
	Message   string `json:"Message"`
}

func newAnswer(status int, requestID string, envelope any) answer {
	header := http.Header{}
	header.Set("Content-Type", "application/json;charset=utf-8")
	header.Set("X-Acs-Request-Id", requestID)
	body, _ := json.Marshal(envelope) //nolint:errchkjson // made of strings, numbers and booleans
	return answer{status: status, header: header, body: body}
}

func newRefusal(bad *refusal, requestID, host string) answer {
	a := newAnswer(cmp.Or(bad.status, http.StatusBadRequest), requestID,
		failure{RequestID: requestID, HostID: host, Code: bad.code, Message: bad.message})
	maps.Copy(a.header, bad.header)
	a.code = bad.code
	return a
}

// send ends in a panic with [http.ErrAbortHandler] where the connection is to
// be cut, which is how a handler tells its server.
func (a answer) send(w http.ResponseWriter) {
	if a.status == 0 {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)+a.padding))
	w.WriteHeader(a.status)
	switch {
	case a.cut:
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case a.padding > 0:
		a.sendPadded(w)
	default:
		_, _ = w.Write(a.body)
	}
}

// sendPadded sends the body with so much white space in it that nobody should
// want to read it all. It stops when the caller hangs up.
func (a answer) sendPadded(w http.ResponseWriter) {
	last := len(a.body) - 1
	_, _ = w.Write(a.body[:last])
	space := bytes.Repeat([]byte(" "), 64<<10)
	for left := a.padding; left > 0; left -= len(space) {
		if _, err := w.Write(space[:min(left, len(space))]); err != nil {
			return
		}
	}
	_, _ = w.Write(a.body[last:])
}
