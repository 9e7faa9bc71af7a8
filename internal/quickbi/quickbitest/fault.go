package quickbitest

import (
	"errors"
	"fmt"
	"slices"
)

// Kind says what goes wrong.
type Kind string

// The kinds of fault.
const (
	// Refuse refuses the whole call with Status, Code and Message. Empty: 400
	// or, on an old page, 500, Internal.System.Error and its published text.
	Refuse Kind = "refuse"

	// Rows lets the pairs that Match selects fail with a row whose
	// DetailMessage is Message, and carries out the others. In AddWorkspaceUsers
	// a user is a pair. Calls whose answers know no failed items pass by it.
	Rows Kind = "rows"

	// Throttle answers Throttling.User, or Code, with a hint to wait for
	// RetryAfter.
	Throttle Kind = "throttle"

	// HTML answers with a page, as proxies do, and status 502, or Status.
	HTML Kind = "html"

	// Delay lets Delay pass before the call takes effect and is answered; with
	// Apply it takes effect first. It ends early when the caller hangs up, and
	// then the call takes no effect any more, unless it is Late.
	Delay Kind = "delay"

	// LoseAnswer carries the call out and cuts the connection.
	LoseAnswer Kind = "lose_answer"

	// CutAnswer carries the call out and sends half of the announced answer.
	CutAnswer Kind = "cut_answer"

	// Drop cuts the connection and does nothing.
	Drop Kind = "drop"

	// Empty answers 200, or Status, without a body.
	Empty Kind = "empty"

	// Oversized answers success in 64 MiB of JSON.
	Oversized Kind = "oversized"

	// SuccessFalse answers 200 and "Success": false.
	SuccessFalse Kind = "success_false"
)

// Match selects pairs of a call: those of any of Users with any of Resources.
// An empty list stands for all. Users finds principals of every type; Resources
// finds works and workspaces too, and a dataset by its own id and by that of its
// Q&A resource.
type Match struct {
	Users     []string `json:"users,omitempty"`
	Resources []string `json:"resources,omitempty"`
}

// Fault makes calls go wrong. It is asked about well-formed calls within the
// rate; of several faults the first that is due strikes, and those behind it do
// not see the call. Which other fields count depends on Kind.
type Fault struct {
	Kind Kind `json:"kind"`

	// Action narrows the fault to one action. Empty means every action.
	Action string `json:"action,omitempty"`

	// Match narrows it to calls that hold a selected pair.
	Match Match `json:"match,omitzero"`

	// Every k lets it strike each k-th of the calls it matches. Zero means
	// each of them.
	Every int `json:"every,omitempty"`

	// Times n lets it strike n times and then never again. Zero means for ever.
	Times int `json:"times,omitempty"`

	// Apply carries the call out all the same, for refuse, html, delay, empty,
	// oversized and success_false.
	Apply bool `json:"apply,omitempty"`

	// Late lets a delayed call take effect in its time although the caller has
	// hung up.
	Late bool `json:"late,omitempty"`

	// Status, Code and Message make up the answer. A %s in Message becomes the
	// user of a row, or the first id of a refused call that Match is about.
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`

	// Delay is how long a delay lasts.
	Delay Duration `json:"delay,omitempty"`

	// RetryAfter is the wait that a throttle hints at, in the form of Hint
	// (empty: as Options say). Zero means that it hints at nothing.
	RetryAfter Duration `json:"retry_after,omitempty"`
	Hint       Hint     `json:"hint,omitempty"`
}

// Poison returns the fault of users who cannot be granted anything and whose
// presence has every call refused that holds one of them, without saying whom.
func Poison(users ...string) Fault {
	return Fault{Kind: Refuse, Code: codeNotInOrganisation, Message: textNotInOrganisation, Match: Match{Users: users}}
}

// PoisonNaming is like [Poison], with a refusal that names the user.
func PoisonNaming(users ...string) Fault {
	return Fault{
		Kind: Refuse, Code: "UserRoleConfig.NotContain.Function",
		Message: "The user %s does not have permission to operate.", Match: Match{Users: users},
	}
}

func checkFaults(faults []Fault) error {
	var errs []error
	for i, f := range faults {
		if err := f.check(); err != nil {
			errs = append(errs, fmt.Errorf("faults[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

var (
	kinds     = []Kind{Refuse, Rows, Throttle, HTML, Delay, LoseAnswer, CutAnswer, Drop, Empty, Oversized, SuccessFalse}
	appliable = []Kind{Refuse, HTML, Delay, Empty, Oversized, SuccessFalse}
)

// check reports why f could never do what its author wanted.
func (f Fault) check() error {
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("kind %q: want one of %v", f.Kind, kinds)
	case f.Action != "" && !known(f.Action):
		return fmt.Errorf("action %q is not known", f.Action)
	case f.Kind == Delay && f.Delay == 0:
		return errors.New("a delay needs a duration in delay")
	case f.Late && f.Kind != Delay:
		return fmt.Errorf("late means nothing to %s: only a delay can be", f.Kind)
	case f.Apply && !slices.Contains(appliable, f.Kind):
		return fmt.Errorf("apply means nothing to %s: want one of %v", f.Kind, appliable)
	case f.Kind == Rows && f.Action != "" && !actions[f.Action].shape.failsByItem():
		return fmt.Errorf("rows mean nothing to %s: it has no items that can fail", f.Action)
	}
	return f.checkValues()
}

func (f Fault) checkValues() error {
	switch {
	case f.Times < 0 || f.Every < 0 || f.Delay < 0 || f.RetryAfter < 0:
		return errors.New("times, every, delay and retry_after cannot be negative")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d: want 200 to 599", f.Status)
	}
	return oneOf("hint", f.Hint, HintRetryAfter, HintRateLimit, HintNone)
}

// scripted is a fault in place, with what it has counted.
type scripted struct {
	Fault

	matched, struck int
}

func script(faults []Fault) []*scripted {
	out := make([]*scripted, len(faults))
	for i, f := range faults {
		out[i] = &scripted{Fault: f}
	}
	return out
}

// strikes counts a call that f matches and reports whether it goes wrong.
func (f *scripted) strikes(action string, matched bool) bool {
	if !matched || (f.Action != "" && f.Action != action) || (f.Times > 0 && f.struck == f.Times) {
		return false
	}
	f.matched++
	if f.matched%max(f.Every, 1) != 0 {
		return false
	}
	f.struck++
	return true
}
