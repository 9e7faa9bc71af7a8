package tasks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// The keys below are those of asynq 0.26, whose Inspector can do none of this by
// compare and set, and needs a round trip a task. All keys of a script belong to
// one queue, so they share a slot of a cluster.
const (
	asynqPrefix = "asynq:{"
	asynqQueues = "asynq:queues"
)

func keysOf(queue string) string { return asynqPrefix + queue + "}:" }

// fate is what Redis knows of a task.
type fate int

const (
	waiting   fate = iota // queued
	delayed               // queued for later, by the clock of whoever queued it
	forgotten             // not there
	handed                // to a worker
	shelved               // archived or the like: it will not be handed out again by itself
)

// lookScript tells the states of tasks of one queue. A task whose hash is in no
// list any more would wait for ever, so its hash is deleted, as if all of it had
// been lost. The pending list is searched only for tasks that are older than the
// one whose turn it is, and only when it is short: their age is by the clock of
// whoever queued them, and a task that is there twice is worse than one that is
// missed until later.
//
//nolint:dupword // blocks of Lua end in a row
var lookScript = redis.NewScript(`
local queue = ARGV[1]
local turn = math.huge
for _, id in ipairs(redis.call('LRANGE', KEYS[1], -20, -1)) do
	local since = redis.call('HGET', queue .. 't:' .. id, 'pending_since')
	if since then turn = math.min(turn, tonumber(since)) end
end
local states = {}
for i = 2, #ARGV do
	local id, key = ARGV[i], queue .. 't:' .. ARGV[i]
	local state, since = unpack(redis.call('HMGET', key, 'state', 'pending_since'))
	local held = state
	if state == 'pending' then
		local overdue = not since or tonumber(since) < turn
		held = not overdue or redis.call('LLEN', KEYS[1]) > 1000 or redis.call('LPOS', KEYS[1], id)
	elseif state == 'active' then
		held = redis.call('LPOS', queue .. 'active', id) or redis.call('ZSCORE', queue .. 'lease', id)
	elseif state then
		held = redis.call('ZSCORE', queue .. state, id)
	end
	if not held then
		redis.call('DEL', key)
		state = ''
	end
	states[i - 1] = state
end
return states`)

// lookAtOnce bounds for how long one run of a script keeps Redis from others.
const lookAtOnce = 200

// fates looks up what Redis knows of tasks.
func (q *Queue) fates(ctx context.Context, tasks []store.Queued) ([]fate, error) {
	byQueue := map[string][]int{}
	for i, t := range tasks {
		name := queueName(t.Action, t.Lane)
		byQueue[name] = append(byQueue[name], i)
	}
	fates := make([]fate, len(tasks))
	for name, places := range byQueue {
		for some := range slices.Chunk(places, lookAtOnce) {
			args := []any{keysOf(name)}
			for _, i := range some {
				args = append(args, taskID(tasks[i].TaskRef, tasks[i].Generation))
			}
			states, err := lookScript.Run(ctx, q.redis, []string{keysOf(name) + "pending"}, args...).StringSlice()
			if err != nil {
				return nil, fmt.Errorf("looking for tasks: %w: %w", ErrRedisUnavailable, err)
			}
			for k, i := range some {
				fates[i] = fateOf(states[k])
			}
		}
	}
	return fates, nil
}

func fateOf(state string) fate {
	switch state {
	case "":
		return forgotten
	case "pending":
		return waiting
	case "scheduled", "retry":
		return delayed
	case "active":
		return handed
	default:
		return shelved
	}
}

// ghostScript clears what is in work according to a queue, and cannot be: entries
// without a lease, which asynq never recovers; leases without an entry, likewise;
// entries without a message, which it can hand to nobody. asynq writes all three
// at once. It returns the ids.
//
//nolint:dupword // blocks of Lua end in a row
var ghostScript = redis.NewScript(`
local queue, entries, cleared = ARGV[1], {}, {}
local function clear(id)
	redis.call('LREM', KEYS[1], 0, id)
	redis.call('ZREM', KEYS[2], id)
	if redis.call('HGET', queue .. 't:' .. id, 'state') == 'active' then
		redis.call('DEL', queue .. 't:' .. id)
	end
	table.insert(cleared, id)
end
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
	entries[id] = true
	if not redis.call('ZSCORE', KEYS[2], id) or redis.call('HEXISTS', queue .. 't:' .. id, 'msg') == 0 then
		clear(id)
	end
end
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
	if not entries[id] then clear(id) end
end
return cleared`)

// clearGhosts clears all queues of ghosts and returns the tasks they were of.
func (q *Queue) clearGhosts(ctx context.Context) ([]store.TaskRef, error) {
	var refs []store.TaskRef
	for name := range allQueues() {
		keys := []string{keysOf(name) + "active", keysOf(name) + "lease"}
		ids, err := ghostScript.Run(ctx, q.redis, keys, keysOf(name)).StringSlice()
		if err != nil {
			return refs, fmt.Errorf("clearing ghosts: %w: %w", ErrRedisUnavailable, err)
		}
		for _, id := range ids {
			ref, _, _ := parseTaskID(id) // of what is none of ours: no job in particular
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// handedOut lists the tasks that workers have in hand, according to Redis.
func (q *Queue) handedOut(ctx context.Context) ([]store.Queued, error) {
	var tasks []store.Queued
	for name, task := range allQueues() {
		ids, err := q.redis.LRange(ctx, keysOf(name)+"active", 0, page-1).Result()
		if err != nil {
			return nil, fmt.Errorf("listing tasks in work: %w: %w", ErrRedisUnavailable, err)
		}
		for _, id := range ids {
			if task.TaskRef, task.Generation, err = parseTaskID(id); err == nil {
				tasks = append(tasks, task)
			}
		}
	}
	return tasks, nil
}

// message is a task as it lies in Redis.
type message struct {
	queue string
	task  store.Queued
	stuck bool // nobody works on it, although Redis says so
}

// scan lists some of the tasks in Redis, whatever their state, and where to go
// on; that is 0 at the end. A task that is there all the time is listed at least
// once from one 0 to the next.
func (q *Queue) scan(ctx context.Context, from uint64) (found []message, next uint64, err error) {
	keys, next, err := q.redis.Scan(ctx, from, asynqPrefix+"*}:t:*", page).Result()
	if err != nil {
		return nil, from, fmt.Errorf("listing tasks: %w: %w", ErrRedisUnavailable, err)
	}
	known := allQueues()
	for _, key := range keys {
		name, id, _ := strings.Cut(strings.TrimPrefix(key, asynqPrefix), "}:t:")
		task, ours := known[name]
		if task.TaskRef, task.Generation, err = parseTaskID(id); err == nil && ours {
			found = append(found, message{queue: name, task: task})
		}
	}
	return found, next, nil
}

// dropScript removes a task from one queue. What a worker may have in hand goes
// only when that is said to be so.
var dropScript = redis.NewScript(`
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'active' then
	if ARGV[3] == '0' and redis.call('ZSCORE', ARGV[1] .. 'lease', ARGV[2]) then return 0 end
	redis.call('LREM', ARGV[1] .. 'active', 0, ARGV[2])
	redis.call('ZREM', ARGV[1] .. 'lease', ARGV[2])
elseif state == 'pending' then
	redis.call('LREM', ARGV[1] .. 'pending', 0, ARGV[2])
elseif state then
	redis.call('ZREM', ARGV[1] .. state, ARGV[2])
end
return redis.call('DEL', KEYS[1])`)

// drop removes a task for which there is nothing left to do, and reports
// whether it did. What a worker has in hand is left to it, unless m is stuck.
func (q *Queue) drop(ctx context.Context, m message) (bool, error) {
	id, stuck := taskID(m.task.TaskRef, m.task.Generation), 0
	if m.stuck {
		stuck = 1
	}
	n, err := dropScript.Run(ctx, q.redis, []string{keysOf(m.queue) + "t:" + id}, keysOf(m.queue), id, stuck).Int()
	if err != nil {
		return false, fmt.Errorf("removing task %s: %w: %w", id, ErrRedisUnavailable, err)
	}
	return n == 1, nil
}

// nameQueues tells Redis the names of all queues, and returns how many it did
// not know. asynq tells them once in the life of a client; without them nobody
// can list or look into a queue.
func (q *Queue) nameQueues(ctx context.Context) (int64, error) {
	all := allQueues()
	names := make([]any, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	added, err := q.redis.SAdd(ctx, asynqQueues, names...).Result()
	if err != nil {
		return 0, fmt.Errorf("naming the queues: %w: %w", ErrRedisUnavailable, err)
	}
	return added, nil
}

// allQueues lists the queues of every action and lane, with what a task in them
// has in common.
func allQueues() map[string]store.Queued {
	all := map[string]store.Queued{}
	for _, action := range access.Actions() {
		for _, lane := range store.Lanes() {
			all[queueName(action, lane)] = store.Queued{Action: action, Lane: lane}
		}
	}
	return all
}
