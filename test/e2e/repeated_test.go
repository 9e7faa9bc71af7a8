package e2e_test

import (
	"strings"
	"testing"
)

// TestSameFileTwice is one job, however often and by whomever it is submitted.
func TestSameFileTwice(t *testing.T) {
	t.Parallel()

	rows := grants(ids("u", 30), ids("r", 4))
	d := setup(t, worldOf(rows))
	d.work()
	file := d.file("rows.csv", rows)

	var racing []*process
	for range 4 {
		racing = append(racing, d.begin(invocation{program: "enqueue", args: []string{"csv", file, "--json"}}))
	}
	fresh, id := 0, ""
	for _, p := range racing {
		j := p.end().want(0).job()
		if !j.Replayed {
			fresh++
		}
		if id == "" {
			id = j.ID
		}
		if j.ID != id {
			t.Errorf("one file became the jobs %s and %s", id, j.ID)
		}
	}
	if n := d.count("SELECT count(*) FROM jobs"); fresh != 1 || n != 1 {
		t.Errorf("%d submissions of 4 made a job, %d jobs are there; want 1", fresh, n)
	}
	d.wantCounts(d.finish(id), "succeeded", counts{Succeeded: len(rows)})

	again := d.enqueue("csv", file, "--wait", "--json").want(0).job()
	if again.ID != id || !again.Replayed {
		t.Errorf("submitting again = %s, replayed %t; want %s once more", again.ID, again.Replayed, id)
	}
	d.enqueue("csv", file).want(0).says("accepted before", "nothing was sent again")
	if calls := len(d.wantCalls(rows)); calls != 2 {
		t.Errorf("%d calls for 120 pairs, want 2", calls)
	}
	d.wantHeld(held{}.apply(rows...))
	d.wantOnce()
}

// TestKeys decide what is the same: not the name of the file, not the order of
// its rows.
func TestKeys(t *testing.T) {
	t.Parallel()

	rows := grants(ids("u", 3), ids("r", 1))
	d := setup(t, worldOf(rows))
	submit := func(code int, rows []row, args ...string) ended {
		t.Helper()
		return d.enqueue(append([]string{"csv", d.file("feed.csv", rows), "--json"}, args...)...).want(code)
	}
	first := submit(0, rows, "--key", "night-1").job()
	if again := submit(0, rows, "--key", "night-1").job(); again.ID != first.ID || !again.Replayed {
		t.Errorf("same key, same rows: %s, replayed %t", again.ID, again.Replayed)
	}
	other := submit(9, rows[:2], "--key", "night-1")
	var refused job
	other.document(&refused)
	if refused.Error.Code != "idempotency_key_reused" || !strings.Contains(refused.Error.Message, first.ID) {
		t.Errorf("same key, other rows: %+v, want the code and the job that has the key", refused.Error)
	}
	if j := submit(0, rows[:2], "--key", "night-1", "--source", "another").job(); j.Replayed || j.ID == first.ID {
		t.Error("a key is good for its source only")
	}
	if j := submit(0, rows, "--key", "night-2").job(); j.Replayed || j.ID == first.ID {
		t.Error("another key is another job")
	}
	if n := d.count("SELECT count(*) FROM jobs"); n != 3 {
		t.Errorf("%d jobs, want 3", n)
	}
}
