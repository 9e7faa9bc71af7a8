package limit

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// State is what all processes know of an action.
type State struct {
	Known      bool    // somebody has called it, or set its limit, within the last week
	Rate       float64 // allowed now: calls a second
	Limit      float64 // calls a second
	Overridden bool    // an operator set Limit
	Version    int64   // of what an operator set last; 0 if nothing
	FrozenFor  time.Duration

	Waiting [3]int // calls that wait in live processes, by [Lane]

	// Of the last minute.
	Sent      int
	Throttled int
	Saturated float64 // how much of it calls stood in line: 0 to 1
	UsedShare float64 // Sent of what Limit allowed: 0 to 1

	busyRate float64
}

// MeasuredRate is how many calls a second there were while calls stood in line,
// for estimates; where there were none, the rate that is allowed.
func (s State) MeasuredRate() float64 {
	if s.busyRate > 0 {
		return s.busyRate
	}
	return s.Rate
}

// Publish makes what an operator set hold for every process at once: calls a
// second, or 0 for what the processes are configured with. A version that is not
// higher than what Redis knows changes nothing. Redis may forget it: what is set
// must be told to the limiters too, by [Limiter.SetLimit].
func Publish(ctx context.Context, client redis.UniversalClient, action string, perSecond float64, version int64) error {
	if err := publishScript.Run(ctx, client, keys(action), perSecond, version).Err(); err != nil {
		return fmt.Errorf("publishing the limit: %w", err)
	}
	return nil
}

// Read returns the state of an action. Of one that nobody has called it is zero.
func Read(ctx context.Context, client redis.UniversalClient, action string) (State, error) {
	names := keys(action)
	pipe := client.Pipeline()
	state, waiting, minute, now := pipe.HGetAll(ctx, names[0]), pipe.HGetAll(ctx, names[1]), pipe.HGetAll(ctx, names[2]), pipe.Time(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return State{}, fmt.Errorf("reading the limit: %w", err)
	}
	at := now.Val()
	v := numbers(state.Val())
	out := State{
		Known: v["limit"] > 0, Rate: v["rate"], Limit: v["limit"], Overridden: v["over"] > 0, Version: int64(v["version"]),
		FrozenFor: max(0, time.UnixMicro(int64(v["frozen"])).Sub(at)), Waiting: waitingAt(waiting.Val(), at),
	}
	return out.measured(numbers(minute.Val()), at, time.UnixMicro(int64(v["born"]))), nil
}

// numbers reads the values of a hash; what is no number is 0.
func numbers(hash map[string]string) map[string]float64 {
	out := make(map[string]float64, len(hash))
	for name, text := range hash {
		out[name], _ = strconv.ParseFloat(text, 64)
	}
	return out
}

// waitingAt adds up what processes reported that still hold good.
func waitingAt(reports map[string]string, now time.Time) (sum [3]int) {
	for _, report := range reports {
		fields := strings.Fields(report)
		if len(fields) != len(sum)+1 {
			continue
		}
		if ends, err := strconv.ParseInt(fields[len(sum)], 10, 64); err != nil || time.UnixMicro(ends).Before(now) {
			continue
		}
		for lane := range sum {
			n, _ := strconv.Atoi(fields[lane])
			sum[lane] += n
		}
	}
	return sum
}

const (
	period  = 5 * time.Second // that Redis counts by
	periods = 16              // that it keeps
)

// measured adds up the last minute: twelve periods, and the one that has begun.
func (s State) measured(v map[string]float64, now, born time.Time) State {
	current := now.UnixMicro() / period.Microseconds()
	var busy, queued float64
	for i := range periods {
		of := func(name string) float64 { return v[strconv.Itoa(i)+":"+name] }
		if p := int64(of("period")); p > current || p < current-12 {
			continue
		}
		s.Sent += max(0, int(of("sent"))) // slots of an earlier one may have been given back
		s.Throttled += int(of("throttled"))
		busy += of("busy") / 1e6
		queued += of("queued")
	}
	start := time.UnixMicro((current - 12) * period.Microseconds())
	if born.After(start) {
		start = born
	}
	if span := now.Sub(start).Seconds(); span > 0 && s.Limit > 0 {
		s.Saturated = min(1, busy/span)
		s.UsedShare = min(1, float64(s.Sent)/(s.Limit*span))
	}
	if busy >= 1 {
		s.busyRate = queued / busy
	}
	return s
}
