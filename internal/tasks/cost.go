package tasks

import (
	"context"
	_ "embed" // the script
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

//go:embed cost.lua
var costSource string

var costScript = redis.NewScript(costSource)

// costTasks is the field that counts tasks; the others are named after the
// operations whose calls they count.
const costTasks = "tasks"

// costKey is where Redis keeps what tasks of an action cost.
func costKey(action access.Action) string { return "usher:cost:" + string(action) }

// spent is what was spent on tasks of an action.
type spent struct {
	calls map[access.Action]int // by operation, without those that were throttled
	tasks int                   // by how many fewer there are since: a task that was cut makes more of them
}

// add adds what one attempt at a task took.
func (s *spent) add(other spent) {
	if s.calls == nil {
		s.calls = map[access.Action]int{}
	}
	for operation, n := range other.calls {
		s.calls[operation] += n
	}
	s.tasks += other.tasks
}

// call adds a call.
func (s *spent) call(operation access.Action) {
	s.add(spent{calls: map[access.Action]int{operation: 1}})
}

// end adds what becomes of a task when a verdict has been carried out.
func (s *spent) end(task store.Task, v verdict) {
	if v.kind != finish && v.kind != cut {
		return
	}
	s.tasks++
	for _, part := range v.parts {
		switch {
		case part.Done:
		case part.Action == task.Action:
			s.tasks--
		default: // a call at least, of another action
			s.call(part.Action)
		}
	}
}

// costs gathers what tasks cost in this process.
type costs struct {
	mu sync.Mutex
	of map[access.Action]spent
}

func (c *costs) add(action access.Action, s spent) {
	if len(s.calls) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[access.Action]spent{}
	}
	sum := c.of[action]
	sum.add(s)
	c.of[action] = sum
}

// take returns what was gathered since it was last asked.
func (c *costs) take() map[access.Action]spent {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.of
	c.of = nil
	return of
}

// costsEvery is how often a worker tells what tasks cost.
const costsEvery = 2 * time.Second

// keepCosts tells Redis what tasks cost, until ctx is done. What it could not be
// told is told later.
func (w *Worker) keepCosts(ctx context.Context) {
	for pause(ctx, costsEvery) && w.absence.wait(ctx) {
		for action, s := range w.costs.take() {
			if tellCost(ctx, w.redis, action, s) != nil { // it is away, which others tell
				w.costs.add(action, s)
			}
		}
	}
}

func tellCost(ctx context.Context, client redis.UniversalClient, action access.Action, s spent) error {
	args := append(make([]any, 0, 2+2*len(s.calls)), costTasks, s.tasks)
	for operation, n := range s.calls {
		args = append(args, string(operation), n)
	}
	if err := costScript.Run(ctx, client, []string{costKey(action)}, args...).Err(); err != nil {
		return fmt.Errorf("telling what tasks cost: %w", err)
	}
	return nil
}

// cost is how many calls of each operation a task takes.
type cost map[access.Action]float64

// oneCall is what is taken where nothing was measured.
func oneCall(action access.Action) cost { return cost{action: 1} }

// readCosts returns what tasks of actions cost of late, of those where enough
// is known.
func readCosts(ctx context.Context, client redis.UniversalClient, actions []access.Action) (map[access.Action]cost, error) {
	pipe := client.Pipeline()
	known := make([]*redis.MapStringStringCmd, len(actions))
	for i, action := range actions {
		known[i] = pipe.HGetAll(ctx, costKey(action))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reading what tasks cost: %w", err)
	}
	out := map[access.Action]cost{}
	for i, action := range actions {
		if c := costOf(known[i].Val()); c != nil {
			out[action] = c
		}
	}
	return out, nil
}

// costOf reads what Redis keeps of an action: nil if that does not tell.
func costOf(fields map[string]string) cost {
	tasks, _ := strconv.ParseFloat(fields[costTasks], 64)
	if tasks < 1 {
		return nil
	}
	c := cost{}
	for _, operation := range paced() {
		if n, _ := strconv.ParseFloat(fields[string(operation)], 64); n > 0 {
			c[operation] = n / tasks
		}
	}
	if len(c) == 0 {
		return nil
	}
	return c
}

// operations lists what calls are made of.
func (c cost) operations() []access.Action { return slices.Collect(maps.Keys(c)) }
