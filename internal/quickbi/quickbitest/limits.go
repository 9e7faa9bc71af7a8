package quickbitest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Limits are the quotas of the account: how many calls of one action are let
// through in any one second. Zero means no limit.
type Limits struct {
	Rate  int            `json:"rate"`
	Rates map[string]int `json:"rates"` // instead of Rate, by action
}

// SetLimits puts l in the place of all limits that were in force, from the next
// call on. The calls of the last second count against it. An action that is not
// known or a negative rate is an error, and changes nothing. Reset brings back
// what New was told.
func (s *Server) SetLimits(l Limits) error {
	if err := l.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = Limits{Rate: l.Rate, Rates: maps.Clone(l.Rates)}
	return nil
}

func (l Limits) of(action string) int {
	if rate, ok := l.Rates[action]; ok {
		return rate
	}
	return l.Rate
}

func (l Limits) check() error {
	var errs []error
	if l.Rate < 0 {
		errs = append(errs, errors.New("rate cannot be negative"))
	}
	for _, action := range slices.Sorted(maps.Keys(l.Rates)) {
		if rate := l.Rates[action]; !known(action) || rate < 0 {
			errs = append(errs, fmt.Errorf("rates: %q: %d: want a known action and a rate of at least 0", action, rate))
		}
	}
	return errors.Join(errs...)
}
