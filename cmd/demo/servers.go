//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/redis/go-redis/v9/logging"

	"github.com/usher-bi/usher/internal/devstack"
	"github.com/usher-bi/usher/internal/tasks"
)

const (
	databaseSetting = "DATABASE_URL"
	redisSetting    = "REDIS_URL"
	database        = "usher"     // on a private server
	appRole         = "usher_app" // that the programs connect to it as
)

// lookup returns the value of a variable of our own environment.
func (w world) lookup(name string) string {
	for _, entry := range w.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// startServers starts private servers, or takes those that the environment
// names.
func (d *demo) startServers(ctx context.Context) error {
	urls := servers{database: d.lookup(databaseSetting), redis: d.lookup(redisSetting)}
	if urls.database != "" && urls.redis != "" {
		d.sayf("using the servers of %s and %s; what the demo writes there stays there", databaseSetting, redisSetting)
		d.given = true
		d.use(urls)
		return d.checkUnused(ctx, urls)
	}
	stack, err := devstack.Start(ctx, devstack.Options{})
	if err != nil {
		return err
	}
	d.atEnd("PostgreSQL and Redis", func() error { return errors.Join(keepLogs(stack.Dir()), stack.Stop()) })
	if err := stack.CreateDatabase(ctx, database); err != nil {
		return err
	}
	if err := stack.CreateRole(ctx, appRole); err != nil {
		return err
	}
	d.appDatabase = stack.RoleURL(devstack.Login{Role: appRole, Database: database})
	d.sayf("private servers on Unix sockets in %s", stack.Dir())
	urls = servers{database: stack.DatabaseURL(database), redis: stack.RedisURL(0)}
	d.use(urls)
	d.show("export " + databaseSetting + "=" + quote(urls.database))
	d.show("export " + redisSetting + "=" + quote(urls.redis))
	return nil
}

// servers are the URLs of Postgres and Redis. They may hold passwords.
type servers struct{ database, redis string }

// use hands the servers to all children, and no other setting.
func (d *demo) use(urls servers) {
	d.childEnv = append(withoutSettings(d.environ, !d.given), databaseSetting+"="+urls.database, redisSetting+"="+urls.redis)
}

// errUsed keeps the demo off somebody's real installation.
var errUsed = errors.New("the demo takes empty servers only, so that it cannot disturb an installation; unset both for private ones")

// checkUnused refuses servers that somebody uses.
func (d *demo) checkUnused(ctx context.Context, urls servers) error {
	logging.Disable() // go-redis prints every failed dial; the error says enough
	client, err := tasks.OpenRedis(ctx, urls.redis)
	if err != nil {
		return fmt.Errorf("%s: %w", redisSetting, err)
	}
	defer client.Close()
	keys, err := client.DBSize(ctx).Result()
	switch {
	case err != nil:
		return fmt.Errorf("counting the keys in Redis: %w", err)
	case keys > 0:
		return fmt.Errorf("the Redis of %s holds %d keys: %w", redisSetting, keys, errUsed)
	}
	return d.checkNoJobs(ctx)
}

// checkNoJobs refuses a database with jobs. One without our tables has none.
func (d *demo) checkNoJobs(ctx context.Context) error {
	out, err := d.read(ctx, command{argv: []string{"enqueue", "jobs", "--limit", "1", "--json"}, expect: []int{exitUnreachable}})
	if err != nil {
		return err
	}
	var answer struct {
		Jobs  []struct{} `json:"jobs"`
		Error *struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	switch err := json.Unmarshal([]byte(out.stdout), &answer); {
	case err != nil:
		return fmt.Errorf("reading the list of jobs: %w", err)
	case answer.Error != nil && answer.Error.Code != "schema_outdated":
		return errors.New(answer.Error.Message)
	case len(answer.Jobs) > 0:
		return fmt.Errorf("the database of %s holds jobs: %w", databaseSetting, errUsed)
	}
	return nil
}

// keepLogs saves the logs of private servers, whose folder goes with them.
func keepLogs(dir string) error {
	for _, name := range []string{"postgres.log", "redis.log"} {
		text, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the folder is of our own servers
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(logDir, name), text, 0o600); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}
