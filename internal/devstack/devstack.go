//go:build unix

// Package devstack starts a private PostgreSQL and Redis from the programs
// installed on this machine. It serves the tests and the demo; production
// programs are given the URLs of real servers and never import it.
//
// The servers listen on Unix sockets in one private directory, and on a port of
// loopback only where that is asked for, so any number of stacks run beside each
// other and beside the servers of the machine. They end with the program that started them, whichever way
// it ends (on Linux; elsewhere a killed program leaves them running), and a
// directory that a crash left behind is removed by the next Start.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// RedisDatabases is the number of logical databases of a stack's Redis.
const RedisDatabases = 1000

// startLimit bounds Start. A loaded machine with two cores needs two seconds.
const startLimit = time.Minute

// Options adjusts a Stack. The zero value starts both servers, set up for
// tests: fast, and careless about what a power cut would leave.
type Options struct {
	// Dir is the existing folder in which the stack makes its directory. It
	// must be short (70 bytes are always short enough) and, when root starts
	// the stack, open to other users. Empty means the system's folder for
	// temporary files.
	Dir string

	// BinDirs are searched, in order, for the programs of the servers. Nil
	// means PATH, then /usr/lib/postgresql/*/bin with the newest version
	// first, then /usr/local/bin.
	BinDirs []string

	// Durable makes the servers write to disk as production does: PostgreSQL
	// syncs, Redis keeps an append-only file.
	Durable bool

	// TCP makes the servers listen on free ports of 127.0.0.1 as well, for
	// those who must put something in between: see [Stack.PostgresAddr] and
	// [Stack.RedisAddr]. Whoever is on the machine may log in there.
	TCP bool

	// RedisArgs are added to the command line of redis-server, and win.
	RedisArgs []string

	// NoPostgres and NoRedis leave a server out.
	NoPostgres, NoRedis bool
}

// Stack is a pair of running servers. Its methods may be called from several
// goroutines.
type Stack struct {
	dir      string
	lock     *os.File
	ports    ports
	postgres *Server // nil if left out, like redis
	redis    *Server
	clone    sync.Mutex
	stop     func() error
}

// Start starts the servers of o and waits until they answer. ctx bounds the
// starting only: the servers run until [Stack.Stop]. After an error nothing is
// left behind. A program that is not installed is a [MissingError].
func Start(ctx context.Context, o Options) (*Stack, error) {
	bins, err := findPrograms(o)
	if err != nil {
		return nil, err
	}
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, lock, err := privateDir(o.Dir, as)
	if err != nil {
		return nil, err
	}
	s := &Stack{dir: dir, lock: lock}
	s.stop = sync.OnceValue(s.stopAll)
	site := site{dir: dir, as: as}
	if o.TCP {
		if s.ports, err = loopbackPorts(ctx); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	if !o.NoPostgres {
		s.postgres = newPostgres(site, postgresSpec{bin: bins.postgres, durable: o.Durable, port: s.ports.postgres})
	}
	if !o.NoRedis {
		s.redis = newRedis(site, redisSpec{bin: bins.redis, durable: o.Durable, port: s.ports.redis, args: o.RedisArgs})
	}
	if err := s.startAll(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// startAll starts the servers side by side.
func (s *Stack) startAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return s.each(func(server *Server) error { return server.Start(ctx) })
}

// each does f to all servers at once.
func (s *Stack) each(f func(*Server) error) error {
	var (
		wg      sync.WaitGroup
		servers = [...]*Server{s.postgres, s.redis}
		errs    [len(servers)]error
	)
	for i, server := range servers {
		if server != nil {
			wg.Go(func() { errs[i] = f(server) })
		}
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// Stop ends the servers and removes their directory. It asks politely first
// and kills in the end, so it is bounded to half a minute; usually it takes a
// tenth of a second. A second Stop returns what the first one did.
func (s *Stack) Stop() error { return s.stop() }

func (s *Stack) stopAll() error {
	err := errors.Join(s.each((*Server).Stop), removeDir(s.dir), s.lock.Close())
	if err != nil {
		return fmt.Errorf("stopping private servers: %w", err)
	}
	return nil
}

// Dir is the private directory: data, sockets, and the logs postgres.log and
// redis.log.
func (s *Stack) Dir() string { return s.dir }

// Postgres is the PostgreSQL of s, to stop it and start it again under a
// program that has to bear that. It is nil if it was left out.
func (s *Stack) Postgres() *Server { return s.postgres }

// Redis is the Redis of s, like [Stack.Postgres]. Unless Durable it forgets
// everything when it stops.
func (s *Stack) Redis() *Server { return s.redis }

// logTail returns the end of a server's log for an error message.
func logTail(path string) string {
	const keep = 2000
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-keep):])
}
