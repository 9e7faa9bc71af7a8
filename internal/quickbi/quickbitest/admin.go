package quickbitest

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
)

const adminPrefix = "/_sandbox/"

// maxAdminBody has room for an organisation of a million users.
const maxAdminBody = 64 << 20

// adminMux serves what the package comment lists.
func (s *Server) adminMux() http.Handler {
	mux := http.NewServeMux()
	read := func(name string, value func() any) {
		mux.HandleFunc("GET "+adminPrefix+name, func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, value())
		})
	}
	read("health", func() any { return map[string]string{"status": "ok"} })
	read("state", func() any { return s.Grants() })
	read("works", func() any { return s.Authorizations() })
	read("shares", func() any { return s.Shares() })
	read("members", func() any { return s.Members() })
	read("calls", func() any { return s.Calls() })
	read("violations", func() any { return s.Violations() })
	mux.HandleFunc("POST "+adminPrefix+"faults", accept(func(faults []Fault) error { return s.AddFaults(faults...) }))
	mux.HandleFunc("POST "+adminPrefix+"users", accept(s.changeUsers))
	mux.HandleFunc("POST "+adminPrefix+"resources", accept(s.changeResources))
	mux.HandleFunc("POST "+adminPrefix+"groups", accept(s.changeGroups))
	mux.HandleFunc("POST "+adminPrefix+"works", accept(s.changeWorks))
	mux.HandleFunc("POST "+adminPrefix+"workspaces", accept(s.changeWorkspaces))
	mux.HandleFunc("POST "+adminPrefix+"limits", accept(s.SetLimits))
	mux.HandleFunc("DELETE "+adminPrefix+"faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST "+adminPrefix+"reset", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

type userChange struct {
	Add    []string            `json:"add"`
	Remove []string            `json:"remove"`
	Types  map[string]UserType `json:"types"`
}

func (s *Server) changeUsers(c userChange) error {
	if err := errors.Join(checkIDs("add", c.Add), checkIDs("remove", c.Remove)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	willBe := func(id string) bool {
		return (s.org.users[id] || slices.Contains(c.Add, id)) && !slices.Contains(c.Remove, id)
	}
	if err := checkUserTypes(c.Types, willBe); err != nil {
		return err
	}
	s.org.addUsers(c.Add)
	s.org.removeUsers(c.Remove)
	maps.Copy(s.org.userTypes, c.Types)
	return nil
}

type groupChange struct {
	Add    map[string][]string `json:"add"`
	Remove []string            `json:"remove"`
}

func (s *Server) changeGroups(c groupChange) error {
	if err := checkIDs("remove", c.Remove); err != nil {
		return err
	}
	if err := s.AddGroups(c.Add); err != nil {
		return err
	}
	s.RemoveGroups(c.Remove...)
	return nil
}

type workChange struct {
	Add    []Work   `json:"add"`
	Remove []string `json:"remove"`
}

func (s *Server) changeWorks(c workChange) error {
	if err := checkIDs("remove", c.Remove); err != nil {
		return err
	}
	if err := s.AddWorks(c.Add...); err != nil {
		return err
	}
	s.RemoveWorks(c.Remove...)
	return nil
}

type workspaceChange struct {
	Add    []Workspace `json:"add"`
	Remove []string    `json:"remove"`
}

func (s *Server) changeWorkspaces(c workspaceChange) error {
	if err := checkIDs("remove", c.Remove); err != nil {
		return err
	}
	if err := s.AddWorkspaces(c.Add...); err != nil {
		return err
	}
	s.RemoveWorkspaces(c.Remove...)
	return nil
}

type resourceChange struct {
	Add    Resources `json:"add"`
	Remove []string  `json:"remove"`
}

func (s *Server) changeResources(c resourceChange) error {
	if err := errors.Join(c.Add.check(), checkIDs("remove", c.Remove)); err != nil {
		return err
	}
	s.AddResources(c.Add)
	s.RemoveResources(c.Remove...)
	return nil
}

// accept hands the JSON value of a body to do, and answers 204 or the mistake.
func accept[T any](do func(T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var value T
		err := decode(http.MaxBytesReader(w, r.Body, maxAdminBody), &value)
		if err == nil {
			err = do(value)
		}
		if err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]any{
				"error": map[string]string{"code": "invalid_request", "message": err.Error()},
			})
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) //nolint:errchkjson // who hung up needs no answer
}
