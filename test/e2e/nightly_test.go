package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// badNight is what is delivered after a good night, and what is to become of it.
type badNight struct {
	name    string
	deliver func(in inbox, full string)
	state   string // of the run
	guard   string // that holds its job; "" where there is none
	why     string // part of what is said of the run
}

func badNights() []badNight {
	lines := func(full string, n int) string { return strings.Join(strings.SplitAfter(full, "\n")[:n], "") }
	return []badNight{
		{"none", func(inbox, string) {}, "missing", "", "access.csv is not there"},
		{"half-written", func(in inbox, full string) { in.write("access.csv", full[:200]) }, "missing", "", "is not complete"},
		{"half-written-and-marked", func(in inbox, full string) { in.deliver("access.csv", full[:len(full)-20]) }, "rejected", "", "rows are invalid"},
		{"empty", func(in inbox, _ string) { in.deliver("access.csv", "") }, "rejected", "", "the file is empty"},
		{"the-same", func(in inbox, full string) { in.deliver("access.csv", full) }, "nothing", "", "everybody has"},
		{"yesterdays", func(in inbox, full string) {
			in.write("access.csv", lines(full, 11))
			in.age("access.csv", 26*time.Hour)
			in.write("access.csv.done", "")
		}, "open", "stale_input", ""},
		{"shrunken", func(in inbox, full string) { in.deliver("access.csv", lines(full, 8)) }, "open", "shrunken_input", ""},
		{"renamed", func(in inbox, full string) { in.deliver("access-new.csv", lines(full, 2)) }, "missing", "", "access.csv is not there"},
	}
}

// inbox is the folder of one schedule.
type inbox struct {
	t   *testing.T
	dir string
}

func (in inbox) write(name, content string) {
	in.t.Helper()
	if err := os.WriteFile(filepath.Join(in.dir, name), []byte(content), 0o600); err != nil {
		in.t.Fatal(err)
	}
}

// age has a file be written a while ago.
func (in inbox) age(name string, ago time.Duration) {
	in.t.Helper()
	then := time.Now().Add(-ago)
	if err := os.Chtimes(filepath.Join(in.dir, name), then, then); err != nil {
		in.t.Fatal(err)
	}
}

func (in inbox) deliver(name, content string) {
	in.t.Helper()
	in.write(name, content)
	in.write(name+".done", "")
}

// Each of eight lists of who should have what is good in the first night and not in
// the second. The worker says what is wrong with each, and asks Quick BI for nothing.
func TestABadNightRevokesNothing(t *testing.T) {
	t.Parallel()

	nights := badNights()
	d := setup(t, worldOf(grants(ids("u", 12*len(nights)), []string{"r"})))
	d.work("WORKER_INBOX=" + d.dir)
	full := map[string]string{}
	for i, night := range nights {
		in := inbox{t, filepath.Join(d.dir, night.name)}
		if err := os.Mkdir(in.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		text.WriteString("action,principal,resource_type,resource_id,expires_on\n")
		for n := range 12 {
			fmt.Fprintf(&text, "grant,u%d,qa_resource,r,%s\n", 12*i+n+1, expiry)
		}
		full[night.name] = text.String()
		in.deliver("access.csv", full[night.name])
		d.enqueue("schedule", "add", night.name, "--cron", "0 2 1 1 *", "--desired", night.name+"/access.csv", "--file-within", "0s").want(0)
		d.enqueue("schedule", "run", night.name).want(0)
	}
	d.eventually("the first night is done", func() bool {
		return d.count("SELECT count(*) FROM schedule_runs WHERE state = 'done' AND succeeded") == len(nights)
	})
	before, calls := d.sandbox.grants(), len(d.sandbox.calls())
	if len(before) != 12*len(nights) {
		t.Fatalf("%d accesses after the first night", len(before))
	}
	for _, night := range nights {
		night.deliver(inbox{t, filepath.Join(d.dir, night.name)}, full[night.name])
		d.enqueue("schedule", "run", night.name).want(0)
	}
	d.eventually("the second night is looked at", func() bool {
		return d.count("SELECT count(*) FROM schedule_runs WHERE started_at IS NOT NULL OR ended_at IS NOT NULL") == 2*len(nights) &&
			d.count("SELECT count(*) FROM schedule_runs WHERE state IN ('due', 'running')") == 0
	})
	for _, night := range nights {
		var shown struct {
			Runs []struct {
				State  string `json:"state"`
				Why    string `json:"why"`
				Inputs []struct {
					Job string `json:"job_id"`
				} `json:"inputs"`
			} `json:"runs"`
		}
		d.enqueue("schedule", "show", night.name, "--json").want(0).document(&shown)
		run := shown.Runs[0]
		if run.State != night.state || !strings.Contains(run.Why, night.why) {
			t.Errorf("%s: the night is %s: %q; want %s: %q", night.name, run.State, run.Why, night.state, night.why)
		}
		held := ""
		if len(run.Inputs) > 0 {
			held = run.Inputs[0].Job
		}
		if n := d.count("SELECT count(*) FROM pauses WHERE name = $1 AND guard = $2 AND guard <> ''", held, night.guard); (n == 1) != (night.guard != "") {
			t.Errorf("%s: its job %q is not held by %q", night.name, held, night.guard)
		}
	}
	if diff := cmp.Diff(before, d.sandbox.grants()); diff != "" {
		t.Errorf("access after the bad night (-want +got):\n%s", diff)
	}
	if now := len(d.sandbox.calls()); now != calls {
		t.Errorf("%d calls were sent in the bad night", now-calls)
	}
}
