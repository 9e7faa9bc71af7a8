package main

import (
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/testenv"
)

const noJob = "01JD3Z5S2M8H0T6W9K4Q7XBRNE"

// Every command line prints exactly one JSON document, and exits as documented.
func TestJSONOnEveryPath(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	good, bad := b.file(threeRows), b.file(badRows)
	for _, tt := range []struct {
		args string
		code int
		want string // the error's code; "" for none
	}{
		{"", exitOK, ""},
		{"--help", exitOK, ""},
		{"csv --help", exitOK, ""},
		{"help retry", exitOK, ""},
		{"--version", exitOK, ""},
		{"version", exitOK, ""},
		{"completion bash", exitOK, ""},
		{"frobnicate", exitUsage, "usage"},
		{"jobs --frobnicate", exitUsage, "usage"},
		{"jobs extra", exitUsage, "usage"},
		{"jobs --limit 0", exitUsage, "usage"},
		{"jobs --limit many", exitUsage, "usage"},
		{"jobs --status done", exitUsage, "usage"},
		{"jobs --before " + noJob, exitUsage, "job_not_found"},
		{"jobs", exitOK, ""},
		{"csv", exitUsage, "usage"},
		{"csv " + good + " 10m", exitUsage, "usage"},
		{"csv " + good + " --lane fast", exitUsage, "usage"},
		{"csv " + good + " --default-expiry 90", exitUsage, "usage"},
		{"csv " + good + " --default-expiry 0d", exitUsage, "usage"},
		{"csv " + good + " --wait=soon", exitUsage, "usage"},
		{"csv " + good + " --source=", exitUsage, "usage"},
		{"csv " + good + " --key event:hr-5", exitUsage, "usage"},
		{"csv " + good + " --key schedule:nightly:2026-11-23T02:00:00Z", exitUsage, "usage"},
		{"shares u1 --key event-again:1:hr-5", exitUsage, "usage"},
		{"csv " + good + " --reason \xd5\xc5", exitUsage, "usage"},
		{"csv " + filepath.Dir(good), exitUsage, "usage"},
		{"csv " + good + ".missing", exitUsage, "usage"},
		{"csv " + bad, exitRejected, "input_rejected"},
		{"csv " + good + " --sheet Leavers", exitRejected, "input_rejected"},
		{"csv " + good + " --yes", exitOK, ""},
		{"template", exitOK, ""},
		{"template extra", exitUsage, "usage"},
		{"template --format pdf", exitUsage, "usage"},
		{"template --format xlsx", exitUsage, "usage"},
		{"template -o " + good, exitUsage, "usage"},
		{"template -o " + good + ".xlsx", exitOK, ""},
		{"csv " + bad + " --dry-run", exitRejected, "input_rejected"},
		{"csv " + good + " --dry-run", exitOK, ""},
		{"csv " + good, exitOK, ""},
		{"csv " + good + " --wait=1s", exitWaitOver, "wait_over"},
		{"ndjson", exitUsage, "usage"},
		{"ndjson " + good, exitRejected, "input_rejected"},
		{"ndjson " + b.file(threeObjects) + " --dry-run", exitOK, ""},
		{"status", exitUsage, "usage"},
		{"status " + noJob, exitUsage, "job_not_found"},
		{"status " + id, exitOK, ""},
		{"results " + noJob, exitUsage, "job_not_found"},
		{"results " + id, exitOK, ""},
		{"results " + id + " --status failed,odd", exitUsage, "usage"},
		{"results " + id + " -o " + filepath.Dir(good), exitUsage, "usage"},
		{"results " + id + " -o " + good + ".out", exitOK, ""},
		{"results " + id + " -o " + good + ".results.xlsx", exitOK, ""},
		{"failures " + noJob, exitUsage, "job_not_found"},
		{"failures " + id, exitOK, ""},
		{"retry " + noJob, exitUsage, "job_not_found"},
		{"retry " + id, exitRejected, "nothing_to_retry"},
		{"csv " + good + " --update-role --dry-run", exitOK, ""},
		{"accounts", exitOK, ""},
		{"accounts forget", exitUsage, "usage"},
		{"accounts forget alice --unknown", exitUsage, "usage"},
		{"accounts forget corp/", exitUsage, "usage"},
		{"accounts forget account:alice", exitOK, ""},
		{"accounts forget --unknown", exitOK, ""},
		{"shares", exitUsage, "usage"},
		{"shares u1 -f " + good, exitUsage, "usage"},
		{"shares u1 --csv", exitUsage, "usage"},
		{"shares u1 --no-wait --wait=1s", exitUsage, "usage"},
		{"shares u1 --lane fast", exitUsage, "usage"},
		{"shares u1 --source=", exitUsage, "usage"},
		{"shares -f " + good + ".missing", exitUsage, "usage"},
		{"shares -f " + filepath.Dir(good), exitUsage, "usage"},
		{"shares -f " + b.file("name,mail\nBo,b@x\n"), exitRejected, "input_rejected"},
		{"shares u,1", exitRejected, "input_rejected"},
		{"shares u1 --no-wait", exitOK, ""},
		{"shares u1 --wait=1s", exitWaitOver, "wait_over"},
		{"shares --job " + noJob, exitUsage, "job_not_found"},
		{"shares --job " + id, exitUsage, "not_a_read_job"},
		{"verify", exitUsage, "usage"},
		{"verify " + noJob, exitUsage, "job_not_found"},
		{"verify " + id, exitUsage, "job_not_ended"},
		{"verify " + id + " --wait=1s", exitWaitOver, "wait_over"},
		{"verify " + id + " --requested-by=", exitUsage, "usage"},
		{"resume", exitUsage, "usage"},
		{"pause", exitUsage, "usage"},
		{"pause " + id + " " + id, exitUsage, "usage"},
		{"pause " + id + " --all", exitUsage, "usage"},
		{"pause --all --source hr", exitUsage, "usage"},
		{"pause --source hr --action SmartqAuthorize", exitUsage, "usage"},
		{"pause --source=", exitUsage, "usage"},
		{"pause --all=false", exitUsage, "usage"},
		{"pause --source hr --reason \xd5\xc5", exitUsage, "usage"},
		{"pause --action Dance", exitUsage, "usage"},
		{"pause " + noJob, exitUsage, "job_not_found"},
		{"pause " + id, exitOK, ""},
		{"pause " + id, exitOK, ""},
		{"pause --source csv", exitOK, ""},
		{"pause --action SmartqAuthorize", exitOK, ""},
		{"pause --all", exitOK, ""},
		{"status " + id, exitOK, ""},
		{"jobs --status paused", exitOK, ""},
		{"status " + id + " --watch=false", exitOK, ""},
		{"resume " + noJob, exitUsage, "job_not_found"},
		{"resume " + id + " --all", exitUsage, "usage"},
		{"resume " + id, exitOK, ""},
		{"resume --source csv", exitOK, ""},
		{"resume --all", exitOK, ""},
		{"resume --all", exitOK, ""},
		{"resume --action Dance", exitUsage, "usage"},
		{"resume --action SmartqAuthorize", exitOK, ""},
		{"release", exitUsage, "usage"},
		{"release " + id, exitUsage, "usage"},
		{"release " + id + " --reason \xd5\xc5", exitUsage, "usage"},
		{"release " + id + " --reason x --requested-by=", exitUsage, "usage"},
		{"release " + noJob + " --reason x", exitUsage, "job_not_found"},
		{"release " + id + " --reason x", exitOK, ""},
		{"csv " + b.file(twoLeavers) + " --max-revokes 1 --key held", exitGuard, "held_by_guard"},
		{"csv " + b.file(twoLeavers) + " --max-revokes 1 --key held --wait", exitGuard, "held_by_guard"},
		{"csv " + good + " --max-revokes few", exitUsage, "usage"},
		{"csv " + good + " --max-revoke-share 20", exitUsage, "usage"},
		{"schedule", exitOK, ""},
		{"schedule list", exitOK, ""},
		{"schedule list extra", exitUsage, "usage"},
		{"schedule add", exitUsage, "usage"},
		{"schedule add night", exitUsage, "usage"},
		{"schedule add night --cron @daily --file a.csv", exitUsage, "usage"},
		{"schedule add night --file a.csv", exitUsage, "usage"},
		{"schedule add Night! --file a.csv", exitUsage, "usage"},
		{"schedule add night --file a.csv --folder b", exitUsage, "usage"},
		{"schedule add night --renew-within 3", exitUsage, "usage"},
		{"schedule add night --file a.csv --catch-up twice", exitUsage, "usage"},
		{"schedule show night", exitUsage, "schedule_not_found"},
		{"schedule show", exitUsage, "usage"},
		{"schedule next night", exitUsage, "schedule_not_found"},
		{"schedule next night --count 0", exitUsage, "usage"},
		{"schedule pause night", exitUsage, "schedule_not_found"},
		{"schedule resume night --requested-by=", exitUsage, "usage"},
		{"schedule remove night --reason \xd5\xc5", exitUsage, "usage"},
		{"schedule run night", exitUsage, "schedule_not_found"},
		{"limits", exitOK, ""},
		{"limits extra", exitUsage, "usage"},
		{"limits set", exitUsage, "usage"},
		{"limits set SmartqAuthorize", exitUsage, "usage"},
		{"limits set Dance 20/s", exitUsage, "usage"},
		{"limits set SmartqAuthorize fast", exitUsage, "usage"},
		{"limits set SmartqAuthorize 0/s", exitUsage, "usage"},
		{"limits set SmartqAuthorize 20/s --requested-by=", exitUsage, "usage"},
		{"limits set SmartqAuthorize 20/s --reason \xd5\xc5", exitUsage, "usage"},
		{"limits set smartqauthorize 20/s", exitOK, ""},
		{"limits set SmartqAuthorize 20/s", exitOK, ""},
		{"limits reset", exitUsage, "usage"},
		{"limits reset Dance", exitUsage, "usage"},
		{"limits reset SMARTQAUTHORIZE", exitOK, ""},
		{"limits reset SmartqAuthorize", exitOK, ""},
		{"token", exitOK, ""},
		{"token list", exitOK, ""},
		{"token add", exitUsage, "usage"},
		{"token add feed", exitUsage, "usage"},
		{"token add a/b --source hr", exitUsage, "usage"},
		{"token add feed --source hr --actions read", exitUsage, "usage"},
		{"token add feed --source hr --lane-max fast", exitUsage, "usage"},
		{"token add feed --source hr --requested-by=", exitUsage, "usage"},
		{"token add feed --source hr --reason \xd5\xc5", exitUsage, "usage"},
		{"token add feed --source hr", exitOK, ""},
		{"token add feed --source hr", exitUsage, "token_exists"},
		{"token list", exitOK, ""},
		{"token revoke", exitUsage, "usage"},
		{"token revoke nobody", exitUsage, "token_not_found"},
		{"token revoke feed", exitOK, ""},
		{"token revoke feed", exitOK, ""},
		{"webhook", exitOK, ""},
		{"webhook list", exitOK, ""},
		{"webhook list extra", exitUsage, "usage"},
		{"webhook add", exitUsage, "usage"},
		{"webhook add hook", exitUsage, "usage"},
		{"webhook add hook --url http://example.com/", exitUsage, "usage"},
		{"webhook add hook --url https://me:pw@example.com/", exitUsage, "usage"},
		{"webhook add hook --url http://127.0.0.1:1/ --events job.started", exitUsage, "usage"},
		{"webhook add hook --url http://127.0.0.1:1/ --requested-by=", exitUsage, "usage"},
		{"webhook add hook --url http://127.0.0.1:1/ --reason \xd5\xc5", exitUsage, "usage"},
		{"webhook add hook --url http://127.0.0.1:1/ --events job.failing", exitOK, ""},
		{"webhook add hook --url http://127.0.0.1:1/", exitUsage, "webhook_exists"},
		{"webhook list", exitOK, ""},
		{"webhook test nobody", exitUsage, "webhook_not_found"},
		{"webhook test hook", exitRowsFailed, ""},
		{"webhook remove hook --requested-by=", exitUsage, "usage"},
		{"webhook remove hook", exitOK, ""},
		{"webhook remove hook", exitUsage, "webhook_not_found"},
		{"serve extra", exitUsage, "usage"},
		{"cancel", exitUsage, "usage"},
		{"cancel " + id + " --all --yes", exitUsage, "usage"},
		{"cancel --source csv", exitGuard, "confirmation_needed"},
		{"cancel --action SmartqAuthorize", exitGuard, "confirmation_needed"},
		{"cancel --all", exitGuard, "confirmation_needed"},
		{"cancel --source nobody", exitOK, ""},
		{"cancel --action AddShareReport --yes", exitOK, ""},
		{"cancel " + noJob, exitUsage, "job_not_found"},
		{"cancel " + id, exitOK, ""},
		{"cancel " + id, exitOK, ""},
		{"pause " + id, exitUsage, "job_ended"},
		{"resume " + id, exitOK, ""},
		{"cancel --all --yes", exitOK, ""},
		{"cancel --all", exitOK, ""},
		{"verify " + id, exitOK, ""},
		{"verify " + id + " --read " + id, exitUsage, "not_a_read_job"},
	} {
		o := b.run(append(strings.Fields(tt.args), "--json")...)
		document := decode[struct {
			Error struct{ Code, Message string } `json:"error"`
		}](t, o)
		if o.code != tt.code || document.Error.Code != tt.want || (tt.want != "") != (document.Error.Message != "") {
			t.Errorf("%s: exit code %d, error %+v; want %d, %q", tt.args, o.code, document.Error, tt.code, tt.want)
		}
		if strings.Contains(o.err, "Next:") {
			t.Errorf("%s: talk for people beside --json:\n%s", tt.args, o.err)
		}
	}
}

func TestJSONIsNotSeenInTheValueOfAFlag(t *testing.T) {
	t.Parallel()

	b := offline(t)
	o := b.run("csv", b.file(badRows), "--dry-run", "--reason", "--json").want(t, exitRejected)
	if o.out != "" {
		t.Errorf("stdout is %q", o.out)
	}
	if o := b.run("jobs", "--bogus", "--json=false").want(t, exitUsage); o.out != "" {
		t.Errorf("stdout is %q", o.out)
	}
}

func TestSettingsAreReportedAllAtOnce(t *testing.T) {
	t.Parallel()

	b := offline(t)
	b.vars["QUICKBI_RATE"] = "fast"
	b.vars["QUICKBI_TIMEZONE"] = "Mars/Olympus"
	o := b.run("csv", b.file(threeRows)).want(t, exitUsage).says(t, "DATABASE_URL: ", "REDIS_URL: ", "QUICKBI_RATE: ", "QUICKBI_TIMEZONE: ")
	if strings.Contains(o.err, "goroutine") || o.out != "" {
		t.Errorf("stdout %q, stderr %q", o.out, o.err)
	}
	b.run("csv", b.file(threeRows), "--dry-run").want(t, exitUsage).says(t, "QUICKBI_RATE: ")
	b = offline(t)
	b.vars["DATABASE_URL"], b.vars["REDIS_URL"] = "localhost", "localhost:6379"
	b.run("retry", noJob).want(t, exitUsage).says(t, "DATABASE_URL: ", "REDIS_URL: ")
	b.vars["DATABASE_URL"], b.vars["REDIS_URL"] = "postgres://u:s3cret@h:bad/x", "redis://:s3cret@h:bad/0"
	b.vars["QUICKBI_RATE_SMARTQAUTHORISE"] = "10/s"
	o = b.run("csv", b.file(threeRows)).want(t, exitUsage).says(t, "DATABASE_URL: ", "REDIS_URL: ", "QUICKBI_RATE_SMARTQAUTHORISE: ", "SMARTQAUTHORIZE")
	if strings.Contains(o.err, "s3cret") {
		t.Errorf("a password was printed:\n%s", o.err)
	}
	if o := b.run("jobs").want(t, exitUsage).says(t, "DATABASE_URL: "); strings.Contains(o.err, "REDIS_URL") {
		t.Errorf("what reading does not need was judged:\n%s", o.err)
	}
	b.run("csv", b.file(threeRows), "--dry-run").want(t, exitUsage).says(t, "QUICKBI_RATE_SMARTQAUTHORISE: ")
	delete(b.vars, "QUICKBI_RATE_SMARTQAUTHORISE")
	b.run("csv", b.file(threeRows), "--dry-run").want(t, exitOK)
}

func TestReadingNeedsNoRedis(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	delete(b.vars, "REDIS_URL")
	for _, command := range []string{"status", "results", "failures", "cancel"} {
		b.run(command, id).want(t, exitOK)
	}
}

func TestPostgresAway(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.vars["DATABASE_URL"] = "postgres://usher:s3cret@127.0.0.1:1/usher"
	for _, args := range [][]string{{"csv", b.file(threeRows)}, {"status", noJob}} {
		o := b.run(args...).want(t, exitUnreachable).says(t, "Postgres cannot be reached", "DATABASE_URL", "repeat the same command")
		if strings.Contains(o.err, "s3cret") {
			t.Errorf("the password was printed:\n%s", o.err)
		}
	}
	b.wantNothing()
}

func TestRedisAway(t *testing.T) {
	t.Parallel()

	b := setup(t)
	here := b.vars["REDIS_URL"]
	b.vars["REDIS_URL"] = "redis://:s3cret@127.0.0.1:1/0"
	o := b.run("csv", b.file(threeRows)).want(t, exitUnreachable).says(t, "Redis cannot be reached", "REDIS_URL")
	if strings.Contains(o.err, "s3cret") {
		t.Errorf("the password was printed:\n%s", o.err)
	}
	document := decode[errorDocument](t, b.run("csv", b.file(threeRows), "--json").want(t, exitUnreachable))
	if document.Error.Code != "redis_unavailable" {
		t.Errorf("code %q", document.Error.Code)
	}
	p := start(t, b, nil, "csv", b.file(threeRows)) // the library logs past the program's streams
	if err := p.Wait(); err == nil || !strings.HasPrefix(p.stderr.String(), "enqueue: Redis cannot be reached") {
		t.Errorf("%v; the program says\n%s", err, &p.stderr)
	}
	b.vars["REDIS_URL"] = here
	b.wantNothing()
}

func TestDatabaseThatWasNotMigrated(t *testing.T) {
	t.Parallel()

	b := offline(t)
	b.vars["DATABASE_URL"] = testenv.EmptyPostgres(t)
	b.run("jobs").want(t, exitUnreachable).says(t, "worker migrate")
}

func TestDatabaseThatIsNotThere(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.vars["DATABASE_URL"] = strings.Replace(b.vars["DATABASE_URL"], "/test_", "/no_", 1)
	b.run("jobs").want(t, exitUsage).says(t, "DATABASE_URL: ", "does not exist")
}

func TestHelpOfEveryCommandStartsWithAnExample(t *testing.T) {
	t.Parallel()

	b := offline(t)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		args := strings.Fields(cmd.CommandPath())[1:]
		o := b.run(append(args, "--help")...).want(t, exitOK)
		if !strings.HasPrefix(o.out, "Examples:\n  ") || !strings.Contains(o.out, "enqueue") {
			t.Errorf("%s --help begins with\n%.60s", cmd.CommandPath(), o.out)
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(&app{}, io.Discard))
}

func TestCompletion(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.run("schedule", "add", "night", "--cron", "0 2 * * *", "--file", "hr/in.csv").want(t, exitOK)
	b.run("webhook", "add", "hook", "--url", "https://example.com/in").want(t, exitOK)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if o := b.run("completion", shell).want(t, exitOK); !strings.Contains(o.out, "__complete") {
			t.Errorf("%s gets\n%.200s", shell, o.out)
		}
	}
	for line, want := range map[string]string{
		"status":                id + "\tqueued, csv\n",
		"status --json":         id + "\tqueued, csv\n",
		"csv people.csv --lane": "urgent\nnormal\nbulk\n",
		"results x --status":    "succeeded\nno_change\n",
		"retry " + id:           ":4\n",
		"verify":                id + "\tqueued, csv\n",
		"shares --job":          id + "\tqueued, csv\n",
		"resume --action":       "SmartqAuthorize\nAddWorksAuthorization\n",
		"pause":                 id + "\tqueued, csv\n",
		"release":               id + "\tqueued, csv\n",
		"pause --all":           ":4\n",
		"cancel --source":       "csv\n",
		"schedule pause":        "night\tfile hr/in.csv\n",
		"schedule show x":       ":4\n",
		"schedule add x --lane": "urgent\nnormal\nbulk\n",
		"webhook test":          "hook\thttps://example.com/in\n",
		"webhook remove x":      ":4\n",
		"webhook add --events":  "job.completed\njob.failing\n",
		"limits set":            "SmartqAuthorize\nAddWorksAuthorization\n",
		"limits set x":          ":4\n",
		"limits reset":          "SmartqAuthorize\nAddWorksAuthorization\n",
	} {
		o := b.run(append(append([]string{"__complete"}, strings.Fields(line)...), "")...).want(t, exitOK)
		if !strings.HasPrefix(o.out, want) {
			t.Errorf("%s completes to\n%s, want\n%s", line, o.out, want)
		}
	}
	delete(b.vars, "DATABASE_URL")
	b.run("__complete", "status", "").want(t, exitOK)
}

func TestErrorsCannotForgeTheTerminal(t *testing.T) {
	t.Parallel()

	b := offline(t)
	o := b.run("jobs", "--status", "x\x1b[2J\u202e").want(t, exitUsage)
	if strings.ContainsAny(o.err, "\x1b\u202e") {
		t.Errorf("stderr is %q", o.err)
	}
}

func TestCommas(t *testing.T) {
	t.Parallel()

	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 100000: "100,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := commas(n); got != want {
			t.Errorf("commas(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()

	b := offline(t)
	long, short := b.run("version").want(t, exitOK), b.run("--version").want(t, exitOK)
	if long.out != short.out || !strings.HasPrefix(long.out, "enqueue ") {
		t.Errorf("version prints %q and --version %q", long.out, short.out)
	}
	var document map[string]string
	if err := json.Unmarshal([]byte(b.run("--version", "--json").out), &document); err != nil || document["version"] == "" {
		t.Errorf("%v, %v", document, err)
	}
}
