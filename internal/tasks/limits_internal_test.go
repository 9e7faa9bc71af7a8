package tasks

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// heard is what a limiter was told.
type heard struct {
	perSecond float64
	version   int64
}

func (h *heard) SetLimit(perSecond float64, version int64) { *h = heard{perSecond, version} }

func TestLimitsAreTold(t *testing.T) {
	t.Parallel()

	var smartq, works, untold heard
	var list []store.Limit
	var away error
	l := limits{
		list:       func(context.Context) ([]store.Limit, error) { return list, away },
		configured: func(access.Action) float64 { return 50 },
		tell: map[access.Action]limitSetter{
			access.SmartqAuthorize: &smartq, access.AddWorksAuthorization: &works, access.AddShareReport: &untold,
		},
	}
	if got := l.inForce(access.SmartqAuthorize); got != 50 {
		t.Errorf("before anything was read %v is in force, want 50", got)
	}
	list = []store.Limit{
		{Action: access.SmartqAuthorize, PerSecond: 20, Version: 3},
		{Action: access.AddWorksAuthorization, Version: 4},
		{Action: "OfAnotherVersion", PerSecond: 1, Version: 5},
	}
	if err := l.learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]heard{{20, 3}, {0, 4}, {}}, []heard{smartq, works, untold}, cmp.AllowUnexported(heard{})); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	away = errors.New("away")
	if err := l.learn(t.Context()); !errors.Is(err, away) {
		t.Errorf("learn = %v", err)
	}
	for action, want := range map[access.Action]float64{access.SmartqAuthorize: 20, access.AddWorksAuthorization: 50, access.AddShareReport: 50} {
		if got := l.inForce(action); got != want {
			t.Errorf("%v of %s is in force, want %v", got, action, want)
		}
	}
}
