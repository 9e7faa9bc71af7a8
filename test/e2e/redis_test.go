package e2e_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/devstack"
	"github.com/usher-bi/usher/internal/testenv"
)

// TestRedisStaysSmall and names nobody, however large a job is, in a Redis of its
// own: a dump is of a whole server.
func TestRedisStaysSmall(t *testing.T) {
	t.Parallel()

	// Uncompressed, a dump shows ids as they are.
	stack, err := devstack.Start(t.Context(), devstack.Options{NoPostgres: true, RedisArgs: []string{"--rdbcompression", "no"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stack.Stop() })
	d := prepare(t, testenv.Postgres(t), stack.RedisURL(0))
	rows := apart(10_000)
	for i := range rows {
		rows[i].user, rows[i].resource = "person-"+rows[i].user, "report-"+rows[i].resource
	}
	if job := d.submit(rows); job.Tasks.Total != len(rows) {
		t.Fatalf("%d tasks, want one a row", job.Tasks.Total)
	}
	client := d.openRedis()
	queued, err := client.Keys(t.Context(), "asynq:{smartqauthorize:normal}:t:*").Result()
	if err != nil || len(queued) == 0 || len(queued) > 1000 {
		t.Fatalf("%d tasks are queued (%v), want some, so that workers can begin, and no more than they need for a second", len(queued), err)
	}
	for _, key := range queued {
		if n, err := client.MemoryUsage(t.Context(), key).Result(); err != nil || n > 700 {
			t.Errorf("a queued task takes %d bytes of Redis (%v), want at most 700", n, err)
		}
	}
	dump := d.dumpRedis()
	if n := strings.Count(dump, "smartqauthorize:normal"); n < 2*len(queued) { // in each key, and in each value
		t.Errorf("%d mentions of the queue in Redis; the dump does not show what is in it", n)
	}
	for _, id := range []string{"person-", "report-"} {
		if strings.Contains(dump, id) {
			t.Errorf("Redis holds ids that begin with %s", id)
		}
	}
}

// dumpRedis is every key and value of the database.
func (d *deployment) dumpRedis() string {
	d.t.Helper()
	client := d.openRedis()
	var out strings.Builder
	for keys := client.Scan(d.t.Context(), 0, "*", 1000).Iterator(); ; {
		pipe, n := client.Pipeline(), 0
		for ; n < 1000 && keys.Next(d.t.Context()); n++ {
			out.WriteString(keys.Val())
			pipe.Dump(d.t.Context(), keys.Val())
		}
		if err := keys.Err(); err != nil {
			d.t.Fatal(err)
		}
		if n == 0 {
			return out.String()
		}
		values, err := pipe.Exec(d.t.Context())
		if err != nil {
			d.t.Fatal(err)
		}
		for _, value := range values {
			dump, _ := value.(*redis.StringCmd)
			out.WriteString(dump.Val())
		}
	}
}
