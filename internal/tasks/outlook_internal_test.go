package tasks

import (
	"math"
	"testing"

	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/store"
)

func TestPaceOfAnAction(t *testing.T) {
	t.Parallel()

	measured := limit.State{Known: true, Rate: 30, Limit: 40, Sent: 100, Throttled: 10}
	over := limit.State{Known: true, Rate: 5, Limit: 5, Overridden: true, Version: 7}
	for name, tt := range map[string]struct {
		rate        ActionRate
		limit, pace float64
	}{
		"nothing known":           {ActionRate{Configured: 50}, 50, 50},
		"nobody called it":        {ActionRate{Configured: 50, State: &limit.State{}}, 50, 50},
		"as the workers say":      {ActionRate{Configured: 50, State: &measured}, 40, 27},
		"set, and Redis is away":  {ActionRate{Configured: 50, Set: &store.Limit{PerSecond: 20, Version: 7}}, 20, 20},
		"set, and taken up":       {ActionRate{Configured: 50, Set: &store.Limit{PerSecond: 5, Version: 7}, State: &over}, 5, 5},
		"set, and not taken up":   {ActionRate{Configured: 50, Set: &store.Limit{PerSecond: 20, Version: 8}, State: &over}, 20, 20},
		"reset, and not taken up": {ActionRate{Configured: 50, Set: &store.Limit{Version: 8}, State: &over}, 50, 50},
		"reset, and Redis forgot": {ActionRate{Configured: 50, Set: &store.Limit{Version: 8}, State: &measured}, 50, 50},
	} {
		if got, p := tt.rate.Limit(), tt.rate.pace().perSecond; got != tt.limit || math.Abs(p-tt.pace) > 1e-9 {
			t.Errorf("%s: limit %v, pace %v; want %v, %v", name, got, p, tt.limit, tt.pace)
		}
	}
}
