//go:build unix

package devstack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// ports are where the servers of a stack listen on loopback; 0 is nowhere.
type ports struct{ postgres, redis int }

func loopbackPorts(ctx context.Context) (p ports, err error) {
	for _, port := range []*int{&p.postgres, &p.redis} {
		if *port, err = FreePort(ctx); err != nil {
			return ports{}, err
		}
	}
	return p, nil
}

// The range is below that from which systems take the ports of outgoing
// connections: a server that is stopped for a while finds its port free again.
const (
	firstPort = 15_000
	lastPort  = 30_000
	portTries = 100
)

// FreePort returns a port of 127.0.0.1 on which nobody listens, and which no
// outgoing connection will be given.
func FreePort(ctx context.Context) (int, error) {
	var listen net.ListenConfig
	for range portTries {
		port := firstPort + rand.N(lastPort-firstPort)
		l, err := listen.Listen(ctx, "tcp", loopback(port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// PostgresAddr is where Postgres listens beside its socket, as HOST:PORT, and
// "" without Options.TCP. RedisAddr is the same of Redis.
func (s *Stack) PostgresAddr() string { return address(s.ports.postgres) }

// RedisAddr is where Redis listens: see [Stack.PostgresAddr].
func (s *Stack) RedisAddr() string { return address(s.ports.redis) }

func address(port int) string {
	if port == 0 {
		return ""
	}
	return loopback(port)
}

// listenArgs are the settings of a Postgres that listens on a port of loopback.
func listenArgs(port int) []string {
	if port == 0 {
		return []string{"-c", "listen_addresses="}
	}
	return []string{"-c", "listen_addresses=127.0.0.1", "-c", fmt.Sprintf("port=%d", port)}
}
