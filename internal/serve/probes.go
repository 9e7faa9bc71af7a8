package serve

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/usher-bi/usher/internal/tasks"
)

func healthy(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// readiness is the answer of /readyz. Its JSON is API.
type readiness struct {
	Ready    bool     `json:"ready"`
	Problems []string `json:"problems"`
}

// readyWithin leaves some of a second for the answer itself.
const readyWithin = 900 * time.Millisecond

// ready answers 200 when jobs can be accepted, else 503 with the reasons, within
// a second whoever hangs.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	var postgres, redis error
	var both sync.WaitGroup
	both.Go(func() { postgres = s.options.Store.CheckSchema(ctx) })
	both.Go(func() { redis = tasks.PingRedisInTime(ctx, s.options.Lookout.Redis) })
	both.Wait()
	answer := readiness{Problems: []string{}}
	select {
	case <-s.stopping:
		answer.Problems = append(answer.Problems, "the server is stopping")
	default:
	}
	if postgres != nil {
		answer.Problems = append(answer.Problems, "Postgres: "+postgres.Error())
	}
	if redis != nil {
		answer.Problems = append(answer.Problems, "Redis: "+redis.Error())
	}
	status := http.StatusOK
	if answer.Ready = len(answer.Problems) == 0; !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	_ = reply(w, status, answer) // whoever does not read it has left
}

//go:embed openapi.json
var openapi []byte

// describe answers with the description of all of this.
func describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(openapi) // whoever does not read it has left
}
