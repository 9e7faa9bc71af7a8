//go:build unix

package devstack

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
)

const (
	postgresSocket = ".s.PGSQL.65535" // the longest; the port is part of the name even where it is not listened on
	postgresPort   = 5432             // unless it listens on another
	postgresName   = "postgres"       // of the program, its user, its superuser and its first database
)

type postgresSpec struct {
	bin     postgresPrograms
	durable bool
	port    int // 0: the socket only
}

// newPostgres describes a PostgreSQL in at. It has one superuser, postgres,
// without a password: who may enter the directory may log in.
func newPostgres(at site, spec postgresSpec) *Server {
	data := filepath.Join(at.dir, postgresName)
	argv := append([]string{
		spec.bin.server, "-D", data, "-k", at.dir, "-c", "unix_socket_permissions=0700", "-c", "max_connections=200",
	}, listenArgs(spec.port)...)
	initdb := []string{spec.bin.initdb, "-D", data, "-U", postgresName, "--auth=trust", "--no-locale", "-E", "UTF8"}
	if !spec.durable {
		initdb = append(initdb, "--no-sync")
		for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes", "autovacuum"} {
			argv = append(argv, "-c", setting+"=off")
		}
	}
	s := &Server{
		name:    postgresName,
		site:    at,
		argv:    argv,
		death:   syscall.SIGQUIT, // SIGKILL would leave its shared memory
		endings: []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL},
		ready: func(ctx context.Context) error {
			return execSQL(ctx, databaseURL(place{at.dir, spec.port}, postgresName), "SELECT 1")
		},
	}
	s.prepare = func(ctx context.Context) error { return s.run(at.command(ctx, syscall.SIGKILL, initdb...)) }
	return s
}

// DatabaseURL returns the URL of a database of s for its superuser. A new
// stack has one database, postgres, meant for maintenance.
func (s *Stack) DatabaseURL(db string) string { return databaseURL(place{s.dir, s.ports.postgres}, db) }

// Login names a database and the role to connect to it as.
type Login struct{ Role, Database string }

// RoleURL returns the URL of a database of s for a role other than the
// superuser.
func (s *Stack) RoleURL(l Login) string { return roleURL(place{s.dir, s.ports.postgres}, l) }

// place is where a Postgres has its socket, and the port that names it.
type place struct {
	dir  string
	port int
}

func databaseURL(at place, db string) string {
	return roleURL(at, Login{Role: postgresName, Database: db})
}

func roleURL(at place, l Login) string {
	query := url.Values{"host": {at.dir}, "port": {strconv.Itoa(cmp.Or(at.port, postgresPort))}}
	u := url.URL{Scheme: "postgres", User: url.User(l.Role), Path: "/" + l.Database, RawQuery: query.Encode()}
	return u.String()
}

// CreateRole makes a role that may log in and has no other right.
func (s *Stack) CreateRole(ctx context.Context, name string) error {
	return s.admin(ctx, "CREATE ROLE "+quoted(name)+" LOGIN")
}

// CreateDatabase makes an empty database.
func (s *Stack) CreateDatabase(ctx context.Context, name string) error {
	return s.admin(ctx, "CREATE DATABASE "+quoted(name))
}

// Clone names a database to copy and its copy.
type Clone struct{ Template, Name string }

// CloneDatabase makes a copy of a database that nobody is connected to. Calls
// queue up, because PostgreSQL does not copy one template twice at a time.
func (s *Stack) CloneDatabase(ctx context.Context, c Clone) error {
	s.clone.Lock()
	defer s.clone.Unlock()
	return s.admin(ctx, "CREATE DATABASE "+quoted(c.Name)+" TEMPLATE "+quoted(c.Template))
}

// SealDatabase refuses connections to a database from now on, so that it stays
// a template that can be cloned at any time.
func (s *Stack) SealDatabase(ctx context.Context, name string) error {
	return s.admin(ctx, "ALTER DATABASE "+quoted(name)+" ALLOW_CONNECTIONS false")
}

// DropDatabase removes a database and cuts whoever is connected to it. A
// database that does not exist is no error.
func (s *Stack) DropDatabase(ctx context.Context, name string) error {
	return s.admin(ctx, "DROP DATABASE IF EXISTS "+quoted(name)+" WITH (FORCE)")
}

func (s *Stack) admin(ctx context.Context, sql string) error {
	if err := execSQL(ctx, s.DatabaseURL(postgresName), sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

func execSQL(ctx context.Context, databaseURL, sql string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}
