//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/usher-bi/usher/internal/access"
)

// organization is the file from which the sandbox makes its world.
type organization struct {
	Rate        int               `json:"rate"` // calls a second
	Latency     string            `json:"latency"`
	Faults      []fault           `json:"faults"`
	QAResources []string          `json:"qa_resources"`
	QAThemes    []string          `json:"qa_themes"`
	Datasets    map[string]string `json:"datasets"` // to their Q&A resources
	Users       []string          `json:"users"`
}

// fault is something that goes wrong there.
type fault struct {
	Kind       string `json:"kind"`
	Match      match  `json:"match,omitzero"`
	Every      int    `json:"every,omitempty"`
	Times      int    `json:"times,omitempty"`
	Status     int    `json:"status,omitempty"`
	Code       string `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`
	RetryAfter string `json:"retry_after,omitempty"`
}

type match struct {
	Users []string `json:"users,omitempty"`
}

// accountRate is how many calls a second the organization is allowed, and
// ourRate how many of them we use. On a busy machine calls bunch together, and
// the sandbox counts each second exactly, wherever it begins.
const (
	accountRate = 50
	ourRate     = 30
	rateSetting = "QUICKBI_RATE=30/s"
)

// organization returns the Quick BI of s: everything exists but those who left
// and what was deleted, and not everything goes well.
func (s *scenario) organization() organization {
	o := organization{Datasets: map[string]string{}, Rate: accountRate, Latency: "20ms", Faults: []fault{
		// What passes by itself, among the calls of everybody.
		{Kind: "html", Status: http.StatusServiceUnavailable, Every: 15, Times: 4},
		{Kind: "throttle", Every: 40, Times: 1, RetryAfter: "300ms"},
		// What has to be put right by a person, and what passes later on. Neither
		// refusal says whom it is about.
		{Kind: "refuse", Code: "UserRoleConfig.NotContain.Function", Message: "The user does not have permission to operate.", Match: match{[]string{s.seatless}}},
		{Kind: "refuse", Code: "Internal.System.Error", Message: "An internal system error occurred.", Match: match{[]string{s.unlucky}}},
	}}
	for _, p := range s.people {
		if !slices.Contains(s.left, p.id) {
			o.Users = append(o.Users, p.id)
		}
	}
	for _, a := range assets() {
		switch id := a.resource().ID; a.kind {
		case access.QAResource:
			o.QAResources = append(o.QAResources, id)
		case access.QATheme:
			o.QAThemes = append(o.QAThemes, id)
		case access.Dataset:
			o.Datasets[id] = a.behind()
		default: // the story has Smart Q alone
		}
	}
	return o
}

// writeTo writes o for people to read too.
func (o organization) writeTo(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(o)
}

// announcement is what the sandbox prints when it can be called.
type announcement struct {
	Endpoint        string `json:"endpoint"`
	AccessKeyID     string `json:"access_key_id"`
	AccessKeySecret string `json:"access_key_secret"` // opens this sandbox and nothing else
}

// settings are what a worker needs to know to call a.
func (a announcement) settings() []string {
	return []string{
		"QUICKBI_ENDPOINT=" + a.Endpoint,
		"ALIBABA_CLOUD_ACCESS_KEY_ID=" + a.AccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + a.AccessKeySecret,
	}
}

// grant is one access in force at the sandbox.
type grant struct {
	held

	ExpiresOn string `json:"expires_on"`
}

// call is one request that the sandbox received.
type call struct {
	Number    int    `json:"number"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Pairs     int    `json:"pairs"`
	Violation string `json:"violation"` // the published rule that it broke, or empty
}

// sandbox reads and steers a running sandbox, beside its API.
type sandbox struct {
	url  string
	http *http.Client
}

// adminTimeout bounds one request under /_sandbox/.
const adminTimeout = 5 * time.Second

func newSandbox(endpoint string) sandbox {
	return sandbox{url: endpoint + "/_sandbox/", http: &http.Client{Timeout: adminTimeout}}
}

// state is the access that is in force.
func (s sandbox) state(ctx context.Context) (lasting, error) {
	var grants []grant
	err := s.do(ctx, http.MethodGet, "state", &grants)
	state := make(lasting, len(grants))
	for _, g := range grants {
		state[g.held] = g.ExpiresOn
	}
	return state, err
}

// calls are all that were received.
func (s sandbox) calls(ctx context.Context) (calls []call, err error) {
	err = s.do(ctx, http.MethodGet, "calls", &calls)
	return calls, err
}

// clearFaults lets everything go well from now on.
func (s sandbox) clearFaults(ctx context.Context) error {
	return s.do(ctx, http.MethodDelete, "faults", nil)
}

// do sends one request and decodes the answer, unless into is nil.
func (s sandbox) do(ctx context.Context, method, name string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.url+name, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the sandbox: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("asking the sandbox for %s: %s", name, resp.Status)
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("asking the sandbox for %s: %w", name, err)
	}
	return nil
}
