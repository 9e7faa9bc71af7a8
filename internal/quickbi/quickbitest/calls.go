package quickbitest

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"time"
)

// Rule names a published rule that every caller can keep without knowing what
// the organisation holds.
type Rule string

// The rules whose breaking [Server.Violations] reports.
const (
	RuleProtocol   Rule = "protocol"   // method, path, format, version, action
	RuleSignature  Rule = "signature"  // headers, key, body hash, signature
	RuleDate       Rule = "date"       // x-acs-date within 15 minutes
	RuleNonce      Rule = "nonce"      // a new nonce for every attempt
	RuleRate       Rule = "rate"       // calls per second and action
	RuleParameters Rule = "parameters" // names, ids, dates
	RulePairs      Rule = "pairs"      // users × resources of one call
)

// Call is one request of the API, as it was received and answered.
type Call struct {
	Number    int       `json:"number"` // 1 is the first since New or Reset
	Time      time.Time `json:"time"`   // of arrival
	Action    string    `json:"action"`
	RequestID string    `json:"request_id"`

	// Status and Code are what was answered. Status 0 means no answer: not
	// yet, or the connection was cut. Code is empty for a success.
	Status int    `json:"status"`
	Code   string `json:"code,omitempty"`

	// Users, Resources and Pairs count what the call asked for, principals of
	// every type as users. They are 0 for a call whose parameters could not be
	// read.
	Users     int `json:"users"`
	Resources int `json:"resources"`
	Pairs     int `json:"pairs"`

	// Failed counts the failed items that the answer tells of.
	Failed int `json:"failed"`

	// Applied tells that the call took effect, whatever its caller was told.
	Applied bool `json:"applied"`

	Fault     Kind              `json:"fault,omitempty"`     // the fault that struck
	Violation Rule              `json:"violation,omitempty"` // the rule that was broken
	Params    map[string]string `json:"params,omitempty"`    // as sent, decoded
}

// Calls returns every call received since New or Reset, in order of arrival.
func (s *Server) Calls() []Call {
	return s.callsWhere(func(*Call) bool { return true })
}

// Violations returns the calls that broke a rule which their sender could have
// kept. A well-behaved client leaves it empty.
func (s *Server) Violations() []Call {
	return s.callsWhere(func(c *Call) bool { return c.Violation != "" })
}

// MaxPairsSeen returns the largest users × resources of any SmartqAuthorize
// received, refused ones included.
func (s *Server) MaxPairsSeen() int {
	most := 0
	for _, c := range s.callsWhere(func(c *Call) bool { return actions[c.Action].most }) {
		most = max(most, c.Pairs)
	}
	return most
}

func (s *Server) callsWhere(keep func(*Call) bool) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Call{} // an empty JSON list rather than null
	for _, c := range s.calls {
		if keep(c) {
			found := *c
			found.Params = maps.Clone(c.Params)
			out = append(out, found)
		}
	}
	return out
}

// requestID returns the n-th request id: unique within a Server, the same for
// the same n, and of the shape of the published samples.
func requestID(n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "request %d", n))
	return fmt.Sprintf("%X-%X-%X-%X-%X", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
