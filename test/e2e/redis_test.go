package e2e_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/devstack"
	"github.com/usher-bi/usher/internal/testenv"
)

// TestQueuedTasksAreSmall and name nobody, in a Redis of its own: memory is
// counted for a whole server.
func TestQueuedTasksAreSmall(t *testing.T) {
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
	before := d.redisMemory()
	if job := d.submit(rows); job.Tasks.Total != len(rows) {
		t.Fatalf("%d tasks, want one a row", job.Tasks.Total)
	}
	perTask := (d.redisMemory() - before) / len(rows)
	t.Logf("%d bytes a task", perTask)
	if perTask > 700 {
		t.Errorf("a queued task takes %d bytes of Redis, want at most 700", perTask)
	}
	dump := d.dumpRedis()
	if n := strings.Count(dump, "smartqauthorize:normal"); n < 2*len(rows) { // in each key, and in each value
		t.Errorf("%d mentions of the queue in Redis; the dump does not show what is in it", n)
	}
	for _, id := range []string{"person-", "report-"} {
		if strings.Contains(dump, id) {
			t.Errorf("Redis holds ids that begin with %s", id)
		}
	}
}

// redisMemory is what the server of the deployment uses, in bytes.
func (d *deployment) redisMemory() int {
	d.t.Helper()
	client := d.openRedis()
	info, err := client.InfoMap(d.t.Context(), "memory").Result()
	if err != nil {
		d.t.Fatal(err)
	}
	n, err := strconv.Atoi(info["Memory"]["used_memory"])
	if err != nil {
		d.t.Fatal(err)
	}
	return n
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
