// Package tasks is where Postgres, Redis and Quick BI meet: it submits jobs,
// queues their tasks, works on them and repairs what was lost on the way.
package tasks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
)

// Options adjusts a Worker. Name and Rate are required.
type Options struct {
	Name        string                      // of this life of this process, in claims and the audit: never used again
	Rate        func(access.Action) float64 // calls a second of an action, of all workers together
	MinShare    float64                     // of the calls, for a lane that others go before; 0 means none
	Concurrency int                         // tasks at once per action and lane; 0 means those of a second at the rate, 24 to 256
	MaxStrikes  int                         // see Task.Strikes; 0 means 6
	Backoff     time.Duration               // before the first repeat of a call; doubles; 0 means 1s
	CallTimeout time.Duration               // what the client allows one call; 0 means 15s
	Lease       time.Duration               // of a claim; 0 means 2m
	LateFor     time.Duration               // how long a call that was never answered may still take effect; 0 means 4 CallTimeouts
	Alive       time.Duration               // a worker that was not heard of for that long loses its claims; 0 means 10s
	Drain       time.Duration               // for calls in flight when stopping; 0 means 25s
	Sweep       time.Duration               // between rounds of the reconciler; 0 means 15s
	ProbeFirst  time.Duration               // after a stop; 0 means 1m
	ProbeMost   time.Duration               // between two probes; 0 means 15m
	Location    *time.Location              // where a day ends for Quick BI; nil means China
	Registry    prometheus.Registerer       // nil means one of its own
	Chores      []Chore
}

func (o Options) withDefaults() Options {
	o.MaxStrikes = defaulted(o.MaxStrikes, 6)
	o.Backoff = defaulted(o.Backoff, time.Second)
	o.CallTimeout = defaulted(o.CallTimeout, 15*time.Second)
	o.Lease = defaulted(o.Lease, 2*time.Minute)
	o.LateFor = defaulted(o.LateFor, 4*o.CallTimeout)
	o.Alive = defaulted(o.Alive, 10*time.Second)
	o.Drain = defaulted(o.Drain, 25*time.Second)
	o.Sweep = defaulted(o.Sweep, 15*time.Second)
	o.ProbeFirst = defaulted(o.ProbeFirst, time.Minute)
	o.ProbeMost = defaulted(o.ProbeMost, 15*time.Minute)
	if o.Location == nil {
		o.Location = time.FixedZone("Asia/Shanghai", 8*60*60)
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	return o
}

func defaulted[T int | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

// Worker works on the tasks in the queue until it is told to stop.
type Worker struct {
	store    *store.Store
	redis    redis.UniversalClient
	queue    *Queue
	options  Options
	log      zerolog.Logger
	metrics  *metrics
	handlers map[access.Action]*handler
	limits   *limits
	costs    *costs
	absence  *absence    // of Redis
	memory   memory      // of the reconciler
	audit    auditKeeper // of the reconciler
	gate     *gate
	alive    atomic.Int64  // workers that were heard of lately
	hurry    chan struct{} // the next round of repair is due; capacity 1
	stopping chan struct{}
	gone     chan struct{} // closed when the time to stop in is over
	busy     sync.WaitGroup
}

// NewWorker returns a worker. It sends nothing. The caller closes what it
// passed in, after Run has returned.
func NewWorker(s *store.Store, queue redis.UniversalClient, client *quickbi.Client, log zerolog.Logger, o Options) *Worker {
	o = o.withDefaults()
	w := &Worker{
		store: s, redis: queue, queue: NewQueue(queue), options: o, log: log, metrics: newMetrics(o.Registry),
		absence: &absence{server: "Redis", log: log, grace: time.Second}, memory: newMemory(), audit: auditKeeper{sealer: s.NewSealer()},
		handlers: map[access.Action]*handler{}, hurry: make(chan struct{}, 1), stopping: make(chan struct{}), gone: make(chan struct{}),
		costs: &costs{},
	}
	w.gate = newGate(Outage{
		Name: "Postgres", Log: log, Ask: w.askPostgres,
		Passing: func(err error) bool { return errors.Is(err, store.ErrUnavailable) },
	}, w.metrics.postgres)
	o.Registry.MustRegister(newRates(queue), newWatch(s))
	var shared trust
	limiters := w.newLimiters()
	w.limits = w.newLimits(limiters)
	for _, action := range access.Actions() {
		w.handlers[action] = &handler{
			store: s, queue: w.queue, quickbi: client, limiters: limiters, trust: &shared, log: log,
			metrics: w.metrics, costs: w.costs, options: o, gate: w.gate, stopping: w.stopping, gone: w.gone,
		}
	}
	return w
}

// Run works until ctx is done, and then drains: it takes no further task, lets
// calls in flight finish and records them, and gives everything else back. While
// Postgres is away it waits. Handlers do not run under ctx. Run may be called
// once.
func (w *Worker) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	var vital sync.WaitGroup
	defer vital.Wait()
	defer end()
	vital.Go(func() { w.gate.run(life) })
	err := w.gate.persist(ctx, func() error { return w.gate.outage.ask(ctx) })
	if ctx.Err() != nil {
		return nil // stopped before it began
	}
	if err != nil {
		return err
	}
	vital.Go(func() { w.keepBeating(life) })
	err = w.work(ctx)
	end()
	vital.Wait() // no beat follows
	w.leave(ctx)
	return err
}

// work works for as long as Run does. It lives on while it drains.
func (w *Worker) work(ctx context.Context) error {
	if err := w.gate.persist(ctx, func() error { return w.limits.learn(ctx) }); err != nil && ctx.Err() == nil {
		return err
	}
	servers, err := w.start(ctx)
	if err == nil {
		background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
		var loops sync.WaitGroup
		loops.Go(func() { w.reconcile(background) })
		loops.Go(func() { w.watchStops(background) })
		loops.Go(func() { w.feed(background) })
		loops.Go(func() { w.keepLimits(background) })
		loops.Go(func() { w.keepCosts(background) })
		for _, c := range w.options.Chores {
			loops.Go(func() { w.keepDoing(background, c) })
		}
		<-ctx.Done()
		w.log.Info().Dur("within", w.options.Drain).Msg("stopping: calls in flight finish, the rest is given back")
		stopBackground()
		defer loops.Wait()
	}
	return errors.Join(err, w.drain(servers))
}

// start starts a server for each action and lane, so that a flood of one cannot
// starve another: what waits for the rate in a lane holds the handlers of that
// lane only. They fetch tasks until ctx is done.
func (w *Worker) start(ctx context.Context) ([]*asynq.Server, error) {
	var servers []*asynq.Server
	for action, h := range w.handlers {
		for _, lane := range store.Lanes() {
			in := newRoom(func() int { return w.handlersOf(action) })
			client := &serverRedis{UniversalClient: w.redis, absence: w.absence, room: in, fetching: ctx}
			srv := asynq.NewServerFromRedisClient(client, w.serverConfig(store.ActionLane{Action: action, Lane: lane}))
			if err := srv.Start(w.handling(h, in)); err != nil {
				return servers, fmt.Errorf("starting the server of %s: %w: %w", action, ErrRedisUnavailable, err)
			}
			servers = append(servers, srv)
		}
	}
	return servers, nil
}

// handling has h work on what was fetched for a room.
func (w *Worker) handling(h *handler, in *room) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		w.busy.Add(1)
		defer w.busy.Done()
		in.enter()
		defer in.leave()
		return h.ProcessTask(ctx, t)
	}
}

// Handlers are needed for the tasks whose calls are on their way or wait for
// their turn: at least so many, for calls that take long at a low rate, and at
// most so many.
const leastHandlers, mostHandlers = 24, 256

// handlersFor is how many tasks of a lane are worked on at once, at so many calls
// a second: enough for calls of a second.
func handlersFor(rate float64) int {
	return int(min(max(math.Ceil(rate), leastHandlers), mostHandlers))
}

// handlersOf is how many tasks of an action are worked on at once in each lane:
// enough for what is configured, and for what an operator has set since.
func (w *Worker) handlersOf(action access.Action) int {
	return defaulted(w.options.Concurrency, handlersFor(max(w.options.Rate(action), w.limits.inForce(action))))
}

func (w *Worker) serverConfig(of store.ActionLane) asynq.Config {
	check := 200 * time.Millisecond
	if of.Lane == store.Urgent {
		check /= 2
	}
	return asynq.Config{
		Concurrency: defaulted(w.options.Concurrency, mostHandlers), // see [room]
		Queues:      map[string]int{queueName(of.Action, of.Lane): 1},
		// Only infrastructure errors come back to asynq, so the wait is short and
		// none of them is the task's failure.
		IsFailure:                func(error) bool { return false },
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return 2*time.Second + rand.N(3*time.Second) },
		ShutdownTimeout:          w.options.Drain,
		TaskCheckInterval:        check,
		DelayedTaskCheckInterval: time.Second,
		Logger: asynqLogger{
			w.log.With().Str("part", "asynq").Str("action", string(of.Action)).Str("lane", string(of.Lane)).Logger(), w.absence,
		},
		LogLevel: asynq.WarnLevel,
	}
}

// drain stops in the one order that loses nothing: no new tasks, no new calls,
// then wait for the handlers, including those that asynq has given up on.
func (w *Worker) drain(servers []*asynq.Server) error {
	var fetching, down sync.WaitGroup
	for _, srv := range servers {
		fetching.Go(srv.Stop) // which waits until a fetch is over
	}
	fetching.Wait()
	close(w.stopping)
	for _, srv := range servers {
		down.Go(srv.Shutdown)
	}
	down.Wait()
	idle := make(chan struct{})
	go func() {
		w.busy.Wait()
		close(idle)
	}()
	late := time.AfterFunc(lastWords, func() { close(w.gone) })
	defer late.Stop()
	select {
	case <-idle:
		return nil
	case <-time.After(lastWords + goodbye):
		return errors.New("calls were still in flight at exit; they are settled when their claims end")
	}
}

// lastWords is how long, after asynq has shut down, a handler may still take to
// record its last answer, and goodbye how long to notice that it may no more.
const lastWords, goodbye = 5 * time.Second, time.Second

// asynqLogger sends what asynq says to zerolog. While Redis is away all of it is
// about that, and is said once, in other words: see [absence].
type asynqLogger struct {
	log   zerolog.Logger
	redis *absence
}

func (l asynqLogger) Debug(args ...any) { l.say(zerolog.DebugLevel, args) }
func (l asynqLogger) Info(args ...any)  { l.say(zerolog.InfoLevel, args) }
func (l asynqLogger) Warn(args ...any)  { l.say(zerolog.WarnLevel, args) }
func (l asynqLogger) Error(args ...any) { l.say(zerolog.ErrorLevel, args) }

// Fatal does not exit: only main does.
func (l asynqLogger) Fatal(args ...any) { l.log.Error().Msg(fmt.Sprint(args...)) }

func (l asynqLogger) say(level zerolog.Level, args []any) {
	if l.redis.away() {
		level = zerolog.DebugLevel
	}
	l.log.WithLevel(level).Msg(fmt.Sprint(args...))
}

// pause waits for d and reports whether ctx lasted that long.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
