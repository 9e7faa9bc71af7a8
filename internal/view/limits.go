package view

import (
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// Limit is the limit of an action.
type Limit struct {
	Action access.Action `json:"action"`
	Limit  float64       `json:"limit_per_second"`
	Set    *LimitSet     `json:"set"` // null: it is what the workers are configured with
	Now    *LimitNow     `json:"now"` // null: Redis is away
}

// LimitSet says who set a limit.
type LimitSet struct {
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason"`
	TakenUp *bool     `json:"taken_up"` // by all workers; null: Redis is away
}

// LimitNow is what all workers know.
type LimitNow struct {
	Allowed float64            `json:"allowed_per_second"`
	Frozen  float64            `json:"frozen_seconds"`
	Waiting map[store.Lane]int `json:"waiting"`
	Minute  LastMinute         `json:"last_minute"`
}

// LastMinute is what was sent in the last minute.
type LastMinute struct {
	Sent      int     `json:"sent"`
	Throttled int     `json:"throttled"`
	Share     float64 `json:"throttled_share"` // of those sent
	Used      float64 `json:"used_share"`      // sent, of what the limit allowed
}

// LimitsDocument is the document of all limits.
type LimitsDocument struct {
	Limits []Limit `json:"limits"`
}

// Limits shows the rates of actions.
func Limits(rates []tasks.ActionRate) []Limit {
	out := make([]Limit, 0, len(rates))
	for _, r := range rates {
		out = append(out, LimitOf(r))
	}
	return out
}

// LimitOf shows the rate of an action.
func LimitOf(r tasks.ActionRate) Limit {
	v := Limit{Action: r.Action, Limit: r.Limit()}
	if r.Overridden() {
		v.Set = &LimitSet{By: r.Set.Actor, At: r.Set.SetAt, Reason: r.Set.Reason}
	}
	s := r.State
	if s == nil {
		return v
	}
	if v.Set != nil {
		v.Set.TakenUp = new(r.TakenUp())
	}
	v.Now = &LimitNow{
		Allowed: r.Allowed(), Frozen: s.FrozenFor.Seconds(), Waiting: map[store.Lane]int{},
		Minute: LastMinute{Sent: s.Sent, Throttled: s.Throttled, Share: r.ThrottledShare(), Used: s.UsedShare},
	}
	for _, lane := range store.Lanes() {
		v.Now.Waiting[lane] = r.WaitingIn(lane)
	}
	return v
}
