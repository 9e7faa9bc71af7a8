package serve

import (
	"net/http"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// eventsDocument is what became of events. Its JSON is API.
type eventsDocument struct {
	Events []view.Event `json:"events"`
	More   bool         `json:"more"` // there are others
}

// mostEvents is how many events one answer tells of.
const mostEvents = 1000

// listEvents tells what became of the events of one person, or of all that are open
// or cannot be applied, as far as they are of the token's source.
func (s *Server) listEvents(w http.ResponseWriter, r *http.Request, by store.Token) error {
	query, err := queryOf(r)
	if err != nil {
		return err
	}
	for name := range query {
		if name != "principal" && name != "open" {
			return badParam(name, "%.40q is not a parameter; use principal or open", name)
		}
	}
	person, ofPerson := query["principal"]
	open, ofOpen := query["open"]
	var found []store.PersonEvent
	switch {
	case ofPerson == ofOpen, ofPerson && person == "", ofOpen && open != "true":
		return badParam("", "say of whom: principal=ID, or open=true for everybody who is open")
	case ofPerson:
		found, err = s.options.Store.EventsOf(r.Context(), person)
	default:
		found, err = s.unsettled(r)
	}
	if err != nil {
		return err
	}
	own := found[:0]
	for _, e := range found {
		if e.Source == by.Source {
			own = append(own, e)
		}
	}
	d := eventsDocument{Events: view.Events(own[:min(len(own), mostEvents)]), More: len(own) > mostEvents}
	return reply(w, http.StatusOK, d)
}

// unsettled are the events of which something is left to do that was due.
func (s *Server) unsettled(r *http.Request) ([]store.PersonEvent, error) {
	open, err := s.options.Store.OpenEvents(r.Context())
	if err != nil {
		return nil, err
	}
	seen := make(map[store.EventKey]bool, len(open))
	for _, e := range open {
		seen[e.Key()] = true
	}
	stuck, err := s.options.Store.StuckEvents(r.Context())
	for _, e := range stuck {
		if !seen[e.Key()] {
			open = append(open, e)
		}
	}
	return open, err
}
