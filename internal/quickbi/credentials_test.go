package quickbi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/quickbi"
)

func TestCredentialsPrintNoSecret(t *testing.T) {
	t.Parallel()

	c := quickbi.Credentials{AccessKeyID: "LTAIkey", AccessKeySecret: "s3cret", SecurityToken: "t0ken"}
	client, err := quickbi.New("quickbi.example.com", quickbi.StaticCredentials(c), quickbi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(map[string]any{"credentials": c})
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		Credentials quickbi.Credentials
		source      quickbi.CredentialSource
	}
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"}
	printed := make([]string, 0, 2+6*len(verbs))
	printed = append(printed, c.String(), string(encoded))
	for _, verb := range verbs {
		printed = append(printed, fmt.Sprintf(verb, c), fmt.Sprintf(verb, &c), fmt.Sprintf(verb, []quickbi.Credentials{c}),
			fmt.Sprintf(verb, client), fmt.Sprintf(verb, *client),
			fmt.Sprintf(verb, holder{Credentials: c, source: quickbi.StaticCredentials(c)}))
	}
	for _, text := range printed {
		for _, secret := range []string{"s3cret", "t0ken", fmt.Sprintf("%x", "s3cret"), fmt.Sprintf("%x", "t0ken")} {
			if strings.Contains(text, secret) {
				t.Errorf("%q shows a secret", text)
			}
		}
	}
	if got := c.String(); !strings.Contains(got, "LTAIkey") {
		t.Errorf("%q does not name the key", got)
	}
}

// A call without usable credentials is not sent, and says why.
func TestUnusableCredentials(t *testing.T) {
	t.Parallel()

	good := quickbi.Credentials{AccessKeyID: "id", AccessKeySecret: "s3cret"}
	with := func(change func(*quickbi.Credentials)) quickbi.CredentialSource {
		c := good
		change(&c)
		return quickbi.StaticCredentials(c)
	}
	tests := []struct {
		name   string
		source quickbi.CredentialSource
		want   string
	}{
		{"no id", with(func(c *quickbi.Credentials) { c.AccessKeyID = "" }), "the access key id is empty"},
		{"no secret", with(func(c *quickbi.Credentials) { c.AccessKeySecret = "" }), "the access key secret is empty"},
		{"newline", with(func(c *quickbi.Credentials) { c.AccessKeySecret = "s3cret\n" }), "the access key secret holds white space"},
		{"token", with(func(c *quickbi.Credentials) { c.SecurityToken = "a t0ken" }), "the security token holds white space"},
		{"source", sourceFunc(func(context.Context) (quickbi.Credentials, error) {
			return quickbi.Credentials{}, errors.New("the metadata service is down")
		}), "the metadata service is down"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, bundleOptions{source: tt.source})
			_, err := b.client.SmartqAuthorize(t.Context(), onePair())
			var missing *quickbi.CredentialError
			if !errors.As(err, &missing) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want a CredentialError with %q", err, tt.want)
			}
			if got := quickbi.Classify(err); got != quickbi.ClassAccount {
				t.Errorf("class = %s, want account", got)
			}
			b.wantQuiet(t, err)
			if got := b.hits.Load(); got != 0 {
				t.Errorf("%d requests arrived, want none", got)
			}
		})
	}
}
