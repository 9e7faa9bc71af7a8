package quickbitest

import (
	"cmp"
	"maps"
	"math/rand/v2"
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

// Repeat says what becomes of an AddWorksAuthorization or AddShareReport for a
// principal and work that have one in force. The API pages leave it open.
type Repeat string

// What becomes of it, the default first.
const (
	RepeatOverwrite Repeat = "overwrite" // the new one takes its place and its id
	RepeatDuplicate Repeat = "duplicate" // there are two from then on, which shows who repeats blindly
	RepeatRefuse    Repeat = "refuse"    // as an invalid parameter
)

// Nothing says how the removal of a work authorization or share is answered
// that does not exist. The API pages leave it open.
type Nothing string

// The ways to answer, the default first.
const (
	NothingSucceeds Nothing = "succeed"
	NothingFalse    Nothing = "false"  // success, and the Result is false
	NothingRefused  Nothing = "refuse" // as an object that does not exist
)

// DefaultOrganization is the id of an organisation whose Options name none.
const DefaultOrganization = "sandbox-organization"

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

	// UserTypes are the seats of users who are not developers.
	UserTypes map[string]UserType `json:"user_types,omitempty"`

	// Accounts are the names under which users can be looked up. Names without a
	// user are nobody's, and are answered as MissingAccount says.
	Accounts       []Account      `json:"accounts,omitempty"`
	MissingAccount MissingAccount `json:"missing_account,omitempty"`

	// Groups are the user groups: the users in each, by its id.
	Groups map[string][]string `json:"groups,omitempty"`

	// Organization is the id of the organisation, as a principal. Empty means
	// DefaultOrganization.
	Organization string `json:"organization,omitempty"`

	// Works and Workspaces are what else access is given to.
	Works      []Work      `json:"works,omitempty"`
	Workspaces []Workspace `json:"workspaces,omitempty"`

	// QAResources and QAThemes are the ids of what access is given to.
	QAResources []string `json:"qa_resources,omitempty"`
	QAThemes    []string `json:"qa_themes,omitempty"`

	// Datasets leads from a dataset to its Q&A resource, which thereby exists
	// whether or not QAResources lists it.
	Datasets map[string]string `json:"datasets,omitempty"`

	// Rate is how many calls of one action are let through in any one second.
	// Zero means no limit. Rates overrides it by action. [Server.SetLimits]
	// changes both.
	Rate  int            `json:"rate,omitempty"`
	Rates map[string]int `json:"rates,omitempty"`

	// ThrottleHint is how calls over the rate learn their wait.
	ThrottleHint Hint `json:"throttle_hint,omitempty"`

	// Latency passes before a call takes effect. With a LatencyMax above it,
	// each call takes a time of its own, spread evenly between the two.
	Latency    Duration `json:"latency,omitempty"`
	LatencyMax Duration `json:"latency_max,omitempty"`

	// MaxPairs bounds users × resources of a SmartqAuthorize. Zero means 100, the bound
	// that the API page publishes.
	MaxPairs int `json:"max_pairs,omitempty"`

	// MissingUser and MissingResource say how unknown ids are answered.
	// Calls about a single user have no rows, and are refused under MissingRow
	// too. In AddWorkspaceUsers, MissingUser also goes for users whose seat does
	// not allow the role.
	MissingUser     Missing `json:"missing_user,omitempty"`
	MissingResource Missing `json:"missing_resource,omitempty"`

	// RepeatedGrant and NothingToRevoke say how work authorizations and shares
	// are answered that exist already, or do not exist any more.
	RepeatedGrant   Repeat  `json:"repeated_grant,omitempty"`
	NothingToRevoke Nothing `json:"nothing_to_revoke,omitempty"`

	// OldPages are the actions served as the pages of 2020 have it: their
	// refusals with status 500, booleans and numbers as strings, FailureDetail
	// as JSON in a string. Nil means AddShareReport alone; an empty list, none.
	OldPages []string `json:"old_pages,omitzero"`

	// BatchRefusal is the code, like Access.Forbidden, with which every
	// AddWorkspaceUsers is refused. Empty means that it is served.
	BatchRefusal string `json:"batch_refusal,omitempty"`

	// ListInherited lets QuerySharesToUserList tell of what a user has through
	// groups, workspaces and the organisation. UnlistedTypes are types of work
	// that it leaves out.
	ListInherited bool     `json:"list_inherited,omitempty"`
	UnlistedTypes []string `json:"unlisted_types,omitempty"`

	// ListAuthorizations lets QueryShareList tell of work authorizations, those
	// to edit excepted.
	ListAuthorizations bool `json:"list_authorizations,omitempty"`

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
	o.RepeatedGrant = cmp.Or(o.RepeatedGrant, RepeatOverwrite)
	o.NothingToRevoke = cmp.Or(o.NothingToRevoke, NothingSucceeds)
	o.Organization = cmp.Or(o.Organization, DefaultOrganization)
	o.Location = cmp.Or(o.Location, china)
	if o.OldPages == nil {
		o.OldPages = []string{actionAddShareReport}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// latency returns how long a call is to take.
func (o *Options) latency() time.Duration {
	least, spread := time.Duration(o.Latency), time.Duration(o.LatencyMax-o.Latency)
	if spread <= 0 {
		return least
	}
	return least + rand.N(spread+1)
}

// today is the calendar day of now where expiry is counted.
func (o *Options) today(now time.Time) string { return now.In(o.Location).Format(time.DateOnly) }

func (o *Options) limits() Limits { return Limits{Rate: o.Rate, Rates: maps.Clone(o.Rates)} }

func (o *Options) resources() Resources {
	return Resources{QAResources: o.QAResources, QAThemes: o.QAThemes, Datasets: o.Datasets}
}
