package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// probes answers whether the worker is well.
type probes struct {
	db       *store.Store
	redis    redis.UniversalClient
	stopping <-chan struct{}
}

func newMux(p probes, registry *prometheus.Registry) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", p.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready    bool      `json:"ready"`
	Problems []string  `json:"problems"`
	Stopped  []stopped `json:"stopped_actions"`
	Paused   []paused  `json:"paused"`
}

// paused is what an operator has paused. Who did it, and why, is for "enqueue
// status" to tell: people and their words stay out of here.
type paused struct {
	store.Target

	Since time.Time `json:"since"`
}

// stopped is a stop with what the person should do about it.
type stopped struct {
	store.Stop

	Hint string `json:"hint"`
}

// ready answers 200 when tasks can be worked on, else 503 with the reasons,
// within a second whoever hangs. An action that is stopped for the account is
// listed, but the worker is ready: it probes. So is what an operator has paused.
func (p probes) ready(w http.ResponseWriter, r *http.Request) {
	answer := p.ask(r.Context())
	w.Header().Set("Content-Type", "application/json")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		return // the reader has left
	}
}

// ask asks Postgres and Redis at once, so that one that hangs is not taken for
// both.
func (p probes) ask(ctx context.Context) readiness {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var (
		stops               []store.Stop
		pauses              []store.Pause
		noPostgres, noRedis error
		both                sync.WaitGroup
	)
	both.Go(func() {
		if stops, noPostgres = p.db.Stops(ctx); noPostgres == nil {
			pauses, noPostgres = p.db.Pauses(ctx)
		}
	})
	both.Go(func() { noRedis = tasks.PingRedisInTime(ctx, p.redis) })
	both.Wait()

	answer := readiness{Problems: []string{}, Stopped: []stopped{}, Paused: []paused{}}
	select {
	case <-p.stopping:
		answer.Problems = append(answer.Problems, "the worker is stopping")
	default:
	}
	if noPostgres != nil {
		answer.Problems = append(answer.Problems, "Postgres: "+noPostgres.Error())
	}
	if noRedis != nil {
		answer.Problems = append(answer.Problems, "Redis: "+noRedis.Error())
	}
	for _, s := range stops {
		answer.Stopped = append(answer.Stopped, stopped{Stop: s, Hint: quickbi.HintFor(s.Code)})
	}
	for _, held := range pauses {
		answer.Paused = append(answer.Paused, paused{Target: held.Target, Since: held.Since})
	}
	answer.Ready = len(answer.Problems) == 0
	return answer
}

// patience leaves some of the second for the answer itself.
const patience = 900 * time.Millisecond
