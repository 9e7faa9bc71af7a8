//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/hibiken/asynq"
	"golang.org/x/time/rate"

	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/tasks"
)

// The parts of the rivals.
const (
	roleCall  = "call"
	rolePlain = "plain"

	// plainAtOnce is more than the quota and the latency call for.
	plainAtOnce = 32
)

// grant sends the one call of one pair. Like most people who write this, it
// looks at the error and not at the rows of an answer that says success.
func grant(ctx context.Context, client *quickbi.Client, p pair) error {
	_, err := client.SmartqAuthorize(ctx, quickbi.SmartqAuthorizeRequest{
		Operation: quickbi.SmartqGrant, UserIDs: []string{p.user}, LlmCubes: []string{p.resource}, ExpireDay: expiry.String(),
	})
	return err
}

func newClient() (*quickbi.Client, error) {
	return quickbi.New(os.Getenv("QUICKBI_ENDPOINT"), quickbi.StaticCredentials(quickbi.Credentials{
		AccessKeyID: os.Getenv("ALIBABA_CLOUD_ACCESS_KEY_ID"), AccessKeySecret: os.Getenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
	}), quickbi.Options{})
}

// beCall sends one signed call, as a command line tool does.
func beCall(ctx context.Context, args []string) error {
	client, err := newClient()
	if err != nil {
		return err
	}
	return grant(ctx, client, pair{args[0], args[1]})
}

// bePlain works until it is told to stop.
func bePlain(ctx context.Context, args []string) error {
	client, err := newClient()
	if err != nil {
		return err
	}
	queue, err := tasks.OpenRedis(ctx, args[0])
	if err != nil {
		return err
	}
	defer queue.Close()
	limiter := rate.NewLimiter(busyRate, busyRate)
	server := asynq.NewServerFromRedisClient(queue, asynq.Config{Concurrency: plainAtOnce, LogLevel: asynq.ErrorLevel})
	err = server.Start(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		user, resource, ok := strings.Cut(string(t.Payload()), " ")
		if !ok {
			return fmt.Errorf("%q is not a pair: %w", t.Payload(), asynq.SkipRetry)
		}
		if err := limiter.Wait(ctx); err != nil {
			return err
		}
		return grant(ctx, client, pair{user, resource})
	}))
	if err != nil {
		return err
	}
	<-ctx.Done()
	server.Shutdown()
	return nil
}
