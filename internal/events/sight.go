package events

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// sight is what a read of a leaver saw.
type sight struct {
	rows         map[access.Resource]store.Result // what was asked, and what became of it
	works, rooms map[string]store.SharedWork      // what is there, by id
}

func (s sight) load(ctx context.Context, from *store.Store, job string) error {
	err := from.Results(ctx, job, nil, func(r store.Result) error {
		s.rows[r.Change.Resource] = r
		return nil
	})
	if err != nil {
		return err
	}
	return from.SharedWorks(ctx, job, func(w store.SharedWork) error {
		if w.WorkType == string(access.Membership) {
			s.rooms[w.WorksID] = w
		} else {
			s.works[w.WorksID] = w
		}
		return nil
	})
}

// finding is what was seen of one thing that this system granted and revoked. What
// Quick BI cannot tell, its answer to the revoke has to vouch for.
func (s sight) finding(r access.Resource) (f store.Trace, detail string) {
	place, isRoom := s.rooms[r.ID]
	asked := access.Resource{Type: access.Remains, ID: "*"}
	there := isRoom
	switch {
	case r.Type == access.Membership:
		asked = r
	case r.Type == access.Share || r.Type.IsWork():
		place, there = s.works[r.ID]
	default:
		return store.FoundAnswered, "Quick BI has no list of it"
	}
	row, isRead := s.rows[asked]
	if there && isRead && row.Status == store.Succeeded {
		return store.FoundThere, place.WorkName
	}
	return absent(r, row, isRead)
}

// absent says what follows from not having seen a thing.
func absent(r access.Resource, row store.Result, isRead bool) (f store.Trace, detail string) {
	switch {
	case isRead && row.Status == store.NoChange:
		return store.FoundGone, row.Code
	case isRead && row.Code == tasks.CodeNotOffered && r.Type == access.Membership:
		return store.FoundAnswered, row.Message
	case !isRead || row.Status != store.Succeeded:
		return store.FoundUnread, strings.TrimSpace(row.Code + " " + row.Message)
	case r.Type == access.Membership:
		return store.FoundAnswered, "Quick BI does not say whether the user is a member"
	case !tasks.Listed(r.Type):
		return store.FoundAnswered, "Quick BI's list leaves out such works"
	default:
		return store.FoundGone, ""
	}
}

// foreign lists the works that are there and that this system did not grant to the
// person.
func (s sight) foreign(left leftover) (out []store.Remnant) {
	ids := map[string]bool{}
	for _, r := range left.gone {
		if r.Type == access.Share || r.Type.IsWork() {
			ids[r.ID] = true
		}
	}
	for id, w := range s.works {
		if !ids[id] {
			out = append(out, store.Remnant{ResourceID: id, Finding: store.FoundForeign, Detail: strings.TrimSpace(w.WorkType + " " + w.WorkName)})
		}
	}
	slices.SortFunc(out, func(a, b store.Remnant) int { return cmp.Compare(a.ResourceID, b.ResourceID) })
	return out
}
