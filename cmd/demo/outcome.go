//go:build unix

package main

import (
	"slices"

	"github.com/usher-bi/usher/internal/access"
)

// outcome is what must become of a row in the end, and the code of a failure.
type outcome struct{ status, code string }

const (
	succeeded = "succeeded"
	noChange  = "no_change"
	failed    = "failed"
)

// outcomeOf follows from how the company was made up, and from nothing that
// the product says.
func (s *scenario) outcomeOf(c access.Change) outcome {
	switch user := c.Principal.ID; {
	case slices.Contains(s.left, user) && c.Operation == access.Revoke:
		return outcome{status: noChange}
	case slices.Contains(s.left, user):
		return outcome{failed, "user_not_in_organization"}
	case user == s.seatless:
		return outcome{failed, "user_lacks_permission"}
	case c.Resource == deleted.resource():
		return outcome{failed, "resource_not_exist"}
	default:
		return outcome{status: succeeded}
	}
}

// held is one access as Quick BI keeps it.
type held struct {
	User     string              `json:"user"`
	Kind     access.ResourceType `json:"kind"`
	Resource string              `json:"resource"`
}

// lasting is access and its last day, as YYYY-MM-DD.
type lasting map[held]string

// wanted is what Quick BI must hold when all is done.
func (s *scenario) wanted() lasting {
	behind := map[string]string{}
	for _, a := range assets() {
		behind[a.resource().ID] = a.behind()
	}
	state := lasting{}
	for _, r := range slices.Concat(s.before, s.request) {
		h := held{User: r.change.Principal.ID, Kind: r.change.Resource.Type, Resource: r.change.Resource.ID}
		if h.Kind == dataset { // kept as its Q&A resource
			h.Kind, h.Resource = qa, behind[h.Resource]
		}
		switch {
		case s.outcomeOf(r.change).status != succeeded:
		case r.change.Operation == access.Revoke:
			delete(state, h)
		default:
			state[h] = r.change.Terms.ExpiresOn.String()
		}
	}
	return state
}
