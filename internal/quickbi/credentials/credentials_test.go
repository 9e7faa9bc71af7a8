package credentials_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/quickbi/credentials"
)

func TestNewReportsEverythingMissing(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name   string
		config credentials.Config
		want   []string
	}{
		{"env", credentials.Config{Provider: credentials.Env}, []string{"Static.AccessKeyID", "Static.AccessKeySecret"}},
		{
			"env without a secret",
			credentials.Config{Provider: credentials.Env, Static: quickbi.Credentials{AccessKeyID: "id"}},
			[]string{"Static.AccessKeySecret"},
		},
		{"oidc_role_arn", credentials.Config{Provider: credentials.OIDCRoleARN}, []string{"RoleARN", "OIDCProviderARN", "OIDCTokenFile"}},
		{"credentials_uri", credentials.Config{Provider: credentials.CredentialsURI, RoleARN: "r"}, []string{"URI"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			source, err := credentials.New(tt.config)
			e, ok := errors.AsType[*credentials.ConfigError](err)
			if !ok || source != nil {
				t.Fatalf("New = %v, %v; want no source and a ConfigError", source, err)
			}
			if diff := cmp.Diff(tt.want, e.Missing); diff != "" {
				t.Errorf("missing fields (-want +got)\n%s", diff)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()

	for name, config := range map[string]credentials.Config{
		"no provider":      {},
		"unknown provider": {Provider: "default"},
		"file":             {Provider: credentials.CredentialsURI, URI: "file:///etc/passwd"},
		"no host":          {Provider: credentials.CredentialsURI, URI: "http:///x"},
	} {
		if source, err := credentials.New(config); err == nil || source != nil {
			t.Errorf("%s: New = %v, %v; want an error", name, source, err)
		}
	}
}

func TestEnvHandsOutWhatIsGiven(t *testing.T) {
	t.Parallel()

	want := quickbi.Credentials{AccessKeyID: "id", AccessKeySecret: "secret", SecurityToken: "token"}
	source, err := credentials.New(credentials.Config{Provider: credentials.Env, Static: want})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := source.Credentials(t.Context()); err != nil || got != want {
		t.Errorf("got %v, %v; want what was given", got, err)
	}
}
