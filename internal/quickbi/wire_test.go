package quickbi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is signed must be what is sent: the server signs what arrived again.
func TestSignatureCoversWhatIsSent(t *testing.T) {
	t.Parallel()

	credentials := Credentials{AccessKeyID: "id", AccessKeySecret: "secret"}
	temporary := credentials
	temporary.SecurityToken = "STS.a/b+c=="
	tests := []struct {
		name        string
		inBody      bool
		credentials Credentials
	}{
		{"query", false, credentials},
		{"form", true, credentials},
		{"query, temporary", false, temporary},
		{"form, temporary", true, temporary},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			var problems []string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				problems = append(problems, inspect(r, tt.credentials)...)
				_, _ = io.WriteString(w, `{"Success":true}`)
			}))
			t.Cleanup(srv.Close)
			c, err := New(srv.URL, StaticCredentials(tt.credentials), Options{
				ParamsInBody: tt.inBody,
				Now:          func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.CloseIdleConnections)
			params := map[string]string{"UserIds": "u 1,ü*~", "ExpireDay": "2099-12-31"}
			if _, err := c.call(t.Context(), "SmartqAuthorize", params); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string(nil), problems); diff != "" {
				t.Errorf("problems the server saw (-want +got)\n%s", diff)
			}
		})
	}
}

func inspect(r *http.Request, credentials Credentials) (problems []string) {
	body, _ := io.ReadAll(r.Body)
	auth := r.Header.Get("Authorization")
	_, names, _ := strings.Cut(auth, "SignedHeaders=")
	names, _, _ = strings.Cut(names, ",")
	header := map[string]string{}
	for name := range strings.SplitSeq(names, ";") {
		if name != "host" {
			header[name] = r.Header.Get(name)
		}
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-acs-") && header[lower] == "" {
			problems = append(problems, lower+" is sent and not signed")
		}
	}
	if again := sign(unsigned{
		method: r.Method, host: r.Host, path: r.URL.Path, query: flat(r.URL.Query()), header: header,
		bodySHA256: hexSHA256(body), nonce: header["x-acs-signature-nonce"],
		date:        time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		credentials: credentials,
	})["authorization"]; again != auth {
		problems = append(problems, "signature: "+auth+" is not "+again)
	}
	params := r.URL.Query()
	if len(body) > 0 {
		params, _ = url.ParseQuery(string(body))
		if got := r.Header.Get("Content-Type"); got != "application/x-www-form-urlencoded" {
			problems = append(problems, "content type "+got)
		}
	}
	want := map[string]string{"UserIds": "u 1,ü*~", "ExpireDay": "2099-12-31"}
	if diff := cmp.Diff(want, flat(params)); diff != "" {
		problems = append(problems, "parameters "+diff)
	}
	if got := r.Header.Get("X-Acs-Action") + " " + r.Header.Get("X-Acs-Version"); got != "SmartqAuthorize 2022-01-01" {
		problems = append(problems, "operation "+got)
	}
	if r.Method != http.MethodPost || r.Header.Get("Accept") != "application/json" || r.UserAgent() != "usher" {
		problems = append(problems, "method or plain headers")
	}
	return problems
}

func flat(v url.Values) map[string]string {
	out := map[string]string{}
	for name := range v {
		out[name] = v.Get(name)
	}
	return out
}
