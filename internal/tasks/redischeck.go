package tasks

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrRedisUnfit means that Redis answers, but that queues in it would break or
// get lost.
var ErrRedisUnfit = errors.New("this Redis cannot be used")

// The oldest Redis that knows every command of asynq: ZRANGE BYSCORE is of 6.2.
const oldestMajor, oldestMinor = 6, 2

// CheckRedis asks Redis whether it is fit to queue in. The error is
// [ErrRedisUnfit] with what to change if it is too old or may evict tasks, and
// [ErrRedisUnavailable] if it could not be asked. What Redis does not tell, as
// hosted ones may not, is a warning, and so is a Redis that keeps nothing on
// disk: the queues are filled anew from Postgres, which costs time.
func CheckRedis(ctx context.Context, client redis.UniversalClient) (warnings []string, err error) {
	text, err := client.Info(ctx).Result()
	if err != nil && !replied(err) {
		return nil, fmt.Errorf("%w: %w", ErrRedisUnavailable, err)
	}
	info := parseInfo(text) // nothing, where the command is not allowed
	if warnings, err = judgeRedis(info); err != nil {
		return nil, err
	}
	lasting, err := checkPersistence(ctx, client, info)
	return append(warnings, lasting...), err
}

// replied reports whether err is what Redis answered, rather than that it did
// not.
func replied(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok && !redis.IsLoadingError(err)
}

// parseInfo reads the lines NAME:VALUE of INFO.
func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// judgeRedis looks at the version and at what happens when memory is short.
func judgeRedis(info map[string]string) (warnings []string, err error) {
	var faults []string
	version, policy := info["redis_version"], info["maxmemory_policy"]
	switch old, known := tooOld(version); {
	case !known:
		warnings = append(warnings, "Redis does not tell its version; it must be 6.2 or newer")
	case old:
		faults = append(faults, "it is version "+version+"; use 6.2 or newer")
	}
	switch policy {
	case "noeviction":
	case "":
		warnings = append(warnings, "Redis does not tell its maxmemory-policy; set it to noeviction, else tasks get lost when memory is short")
	default:
		faults = append(faults, "its maxmemory-policy is "+policy+", which throws tasks away when memory is short; set maxmemory-policy noeviction")
	}
	if faults != nil {
		return nil, fmt.Errorf("%w: %s", ErrRedisUnfit, strings.Join(faults, "; "))
	}
	return warnings, nil
}

// tooOld judges a version such as 7.0.15.
func tooOld(version string) (old, known bool) {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(first)
	if err != nil {
		return false, false
	}
	minor, err := strconv.Atoi(second)
	if err != nil {
		return false, false
	}
	return major < oldestMajor || major == oldestMajor && minor < oldestMinor, true
}

// checkPersistence warns of a Redis that a restart empties.
func checkPersistence(ctx context.Context, client redis.UniversalClient, info map[string]string) (warnings []string, err error) {
	const remedy = "; set appendonly yes, else a restart of Redis empties the queues and workers have to fill them anew from Postgres"
	if info["aof_enabled"] != "0" {
		return nil, nil
	}
	config, err := client.ConfigGet(ctx, "save").Result()
	if err != nil && !replied(err) {
		return nil, fmt.Errorf("%w: %w", ErrRedisUnavailable, err)
	}
	switch snapshots, told := config["save"]; {
	case !told:
		return []string{"Redis keeps no append-only file, and does not tell whether it takes snapshots" + remedy}, nil
	case snapshots == "":
		return []string{"Redis keeps nothing on disk" + remedy}, nil
	default:
		return nil, nil
	}
}
