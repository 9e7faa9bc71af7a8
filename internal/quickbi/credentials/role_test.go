package credentials_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/credentials"
)

// serveMetadata is the ECS metadata service as the library sees it. The role
// asked for decides the answer.
func serveMetadata(w http.ResponseWriter, r *http.Request) {
	if r.Host != "100.100.100.200" {
		http.Error(w, "this proxy leads to the metadata service only", http.StatusForbidden)
		return
	}
	if r.Method == http.MethodPut {
		_, _ = io.WriteString(w, "session")
		return
	}
	switch role := path.Base(r.URL.Path); role {
	case "security-credentials":
		_, _ = io.WriteString(w, "attached")
	case "attached", "named":
		_, _ = io.WriteString(w, strings.Replace(answer(1, time.Hour), "{", `{"Code":"Success",`, 1))
	case "without-expiration": // makes the library panic
		_, _ = io.WriteString(w, `{"Code":"Success","AccessKeyId":"id","AccessKeySecret":"s3cret","SecurityToken":"t0ken"}`)
	default:
		http.Error(w, "no such role", http.StatusNotFound)
	}
}

func TestECSRAMRole(t *testing.T) {
	t.Parallel()

	tests := []struct{ role, wantErr string }{
		{"", ""},
		{"named", ""},
		{"absent", "httpStatus: 404"},
		{"without-expiration", "lacks"},
	}
	for _, tt := range tests {
		t.Run("role "+tt.role, func(t *testing.T) {
			t.Parallel()

			source, err := credentials.New(credentials.Config{Provider: credentials.ECSRAMRole, RoleName: tt.role})
			if err != nil {
				t.Fatal(err)
			}
			got, err := source.Credentials(t.Context())
			switch {
			case tt.wantErr == "" && (err != nil || got != number(1)):
				t.Errorf("got %v, %v; want the credentials of the service", got, err)
			case tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr) || strings.Contains(err.Error(), "s3cret")):
				t.Errorf("error = %v, want one with %q and no secret", err, tt.wantErr)
			}
		})
	}
}

// The token file is read anew at every fetch: whoever issues tokens renews it.
func TestOIDCRoleARN(t *testing.T) {
	t.Parallel()

	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Skip("needs SSL_CERT_FILE, which this system does not honour")
	}

	var asked []map[string]string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form := map[string]string{"Action": r.FormValue("Action")}
		for name := range r.PostForm {
			form[name] = r.PostFormValue(name)
		}
		asked = append(asked, form)
		if form["OIDCToken"] == "expired s3cret" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"Code":"AuthenticationFail.OIDCToken.Expired","Message":"expired s3cret"}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"Credentials":%s}`, answer(1, time.Hour))
	}))
	t.Cleanup(srv.Close)
	token := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	source, err := credentials.New(credentials.Config{
		Provider: credentials.OIDCRoleARN, RoleARN: "acs:ram::1:role/r", OIDCProviderARN: "acs:ram::1:oidc-provider/p",
		OIDCTokenFile: token, STSEndpoint: srv.Listener.Addr().String(),
	})
	if err != nil {
		t.Fatal(err)
	}

	_, err = source.Credentials(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("error = %v, want one about the missing file", err)
	}
	write("expired s3cret")
	_, err = source.Credentials(t.Context())
	if err == nil || !strings.Contains(err.Error(), "AuthenticationFail.OIDCToken.Expired") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error = %v, want the code of STS and no token", err)
	}
	write("fresh")
	if got, err := source.Credentials(t.Context()); err != nil || got != number(1) {
		t.Errorf("got %v, %v; want the credentials of STS", got, err)
	}

	wanted := func(token string) map[string]string {
		return map[string]string{
			"Action": "AssumeRoleWithOIDC", "RoleArn": "acs:ram::1:role/r", "OIDCProviderArn": "acs:ram::1:oidc-provider/p",
			"OIDCToken": token, "RoleSessionName": "usher", "DurationSeconds": "3600",
		}
	}
	if diff := cmp.Diff([]map[string]string{wanted("expired s3cret"), wanted("fresh")}, asked); diff != "" {
		t.Errorf("requests to STS (-want +got)\n%s", diff)
	}
}
