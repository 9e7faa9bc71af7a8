package tasks

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ErrRedisUnavailable means that Redis could not be asked.
var ErrRedisUnavailable = errors.New("redis is unavailable")

// errRedisURL quotes nothing of the URL, which may hold a password.
var errRedisURL = errors.New("not a Redis URL; write e.g. redis://user:password@host:6379/0, with special characters of the password percent-encoded")

// CheckRedisURL reports whether rawURL can be used at all. It sends nothing.
func CheckRedisURL(rawURL string) error {
	client, err := newRedis(rawURL)
	if err != nil {
		return err
	}
	return client.Close()
}

// OpenRedis connects to rawURL: redis://, rediss://, unix:// or
// redis-socket:// (a socket's path, ?db=N), redis-sentinel:// (a list of
// sentinels, /N, ?master=NAME). It asks Redis once, so that a wrong address
// shows here. No error holds the URL's password.
func OpenRedis(ctx context.Context, rawURL string) (redis.UniversalClient, error) {
	client, err := newRedis(rawURL)
	if err != nil {
		return nil, err
	}
	if err := PingRedis(ctx, client); err != nil {
		_ = client.Close()
		return nil, err
	}
	return client, nil
}

// PingRedis asks Redis for an answer.
func PingRedis(ctx context.Context, client redis.UniversalClient) error {
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrRedisUnavailable, err)
	}
	return nil
}

// PingRedisInTime is [PingRedis], but returns the error of ctx as soon as that
// ends: the client reads for as long as it is set up to, whatever the context says.
func PingRedisInTime(ctx context.Context, client redis.UniversalClient) error {
	done := make(chan error, 1)
	go func() { done <- PingRedis(ctx, client) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newRedis makes a client and sends nothing. Push notifications about planned
// maintenance are off: only Redis Cloud sends them, and they keep goroutines.
func newRedis(rawURL string) (redis.UniversalClient, error) {
	if strings.HasPrefix(rawURL, "redis-sentinel://") {
		return newSentinel(rawURL)
	}
	// asynq's name for a socket, so that one URL serves every tool.
	if path, ok := strings.CutPrefix(rawURL, "redis-socket://"); ok {
		rawURL = "unix://" + path
	}
	opts, err := redis.ParseURL(rawURL)
	if err != nil {
		return nil, errRedisURL // what the parser says may quote a password
	}
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(opts), nil
}

func newSentinel(rawURL string) (redis.UniversalClient, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errRedisURL
	}
	opts := &redis.FailoverOptions{MasterName: u.Query().Get("master"), SentinelAddrs: strings.Split(u.Host, ",")}
	if opts.MasterName == "" {
		return nil, fmt.Errorf("%w: redis-sentinel:// needs ?master=NAME", errRedisURL)
	}
	if u.User != nil {
		opts.Username = u.User.Username()
		opts.Password, _ = u.User.Password()
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		if opts.DB, err = strconv.Atoi(db); err != nil {
			return nil, fmt.Errorf("%w: what follows the last slash is not a database number", errRedisURL)
		}
	}
	return redis.NewFailoverClient(opts), nil
}
