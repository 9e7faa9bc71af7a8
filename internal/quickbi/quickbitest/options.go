package quickbitest

import (
	"cmp"
	"time"
)

// The key pair of a Server whose Options name none. It opens nothing else.
const (
	DefaultAccessKeyID     = "sandbox-access-key-id"
	DefaultAccessKeySecret = "sandbox-access-key-secret"
)

// Missing says how a call is answered that names a user or a resource which
// does not exist. The API pages leave it open, so a client must bear all three.
type Missing string

// The ways to answer, the default first.
const (
	MissingRow           Missing = "row"            // a failure row a pair, the other pairs are carried out
	MissingRefusal       Missing = "refusal"        // the whole call is refused, the message does not say for whom
	MissingRefusalNaming Missing = "refusal_naming" // the whole call is refused, the message names the first culprit
)

// Hint says how a throttled caller is told for how long to wait.
type Hint string

// The ways to tell it, the default first.
const (
	HintRetryAfter Hint = "retry_after" // x-acs-retry-after, in milliseconds
	HintRateLimit  Hint = "rate_limit"  // the older x-ratelimit-user-api and x-ratelimit-user
	HintNone       Hint = "none"
)

// Options describes an organisation and its gateway. The zero value is an
// empty and healthy one. It is also the JSON document that [ReadWorld] reads.
type Options struct {
	// AccessKeyID and AccessKeySecret are the only key pair let in. Empty
	// means DefaultAccessKeyID and DefaultAccessKeySecret.
	AccessKeyID     string `json:"access_key_id,omitempty"`
	AccessKeySecret string `json:"access_key_secret,omitempty"`

	// SecurityToken makes the key pair temporary: every call must carry this
	// token. Empty means a lasting pair, and calls with a token are refused.
	SecurityToken string `json:"security_token,omitempty"`

	// Users are the ids of the members of the organisation.
	Users []string `json:"users,omitempty"`

	// QAResources and QAThemes are the ids of what access is given to.
	QAResources []string `json:"qa_resources,omitempty"`
	QAThemes    []string `json:"qa_themes,omitempty"`

	// Datasets leads from a dataset to its Q&A resource, which thereby exists
	// whether or not QAResources lists it.
	Datasets map[string]string `json:"datasets,omitempty"`

	// Rate is how many calls of one action are let through in any one second.
	// Zero means no limit. Rates overrides it by action.
	Rate  int            `json:"rate,omitempty"`
	Rates map[string]int `json:"rates,omitempty"`

	// ThrottleHint is how calls over the rate learn their wait.
	ThrottleHint Hint `json:"throttle_hint,omitempty"`

	// Latency passes before a call takes effect.
	Latency Duration `json:"latency,omitempty"`

	// MaxPairs bounds users × resources of a call. Zero means 100, the bound
	// that the API page publishes.
	MaxPairs int `json:"max_pairs,omitempty"`

	// MissingUser and MissingResource say how unknown ids are answered.
	MissingUser     Missing `json:"missing_user,omitempty"`
	MissingResource Missing `json:"missing_resource,omitempty"`

	// Faults are in place from the start. New does not check them; Check does.
	Faults []Fault `json:"faults,omitempty"`

	// Now is the clock of signatures, rates and expiry, called by many
	// goroutines at once. Nil means time.Now.
	Now func() time.Time `json:"-"`

	// Location is where the days of expiry begin and end. Nil means China,
	// which the API pages suggest and do not say.
	Location *time.Location `json:"-"`

	// Log, when set, is called with every finished call before its answer is
	// sent, by many goroutines at once.
	Log func(Call) `json:"-"`
}

// publishedMaxPairs is the bound on the SmartqAuthorize page: users × (Q&A
// resources + analysis subjects).
const publishedMaxPairs = 100

// china has had one offset and no summer time since 1991, so no time zone
// database is needed for it.
var china = time.FixedZone("Asia/Shanghai", 8*60*60)

func (o *Options) setDefaults() {
	o.AccessKeyID = cmp.Or(o.AccessKeyID, DefaultAccessKeyID)
	o.AccessKeySecret = cmp.Or(o.AccessKeySecret, DefaultAccessKeySecret)
	o.ThrottleHint = cmp.Or(o.ThrottleHint, HintRetryAfter)
	o.MaxPairs = cmp.Or(o.MaxPairs, publishedMaxPairs)
	o.MissingUser = cmp.Or(o.MissingUser, MissingRow)
	o.MissingResource = cmp.Or(o.MissingResource, MissingRow)
	o.Location = cmp.Or(o.Location, china)
	if o.Now == nil {
		o.Now = time.Now
	}
}

func (o *Options) rate(action string) int {
	if rate, ok := o.Rates[action]; ok {
		return rate
	}
	return o.Rate
}

// today is the calendar day of now where expiry is counted.
func (o *Options) today(now time.Time) string { return now.In(o.Location).Format(time.DateOnly) }

func (o *Options) resources() Resources {
	return Resources{QAResources: o.QAResources, QAThemes: o.QAThemes, Datasets: o.Datasets}
}
