// Package credentials gets Quick BI credentials from one provider, chosen by
// name, through Alibaba Cloud's own library. There is no chain of providers: a
// chain that falls through after a passing error goes on under an identity that
// nobody chose.
//
// What the library cannot do is done around it or has to be known:
//
//   - Its providers are not safe for concurrent use, so one fetch runs at a
//     time and everyone who waits shares its result.
//   - It knows no context. A caller whose context ends stops waiting; the fetch
//     goes on for at most the library's own timeouts, some seconds.
//   - It asks for new credentials when 180 s of the old ones are left, and until
//     it has them there are none: the old ones are not handed out any more.
//   - It may keep a bad answer and may panic on one. After either it is built
//     anew, so an error is never kept.
//   - Its errors quote URLs and whole answers. They are replaced.
//   - It reads the environment where a setting is left empty; New leaves empty
//     only what it says. It always honours ALIBABA_CLOUD_OIDC_TOKEN, which wins
//     over the token file; ALIBABA_CLOUD_ECS_METADATA_DISABLED and
//     ALIBABA_CLOUD_IMDSV1_DISABLED; and the proxy variables, so NO_PROXY must
//     name 100.100.100.200 for ecs_ram_role behind a proxy.
package credentials

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/aliyun/credentials-go/credentials/providers"

	"github.com/usher-bi/usher/internal/quickbi"
)

// Provider is a way to get credentials.
type Provider string

// The providers, as they are named in the configuration.
const (
	Env            Provider = "env"             // an AccessKey that is given
	ECSRAMRole     Provider = "ecs_ram_role"    // the RAM role of the ECS instance
	OIDCRoleARN    Provider = "oidc_role_arn"   // a RAM role assumed with an OIDC token
	CredentialsURI Provider = "credentials_uri" // a local service that hands them out
)

// Providers lists every provider, in the order of the documentation.
func Providers() []Provider { return []Provider{Env, ECSRAMRole, OIDCRoleARN, CredentialsURI} }

const (
	defaultSTSEndpoint = "sts.aliyuncs.com"
	defaultSessionName = "usher"
)

// Config chooses a provider and holds what each of them needs. Fields of other
// providers are ignored.
type Config struct {
	Provider Provider

	// Static is what env hands out. The security token is optional.
	Static quickbi.Credentials

	// RoleName is for ecs_ram_role. Empty means the role that is attached to
	// the instance: ALIBABA_CLOUD_ECS_METADATA if set, else the metadata
	// service names it.
	RoleName string

	// RoleARN, OIDCProviderARN and OIDCTokenFile are for oidc_role_arn and all
	// required. The file is read at every fetch, so it may be renewed.
	RoleARN         string
	OIDCProviderARN string
	OIDCTokenFile   string

	// RoleSessionName shows in the audit log of the account, for oidc_role_arn.
	// Empty means "usher".
	RoleSessionName string

	// STSEndpoint is a host, for oidc_role_arn. Empty means sts.aliyuncs.com.
	STSEndpoint string

	// URI is for credentials_uri: http or https. It answers with AccessKeyId,
	// AccessKeySecret, SecurityToken and Expiration as JSON.
	URI string
}

// ConfigError means that a Config lacks what its provider needs.
type ConfigError struct {
	Provider Provider
	Missing  []string // fields of Config
}

// Error names the fields.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("credentials from %s: missing %s", e.Provider, strings.Join(e.Missing, ", "))
}

// New returns the source of credentials that c chooses. It fetches nothing.
// The source caches; its errors are safe to log.
func New(c Config) (quickbi.CredentialSource, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	switch c.Provider {
	case Env:
		return quickbi.StaticCredentials(c.Static), nil
	case ECSRAMRole:
		return newSource(c.Provider, func() (provider, error) {
			return providers.NewECSRAMRoleCredentialsProviderBuilder().WithRoleName(c.RoleName).Build()
		})
	case OIDCRoleARN:
		return newSource(c.Provider, func() (provider, error) {
			return providers.NewOIDCCredentialsProviderBuilder().
				WithRoleArn(c.RoleARN).
				WithOIDCProviderARN(c.OIDCProviderARN).
				WithOIDCTokenFilePath(c.OIDCTokenFile).
				WithRoleSessionName(cmp.Or(c.RoleSessionName, defaultSessionName)).
				WithSTSEndpoint(cmp.Or(c.STSEndpoint, defaultSTSEndpoint)).
				Build()
		})
	case CredentialsURI:
		return newSource(c.Provider, func() (provider, error) {
			return providers.NewURLCredentialsProviderBuilder().WithUrl(c.URI).Build()
		})
	default:
		return nil, fmt.Errorf("credentials: no provider is called %q; use one of %v", c.Provider, Providers())
	}
}

// check reports every field that is missing at once.
func (c Config) check() error {
	required := map[Provider][]struct{ field, value string }{
		Env:            {{"Static.AccessKeyID", c.Static.AccessKeyID}, {"Static.AccessKeySecret", c.Static.AccessKeySecret}},
		OIDCRoleARN:    {{"RoleARN", c.RoleARN}, {"OIDCProviderARN", c.OIDCProviderARN}, {"OIDCTokenFile", c.OIDCTokenFile}},
		CredentialsURI: {{"URI", c.URI}},
	}
	var missing []string
	for _, r := range required[c.Provider] {
		if r.value == "" {
			missing = append(missing, r.field)
		}
	}
	if len(missing) > 0 {
		return &ConfigError{Provider: c.Provider, Missing: missing}
	}
	if c.Provider == CredentialsURI {
		if u, err := url.Parse(c.URI); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("credentials from %s: URI is not an http or https URL", c.Provider)
		}
	}
	return nil
}
