package tasks

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// witnesses is a sorted set of one member a worker, with when it last looked.
// Who finds its member gone knows that Redis has lost what was written since.
const (
	witnesses   = "usher:witnesses"
	witnessLife = 24 * time.Hour
)

// witness is what a worker remembers of the Redis it last saw.
type witness struct {
	name  string // of the member
	known bool   // it was written
	run   string // the run of the server; "" if that is not told
}

// look compares Redis with what w remembers, leaves its mark anew, and reports
// whether Redis was emptied or exchanged for another since, or is new.
func (w *witness) look(ctx context.Context, client redis.UniversalClient) (lost bool, err error) {
	now := time.Now()
	pipe := client.Pipeline()
	others := pipe.ZCard(ctx, witnesses)
	mine := pipe.ZScore(ctx, witnesses, w.name)
	pipe.ZAdd(ctx, witnesses, redis.Z{Score: float64(now.Unix()), Member: w.name})
	pipe.ZRemRangeByScore(ctx, witnesses, "-inf", strconv.FormatInt(now.Add(-witnessLife).Unix(), 10))
	info := pipe.Info(ctx, "server")
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) && !replied(err) {
		return false, fmt.Errorf("looking whether Redis was emptied: %w: %w", ErrRedisUnavailable, err)
	}
	run := parseInfo(info.Val())["run_id"] // nothing, where the command is not allowed
	gone := errors.Is(mine.Err(), redis.Nil)
	lost = others.Val() == 0 || w.known && (gone || run != w.run)
	w.known, w.run = true, run
	return lost, nil
}
