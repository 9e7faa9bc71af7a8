package people

import "github.com/usher-bi/usher/internal/access"

// Move is somebody who gets another profile.
type Move struct {
	User     string
	Old, New []Entry // Old is nil for who had none

	// Held reports whether an access that both profiles give is in force, or on
	// its way, and when it ends; zero for never. One that is not held, or ends before
	// the new profile would have it end, is granted again.
	Held func(access.Resource) (ends access.Date, held bool)
}

// Changes are what has to be done: what the old profile alone gave is revoked,
// what the new one adds, or gives in another role, is granted, and what both give
// is left as it is, unless it would end too soon. No access is in two of them.
func (m Move) Changes(today access.Date) []access.Change {
	old, kept := map[access.Resource]Entry{}, map[access.Resource]bool{}
	for _, e := range m.Old {
		old[e.Resource()] = e
	}
	var out []access.Change
	for _, e := range m.New {
		kept[e.Resource()] = true
	}
	for _, e := range m.Old {
		if !kept[e.Resource()] {
			out = append(out, revoke(m.User, e.Resource()))
		}
	}
	for _, e := range m.New {
		before, had := old[e.Resource()]
		if grant := e.Grant(m.User, today); !had || before.Role != e.Role || !m.holds(grant) {
			out = append(out, grant)
		}
	}
	return out
}

// holds reports whether what a change grants is held already, for as long.
func (m Move) holds(c access.Change) bool {
	ends, held := m.Held(c.Resource)
	until := c.Terms.ExpiresOn
	return held && (ends.IsZero() || !until.IsZero() && !ends.Before(until))
}

// Leave are the revokes for somebody who leaves and may have these.
func Leave(user string, held []access.Resource) []access.Change {
	out := make([]access.Change, 0, len(held))
	for _, r := range held {
		out = append(out, revoke(user, r))
	}
	return out
}

func revoke(user string, r access.Resource) access.Change {
	return access.Change{Operation: access.Revoke, Principal: access.Principal{Type: access.User, ID: user}, Resource: r}
}
