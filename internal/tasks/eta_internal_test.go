package tasks

import (
	"math"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

func TestCallsUntilALaneIsEmpty(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct {
		last     int
		waiting  [3]float64
		minShare float64
		want     float64
	}{
		"alone":                              {1, [3]float64{0, 100, 0}, 0.05, 100},
		"the first lane keeps nobody's":      {0, [3]float64{100, 0, 0}, 0.05, 100},
		"who is below keeps a share":         {1, [3]float64{0, 95, 1000}, 0.05, 100},
		"each of two below keeps a share":    {0, [3]float64{90, 1000, 1000}, 0.05, 100},
		"a share ends with those who had it": {0, [3]float64{95, 0, 2}, 0.05, 97},
		"who is above goes first":            {2, [3]float64{0, 95, 100}, 0.05, 195},
		"but for the share":                  {2, [3]float64{0, 1000, 5}, 0.05, 100},
		"two are above":                      {2, [3]float64{90, 50, 100}, 0.05, 240},
		"no share":                           {2, [3]float64{10, 10, 10}, 0, 30},
		"no share for who is below":          {0, [3]float64{10, 10, 10}, 0, 10},
		"nothing":                            {1, [3]float64{100, 0, 100}, 0.05, 0},
	} {
		if got := callsUntil(tt.last, tt.waiting, tt.minShare); math.Abs(got-tt.want) > 0.01 {
			t.Errorf("%s: %v calls, want %v", name, got, tt.want)
		}
	}
}

func TestETA(t *testing.T) {
	t.Parallel()

	const smartq, works, join = access.SmartqAuthorize, access.AddWorksAuthorization, access.AddUserToWorkspace
	own := store.Left{Job: 1, Action: smartq, Lane: store.Normal, Backlog: 70, Queued: 30} // ten seconds of its own
	with := func(change func(*store.Left)) store.Left {
		l := own
		change(&l)
		return l
	}
	other := func(lane store.Lane, n int) store.Left {
		return store.Left{Job: 2, Action: smartq, Lane: lane, Backlog: n}
	}
	for name, tt := range map[string]struct {
		left   []store.Left
		frozen time.Duration
		want   time.Duration // negative: none
	}{
		"alone":                           {left: []store.Left{own}, want: 10 * time.Second},
		"nothing left":                    {left: []store.Left{other(store.Normal, 10)}, want: -1},
		"a large one takes turns with it": {left: []store.Left{own, other(store.Normal, 100_000)}, want: 20 * time.Second},
		"a small one is over before":      {left: []store.Left{own, other(store.Normal, 10)}, want: 11 * time.Second},
		"urgent goes first":               {left: []store.Left{own, other(store.Urgent, 100)}, want: 20 * time.Second},
		"but for its minimum share":       {left: []store.Left{own, other(store.Urgent, 100_000)}, want: 200 * time.Second},
		"bulk takes its minimum share":    {left: []store.Left{own, other(store.Bulk, 100_000)}, want: 10526 * time.Millisecond},
		"another action is no matter": {
			left: []store.Left{own, {Job: 2, Action: works, Lane: store.Urgent, Backlog: 1000}}, want: 10 * time.Second,
		},
		"what is held is no matter": {
			left: []store.Left{own, {Job: 2, Action: smartq, Lane: store.Urgent, Backlog: 1000, Held: true}}, want: 10 * time.Second,
		},
		"the action that ends last decides": {
			left: []store.Left{own, {Job: 1, Action: works, Lane: store.Normal, Backlog: 40}}, want: 20 * time.Second,
		},
		"one action of it is held": {
			left: []store.Left{own, {Job: 1, Action: works, Lane: store.Normal, Backlog: 1, Held: true}}, want: -1,
		},
		"what it looks up takes longer": {left: []store.Left{{Job: 1, Action: join, Lane: store.Normal, Backlog: 100}}, want: 20 * time.Second},
		"looked up by another action too": {
			left: []store.Left{
				{Job: 1, Action: join, Lane: store.Normal, Backlog: 100}, {Job: 2, Action: listWorkspaceRoles, Lane: store.Urgent, Queued: 10},
			},
			want: 22500 * time.Millisecond,
		},
		"put off":                {left: []store.Left{with(func(l *store.Left) { l.DueIn = time.Minute })}, want: time.Minute},
		"put off, and due early": {left: []store.Left{with(func(l *store.Left) { l.DueIn = time.Second })}, want: 10 * time.Second},
		"frozen":                 {left: []store.Left{own}, frozen: 3 * time.Second, want: 13 * time.Second},
	} {
		c := course{left: tt.left, minShare: 0.05, pace: func(a access.Action) pace {
			switch a {
			case works:
				return pace{perSecond: 2}
			case listWorkspaceRoles:
				return pace{perSecond: 4}
			default:
				return pace{perSecond: 10, frozen: tt.frozen}
			}
		}, cost: func(a access.Action) cost {
			if a == join {
				return cost{join: 1.2, listWorkspaceRoles: 0.8}
			}
			return oneCall(a)
		}}
		got, ok := c.etaOf(1)
		if ok != (tt.want >= 0) || ok && (got-tt.want).Abs() > 10*time.Millisecond {
			t.Errorf("%s: %s, %t; want %s", name, got, ok, tt.want)
		}
	}
}
