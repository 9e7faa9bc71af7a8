//go:build unix

package devstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const redisSocket = "redis.sock"

type redisSpec struct {
	bin     string
	durable bool
	port    int // 0: the socket only
	args    []string
}

// newRedis describes a Redis in at. It never evicts, as production must not.
func newRedis(at site, spec redisSpec) *Server {
	argv := []string{
		spec.bin, "--port", strconv.Itoa(spec.port), "--bind", "127.0.0.1", "--unixsocket", redisPath(at.dir), "--unixsocketperm", "700",
		"--dir", at.dir, "--databases", strconv.Itoa(RedisDatabases),
		"--maxmemory-policy", "noeviction", "--save", "",
	}
	if spec.durable {
		argv = append(argv, "--appendonly", "yes")
	}
	return &Server{
		name:    "redis",
		site:    at,
		argv:    append(argv, spec.args...),
		death:   syscall.SIGKILL,
		endings: []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL},
		ready:   func(ctx context.Context) error { return redisDo(ctx, at.dir, "PING") },
	}
}

// RedisURL returns the URL of a logical database of s, from 0 to
// [RedisDatabases] - 1, in the form that asynq.ParseRedisURI reads:
// redis-socket://PATH?db=N. go-redis reads the same with the scheme unix.
func (s *Stack) RedisURL(db int) string {
	u := url.URL{Scheme: "redis-socket", Path: redisPath(s.dir), RawQuery: "db=" + strconv.Itoa(db)}
	return u.String()
}

// FlushRedis empties a logical database.
func (s *Stack) FlushRedis(ctx context.Context, db int) error {
	return redisDo(ctx, s.dir, fmt.Sprintf("SELECT %d", db), "FLUSHDB")
}

func redisPath(dir string) string { return filepath.Join(dir, redisSocket) }

// redisDo sends commands in the inline form of the protocol. Any answer that
// begins with a plus is a success.
func redisDo(ctx context.Context, dir string, commands ...string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", redisPath(dir))
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	answers := bufio.NewReader(conn)
	for _, command := range commands {
		if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
			return err
		}
		answer, err := answers.ReadString('\n')
		if err != nil {
			return err
		}
		if !strings.HasPrefix(answer, "+") {
			return errors.New("redis: " + strings.TrimSpace(answer))
		}
	}
	return nil
}
